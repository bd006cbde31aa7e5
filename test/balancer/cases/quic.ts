/** Server ids in QUIC connection ids. */
import { VIP_FLAGS } from '../../../lb/balancer/schema.js';
import { type Endpoints, tcpFrame, udpFrame } from '../../support/packets.js';
import { icmpFrame, quoted } from '../../support/packets-icmp.js';
import { connectionId, QUIC_TYPES, type QuicType, quicLong, quicShort } from '../../support/packets-quic.js';
import { balanced, type Expected, type Row, row, rowOf, type Suite, step } from '../suite.js';
import { inIp, sent } from './expect.js';
import { FAMILIES, FAMILY, type Family, flowTo, vipRow } from './family.js';
import { MISSING_REAL, numberVips, REAL_BEYOND, REALS, type Scene, type Vip } from './setup.js';

const { QUIC_VIP, LRU_BYPASS, HASH_NO_SRC_PORT, HASH_DPORT_ONLY } = VIP_FLAGS;
const vipsOf = (family: Family) =>
  numberVips({
    quic: vipRow(family, 'udp', 443, { flags: QUIC_VIP }),
    plain: vipRow(family, 'udp', 444),
    bypass: vipRow(family, 'udp', 445, { flags: QUIC_VIP | LRU_BYPASS }),
    noSource: vipRow(family, 'udp', 446, { flags: QUIC_VIP | HASH_NO_SRC_PORT }),
    portOnly: vipRow(family, 'udp', 447, { flags: QUIC_VIP | HASH_DPORT_ONLY }),
    tcp: vipRow(family, 'tcp', 443, { flags: QUIC_VIP }),
    every: vipRow(family, 'udp', 0, {
      flags: QUIC_VIP,
      address: family === 4 ? '198.51.100.21' : '2001:db8::21',
    }),
  });

/** Ids of each version, with the least and the greatest that it can carry. */
const IDS = {
  1: [1, 0x1234, 0xffff],
  2: [1, 0x12_3456, 0xff_ffff],
  3: [1, 0x1234_5678, 0x7fff_ffff],
} as const;
const VERSIONS = [1, 2, 3] as const;
/** Mapped to nothing. */
const UNKNOWN_ID = 0x0777;
/** Mapped to a backend that is not there. */
const MISSING_ID = 0x0999;
/** Mapped to a number that no row has. */
const BEYOND_ID = 0x0aaa;

function mapIds(scene: Scene, family: Family): void {
  for (const id of new Set(VERSIONS.flatMap((version) => IDS[version])))
    scene.serverId(id, FAMILY[family].other);
  scene.serverId(MISSING_ID, MISSING_REAL);
  scene.serverId(0x0888, 0);
  scene.serverId(BEYOND_ID, REAL_BEYOND);
}

const NOT_FOUND = 'quic.dst_not_found_in_lru';
const routed = (version: number, found = NOT_FOUND): Record<string, number> => ({
  [`quic.cid_v${version}`]: 1,
  'quic.cid_routed': 1,
  [found]: 1,
});

function byId(family: Family): Row[] {
  const { real, other } = FAMILY[family];
  const { quic, bypass, noSource, portOnly, every, plain, tcp } = vipsOf(family);
  const flow = flowTo(family, quic);
  const pos = REALS[other].index;
  const rows: Row[] = [];
  const toServer = (
    name: string,
    version: number,
    payload: Uint8Array,
    more: Partial<Expected> = {},
  ): void => {
    const frame = udpFrame(flow, { data: payload });
    rows.push(
      row(name, frame, {
        ...sent(frame, flow, {
          vip: quic,
          real: other,
          table: 'quic',
          counts: routed(version),
          entries: [{ pos }],
        }),
        ...more,
      }),
    );
  };
  const toRing = (name: string, payload: Uint8Array, counts: Record<string, number>): void => {
    const frame = udpFrame(flow, { data: payload });
    rows.push(row(name, frame, sent(frame, flow, { vip: quic, real, table: 'ring', counts })));
  };
  const none = { 'quic.ch_routed': 1 };

  for (const version of VERSIONS) {
    for (const id of IDS[version]) {
      const cid = connectionId(version, id);
      toServer(`short header, version ${version}, id ${id}`, version, quicShort(cid));
      toServer(`handshake, version ${version}, id ${id}`, version, quicLong({ type: 'handshake', cid }));
    }
    const unknown = connectionId(version, UNKNOWN_ID);
    const missed = {
      [`quic.cid_v${version}`]: 1,
      'quic.cid_invalid_server_id': 1,
      'quic.cid_invalid_server_id_sample': UNKNOWN_ID,
      'quic.ch_routed': 1,
    };
    toRing(`version ${version}: an id of nobody`, quicShort(unknown), missed);
    toRing(`version ${version}: an id that is mapped to 0`, quicShort(connectionId(version, 0x0888)), {
      ...missed,
      'quic.cid_invalid_server_id_sample': 0x0888,
    });
    toRing(`version ${version}: id 0`, quicShort(connectionId(version, 0)), none);
    for (const id of [MISSING_ID, BEYOND_ID]) {
      const gone = udpFrame(flow, { data: quicShort(connectionId(version, id)) });
      rows.push(
        row(`version ${version}: id ${id} of a backend that is not there`, gone, {
          reason: 'unknown_server',
          vip: quic,
          counts: { 'lru.v1': 1, [`quic.cid_v${version}`]: 1, 'quic.cid_unknown_real_dropped': 1 },
          entries: [],
        }),
      );
    }
  }
  const good = connectionId(1, 0x1234);
  toServer('retry', 1, quicLong({ type: 'retry', cid: good }));
  toServer(
    'handshake of another version of QUIC',
    1,
    quicLong({ type: 'handshake', cid: good, version: 0xff00_001d }),
  );
  toServer(
    'version negotiation: its first byte says handshake',
    1,
    quicLong({ type: 'handshake', cid: good, version: 0 }),
  );
  const longCid = new Uint8Array([...good, ...new Uint8Array(12).fill(9)]);
  toServer('a connection id of 20 bytes', 1, quicLong({ type: 'handshake', cid: longCid }));
  for (const type of ['initial', 'zeroRtt'] as const) {
    toRing(`${type}: the client's own id`, quicLong({ type, cid: good }), {
      'quic.cid_initial': 1,
      [`server_id.${quic.number}.v1`]: 1,
    });
  }
  toRing('version 0 of connection ids', quicShort(connectionId(0, 0)), none);
  toRing('version 3, the highest bit', quicShort(connectionId(3, 0x8000_0001)), none);
  toRing('no payload', new Uint8Array(), none);
  toRing(
    'a long header with a connection id of 7 bytes',
    quicLong({ type: 'handshake', cid: good.subarray(0, 7) }),
    none,
  );
  toRing('a long header with no connection id', quicLong({ type: 'handshake', cid: new Uint8Array() }), none);
  for (const type of ['initial', 'handshake'] as const satisfies readonly QuicType[]) {
    toRing(`${type} of 13 bytes`, quicLong({ type, cid: good }).slice(0, 13), none);
    toRing(`${type} of one byte`, Uint8Array.of(0xc0 | (QUIC_TYPES[type] << 4)), none);
  }
  toServer('handshake of 14 bytes', 1, quicLong({ type: 'handshake', cid: good }).slice(0, 14));
  toRing('short header of 8 bytes', quicShort(good).slice(0, 8), none);
  toServer('short header of 9 bytes', 1, quicShort(good).slice(0, 9));
  toServer('short header without the fixed bit', 1, Uint8Array.of(0x00, ...good));

  const wild = flowTo(family, every, { dport: 4433 });
  const without = flowTo(family, noSource);
  const simple = flowTo(family, plain);
  const overTcp = flowTo(family, tcp);
  const data = quicShort(good);
  const frameTo = (to: Endpoints): Uint8Array => udpFrame(to, { data });
  rows.push(
    row(
      'a VIP of every port',
      frameTo(wild),
      sent(frameTo(wild), wild, {
        vip: every,
        real: other,
        table: 'quic',
        counts: routed(1),
        entries: [{ dport: 0, pos }],
      }),
    ),
    row(
      'a VIP without source ports',
      frameTo(without),
      sent(frameTo(without), without, {
        vip: noSource,
        real: other,
        table: 'quic',
        counts: routed(1),
        outer: { src: without.src, sport: 0 },
        entries: [{ sport: 0, pos }],
      }),
    ),
    row(
      'a VIP without the flag',
      frameTo(simple),
      sent(frameTo(simple), simple, { vip: plain, real, table: 'ring' }),
    ),
    row(
      'TCP, whatever the flag',
      tcpFrame(overTcp, { data }),
      sent(tcpFrame(overTcp, { data }), overTcp, { vip: tcp, real, table: 'ring' }),
    ),
  );
  const byPort = flowTo(family, portOnly);
  rows.push(
    row(
      'a VIP whose ring knows no client: the id does, and the outer header',
      frameTo(byPort),
      sent(frameTo(byPort), byPort, { vip: portOnly, real: other, table: 'quic', counts: routed(1) }),
    ),
  );
  const spared = flowTo(family, bypass);
  rows.push(
    rowOf(
      'a VIP without a table: ids are noted all the same',
      step(
        frameTo(spared),
        sent(frameTo(spared), spared, {
          vip: bypass,
          real: other,
          table: 'quic',
          counts: routed(1),
          entries: [{ pos }],
        }),
      ),
      step(
        frameTo(spared),
        sent(frameTo(spared), spared, {
          vip: bypass,
          real: other,
          table: 'quic',
          counts: routed(1, 'quic.dst_match_in_lru'),
        }),
      ),
    ),
  );
  return rows;
}

/** Ids and the connection table. */
function withTable(family: Family): Row[] {
  const { real, other } = FAMILY[family];
  const { quic } = vipsOf(family);
  const flow = flowTo(family, quic);
  const pos = REALS[other].index;
  const withId = udpFrame(flow, { data: quicShort(connectionId(2, IDS[2][1])) });
  const withoutId = udpFrame(flow, { data: quicShort(connectionId(0, 0)) });
  const initial = udpFrame(flow, { data: quicLong({ type: 'initial', cid: connectionId(1, 5) }) });
  const first = { 'quic.cid_initial': 1, [`server_id.${quic.number}.v1`]: 1 };
  const byIdOf = (found: string, more: Record<string, number> = {}) =>
    sent(withId, flow, {
      vip: quic,
      real: other,
      table: 'quic',
      counts: { ...routed(2, found), ...more },
      entries: [{ pos }],
    });
  return [
    rowOf(
      'the table has it right',
      step(withId, byIdOf(NOT_FOUND)),
      step(withId, byIdOf('quic.dst_match_in_lru')),
    ),
    rowOf(
      'the table has another backend: the id goes first, and into the table',
      step(initial, sent(initial, flow, { vip: quic, real, table: 'ring', counts: first })),
      step(withId, byIdOf('quic.dst_mismatch_in_lru', { [`server_id.${quic.number}.v2`]: 1 })),
      step(withId, byIdOf('quic.dst_match_in_lru')),
    ),
    rowOf(
      'a packet without an id follows the one with it',
      step(withId, byIdOf(NOT_FOUND)),
      step(
        withoutId,
        sent(withoutId, flow, { vip: quic, real: other, table: 'lru', counts: { 'quic.ch_routed': 1 } }),
      ),
    ),
    rowOf(
      'a packet without an id follows the one that changed the table',
      step(initial, sent(initial, flow, { vip: quic, real, table: 'ring', counts: first })),
      step(withId, byIdOf('quic.dst_mismatch_in_lru', { [`server_id.${quic.number}.v2`]: 1 })),
      step(
        withoutId,
        sent(withoutId, flow, { vip: quic, real: other, table: 'lru', counts: { 'quic.ch_routed': 1 } }),
      ),
    ),
    rowOf(
      'an initial packet of a noted flow stays with it',
      step(withId, byIdOf(NOT_FOUND)),
      step(initial, sent(initial, flow, { vip: quic, real: other, table: 'lru', counts: first })),
    ),
  ];
}

/** ICMP errors have no connection id. */
function aboutQuic(family: Family): Row[] {
  const { real } = FAMILY[family];
  const { quic, plain } = vipsOf(family);
  const from = family === 4 ? '192.0.2.254' : '2001:db8:ffff::254';
  const error = (vip: Vip, type: number, code: number): Uint8Array =>
    icmpFrame({ src: from, dst: vip.address, type, code }, quoted(flowTo(family, vip), { protocol: 'udp' }));
  const unreachable = family === 4 ? 3 : 1;
  const ignorable = family === 4 ? [1, 3] : [3, 4];
  const rows = [0, 1, 2, 3, ...(family === 4 ? [5, 13] : [4, 5])].map((code) => {
    const frame = error(quic, unreachable, code);
    const counts = { 'quic_icmp.v1': 1, 'quic_icmp.v2': ignorable.includes(code) ? 1 : 0 };
    const after = inIp(frame, real, flowTo(family, quic));
    return row(
      `ICMP code ${code}`,
      frame,
      balanced(frame, { vip: quic, real, table: 'ring', counts, after }),
    );
  });
  const other = error(plain, unreachable, 1);
  rows.push(
    row(
      'ICMP about another VIP',
      other,
      balanced(other, { vip: plain, real, table: 'ring', after: inIp(other, real, flowTo(family, plain)) }),
    ),
  );
  return rows;
}

/** The option off: the flag means nothing. */
function off(family: Family): Row[] {
  const { real } = FAMILY[family];
  const { quic } = vipsOf(family);
  const flow = flowTo(family, quic);
  const frame = udpFrame(flow, { data: quicShort(connectionId(1, 0x1234)) });
  return [row('the flag means nothing', frame, sent(frame, flow, { vip: quic, real, table: 'ring' }))];
}

const suite = (
  title: string,
  family: Family,
  rows: readonly Row[],
  options: Suite['options'] = {},
): Suite => ({
  title: `${title}, IPv${family}`,
  options,
  arrange: (scene) => {
    scene.vips(vipsOf(family));
    mapIds(scene, family);
  },
  rows,
});
export const QUIC_SUITES: readonly Suite[] = FAMILIES.flatMap((family) => [
  suite('server ids of QUIC', family, [...byId(family), ...withTable(family), ...aboutQuic(family)]),
  suite('server ids of QUIC in a flood', family, flooded(family), { newConnectionsPerSecond: 0 }),
  suite('server ids of QUIC without a connection table', family, shared(family), {
    connectionTable: false,
  }),
  suite('server ids of QUIC off', family, off(family), { quicRouting: false }),
]);

/** More new connections than are noted: the id still decides. */
function flooded(family: Family): Row[] {
  const { other } = FAMILY[family];
  const { quic } = vipsOf(family);
  const flow = flowTo(family, quic);
  const frame = udpFrame(flow, { data: quicShort(connectionId(1, 0x1234)) });
  const expected = sent(frame, flow, {
    vip: quic,
    real: other,
    table: 'quic',
    counts: routed(1),
    entries: [],
  });
  // The first one of a second is noted, whatever the limit.
  return [
    rowOf(
      'the id decides, the table is spared',
      step(frame, { ...expected, flags: ['FLOODED'] }, (scene) => scene.rate(1)),
    ),
    rowOf(
      'a second later it is noted',
      step(frame, { ...expected, flags: ['INSERTED'], entries: [{ pos: REALS[other].index }] }, (scene) =>
        scene.rate(50, 1_100_000_000n),
      ),
    ),
  ];
}

/** On a CPU without a table the shared one is asked and written. */
function shared(family: Family): Row[] {
  const { real, other } = FAMILY[family];
  const { quic } = vipsOf(family);
  const flow = flowTo(family, quic);
  const withId = udpFrame(flow, { data: quicShort(connectionId(1, 0x1234)) });
  const withoutId = udpFrame(flow, { data: new Uint8Array() });
  const fallback = { 'fallback_lru.v1': 1 };
  const byId = (found: string, more: Record<string, number> = {}) =>
    sent(withId, flow, {
      vip: quic,
      real: other,
      table: 'quic',
      counts: { ...fallback, ...routed(1, found), ...more },
    });
  const counts = { ...fallback, 'quic.ch_routed': 1 };
  return [
    rowOf(
      'the id is noted there',
      step(withoutId, sent(withoutId, flow, { vip: quic, real, table: 'ring', counts })),
      step(withId, byId('quic.dst_mismatch_in_lru', { [`server_id.${quic.number}.v2`]: 1 })),
      step(withId, byId('quic.dst_match_in_lru')),
      step(withoutId, sent(withoutId, flow, { vip: quic, real: other, table: 'lru', counts })),
    ),
    rowOf('as a new flow', step(withId, byId(NOT_FOUND))),
  ];
}
