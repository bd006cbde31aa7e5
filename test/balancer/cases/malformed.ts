/** Headers that cannot be read, cannot be right, or are not looked at: what is for a VIP's address is dropped by name, the rest passes. */
import {
  BALANCER_MAC,
  CLIENT_MAC,
  concat,
  ETHERTYPE,
  ethernet,
  frameOf,
  ipv4,
  ipv6,
  PROTOCOL,
  TCP_FLAGS,
  tcp,
  tcpFrame,
  udp,
  udpFrame,
} from '../../support/packets.js';
import { EXTENSION, extended, withTtl } from '../../support/packets-tunnel.js';
import { balanced, type Expected, type Row, row, type Suite } from '../suite.js';
import { inIp, sent } from './expect.js';
import { FAMILIES, FAMILY, type Family, flowTo, vipRow } from './family.js';
import { numberVips } from './setup.js';

const { ack } = TCP_FLAGS;
const vipsOf = (family: Family) =>
  numberVips({
    web: vipRow(family, 'tcp', 80),
    dns: vipRow(family, 'udp', 53),
    missing: vipRow(family, 'tcp', 81, { ring: 'missing' }),
    beyond: vipRow(family, 'tcp', 82, { ring: 'beyond' }),
    empty: vipRow(family, 'tcp', 83, { ring: 'empty' }),
    emptyUdp: vipRow(family, 'udp', 83, { ring: 'empty' }),
  });

const patched = (frame: Uint8Array, at: number, ...bytes: readonly number[]): Uint8Array => {
  const copy = Uint8Array.from(frame);
  copy.set(bytes, at);
  return copy;
};

/** Every length of a frame up to the end of its transport header. */
function cuts(family: Family): Row[] {
  const { web, dns } = vipsOf(family);
  const addressEnd = 14 + FAMILY[family].headerBytes;
  return [web, dns].flatMap((vip) => {
    const { real, stranger } = FAMILY[family];
    const flow = flowTo(family, vip);
    const frame = vip.protocol === 'tcp' ? tcpFrame(flow) : udpFrame(flow);
    const away = { ...flow, dst: stranger };
    const awayFrame = vip.protocol === 'tcp' ? tcpFrame(away) : udpFrame(away);
    const headerEnd = addressEnd + (vip.protocol === 'tcp' ? 20 : 8);
    return Array.from({ length: headerEnd + 1 }, (_, bytes): Row[] => {
      const cut = frame.slice(0, bytes);
      const name = `${vip.protocol} cut to ${bytes} bytes`;
      if (bytes < 14) return [{ ...row(name, cut, { reason: 'short_frame' }), notOn: ['kernel'] }];
      if (bytes < addressEnd) return [row(name, cut, { reason: 'no_ip_header' })];
      const elsewhere = row(`${name}, for another address`, awayFrame.slice(0, bytes), {
        reason: bytes < headerEnd ? 'unreadable' : 'no_vip',
      });
      const expected: Expected =
        bytes < headerEnd ? { reason: 'truncated' } : sent(cut, flow, { vip, real, table: 'ring' });
      return [row(name, cut, expected), elsewhere];
    }).flat();
  });
}

/** What is not looked at: the packet is forwarded as it is. */
function notChecked(family: Family): Row[] {
  const { real } = FAMILY[family];
  const { web, dns } = vipsOf(family);
  const flow = flowTo(family, web);
  const frame = tcpFrame(flow);
  const packet = frame.subarray(14);
  const lookup = flowTo(family, dns);
  const transport = 14 + FAMILY[family].headerBytes;
  const forwarded = (name: string, changed: Uint8Array): Row =>
    row(name, changed, sent(changed, flow, { vip: web, real, table: 'ring' }));
  const rows = [
    ...[0, 1, 2, 255].map((ttl) => forwarded(`TTL ${ttl}`, frameOf(withTtl(packet, ttl)))),
    forwarded("TCP's checksum is wrong", patched(frame, transport + 16, 0xde, 0xad)),
    forwarded("TCP's header length is less than a header", patched(frame, transport + 12, 0x10)),
    forwarded("TCP's header length is more than the packet", patched(frame, transport + 12, 0xf0)),
    forwarded('all flags but SYN', patched(frame, transport + 13, 0xfd & ~TCP_FLAGS.rst)),
    forwarded('source port 0', tcpFrame(flow)),
    forwarded('a trailer', concat(frame, new Uint8Array(46).fill(0xee))),
  ];
  const datagram = udpFrame(lookup);
  for (const [name, bytes] of [
    ["UDP's length is 0", [0, 0]],
    ["UDP's length is more than the packet", [0xff, 0xff]],
  ] as const) {
    const changed = patched(datagram, transport + 4, ...bytes);
    rows.push(row(name, changed, sent(changed, lookup, { vip: dns, real, table: 'ring' })));
  }
  const zero = udpFrame({ ...lookup, sport: 0 });
  rows.push(
    row('UDP source port 0', zero, sent(zero, { ...lookup, sport: 0 }, { vip: dns, real, table: 'ring' })),
  );
  if (family === 4) {
    rows.push(
      forwarded("IPv4's checksum is wrong", patched(frame, 24, 0xbe, 0xef)),
      forwarded('total length is more than the frame', patched(frame, 16, 0x7f, 0xff)),
      forwarded('total length is less than a header', patched(frame, 16, 0, 3)),
      forwarded('the reserved bit', patched(frame, 20, 0x80, 0)),
      forwarded("Don't Fragment clear", patched(frame, 20, 0, 0)),
    );
    // The builder of what is expected goes by the version, the program by the Ethernet type.
    for (const version of [0, 6, 15]) {
      const changed = patched(frame, 14, (version << 4) | 5);
      const after = patched(inIp(frame, real, flow), 34, (version << 4) | 5);
      rows.push(
        row(`version ${version}`, changed, balanced(frame, { vip: web, real, table: 'ring', after })),
      );
    }
  } else {
    rows.push(
      forwarded('payload length is more than the frame', patched(frame, 18, 0x7f, 0xff)),
      forwarded('payload length 0', patched(frame, 18, 0, 0)),
    );
    for (const version of [0, 4, 15]) {
      const changed = patched(frame, 14, (version << 4) | (frame[14]! & 15));
      const after = patched(inIp(frame, real, flow), 54, (version << 4) | (frame[14]! & 15));
      rows.push(
        row(`version ${version}`, changed, balanced(frame, { vip: web, real, table: 'ring', after })),
      );
    }
  }
  return rows;
}

function notReadable4(): Row[] {
  const { vip, stranger, client } = FAMILY[4];
  const { web } = vipsOf(4);
  const options = Uint8Array.of(1, 1, 1, 0);
  const packet = (
    dst: string,
    more: { fragment?: number; options?: Uint8Array },
    protocol: number = PROTOCOL.tcp,
  ) => {
    const flow = { ...flowTo(4, web), dst };
    return frameOf(ipv4({ src: client, dst, protocol, ...more }, tcp(flow, ack)));
  };
  const both = (name: string, make: (dst: string) => Uint8Array, reason: Expected['reason']): Row[] => [
    row(name, make(vip), { reason }),
    row(`${name}, for another address`, make(stranger), { reason: 'unreadable' }),
  ];
  return [
    ...both('first fragment', (dst) => packet(dst, { fragment: 0x2000 }), 'fragment'),
    ...both('middle fragment', (dst) => packet(dst, { fragment: 0x2010 }), 'fragment'),
    ...both('last fragment', (dst) => packet(dst, { fragment: 0x0001 }), 'fragment'),
    ...both("fragment and Don't Fragment", (dst) => packet(dst, { fragment: 0x6000 }), 'fragment'),
    ...both('greatest offset', (dst) => packet(dst, { fragment: 0x1fff }), 'fragment'),
    ...both('fragment of UDP', (dst) => packet(dst, { fragment: 0x2000 }, PROTOCOL.udp), 'fragment'),
    ...both('fragment of ICMP', (dst) => packet(dst, { fragment: 0x2000 }, PROTOCOL.icmp), 'fragment'),
    ...both('fragment of another protocol', (dst) => packet(dst, { fragment: 0x2000 }, 47), 'fragment'),
    ...both('options', (dst) => packet(dst, { options }), 'ip_options'),
    ...both(
      '40 bytes of options',
      (dst) => packet(dst, { options: new Uint8Array(40).fill(1) }),
      'ip_options',
    ),
    ...both('options of ICMP', (dst) => packet(dst, { options }, PROTOCOL.icmp), 'ip_options'),
    ...both('options in a fragment', (dst) => packet(dst, { options, fragment: 0x2000 }), 'ip_options'),
    ...[0, 1, 4].flatMap((words) =>
      both(`header of ${words} words`, (dst) => patched(packet(dst, {}), 14, 0x40 | words), 'ip_options'),
    ),
  ];
}

function notReadable6(): Row[] {
  const { vip, stranger, client } = FAMILY[6];
  const { web, dns } = vipsOf(6);
  const flow = flowTo(6, web);
  const fragment = (dst: string): Uint8Array =>
    frameOf(
      ipv6(
        { src: client, dst, nextHeader: PROTOCOL.fragment },
        concat(Uint8Array.of(PROTOCOL.tcp, 0, 0, 1, 0, 0, 0, 1), tcp(flow, ack)),
      ),
    );
  return [
    row('fragment', fragment(vip), { reason: 'fragment' }),
    row('fragment for another address', fragment(stranger), { reason: 'unreadable' }),
    ...(Object.keys(EXTENSION) as (keyof typeof EXTENSION)[]).flatMap((name) => [
      row(
        `extension header ${name} before TCP`,
        frameOf(extended(flow, name, PROTOCOL.tcp, tcp(flow, ack))),
        { reason: 'protocol' },
      ),
      row(
        `extension header ${name} before UDP`,
        frameOf(extended(flowTo(6, dns), name, PROTOCOL.udp, udp(flowTo(6, dns)))),
        { reason: 'protocol' },
      ),
    ]),
    row('no next header', frameOf(ipv6({ src: client, dst: vip, nextHeader: 59 }, new Uint8Array(40))), {
      reason: 'protocol',
    }),
  ];
}

/** Not for a backend, or for none that there is. */
function elsewhere(family: Family): Row[] {
  const { vip, client, stranger } = FAMILY[family];
  const { web, dns, missing, beyond, empty, emptyUdp } = vipsOf(family);
  const tcpTo = (port: number, dst = vip): Uint8Array =>
    tcpFrame({ src: client, dst, sport: 40000, dport: port });
  const tcpMiss = { 'lru.v1': 1, 'lru_miss.v2': 1 };
  return [
    row('another port of a VIP', tcpTo(8080), { reason: 'no_vip' }),
    row('another address', tcpTo(80, stranger), { reason: 'no_vip' }),
    row('another protocol at the port', udpFrame(flowTo(family, web)), { reason: 'no_vip' }),
    row('TCP at the port of a UDP VIP', tcpFrame(flowTo(family, dns)), { reason: 'no_vip' }),
    row('from a VIP', tcpFrame({ src: vip, dst: client, sport: 80, dport: 40000 }), { reason: 'no_vip' }),
    ...[0, 2, 4, 41, 47, 50, 51, 89, 132, 255]
      .filter((protocol) => family === 4 || protocol !== 0)
      .map((protocol) =>
        row(
          `protocol ${protocol}`,
          frameOf(
            family === 4
              ? ipv4({ src: client, dst: vip, protocol }, new Uint8Array(40))
              : ipv6({ src: client, dst: vip, nextHeader: protocol }, new Uint8Array(40)),
          ),
          { reason: 'protocol' },
        ),
      ),
    row('empty ring', tcpFrame(flowTo(family, empty)), {
      reason: 'empty_ring',
      vip: empty,
      counts: { ...tcpMiss, 'ring_drop.v2': 1 },
      entries: [],
    }),
    row('empty ring, SYN', tcpFrame(flowTo(family, empty), { flags: TCP_FLAGS.syn }), {
      reason: 'empty_ring',
      vip: empty,
      counts: { 'lru.v1': 1, 'lru_miss.v1': 1, 'ring_drop.v2': 1 },
    }),
    row('empty ring, UDP', udpFrame(flowTo(family, emptyUdp)), {
      reason: 'empty_ring',
      vip: emptyUdp,
      counts: { 'lru.v1': 1, 'ring_drop.v2': 1 },
    }),
    row('ring of a backend that is not there', tcpFrame(flowTo(family, missing)), {
      reason: 'no_real',
      vip: missing,
      counts: { ...tcpMiss, 'ring_drop.v1': 1 },
      entries: [],
    }),
    row('ring of a number that no row has', tcpFrame(flowTo(family, beyond)), {
      reason: 'no_real',
      vip: beyond,
      counts: { ...tcpMiss, 'ring_drop.v1': 1 },
      entries: [],
    }),
  ];
}

const payload = new Uint8Array(50).fill(7);
const notIp: readonly Row[] = [
  row('ARP', ethernet(BALANCER_MAC, CLIENT_MAC, ETHERTYPE.arp, payload), { reason: 'not_ip' }),
  row('LLDP', ethernet(BALANCER_MAC, CLIENT_MAC, 0x88cc, payload), { reason: 'not_ip' }),
  row('a length in place of the type', ethernet(BALANCER_MAC, CLIENT_MAC, 50, payload), { reason: 'not_ip' }),
  row('type 0', ethernet(BALANCER_MAC, CLIENT_MAC, 0, payload), { reason: 'not_ip' }),
  row('an Ethernet header alone', ethernet(BALANCER_MAC, CLIENT_MAC, ETHERTYPE.arp, new Uint8Array()), {
    reason: 'not_ip',
  }),
  row(
    'bytes of the type swapped',
    ethernet(BALANCER_MAC, CLIENT_MAC, 0x0008, tcpFrame(flowTo(4, vipsOf(4).web)).subarray(14)),
    { reason: 'not_ip' },
  ),
];

const CROSSED = numberVips({
  web46: { address: '198.51.100.21', port: 80, protocol: 'tcp', ring: 'six' },
  web64: { address: '2001:db8::21', port: 80, protocol: 'tcp', ring: 'four' },
});
/** A VIP of one family, backends of the other. */
const crossed: Suite = {
  title: 'backend of the other family',
  arrange: (scene) => scene.vips(CROSSED),
  rows: (() => {
    const to6 = flowTo(4, CROSSED.web46);
    const to4 = flowTo(6, CROSSED.web64);
    const frame = tcpFrame(to6, { tos: 0x2e });
    const other = tcpFrame(to4);
    return [
      row('IPv4 in IPv6', frame, sent(frame, to6, { vip: CROSSED.web46, real: 'six', table: 'ring' })),
      row('IPv6 to an IPv4 backend', other, {
        reason: 'family_mismatch',
        vip: CROSSED.web64,
        table: 'ring',
        real: 'four',
        counts: { 'lru.v1': 1, 'lru.v2': 1, 'lru_miss.v2': 1 },
      }),
    ];
  })(),
};

export const MALFORMED_SUITES: readonly Suite[] = [
  ...FAMILIES.map(
    (family): Suite => ({
      title: `odd packets, IPv${family}`,
      arrange: (scene) => scene.vips(vipsOf(family)),
      rows: [
        ...cuts(family),
        ...notChecked(family),
        ...(family === 4 ? notReadable4() : notReadable6()),
        ...elsewhere(family),
        ...(family === 4 ? notIp : []),
      ],
    }),
  ),
  crossed,
];
