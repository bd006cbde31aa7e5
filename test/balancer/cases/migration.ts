/** UDP flows leave backends that are down. */
import { VIP_FLAGS } from '../../../lb/balancer/schema.js';
import { PROTOCOL, tcpFrame, udpFrame } from '../../support/packets.js';
import { connectionId, quicShort } from '../../support/packets-quic.js';
import { type Row, rowOf, type Suite, step } from '../suite.js';
import { sent } from './expect.js';
import { FAMILIES, FAMILY, type Family, flowTo, vipRow } from './family.js';
import { numberVips, REALS } from './setup.js';

const { UDP_FLOW_MIGRATION, LRU_BYPASS, QUIC_VIP, GLOBAL_LRU } = VIP_FLAGS;

const downVips = (family: Family) =>
  numberVips({
    dns: vipRow(family, 'udp', 53, { flags: UDP_FLOW_MIGRATION }),
    plain: vipRow(family, 'udp', 54),
    web: vipRow(family, 'tcp', 80, { flags: UDP_FLOW_MIGRATION }),
    quic: vipRow(family, 'udp', 443, { flags: UDP_FLOW_MIGRATION | QUIC_VIP }),
    every: vipRow(family, 'udp', 0, {
      flags: UDP_FLOW_MIGRATION,
      address: family === 4 ? '198.51.100.21' : '2001:db8::21',
    }),
    bypass: vipRow(family, 'udp', 55, { flags: UDP_FLOW_MIGRATION | LRU_BYPASS }),
    global: vipRow(family, 'udp', 56, { flags: UDP_FLOW_MIGRATION | GLOBAL_LRU }),
  });
const MIGRATED = { 'flow_migrated.v1': 1 };

/** A backend is marked down: its UDP flows leave it. */
function migration(family: Family): Row[] {
  const { real, other } = FAMILY[family];
  const { dns, plain, web, quic, every, bypass, global } = downVips(family);
  const flow = flowTo(family, dns);
  const frame = udpFrame(flow);
  const known = step(frame, sent(frame, flow, { vip: dns, real, table: 'ring' }));
  const moved = sent(frame, flow, {
    vip: dns,
    real: other,
    table: 'ring',
    counts: MIGRATED,
    flags: ['HASHED', 'INSERTED', 'MIGRATED'],
    entries: [{ pos: REALS[other].index }],
  });
  const rows: Row[] = [
    rowOf(
      'a known flow of a backend that is down takes the ring, and is noted there',
      known,
      step(frame, moved, (scene) => {
        scene.down(dns, real);
        scene.ring(dns, other);
      }),
      step(frame, sent(frame, flow, { vip: dns, real: other, table: 'lru', flags: [] })),
    ),
    rowOf(
      'while the ring still names it the flow stays, and is counted each time',
      known,
      step(frame, sent(frame, flow, { vip: dns, real, table: 'ring', counts: MIGRATED }), (scene) =>
        scene.down(dns, real),
      ),
      step(frame, sent(frame, flow, { vip: dns, real, table: 'ring', counts: MIGRATED })),
    ),
    rowOf(
      'another backend that is down does not matter',
      known,
      step(frame, sent(frame, flow, { vip: dns, real, table: 'lru' }), (scene) => {
        scene.down(dns, other);
        scene.ring(dns, other);
      }),
    ),
    rowOf(
      "another VIP's down backend does not matter",
      known,
      step(frame, sent(frame, flow, { vip: dns, real, table: 'lru' }), (scene) => scene.down(plain, real)),
    ),
    rowOf(
      'a new flow is not moved: nothing is counted',
      step(
        frame,
        sent(frame, flow, { vip: dns, real, table: 'ring', flags: ['HASHED', 'INSERTED'] }),
        (scene) => scene.down(dns, real),
      ),
    ),
  ];
  const simple = flowTo(family, plain);
  const datagram = udpFrame(simple);
  rows.push(
    rowOf(
      'a VIP without the flag',
      step(datagram, sent(datagram, simple, { vip: plain, real, table: 'ring' })),
      step(datagram, sent(datagram, simple, { vip: plain, real, table: 'lru' }), (scene) => {
        scene.down(plain, real);
        scene.ring(plain, other);
      }),
    ),
  );
  const overTcp = flowTo(family, web);
  const segment = tcpFrame(overTcp);
  rows.push(
    rowOf(
      'TCP flows stay',
      step(segment, sent(segment, overTcp, { vip: web, real, table: 'ring' })),
      step(segment, sent(segment, overTcp, { vip: web, real, table: 'lru' }), (scene) => {
        scene.down(web, real);
        scene.ring(web, other);
      }),
    ),
  );
  const wild = flowTo(family, every, { dport: 5353 });
  const any = udpFrame(wild);
  rows.push(
    rowOf(
      'a VIP of every port',
      step(any, sent(any, wild, { vip: every, real, table: 'ring' })),
      step(any, sent(any, wild, { vip: every, real: other, table: 'ring', counts: MIGRATED }), (scene) => {
        scene.down(every, real);
        scene.ring(every, other);
      }),
    ),
  );
  const toQuic = flowTo(family, quic);
  const withId = udpFrame(toQuic, { data: quicShort(connectionId(1, 77)) });
  const counts = { 'quic.cid_v1': 1, 'quic.cid_routed': 1 };
  rows.push(
    rowOf(
      'a connection id goes before it',
      step(
        withId,
        sent(withId, toQuic, {
          vip: quic,
          real,
          table: 'quic',
          counts: { ...counts, 'quic.dst_not_found_in_lru': 1 },
        }),
        (scene) => {
          scene.serverId(77, real);
          scene.down(quic, real);
        },
      ),
      step(
        withId,
        sent(withId, toQuic, {
          vip: quic,
          real,
          table: 'quic',
          counts: { ...counts, 'quic.dst_match_in_lru': 1 },
        }),
      ),
    ),
  );
  const spared = flowTo(family, bypass);
  const loose = udpFrame(spared);
  rows.push(
    rowOf(
      'a VIP without a table has no flow to move',
      step(loose, sent(loose, spared, { vip: bypass, real, table: 'ring', entries: [] }), (scene) =>
        scene.down(bypass, real),
      ),
    ),
  );
  const shared = flowTo(family, global);
  const known2 = udpFrame(shared);
  rows.push(
    rowOf(
      'a flow of the global table is moved as well',
      step(
        known2,
        sent(known2, shared, {
          vip: global,
          real,
          table: 'ring',
          counts: { ...MIGRATED, 'global_lru.v1': 1, 'global_lru.v2': 1 },
        }),
        (scene) => {
          scene.globalFlow(shared, PROTOCOL.udp, REALS[other].index);
          scene.down(global, other);
        },
      ),
    ),
  );
  return rows;
}

function migrationOff(family: Family): Row[] {
  const { real, other } = FAMILY[family];
  const { dns } = downVips(family);
  const flow = flowTo(family, dns);
  const frame = udpFrame(flow);
  return [
    rowOf(
      'flows stay',
      step(frame, sent(frame, flow, { vip: dns, real, table: 'ring' })),
      step(frame, sent(frame, flow, { vip: dns, real, table: 'lru' }), (scene) => {
        scene.down(dns, real);
        scene.ring(dns, other);
      }),
    ),
  ];
}

function suite(title: string, family: Family, rows: readonly Row[], options: Suite['options'] = {}): Suite {
  return { title: `${title}, IPv${family}`, options, arrange: (scene) => scene.vips(downVips(family)), rows };
}

export const MIGRATION_SUITES: readonly Suite[] = FAMILIES.flatMap((family) => [
  suite('UDP flows leave backends that are down', family, migration(family), {
    udpFlowMigration: true,
    globalLru: true,
  }),
  suite('UDP flows leave backends, off', family, migrationOff(family)),
]);
