import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { DropReason } from '../../lb/balancer/reasons.js';
import { XDP_DROP, XDP_PASS, XDP_TX } from '../../lb/bpf/engine/context.js';
import { BALANCER_ENGINES, type BalancerBed } from '../support/balancer.js';
import {
  BALANCER_MAC,
  CLIENT_MAC,
  concat,
  ETHERTYPE,
  ethernet,
  frameOf,
  hex,
  ipFrame,
  ipv4,
  ipv6,
  PROTOCOL,
  TCP_FLAGS,
  tcp,
  tcpFrame,
  udp,
  udpFrame,
} from '../support/packets.js';
import { arrange, CLIENT_4, CLIENT_6, out, REAL_4, REAL_6, VIPS } from './scene.js';

interface Case {
  readonly name: string;
  readonly frame: Uint8Array;
  readonly verdict: number;
  /** The frame afterwards; as it was where absent. */
  readonly after?: Uint8Array;
  /** Reason that is counted, and the VIP's number under which it is. */
  readonly drop?: readonly [DropReason, number | 'none'];
  /** The kernel's test run takes no such frame. */
  readonly notInKernel?: true;
}

const web4 = { src: CLIENT_4, dst: '198.51.100.10', sport: 40000, dport: 80 };
const dns4 = { ...web4, dport: 53 };
const web6 = { src: CLIENT_6, dst: '2001:db8::10', sport: 40001, dport: 80 };
const dns6 = { ...web6, dport: 53 };
const web46 = { ...web4, dst: '198.51.100.11' };
const web64 = { ...web6, dst: '2001:db8::11' };
const { syn, ack, rst, fin } = TCP_FLAGS;

const sent = (name: string, frame: Uint8Array, real: string, client: string, sport: number): Case => ({
  name,
  frame,
  verdict: XDP_TX,
  after: out(frame, real, client, sport),
});
const passed = (name: string, frame: Uint8Array): Case => ({ name, frame, verdict: XDP_PASS });
const dropped = (name: string, frame: Uint8Array, reason: DropReason, slot: number | 'none'): Case => ({
  name,
  frame,
  verdict: XDP_DROP,
  drop: [reason, slot],
});
const retyped = (frame: Uint8Array, type: number): Uint8Array =>
  ethernet(frame.subarray(0, 6), frame.subarray(6, 12), type, frame.subarray(14));
const tagged = (frame: Uint8Array): Uint8Array =>
  concat(frame.subarray(0, 12), Uint8Array.of(0x81, 0x00, 0x00, 0x05), frame.subarray(12));
const dataOf = (bytes: number): Uint8Array => Uint8Array.from({ length: bytes }, (_, i) => (i * 31) & 0xff);
/** 14 + 20 + 20 bytes of headers, then data: a frame of `bytes`. */
const longFrame4 = (bytes: number): Uint8Array => tcpFrame(web4, { data: dataOf(bytes - 54) });
const longFrame6 = (bytes: number): Uint8Array => tcpFrame(web6, { data: dataOf(bytes - 74) });

const encapsulations: readonly Case[] = [
  sent('4in4: TCP ACK', tcpFrame(web4), REAL_4, CLIENT_4, 40000),
  sent('4in4: TCP SYN', tcpFrame(web4, { flags: syn }), REAL_4, CLIENT_4, 40000),
  sent('4in4: TCP FIN', tcpFrame(web4, { flags: fin | ack }), REAL_4, CLIENT_4, 40000),
  sent('4in4: TCP RST', tcpFrame(web4, { flags: rst }), REAL_4, CLIENT_4, 40000),
  sent('4in4: TCP without data', tcpFrame(web4, { data: new Uint8Array() }), REAL_4, CLIENT_4, 40000),
  sent('4in4: ToS is copied', tcpFrame(web4, { tos: 0xb9 }), REAL_4, CLIENT_4, 40000),
  sent('4in4: UDP', udpFrame(dns4), REAL_4, CLIENT_4, 40000),
  sent('4in4: UDP without data', udpFrame(dns4, { data: new Uint8Array() }), REAL_4, CLIENT_4, 40000),
  sent(
    '4in4: port and client with bits that carry',
    tcpFrame({ ...web4, src: '255.255.255.255', sport: 0xff01 }),
    REAL_4,
    '255.255.255.255',
    0xff01,
  ),
  sent('4in4: source port 0', udpFrame({ ...dns4, sport: 0 }), REAL_4, CLIENT_4, 0),
  sent(
    '4in4: TTL 1 is not touched',
    frameOf(ipv4({ ...web4, protocol: PROTOCOL.tcp, ttl: 1 }, tcp(web4, ack))),
    REAL_4,
    CLIENT_4,
    40000,
  ),
  sent(
    "4in4: Don't Fragment clear",
    frameOf(ipv4({ ...web4, protocol: PROTOCOL.tcp, fragment: 0 }, tcp(web4, ack))),
    REAL_4,
    CLIENT_4,
    40000,
  ),
  sent(
    '4in4: the reserved bit is no fragment',
    frameOf(ipv4({ ...web4, protocol: PROTOCOL.tcp, fragment: 0x8000 }, tcp(web4, ack))),
    REAL_4,
    CLIENT_4,
    40000,
  ),
  sent(
    '4in4: a trailer behind the packet stays, and is not counted in the length',
    concat(tcpFrame(web4, { data: new Uint8Array() }), new Uint8Array(6).fill(0xee)),
    REAL_4,
    CLIENT_4,
    40000,
  ),
  sent('4in4: longest frame', longFrame4(1514), REAL_4, CLIENT_4, 40000),
  sent('6in6: TCP ACK', tcpFrame(web6), REAL_6, CLIENT_6, 40001),
  sent('6in6: TCP SYN', tcpFrame(web6, { flags: syn }), REAL_6, CLIENT_6, 40001),
  sent(
    '6in6: traffic class is copied across its two bytes',
    tcpFrame(web6, { tos: 0xb9 }),
    REAL_6,
    CLIENT_6,
    40001,
  ),
  sent('6in6: UDP', udpFrame(dns6), REAL_6, CLIENT_6, 40001),
  sent('6in6: longest frame', longFrame6(1514), REAL_6, CLIENT_6, 40001),
  sent('4in6: TCP ACK', tcpFrame(web46), REAL_6, CLIENT_4, 40000),
  {
    name: 'VLAN tag: it stays',
    frame: tagged(tcpFrame(web4)),
    verdict: XDP_TX,
    after: tagged(out(tcpFrame(web4), REAL_4, CLIENT_4, 40000)),
  },
  sent('4in6: TCP SYN with ToS', tcpFrame(web46, { flags: syn, tos: 0x2e }), REAL_6, CLIENT_4, 40000),
];

const passes: readonly Case[] = [
  passed('TCP to another port of a VIP address', tcpFrame({ ...web4, dport: 81 })),
  passed('UDP to the port of a TCP VIP', udpFrame(web4)),
  passed('TCP to the port of a UDP VIP', tcpFrame(dns4)),
  passed('TCP to another address', tcpFrame({ ...web4, dst: '198.51.100.9' })),
  passed('IPv6 TCP to another address', tcpFrame({ ...web6, dst: '2001:db8::1' })),
  passed('from a VIP', tcpFrame({ src: '198.51.100.10', dst: CLIENT_4, sport: 80, dport: 40000 })),
  passed('ICMP echo reply to a VIP address', ipFrame(web4, PROTOCOL.icmp, 0, dataOf(16))),
  passed(
    'ICMPv6 of a type that is not known to a VIP address',
    ipFrame(web6, PROTOCOL.icmpv6, 0, dataOf(16)),
  ),
  passed('another protocol to a VIP address', ipFrame(web4, 47, 0, dataOf(30))),
  passed('ARP', ethernet(BALANCER_MAC, CLIENT_MAC, ETHERTYPE.arp, dataOf(28))),
  passed("Ethernet type that is not the packet's", retyped(tcpFrame(web4), ETHERTYPE.vlan)),
  passed(
    'long frame that is not for a VIP',
    tcpFrame({ ...web4, dst: '198.51.100.9' }, { data: dataOf(1600) }),
  ),
  passed(
    'fragment that is not for a VIP',
    frameOf(
      ipv4({ src: CLIENT_4, dst: '198.51.100.9', protocol: PROTOCOL.udp, fragment: 0x2000 }, udp(dns4)),
    ),
  ),
  passed(
    'IPv4 options, not for a VIP',
    frameOf(
      ipv4(
        { src: CLIENT_4, dst: '198.51.100.9', protocol: PROTOCOL.tcp, options: Uint8Array.of(1, 1, 1, 0) },
        tcp(web4, ack),
      ),
    ),
  ),
  passed(
    'IPv6 fragment that is not for a VIP',
    frameOf(ipv6({ src: CLIENT_6, dst: '2001:db8::1', nextHeader: PROTOCOL.fragment }, dataOf(40))),
  ),
];

const fragment4 = (fragment: number): Uint8Array =>
  frameOf(ipv4({ src: CLIENT_4, dst: '198.51.100.10', protocol: PROTOCOL.tcp, fragment }, tcp(web4, ack)));
const drops: readonly Case[] = [
  dropped('first fragment', fragment4(0x2000), 'fragment', 'none'),
  dropped('last fragment', fragment4(0x00b9), 'fragment', 'none'),
  dropped("middle fragment, and Don't Fragment", fragment4(0x6001), 'fragment', 'none'),
  dropped(
    'fragment of ICMP',
    frameOf(
      ipv4({ src: CLIENT_4, dst: '198.51.100.10', protocol: PROTOCOL.icmp, fragment: 0x2000 }, dataOf(16)),
    ),
    'fragment',
    'none',
  ),
  dropped(
    'IPv6 fragment',
    frameOf(ipv6({ src: CLIENT_6, dst: '2001:db8::10', nextHeader: PROTOCOL.fragment }, dataOf(40))),
    'fragment',
    'none',
  ),
  dropped(
    'IPv4 options',
    frameOf(ipv4({ ...web4, protocol: PROTOCOL.tcp, options: Uint8Array.of(1, 1, 1, 0) }, tcp(web4, ack))),
    'ip_options',
    'none',
  ),
  dropped(
    'IPv4 options in a fragment: the header is judged first',
    frameOf(
      ipv4(
        { ...web4, protocol: PROTOCOL.tcp, fragment: 0x2000, options: Uint8Array.of(1, 1, 1, 0) },
        tcp(web4, ack),
      ),
    ),
    'ip_options',
    'none',
  ),
  dropped(
    'header length below 5',
    concat(tcpFrame(web4).subarray(0, 14), Uint8Array.of(0x44), tcpFrame(web4).subarray(15)),
    'ip_options',
    'none',
  ),
  dropped(
    'VIP without a backend',
    tcpFrame({ ...web4, dst: '198.51.100.13' }),
    'empty_ring',
    VIPS.empty.number,
  ),
  dropped(
    'ring that names a backend which is not there',
    tcpFrame({ ...web4, dst: '198.51.100.14' }),
    'no_real',
    VIPS.ghost.number,
  ),
  dropped('IPv6 packet, IPv4 backend', tcpFrame(web64), 'family_mismatch', VIPS.web64.number),
];

/** Every length of a frame, from nothing to the end of the transport header. */
function truncations(): Case[] {
  const rows: Case[] = [];
  const add = (
    name: string,
    frame: Uint8Array,
    addressEnd: number,
    headerEnd: number,
    real: string,
    client: string,
    sport: number,
  ): void => {
    for (let bytes = 0; bytes <= headerEnd; bytes++) {
      const cut = frame.slice(0, bytes);
      const title = `${name} cut to ${bytes} bytes`;
      if (bytes < 14) rows.push({ ...dropped(title, cut, 'short_frame', 'none'), notInKernel: true });
      else if (bytes < addressEnd) rows.push(passed(title, cut));
      else if (bytes < headerEnd) rows.push(dropped(title, cut, 'truncated', 'none'));
      else rows.push(sent(title, cut, real, client, sport));
    }
  };
  add('IPv4 TCP', tcpFrame(web4), 34, 54, REAL_4, CLIENT_4, 40000);
  add('IPv4 UDP', udpFrame(dns4), 34, 42, REAL_4, CLIENT_4, 40000);
  add('IPv6 TCP', tcpFrame(web6), 54, 74, REAL_6, CLIENT_6, 40001);
  add('IPv6 UDP', udpFrame(dns6), 54, 62, REAL_6, CLIENT_6, 40001);
  return rows;
}

const VERDICT_COUNTERS = { [XDP_TX]: 'xdp_tx', [XDP_DROP]: 'xdp_drop', [XDP_PASS]: 'xdp_pass' } as const;

/** All drops so far, as `slot reason` → packets and bytes. */
function dropsOf({ tables }: BalancerBed): Map<string, readonly [bigint, bigint]> {
  const slots = [...Object.values(VIPS).map(({ number }) => number), 'none'] as const;
  return new Map(
    slots.flatMap((slot) =>
      Object.entries(tables.dropStats(slot)).map(
        ([reason, { packets, bytes }]) => [`${slot} ${reason}`, [packets, bytes] as const] as const,
      ),
    ),
  );
}

/** Run one case: verdict, bytes, and that exactly the right counters moved. */
function check(bed: BalancerBed, { name, frame, verdict, after, drop }: Case): void {
  const dropsBefore = dropsOf(bed);
  const before = bed.tables.counters();
  const result = bed.run(frame);
  expect(result.verdict, name).toBe(verdict);
  expect(hex(result.frame), name).toBe(hex(after ?? frame));

  const one: readonly [bigint, bigint] = [1n, BigInt(frame.length)];
  // A frame that is shorter than its Ethernet header counts as a drop alone.
  const isShort = frame.length < 14;
  const expected = { xdp_total: !isShort, xdp_tx: false, xdp_drop: false, xdp_pass: false };
  if (!isShort) expected[VERDICT_COUNTERS[verdict as keyof typeof VERDICT_COUNTERS]] = true;
  const counters = bed.tables.counters();
  for (const counter of ['xdp_total', 'xdp_tx', 'xdp_drop', 'xdp_pass'] as const) {
    const moved = [counters[counter].v1 - before[counter].v1, counters[counter].v2 - before[counter].v2];
    expect(moved, `${name}: ${counter}`).toEqual(expected[counter] ? one : [0n, 0n]);
  }
  const moved = [...dropsOf(bed)].flatMap(([key, [packets, bytes]]) => {
    const [oldPackets, oldBytes] = dropsBefore.get(key) ?? [0n, 0n];
    return packets === oldPackets && bytes === oldBytes
      ? []
      : [[key, packets - oldPackets, bytes - oldBytes]];
  });
  expect(moved, name).toEqual(drop === undefined ? [] : [[`${drop[1]} ${drop[0]}`, ...one]]);
}

describe.each(BALANCER_ENGINES)('packet in, verdict and packet out: $name', ({ name, missing, make }) => {
  // One bed for all: what a case leaves in the connection table is what the next one would find out anyway.
  let bed: BalancerBed;
  beforeAll(() => {
    if (missing !== undefined) return;
    bed = make();
    arrange(bed);
  });
  afterAll(() => {
    if (missing === undefined) bed.close();
  });
  const title = missing === undefined ? '' : ` (skipped: ${missing})`;

  for (const row of [...encapsulations, ...passes, ...drops]) {
    it.skipIf(missing !== undefined)(`${row.name}${title}`, () => check(bed, row));
  }

  it.skipIf(missing !== undefined)(`every length up to the end of the transport header${title}`, () => {
    const rows = truncations().filter(({ notInKernel }) => name !== 'kernel' || notInKernel === undefined);
    expect(rows.length).toBeGreaterThan(150);
    for (const row of rows) check(bed, row);
  });
});
