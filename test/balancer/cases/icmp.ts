/** ICMP and ICMPv6: echo requests are answered, errors go where the flow goes that they are about, the rest passes. */

import { VIP_FLAGS } from '../../../lb/balancer/schema.js';
import { frameOf, ipFrame, ipv4, PROTOCOL, TCP_FLAGS, tcpFrame, udpFrame } from '../../support/packets.js';
import {
  echoFrame,
  echoReplyFrame,
  ICMP,
  type IcmpFields,
  icmp,
  icmpFrame,
  type QuotedOptions,
  quoted,
} from '../../support/packets-icmp.js';
import { balanced, type Expected, type Row, row, rowOf, type Suite, step } from '../suite.js';
import { inIp, sent } from './expect.js';
import { FAMILIES, FAMILY, type Family, flowTo, vipRow } from './family.js';
import { numberVips, type RealName, type Vip } from './setup.js';

const { syn, rst, ack } = TCP_FLAGS;
/** Where the error comes from: a router on the way. */
const ROUTER = { 4: '192.0.2.254', 6: '2001:db8:ffff::254' } as const;

const vipsOf = (family: Family) =>
  numberVips({
    web: vipRow(family, 'tcp', 80),
    dns: vipRow(family, 'udp', 53),
    noSource: vipRow(family, 'tcp', 81, { flags: VIP_FLAGS.HASH_NO_SRC_PORT }),
    every: vipRow(family, 'tcp', 0, { address: family === 4 ? '198.51.100.21' : '2001:db8::21' }),
    empty: vipRow(family, 'tcp', 84, { ring: 'empty' }),
  });

const dataOf = (bytes: number): Uint8Array =>
  Uint8Array.from({ length: bytes }, (_, i) => (i * 73 + 5) & 0xff);

function echoes(family: Family): Row[] {
  const { vip, client, stranger } = FAMILY[family];
  const to = { src: client, dst: vip, rest: 0x1234_0007 };
  const answered = (name: string, fields: Parameters<typeof echoFrame>[0], data: Uint8Array): Row =>
    row(name, echoFrame(fields, data), { reason: 'echo_reply', after: echoReplyFrame(fields, data) });
  const elsewhere = echoFrame({ ...to, dst: stranger }, dataOf(56));
  const reply = icmpFrame({ ...to, type: ICMP[family].echoReply }, dataOf(56));
  const rows = [
    answered('echo request', to, dataOf(56)),
    answered('without data', to, dataOf(0)),
    answered('with an odd number of bytes', to, dataOf(57)),
    answered('with the longest frame', to, dataOf(1514 - 14 - FAMILY[family].headerBytes - 8)),
    answered('TTL 1: 64 in the answer', { ...to, ttl: 1 }, dataOf(8)),
    answered('TTL 255: 64 in the answer', { ...to, ttl: 255 }, dataOf(8)),
    answered('ToS stays', { ...to, tos: 0xb9 }, dataOf(8)),
    ...[0, 1, 0x00ff, 0x0800, 0x07ff, 0xf800, 0xf801, 0xff00, 0xfffe].map((checksum) =>
      answered(
        `checksum that carries: ${checksum.toString(16)}`,
        { ...to, rest: 0x1234_0000 },
        dataFor(family, to, checksum),
      ),
    ),
    minusZero(family, to),
    ...(family === 4 ? [ambiguous(to)] : []),
    answered('zeros alone', { ...to, rest: 0 }, new Uint8Array(16)),
    answered('zeros alone, without data', { ...to, rest: 0 }, new Uint8Array()),
    row('echo request for another address passes', elsewhere, { reason: 'icmp' }),
    row('echo reply passes', reply, { reason: 'icmp' }),
    ...[0, 4, 7].map((bytes) => {
      const end = 14 + FAMILY[family].headerBytes + bytes;
      return row(`echo request cut to ${bytes} bytes`, echoFrame(to, dataOf(8)).slice(0, end), {
        reason: 'truncated',
      });
    }),
    row(
      'echo request for another address, cut short',
      elsewhere.slice(0, 14 + FAMILY[family].headerBytes + 7),
      { reason: 'unreadable' },
    ),
  ];
  if (family === 4) {
    rows.push(
      row('a fragment is none', echoFrame({ ...to, fragment: 0x2000 }, dataOf(56)), { reason: 'fragment' }),
      answered("Don't Fragment clear", { ...to, fragment: 0 }, dataOf(8)),
    );
  }
  return rows;
}

/**
 * An answer whose words sum to ffff: its checksum may be 0 or ffff. Without reading the data it cannot be told from an
 * answer of zeros alone, for which only ffff is right: that is what stands in both.
 */
function ambiguous(to: { src: string; dst: string }): Row {
  const fields = { ...to, rest: 0x1234_0000 };
  const data = dataFor(4, to, 0xf7ff);
  const after = echoReplyFrame(fields, data);
  after.set([0xff, 0xff], 14 + 20 + 2);
  return row('checksum that carries: f7ff', echoFrame(fields, data), { reason: 'echo_reply', after });
}

/** A request whose checksum is 0, written as ffff, which says the same. */
function minusZero(family: Family, to: { src: string; dst: string }): Row {
  const fields = { ...to, rest: 0x1234_0000 };
  const data = dataFor(family, to, 0);
  const frame = echoFrame(fields, data);
  frame.set([0xff, 0xff], 14 + FAMILY[family].headerBytes + 2);
  const after = echoReplyFrame(fields, data);
  return row('checksum that carries: ffff', frame, { reason: 'echo_reply', after });
}

/** Two bytes of data with which the checksum of an echo request is `checksum`. */
function dataFor(family: Family, to: { src: string; dst: string }, checksum: number): Uint8Array {
  const type = ICMP[family].echo;
  for (let word = 0; word < 65536; word++) {
    const data = Uint8Array.of(word >> 8, word & 0xff);
    const message = icmp({ ...to, type, rest: 0x1234_0000 }, data);
    if (((message[2]! << 8) | message[3]!) === checksum) return data;
  }
  throw new Error(`no echo request has checksum ${checksum}`);
}

interface ErrorCase {
  readonly type: number;
  readonly code?: number;
  readonly rest?: number;
}

/** Frame and expectation of an error about a flow from the client to a VIP. */
function errorRow(
  family: Family,
  name: string,
  error: ErrorCase,
  vip: Vip,
  quote: QuotedOptions,
  given: Partial<Parameters<typeof balanced>[1]> & { readonly dport?: number } = {},
  fields: Partial<IcmpFields> = {},
): Row {
  const frame = errorFrame(family, error, vip, quote, given.dport, fields);
  return row(name, frame, errorExpected(family, frame, vip, quote, given));
}

function errorFrame(
  family: Family,
  error: ErrorCase,
  vip: Vip,
  quote: QuotedOptions,
  dport = vip.port,
  fields: Partial<IcmpFields> = {},
): Uint8Array {
  const flow = flowTo(family, vip, { dport });
  const body = quoted(flow, { protocol: vip.protocol, ...quote });
  return icmpFrame({ src: ROUTER[family], dst: vip.address, ...error, ...fields }, body);
}

function errorExpected(
  family: Family,
  frame: Uint8Array,
  vip: Vip,
  { flags = 0, transportBytes = 20 }: QuotedOptions,
  given: Partial<Parameters<typeof balanced>[1]> = {},
): Expected {
  const real: RealName = given.real ?? FAMILY[family].real;
  const flow = flowTo(family, vip);
  return balanced(frame, {
    vip,
    real,
    table: 'ring',
    after: inIp(frame, real, flow),
    syn: transportBytes >= 20 && (flags & syn) !== 0,
    ...given,
  });
}

function errors(family: Family): Row[] {
  const { real, other, client, vip: address, stranger } = FAMILY[family];
  const { web, dns, noSource, every, empty } = vipsOf(family);
  const kinds = ICMP[family];
  const unreachable = { type: kinds.unreachable, code: family === 4 ? 1 : 0 };
  const exceeded = { type: kinds.timeExceeded };
  const flow = flowTo(family, web);
  const rows: Row[] = [];

  for (const code of family === 4 ? [0, 1, 2, 3, 5, 9, 10, 13, 15] : [0, 1, 2, 3, 4, 5, 6]) {
    rows.push(errorRow(family, `unreachable, code ${code}`, { ...unreachable, code }, web, {}));
  }
  for (const code of [0, 1]) {
    rows.push(
      errorRow(
        family,
        `time exceeded, code ${code}: traceroute through a VIP`,
        { ...exceeded, code },
        web,
        {},
      ),
    );
  }
  const tooBig = family === 4 ? { type: 3, code: 4 } : { type: 2, code: 0 };
  const counter = `too_big_seen_ipv${family}`;
  for (const [mtu, isSmall] of [
    [1500, 0],
    [1280, 0],
    [1279, 1],
    [0, 1],
    [65535, 0],
  ] as const) {
    const counts = { [`${counter}.v1`]: 1, [`${counter}.v2`]: isSmall };
    rows.push(errorRow(family, `too big, MTU ${mtu}`, { ...tooBig, rest: mtu }, web, {}, { counts }));
  }
  if (family === 4) {
    // The first half of the word is unused.
    const counts = { [`${counter}.v1`]: 1 };
    rows.push(
      errorRow(
        family,
        'too big, what is before the MTU does not count',
        { ...tooBig, rest: 0xffff_05dc },
        web,
        {},
        { counts },
      ),
    );
  } else {
    const counts = { [`${counter}.v1`]: 1 };
    rows.push(
      errorRow(family, 'too big, MTU of 32 bits', { ...tooBig, rest: 0x0001_0000 }, web, {}, { counts }),
    );
  }
  rows.push(
    row(
      'too big about a stranger counts and passes',
      icmpFrame(
        { src: ROUTER[family], dst: stranger, ...tooBig, rest: 1400 },
        quoted({ ...flow, dst: stranger }),
      ),
      {
        reason: 'no_vip',
        counts: { [`${counter}.v1`]: 1 },
      },
    ),
  );

  for (const error of [unreachable, exceeded]) {
    const of = `type ${error.type}`;
    rows.push(
      errorRow(family, `${of}: eight bytes of TCP are enough`, error, web, { transportBytes: 8 }),
      errorRow(family, `${of}: 19 bytes of TCP have no flags`, error, web, {
        transportBytes: 19,
        flags: syn,
      }),
      errorRow(family, `${of}: 20 bytes of TCP`, error, web, { transportBytes: 20 }),
      errorRow(family, `${of}: eight bytes of UDP`, error, dns, { transportBytes: 8 }),
      errorRow(family, `${of}: UDP`, error, dns, {}),
      errorRow(family, `${of}: ToS and length are those of the error`, error, web, {}, {}, { tos: 0x2e }),
      errorRow(family, `${of}: TTL 1`, error, web, {}, {}, { ttl: 1 }),
      errorRow(family, `${of}: a SYN inside counts as one`, error, web, { flags: syn }),
      errorRow(
        family,
        `${of}: an RST inside is not noted`,
        error,
        web,
        { flags: rst | ack },
        { entries: [], flags: ['HASHED', 'ICMP'] },
      ),
      errorRow(
        family,
        `${of}: the flow is noted`,
        error,
        web,
        {},
        { entries: [{ sport: 40000, dport: 80, protocol: 6 }], flags: ['HASHED', 'INSERTED', 'ICMP'] },
      ),
      errorRow(
        family,
        `${of}: a VIP without source ports`,
        error,
        noSource,
        {},
        {
          after: inIp(errorFrame(family, error, noSource, {}), real, { src: client, sport: 0 }),
          entries: [{ sport: 0, dport: 81 }],
        },
      ),
      errorRow(
        family,
        `${of}: a VIP of every port`,
        error,
        every,
        {},
        { dport: 9000, entries: [{ dport: 0 }] },
      ),
      row(`${of}: an empty ring`, errorFrame(family, error, empty, {}), {
        reason: 'empty_ring',
        vip: empty,
        counts: { 'lru.v1': 1, 'lru_miss.v2': 1, 'ring_drop.v2': 1 },
      }),
      row(
        `${of}: about another address`,
        icmpFrame({ src: ROUTER[family], dst: stranger, ...error }, quoted({ ...flow, dst: stranger })),
        { reason: 'no_vip' },
      ),
      row(`${of}: about another port`, errorFrame(family, error, web, {}, 8080), { reason: 'no_vip' }),
      row(`${of}: about ICMP`, aboutProtocol(family, error, family === 4 ? PROTOCOL.icmp : PROTOCOL.icmpv6), {
        reason: 'icmp',
      }),
      row(`${of}: about GRE`, aboutProtocol(family, error, 47), { reason: 'icmp' }),
      row(
        `${of}: about a tunnel`,
        aboutProtocol(family, error, family === 4 ? PROTOCOL.ipip : PROTOCOL.ipv6),
        { reason: 'icmp' },
      ),
    );
    const frame = errorFrame(family, error, web, { flags: ack });
    rows.push(
      rowOf(
        `${of}: goes where the flow was noted`,
        step(tcpFrame(flow), sent(tcpFrame(flow), flow, { vip: web, real, table: 'ring' })),
        step(frame, errorExpected(family, frame, web, {}, { table: 'lru', flags: ['ICMP'] }), (scene) =>
          scene.ring(web, other),
        ),
      ),
    );
    const datagram = udpFrame(flowTo(family, dns));
    const aboutIt = errorFrame(family, error, dns, {});
    rows.push(
      rowOf(
        `${of}: goes where the UDP flow was noted`,
        step(datagram, sent(datagram, flowTo(family, dns), { vip: dns, real, table: 'ring' })),
        step(aboutIt, errorExpected(family, aboutIt, dns, {}, { table: 'lru' }), (scene) =>
          scene.ring(dns, other),
        ),
      ),
    );
    // What is inside ends too soon: in its IP header, in the eight bytes behind it.
    const whole = errorFrame(family, error, web, { transportBytes: 8 });
    const inner = 14 + FAMILY[family].headerBytes + 8;
    for (const bytes of [
      0,
      1,
      FAMILY[family].headerBytes - 1,
      FAMILY[family].headerBytes,
      FAMILY[family].headerBytes + 7,
    ]) {
      rows.push(
        row(`${of}: ${bytes} bytes of the packet inside`, whole.slice(0, inner + bytes), {
          reason: 'icmp_inner',
        }),
      );
    }
    const away = icmpFrame(
      { src: ROUTER[family], dst: stranger, ...error },
      quoted({ ...flow, dst: stranger }),
    );
    rows.push(
      row(`${of}: not for a VIP's address, and cut short`, away.slice(0, inner + 9), {
        reason: 'unreadable',
      }),
    );
    const long = icmpFrame(
      { src: ROUTER[family], dst: address, ...error },
      new Uint8Array([...quoted(flow), ...dataOf(1500)]),
    );
    rows.push(row(`${of}: too long, and not answered`, long, { reason: 'too_long', vip: web }));
  }
  return rows.map((each) => ({ ...each, name: `${each.name}` }));
}

/** An error about a packet of another protocol from the VIP. */
function aboutProtocol(family: Family, error: ErrorCase, protocol: number): Uint8Array {
  const { vip, client } = FAMILY[family];
  const packet = ipFrame({ src: vip, dst: client, sport: 0, dport: 0 }, protocol, 0, dataOf(40)).subarray(14);
  return icmpFrame({ src: ROUTER[family], dst: vip, ...error }, packet);
}

function others(family: Family): Row[] {
  const { vip, client, stranger } = FAMILY[family];
  const types =
    family === 4
      ? [ICMP[4].echoReply, ICMP[4].sourceQuench, ICMP[4].redirect, ICMP[4].timestamp, 9, 12, 255]
      : [ICMP[6].parameter, ICMP[6].echoReply, ICMP[6].solicit, 133, 134, 136, 0, 127, 255];
  const { web } = vipsOf(family);
  return [
    ...[vip, stranger].flatMap((dst) =>
      types.map((type) =>
        row(
          `type ${type} to ${dst === vip ? 'a VIP' : 'another address'} passes`,
          icmpFrame({ src: client, dst, type }, quoted(flowTo(family, web))),
          { reason: 'icmp' },
        ),
      ),
    ),
    row(
      "the other family's number is another protocol",
      ipFrame(
        { src: client, dst: vip, sport: 0, dport: 0 },
        family === 4 ? PROTOCOL.icmpv6 : PROTOCOL.icmp,
        0,
        echoFrame({ src: client, dst: vip }, dataOf(8)).subarray(14 + FAMILY[family].headerBytes),
      ),
      { reason: 'protocol' },
    ),
  ];
}

/** What IPv4 alone has. */
function innerOptions(): Row[] {
  const { web } = vipsOf(4);
  const flow = flowTo(4, web);
  const inner = ipv4(
    { src: flow.dst, dst: flow.src, protocol: PROTOCOL.tcp, options: Uint8Array.of(1, 1, 1, 0) },
    tcpFrame({ ...flow, src: flow.dst, dst: flow.src, sport: 80, dport: 40000 }).subarray(34),
  );
  return [3, 11].map((type) =>
    row(`type ${type}: options in the packet inside`, frameOf(ipIcmp(type, inner)), { reason: 'icmp_inner' }),
  );
}
const ipIcmp = (type: number, inner: Uint8Array): Uint8Array =>
  icmpFrame({ src: ROUTER[4], dst: FAMILY[4].vip, type }, inner).subarray(14);

const named = (family: Family, rows: readonly Row[]): Row[] =>
  rows.map((each) => ({ ...each, name: `IPv${family}: ${each.name}` }));

export const ICMP_SUITES: readonly Suite[] = FAMILIES.map((family) => ({
  title: `ICMP for IPv${family}`,
  arrange: (scene) => scene.vips(vipsOf(family)),
  rows: named(family, [
    ...echoes(family),
    ...errors(family),
    ...others(family),
    ...(family === 4 ? innerOptions() : []),
  ]),
}));
