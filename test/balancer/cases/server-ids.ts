/** Server ids in a TCP option, and in the header of stable routing. */
import { VIP_FLAGS } from '../../../lb/balancer/schema.js';
import { concat, type Endpoints, TCP_FLAGS, tcpFrame, udpFrame } from '../../support/packets.js';
import { icmpFrame, quoted } from '../../support/packets-icmp.js';
import {
  connectionId,
  MSS_OPTION,
  nops,
  quicShort,
  serverIdOption,
  stableRouting,
  TIMESTAMPS_OPTION,
  tcpOptions,
} from '../../support/packets-quic.js';
import { balanced, type Row, row, rowOf, type Suite, step } from '../suite.js';
import { inIp, sent } from './expect.js';
import { FAMILIES, FAMILY, type Family, flowTo, vipRow } from './family.js';
import { MISSING_REAL, numberVips, REAL_BEYOND, REALS, type Scene } from './setup.js';

const { syn, ack, rst } = TCP_FLAGS;
const { LRU_BYPASS, QUIC_VIP, UDP_STABLE_ROUTING } = VIP_FLAGS;
const ID = 0x0012_3456;
const BIG_ID = 0xfedc_ba98;
const UNKNOWN_ID = 0x0777;
const MISSING_ID = 0x0999;
const ZERO_ID = 0x0888;
const BEYOND_ID = 0x0aaa;

function mapIds(scene: Scene, family: Family): void {
  for (const id of [ID, BIG_ID, 1, 0xff_fffd]) scene.serverId(id, FAMILY[family].other);
  scene.serverId(MISSING_ID, MISSING_REAL);
  scene.serverId(ZERO_ID, 0);
  scene.serverId(BEYOND_ID, REAL_BEYOND);
}

const tcpVips = (family: Family) =>
  numberVips({
    web: vipRow(family, 'tcp', 80),
    bypass: vipRow(family, 'tcp', 81, { flags: LRU_BYPASS }),
    dns: vipRow(family, 'udp', 53),
  });

function tcpOption(family: Family): Row[] {
  const { real, other } = FAMILY[family];
  const { web, bypass, dns } = tcpVips(family);
  const flow = flowTo(family, web);
  const pos = REALS[other].index;
  const rows: Row[] = [];
  const routed = { 'tcp_id.sid_routed': 1 };
  const none = { 'tcp_id.ch_routed': 1 };
  const frameWith = (options: Uint8Array, flags: number = ack): Uint8Array =>
    tcpFrame(flow, { options, flags });
  const toServer = (name: string, options: Uint8Array, flags?: number): void => {
    const frame = frameWith(options, flags);
    rows.push(
      row(
        name,
        frame,
        sent(frame, flow, {
          vip: web,
          real: other,
          table: 'tcp_server_id',
          counts: routed,
          entries: [{ pos, atime: 0n }],
        }),
      ),
    );
  };
  const toRing = (name: string, options: Uint8Array): void => {
    const frame = frameWith(options);
    rows.push(row(name, frame, sent(frame, flow, { vip: web, real, table: 'ring', counts: none })));
  };
  const option = serverIdOption(ID);

  toServer('the option alone', tcpOptions(option));
  toServer('an id of 32 bits', tcpOptions(serverIdOption(BIG_ID)));
  toServer('behind two NOPs', tcpOptions(nops(2), option));
  toServer('behind other options', tcpOptions(MSS_OPTION, TIMESTAMPS_OPTION, option));
  toServer(
    'between timestamps and the end',
    tcpOptions(nops(2), TIMESTAMPS_OPTION, option, Uint8Array.of(0)),
  );
  toServer(
    'at the very end of the longest header',
    concat(TIMESTAMPS_OPTION, TIMESTAMPS_OPTION, TIMESTAMPS_OPTION, MSS_OPTION, option),
  );
  toServer('as the fifteenth', tcpOptions(nops(14), option));
  toServer('with RST: the option decides', tcpOptions(option), rst);
  toRing('as the sixteenth', tcpOptions(nops(15), option));
  toRing('no options', new Uint8Array());
  toRing('less than the option has bytes', tcpOptions(MSS_OPTION));
  toRing('other options', tcpOptions(MSS_OPTION, TIMESTAMPS_OPTION));
  toRing('NOPs', nops(40));
  toRing('behind the end of the list', tcpOptions(Uint8Array.of(0), option));
  toRing('length 5', tcpOptions(serverIdOption(ID, 5)));
  toRing('length 7', concat(serverIdOption(ID, 7), Uint8Array.of(1, 1)));
  toRing('length 2', tcpOptions(serverIdOption(ID, 2)));
  toRing('another option of length 0', tcpOptions(Uint8Array.of(5, 0), option));
  toRing('another option that is longer than what is left', tcpOptions(Uint8Array.of(5, 30), option));
  toRing('cut off by the end of the header', concat(nops(4), option.subarray(0, 4)));
  toRing('id 0', tcpOptions(serverIdOption(0)));
  toRing('an id of nobody', tcpOptions(serverIdOption(UNKNOWN_ID)));
  toRing('an id that is mapped to 0', tcpOptions(serverIdOption(ZERO_ID)));
  toRing('an id of a backend that is not there', tcpOptions(serverIdOption(MISSING_ID)));
  toRing('an id of a number that no row has', tcpOptions(serverIdOption(BEYOND_ID)));

  const first = frameWith(tcpOptions(option), syn);
  const counts = { 'tcp_id.tcp_syn': 1, [`server_id.${web.number}.v1`]: 1 };
  const next = frameWith(tcpOptions(option));
  const plain = frameWith(new Uint8Array());
  rows.push(
    row(
      'a SYN has no id, whatever it says',
      first,
      sent(first, flow, { vip: web, real, table: 'ring', counts }),
    ),
    rowOf(
      'the table has another backend: the id goes first, and into the table',
      step(first, sent(first, flow, { vip: web, real, table: 'ring', counts })),
      step(
        next,
        sent(next, flow, {
          vip: web,
          real: other,
          table: 'tcp_server_id',
          counts: { ...routed, 'tcp_id.dst_mismatch_in_lru': 1, [`server_id.${web.number}.v2`]: 1 },
          entries: [{ pos }],
        }),
      ),
      step(
        next,
        sent(next, flow, {
          vip: web,
          real: other,
          table: 'tcp_server_id',
          counts: routed,
          entries: [{ pos }],
        }),
      ),
      step(plain, sent(plain, flow, { vip: web, real: other, table: 'lru', counts: none })),
    ),
    rowOf(
      'the header says more than the frame has',
      step(
        cutIn(next, family, 24),
        sent(cutIn(next, family, 24), flow, { vip: web, real, table: 'ring', counts: none }),
      ),
    ),
  );
  const spared = flowTo(family, bypass);
  const bare = tcpFrame(spared, { options: tcpOptions(option) });
  rows.push(
    row(
      'a VIP without a table',
      bare,
      sent(bare, spared, { vip: bypass, real: other, table: 'tcp_server_id', counts: routed, entries: [] }),
    ),
  );
  const lookup = flowTo(family, dns);
  rows.push(
    row(
      'UDP has no options',
      udpFrame(lookup),
      sent(udpFrame(lookup), lookup, { vip: dns, real, table: 'ring' }),
    ),
  );
  const about = icmpFrame(
    {
      src: family === 4 ? '192.0.2.254' : '2001:db8:ffff::254',
      dst: web.address,
      type: family === 4 ? 3 : 1,
      code: 1,
    },
    quoted(flow),
  );
  rows.push(
    row(
      'an ICMP error about TCP',
      about,
      balanced(about, { vip: web, real, table: 'ring', after: inIp(about, real, flow) }),
    ),
  );
  return rows;
}

/** A frame cut to so many bytes of its TCP header. */
const cutIn = (frame: Uint8Array, family: Family, bytes: number): Uint8Array =>
  frame.slice(0, 14 + FAMILY[family].headerBytes + bytes);

const udpVips = (family: Family) =>
  numberVips({
    stable: vipRow(family, 'udp', 500, { flags: UDP_STABLE_ROUTING }),
    plain: vipRow(family, 'udp', 501),
    both: vipRow(family, 'udp', 502, { flags: UDP_STABLE_ROUTING | QUIC_VIP }),
    bypass: vipRow(family, 'udp', 503, { flags: UDP_STABLE_ROUTING | LRU_BYPASS }),
    tcp: vipRow(family, 'tcp', 500, { flags: UDP_STABLE_ROUTING }),
  });

function stable(family: Family): Row[] {
  const { real, other } = FAMILY[family];
  const { stable: vip, plain, both, bypass, tcp } = udpVips(family);
  const flow = flowTo(family, vip);
  const rows: Row[] = [];
  const routed = { 'udp_id.cid_routed': 1 };
  const toServer = (name: string, data: Uint8Array): void => {
    const frame = udpFrame(flow, { data });
    rows.push(
      row(
        name,
        frame,
        sent(frame, flow, { vip, real: other, table: 'udp_server_id', counts: routed, entries: [] }),
      ),
    );
  };
  const toRing = (name: string, data: Uint8Array, counts: Record<string, number>): void => {
    const frame = udpFrame(flow, { data });
    rows.push(row(name, frame, sent(frame, flow, { vip, real, table: 'ring', counts })));
  };
  const none = { 'udp_id.ch_routed': 1 };
  const noHeader = { ...none, 'udp_id.invalid_packet_type': 1 };
  toServer('an id', stableRouting(ID));
  toServer('the least id', stableRouting(1));
  toServer('the greatest id that can be mapped', stableRouting(0xff_fffd));
  toServer('eight bytes', stableRouting(ID).slice(0, 8));
  toRing('seven bytes', stableRouting(ID).slice(0, 7), noHeader);
  toRing('no payload', new Uint8Array(), noHeader);
  toRing('another marker', stableRouting(ID, 0x53), noHeader);
  toRing('id 0', stableRouting(0), none);
  toRing('an id of nobody', stableRouting(UNKNOWN_ID), {});
  toRing('an id that is mapped to 0', stableRouting(ZERO_ID), {});
  for (const id of [0xff_fffe, 0xff_ffff]) {
    toRing(`id ${id.toString(16)}, that cannot be mapped`, stableRouting(id), {
      ...none,
      'udp_id.cid_invalid_server_id': 1,
    });
  }
  for (const id of [MISSING_ID, BEYOND_ID]) {
    const gone = udpFrame(flow, { data: stableRouting(id) });
    rows.push(
      row(`id ${id} of a backend that is not there`, gone, {
        reason: 'unknown_server',
        vip,
        counts: { 'lru.v1': 1, 'udp_id.cid_unknown_real_dropped': 1 },
        entries: [],
      }),
    );
  }
  const frameTo = (to: Endpoints, data: Uint8Array): Uint8Array => udpFrame(to, { data });
  const withId = frameTo(flow, stableRouting(ID));
  const without = frameTo(flow, stableRouting(0));
  rows.push(
    rowOf(
      'the table is neither asked nor written',
      step(
        without,
        sent(without, flow, {
          vip,
          real,
          table: 'ring',
          counts: none,
          entries: [{ pos: REALS[real].index }],
        }),
      ),
      step(
        withId,
        sent(withId, flow, {
          vip,
          real: other,
          table: 'udp_server_id',
          counts: routed,
          entries: [{ pos: REALS[real].index }],
        }),
      ),
      step(without, sent(without, flow, { vip, real, table: 'lru', counts: none })),
    ),
  );
  const simple = flowTo(family, plain);
  const spared = flowTo(family, bypass);
  const overTcp = flowTo(family, tcp);
  const data = stableRouting(ID);
  rows.push(
    row(
      'a VIP without the flag',
      frameTo(simple, data),
      sent(frameTo(simple, data), simple, { vip: plain, real, table: 'ring' }),
    ),
    row(
      'a VIP without a table',
      frameTo(spared, data),
      sent(frameTo(spared, data), spared, {
        vip: bypass,
        real: other,
        table: 'udp_server_id',
        counts: routed,
      }),
    ),
    row(
      'TCP, whatever the flag',
      tcpFrame(overTcp, { data }),
      sent(tcpFrame(overTcp, { data }), overTcp, { vip: tcp, real, table: 'ring' }),
    ),
  );
  const two = flowTo(family, both);
  const quic = frameTo(two, quicShort(connectionId(1, 1)));
  const stableOne = frameTo(two, stableRouting(ID));
  rows.push(
    row(
      'with QUIC: what only one of them knows',
      quic,
      sent(quic, two, {
        vip: both,
        real: other,
        table: 'quic',
        counts: { 'quic.cid_v1': 1, 'quic.cid_routed': 1, 'quic.dst_not_found_in_lru': 1, ...noHeader },
      }),
    ),
    // 0x52 is a short header whose connection id is what follows: version 0, no id.
    row(
      'with QUIC: its header goes first',
      stableOne,
      sent(stableOne, two, {
        vip: both,
        real: other,
        table: 'udp_server_id',
        counts: { 'quic.ch_routed': 1, ...routed },
      }),
    ),
  );
  const about = icmpFrame(
    {
      src: family === 4 ? '192.0.2.254' : '2001:db8:ffff::254',
      dst: vip.address,
      type: family === 4 ? 3 : 1,
      code: 0,
    },
    quoted(flow, { protocol: 'udp' }),
  );
  rows.push(
    row(
      'an ICMP error',
      about,
      balanced(about, { vip, real, table: 'ring', after: inIp(about, real, flow) }),
    ),
  );
  return rows;
}

function tcpOff(family: Family): Row[] {
  const { web } = tcpVips(family);
  const flow = flowTo(family, web);
  const frame = tcpFrame(flow, { options: tcpOptions(serverIdOption(ID)) });
  return [
    row(
      'the option of TCP means nothing',
      frame,
      sent(frame, flow, { vip: web, real: FAMILY[family].real, table: 'ring' }),
    ),
  ];
}
function stableOff(family: Family): Row[] {
  const { stable: vip } = udpVips(family);
  const flow = flowTo(family, vip);
  const frame = udpFrame(flow, { data: stableRouting(ID) });
  return [
    row(
      'the header means nothing',
      frame,
      sent(frame, flow, { vip, real: FAMILY[family].real, table: 'ring' }),
    ),
  ];
}

const suite = (
  title: string,
  family: Family,
  vips: typeof tcpVips | typeof udpVips,
  rows: readonly Row[],
  options: Suite['options'] = {},
): Suite => ({
  title: `${title}, IPv${family}`,
  options,
  arrange: (scene) => {
    scene.vips(vips(family));
    mapIds(scene, family);
  },
  rows,
});

export const SERVER_ID_SUITES: readonly Suite[] = FAMILIES.flatMap((family) => [
  suite('server ids of TCP', family, tcpVips, tcpOption(family), { tcpServerIds: true }),
  suite('server ids of TCP without a connection table', family, tcpVips, shared(family), {
    tcpServerIds: true,
    connectionTable: false,
  }),
  suite('server ids of TCP in a flood', family, tcpVips, flooded(family), {
    tcpServerIds: true,
    newConnectionsPerSecond: 10,
  }),
  suite('server ids of TCP off', family, tcpVips, tcpOff(family)),
  suite('stable routing', family, udpVips, stable(family), { udpStableRouting: true }),
  suite('stable routing off', family, udpVips, stableOff(family)),
]);

/** On a CPU without a table the shared one is asked and written. */
function shared(family: Family): Row[] {
  const { real, other } = FAMILY[family];
  const { web } = tcpVips(family);
  const flow = flowTo(family, web);
  const next = tcpFrame(flow, { options: tcpOptions(serverIdOption(ID)) });
  const plain = tcpFrame(flow);
  const fallback = { 'fallback_lru.v1': 1 };
  const counts = { ...fallback, 'tcp_id.sid_routed': 1 };
  const mismatch = { 'tcp_id.dst_mismatch_in_lru': 1, [`server_id.${web.number}.v2`]: 1 };
  const none = { ...fallback, 'tcp_id.ch_routed': 1 };
  const byId = { vip: web, real: other, table: 'tcp_server_id' } as const;
  return [
    rowOf(
      'the id is noted there',
      step(plain, sent(plain, flow, { vip: web, real, table: 'ring', counts: none })),
      step(next, sent(next, flow, { ...byId, counts: { ...counts, ...mismatch } })),
      step(next, sent(next, flow, { ...byId, counts })),
      step(plain, sent(plain, flow, { vip: web, real: other, table: 'lru', counts: none })),
    ),
    rowOf('as a new flow', step(next, sent(next, flow, { ...byId, counts }))),
  ];
}

/** More new connections than are noted: the id still decides. */
function flooded(family: Family): Row[] {
  const { other } = FAMILY[family];
  const { web } = tcpVips(family);
  const flow = flowTo(family, web);
  const frame = tcpFrame(flow, { options: tcpOptions(serverIdOption(ID)) });
  const byId = { vip: web, real: other, table: 'tcp_server_id', counts: { 'tcp_id.sid_routed': 1 } } as const;
  return [
    rowOf(
      'the last one of a second is noted',
      step(frame, sent(frame, flow, { ...byId, flags: ['INSERTED'] }), (scene) => scene.rate(9)),
    ),
    rowOf(
      'the next one is not',
      step(frame, sent(frame, flow, { ...byId, flags: ['FLOODED'], entries: [] }), (scene) => scene.rate(10)),
    ),
    rowOf(
      'a second later it is',
      step(frame, sent(frame, flow, { ...byId, flags: ['INSERTED'] }), (scene) =>
        scene.rate(50, 1_100_000_000n),
      ),
    ),
  ];
}
