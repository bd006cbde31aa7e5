import { describe, expect, it } from 'vitest';
import { DecapTables } from '../../lb/balancer/companions/decap.js';
import {
  COMPANION_PROGRAMS,
  type DecapProgramOptions,
  decapProgramObject,
} from '../../lb/balancer/companions/object.js';
import { XDP_DROP, XDP_PASS } from '../../lb/bpf/engine/context.js';
import { Replay } from '../../lb/engine/replay.js';
import { parseIp } from '../../lb/net/address.js';
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
  mac,
  PROTOCOL,
  TCP_FLAGS,
  tcp,
  tcpFrame,
  udp,
  udpFrame,
} from '../support/packets.js';
import { encapsulated } from '../support/packets-encap.js';
import { ENGINES, expectCoverage, titleOf } from './bed.js';

const OWN_4 = '10.0.0.1';
const OWN_6 = 'fc00::1';
const OTHER_4 = '10.0.0.2';
const OTHER_6 = 'fc00::2';
const GUE_PORT = 6080;
const nextHop = mac('02:00:00:00:00:0b');
const web4 = { src: '203.0.113.77', dst: '198.51.100.10', sport: 40000, dport: 80 };
const web6 = { src: '2001:db8:cafe::77', dst: '2001:db8::10', sport: 40000, dport: 80 };
const tcp4 = tcpFrame(web4);
const tcp6 = tcpFrame(web6, { tos: 0xb8 });

const tunnelled = (frame: Uint8Array, real: string, client: string): Uint8Array =>
  encapsulated(frame, { real, client, sport: 40000, nextHop });
/** What the backend's stack should get: the packet, in the Ethernet header that the balancer wrote. */
const plain = (frame: Uint8Array): Uint8Array =>
  ethernet(
    nextHop,
    frame.subarray(0, 6),
    frame[14]! >> 4 === 6 ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4,
    frame.subarray(14),
  );

const inside = (frame: Uint8Array): Uint8Array => frame.subarray(14);
/** An IP-in-IP frame to OWN_4 or OWN_6 whose inside is anything. */
const around4 = (
  inner: Uint8Array,
  over: { fragment?: number; options?: Uint8Array; protocol?: number; dst?: string } = {},
): Uint8Array =>
  frameOf(ipv4({ src: '172.16.1.2', dst: OWN_4, protocol: PROTOCOL.ipip, fragment: 0, ...over }, inner));
const around6 = (inner: Uint8Array, nextHeader: number, dst = OWN_6): Uint8Array =>
  frameOf(ipv6({ src: '100::1', dst, nextHeader }, inner));
/** The UDP part of a GUE packet. */
const gue = (inner: Uint8Array, dport = GUE_PORT): Uint8Array =>
  udp({ src: '172.16.1.2', dst: OWN_4, sport: 50000, dport }, inner);
const gue4 = (inner: Uint8Array, dport?: number, over = {}): Uint8Array =>
  around4(gue(inner, dport), { protocol: PROTOCOL.udp, ...over });
const gue6 = (inner: Uint8Array, dport?: number): Uint8Array => around6(gue(inner, dport), PROTOCOL.udp);
/** Fragment header (RFC 8200 §4.5) of a first fragment, unless an offset is given (in units of 8 bytes). */
const fragment6 = (nextHeader: number, payload: Uint8Array, offset = 0): Uint8Array => {
  const word = (offset << 3) | 1;
  return around6(
    concat(Uint8Array.of(nextHeader, 0, word >> 8, word & 255, 0, 0, 0, 1), payload),
    PROTOCOL.fragment,
  );
};
const NOPS = Uint8Array.of(1, 1, 1, 0);

const NOTHING = {
  ipv4: 0n,
  ipv6: 0n,
  total: 0n,
  serverIdChecked: 0n,
  serverIdMisrouted: 0n,
  drops: { fragment: 0n, ip_options: 0n },
};
const taken4 = { ipv4: 1n, total: 1n } as const;
const taken6 = { ipv6: 1n, total: 1n } as const;
const fragmentDropped = { verdict: XDP_DROP, stats: { drops: { fragment: 1n, ip_options: 0n } } } as const;
const optionsDropped = { verdict: XDP_DROP, stats: { drops: { fragment: 0n, ip_options: 1n } } } as const;

interface Case {
  readonly name: string;
  readonly options?: DecapProgramOptions;
  /** This host's id. */
  readonly serverId?: number;
  readonly frame: Uint8Array;
  /** Passes, unless given. */
  readonly verdict?: number;
  /** Absent: the frame is as it was. */
  readonly after?: Uint8Array;
  /** Absent: nothing is counted. */
  readonly stats?: Partial<typeof NOTHING>;
}

const innerFragment = ipv4({ ...web4, protocol: PROTOCOL.tcp, fragment: 0x2000 }, tcp(web4, TCP_FLAGS.ack));
const IPIP: readonly Case[] = [
  { name: '4in4', frame: tunnelled(tcp4, OWN_4, web4.src), after: plain(tcp4), stats: taken4 },
  { name: '6in6', frame: tunnelled(tcp6, OWN_6, web6.src), after: plain(tcp6), stats: taken6 },
  { name: '4in6', frame: tunnelled(tcp4, OWN_6, web4.src), after: plain(tcp4), stats: taken6 },
  {
    name: '6in4',
    frame: around4(inside(tcp6), { protocol: PROTOCOL.ipv6 }),
    after: frameOf(inside(tcp6)),
    stats: taken4,
  },
  {
    name: 'what follows the packet stays (Ethernet padding)',
    frame: concat(around4(inside(tcp4)), new Uint8Array(6)),
    after: concat(frameOf(inside(tcp4)), new Uint8Array(6)),
    stats: taken4,
  },
  {
    name: 'a TTL of 1 inside stays: the host is where the packet ends',
    frame: around4(ipv4({ ...web4, protocol: PROTOCOL.tcp, ttl: 1 }, tcp(web4, TCP_FLAGS.ack))),
    after: frameOf(ipv4({ ...web4, protocol: PROTOCOL.tcp, ttl: 1 }, tcp(web4, TCP_FLAGS.ack))),
    stats: taken4,
  },
  {
    name: "a fragment inside is the host's own business",
    frame: around4(innerFragment),
    after: frameOf(innerFragment),
    stats: taken4,
  },
  { name: 'another IPv4 tunnel address', frame: tunnelled(tcp4, OTHER_4, web4.src) },
  { name: 'another IPv6 tunnel address', frame: tunnelled(tcp6, OTHER_6, web6.src) },
  {
    name: 'any destination: another IPv4 tunnel address',
    options: { anyDestination: true },
    frame: tunnelled(tcp4, OTHER_4, web4.src),
    after: plain(tcp4),
    stats: taken4,
  },
  {
    name: 'any destination: another IPv6 tunnel address',
    options: { anyDestination: true },
    frame: tunnelled(tcp6, OTHER_6, web6.src),
    after: plain(tcp6),
    stats: taken6,
  },
  { name: 'TCP to the tunnel address', frame: tcpFrame({ ...web4, dst: OWN_4 }) },
  { name: 'TCP to the IPv6 tunnel address', frame: tcpFrame({ ...web6, dst: OWN_6 }) },
  { name: 'inside is not the version that the protocol says', frame: around4(inside(tcp6)) },
  {
    name: 'inside is not the version that the next header says',
    frame: around6(inside(tcp4), PROTOCOL.ipv6),
  },
  { name: 'inside is cut in its IPv4 header', frame: around4(inside(tcp4).subarray(0, 19)) },
  { name: 'inside is cut in its IPv6 header', frame: around6(inside(tcp6).subarray(0, 39), PROTOCOL.ipv6) },
  { name: 'outer header is cut', frame: around4(inside(tcp4)).slice(0, 33) },
  { name: 'outer IPv6 header is cut', frame: around6(inside(tcp6), PROTOCOL.ipv6).slice(0, 53) },
  { name: 'Ethernet header alone', frame: around4(inside(tcp4)).slice(0, 14) },
  {
    name: 'no IPv4 header, whatever the Ethernet type says',
    frame: around4(inside(tcp4)).map((byte, i) => (i === 14 ? 0x55 : byte)),
  },
  { name: 'ARP', frame: ethernet(BALANCER_MAC, CLIENT_MAC, ETHERTYPE.arp, new Uint8Array(28)) },
  {
    name: 'VLAN tag',
    frame: concat(
      tcp4.subarray(0, 12),
      Uint8Array.of(0x81, 0, 0, 5),
      tunnelled(tcp4, OWN_4, web4.src).subarray(12),
    ),
  },
];

const ODD: readonly Case[] = [
  { name: 'a first fragment', frame: around4(inside(tcp4), { fragment: 0x2000 }), ...fragmentDropped },
  { name: 'a later fragment', frame: around4(inside(tcp4), { fragment: 5 }), ...fragmentDropped },
  {
    name: 'a fragment, IPv6 inside',
    frame: around4(inside(tcp6), { fragment: 0x2000, protocol: PROTOCOL.ipv6 }),
    ...fragmentDropped,
  },
  {
    name: 'Don’t Fragment is no fragment',
    frame: around4(inside(tcp4), { fragment: 0x4000 }),
    after: frameOf(inside(tcp4)),
    stats: taken4,
  },
  { name: 'a fragment over IPv6', frame: fragment6(PROTOCOL.ipip, inside(tcp4)), ...fragmentDropped },
  {
    name: 'a later fragment over IPv6',
    frame: fragment6(PROTOCOL.ipv6, inside(tcp4), 3),
    ...fragmentDropped,
  },
  { name: 'IP options', frame: around4(inside(tcp4), { options: NOPS }), ...optionsDropped },
  {
    name: 'IP options of a fragment',
    frame: around4(inside(tcp4), { options: NOPS, fragment: 0x2000 }),
    ...optionsDropped,
  },
  {
    name: 'a fragment for another address',
    frame: around4(inside(tcp4), { fragment: 0x2000, dst: OTHER_4 }),
  },
  { name: 'IP options for another address', frame: around4(inside(tcp4), { options: NOPS, dst: OTHER_4 }) },
  {
    name: 'any destination: a fragment for another address',
    options: { anyDestination: true },
    frame: around4(inside(tcp4), { fragment: 0x2000, dst: OTHER_4 }),
    ...fragmentDropped,
  },
  {
    name: "a fragment of the host's own traffic",
    frame: around4(tcp(web4, TCP_FLAGS.ack), { fragment: 0x2000, protocol: PROTOCOL.tcp }),
  },
  {
    name: "IP options in the host's own traffic",
    frame: around4(tcp(web4, TCP_FLAGS.ack), { options: NOPS, protocol: PROTOCOL.tcp }),
  },
  {
    name: 'a first fragment of GUE',
    frame: gue4(inside(tcp4), GUE_PORT, { fragment: 0x2000 }),
    ...fragmentDropped,
  },
  {
    name: 'a later fragment of UDP has no port: it comes to nothing by itself',
    frame: gue4(inside(tcp4), GUE_PORT, { fragment: 0x2005 }),
  },
  { name: 'a first fragment of other UDP', frame: gue4(inside(tcp4), 53, { fragment: 0x2000 }) },
  {
    name: 'GUE behind IP options',
    frame: gue4(inside(tcp4), GUE_PORT, { options: NOPS }),
    ...optionsDropped,
  },
  { name: 'other UDP behind IP options', frame: gue4(inside(tcp4), 53, { options: NOPS }) },
  {
    name: 'UDP behind an IP header of less than 20 bytes',
    frame: gue4(inside(tcp4)).map((byte, i) => (i === 14 ? 0x44 : byte)),
  },
  {
    name: 'a first fragment of GUE over IPv6',
    frame: fragment6(PROTOCOL.udp, gue(inside(tcp4))),
    ...fragmentDropped,
  },
  { name: 'a later fragment of UDP over IPv6', frame: fragment6(PROTOCOL.udp, gue(inside(tcp4)), 9) },
  { name: 'a first fragment of other UDP over IPv6', frame: fragment6(PROTOCOL.udp, gue(inside(tcp4), 53)) },
  { name: 'a fragment of TCP over IPv6', frame: fragment6(PROTOCOL.tcp, tcp(web4, TCP_FLAGS.ack)) },
  { name: 'a fragment header that is cut', frame: around6(Uint8Array.of(4, 0, 0, 1), PROTOCOL.fragment) },
  {
    name: 'GUE off: its fragments are UDP',
    options: { guePort: 0 },
    frame: gue4(inside(tcp4), GUE_PORT, { fragment: 0x2000 }),
  },
];

const GUE: readonly Case[] = [
  { name: '4 in GUE 4', frame: gue4(inside(tcp4)), after: frameOf(inside(tcp4)), stats: taken4 },
  { name: '6 in GUE 4', frame: gue4(inside(tcp6)), after: frameOf(inside(tcp6)), stats: taken4 },
  { name: '4 in GUE 6', frame: gue6(inside(tcp4)), after: frameOf(inside(tcp4)), stats: taken6 },
  { name: '6 in GUE 6', frame: gue6(inside(tcp6)), after: frameOf(inside(tcp6)), stats: taken6 },
  {
    name: 'another port',
    options: { guePort: 9886 },
    frame: gue4(inside(tcp4), 9886),
    after: frameOf(inside(tcp4)),
    stats: taken4,
  },
  { name: 'the usual port, with another one set', options: { guePort: 9886 }, frame: gue4(inside(tcp4)) },
  { name: 'off', options: { guePort: 0 }, frame: gue4(inside(tcp4)) },
  { name: 'off, and a UDP port of 0', options: { guePort: 0 }, frame: gue4(inside(tcp4), 0) },
  {
    name: 'the source port does not count',
    frame: udpFrame({ src: '192.0.2.1', dst: OWN_4, sport: GUE_PORT, dport: 53 }),
  },
  { name: 'another address', frame: gue4(inside(tcp4), GUE_PORT, { dst: OTHER_4 }) },
  { name: 'inside is no IP packet', frame: gue4(new Uint8Array(64).fill(0x11)) },
  { name: 'inside is cut in its IPv4 header', frame: gue4(inside(tcp4).subarray(0, 19)) },
  { name: 'inside is cut in its IPv6 header', frame: gue6(inside(tcp6).subarray(0, 39)) },
  {
    name: 'the UDP header is cut',
    frame: around4(gue(inside(tcp4)).subarray(0, 7), { protocol: PROTOCOL.udp }),
  },
];

/** Option of TCP with an id (kind 0xb7, little endian), behind `before` and padded to words. */
const idOption = (id: number, before: readonly number[] = []): Uint8Array => {
  const option = [...before, 0xb7, 6, id & 255, (id >> 8) & 255, (id >> 16) & 255, (id >>> 24) & 255];
  while (option.length % 4 !== 0) option.push(0);
  return Uint8Array.from(option);
};
/** A TCP segment with options; its checksum does not matter here. */
function segment(options: Uint8Array, flags: number = TCP_FLAGS.ack): Uint8Array {
  const header = tcp(web4, flags, new Uint8Array());
  header[12] = (5 + options.length / 4) << 4;
  return concat(header, options, Uint8Array.of(1, 2, 3));
}
const withOptions4 = (options: Uint8Array, flags?: number): Uint8Array =>
  inside(ipFrame(web4, PROTOCOL.tcp, 0, segment(options, flags)));
const withOptions6 = (options: Uint8Array): Uint8Array =>
  inside(ipFrame(web6, PROTOCOL.tcp, 0, segment(options)));
const TIMESTAMP = [8, 10, 0, 0, 0, 1, 0, 0, 0, 2];
const MY_ID = 0x01020304;
const right = { ...taken4, serverIdChecked: 1n } as const;
const wrong = { ...right, serverIdMisrouted: 1n } as const;

function idCase(name: string, inner: Uint8Array, stats: Case['stats'], more: Partial<Case> = {}): Case {
  const options = { checkServerId: true };
  return {
    name,
    options,
    serverId: MY_ID,
    frame: around4(inner, { protocol: inner[0]! >> 4 === 6 ? PROTOCOL.ipv6 : PROTOCOL.ipip }),
    after: frameOf(inner),
    stats: stats ?? taken4,
    ...more,
  };
}
const SERVER_ID: readonly Case[] = [
  idCase("this host's id", withOptions4(idOption(MY_ID)), right),
  idCase("another host's id", withOptions4(idOption(MY_ID + 1)), wrong),
  idCase('an id with the upper bit', withOptions4(idOption(0x81020304)), wrong),
  idCase('behind other options', withOptions4(idOption(MY_ID, [1, 1, ...TIMESTAMP])), right),
  idCase('IPv6', withOptions6(idOption(MY_ID)), right),
  idCase('IPv6, another host’s', withOptions6(idOption(7)), wrong),
  idCase(
    'in a tunnel over IPv6',
    withOptions4(idOption(7)),
    { ...wrong, ipv4: 0n, ipv6: 1n },
    {
      frame: around6(withOptions4(idOption(7)), PROTOCOL.ipip),
    },
  ),
  idCase('in GUE', withOptions6(idOption(7)), wrong, { frame: gue4(withOptions6(idOption(7))) }),
  idCase('SYN has none yet', withOptions4(idOption(7), TCP_FLAGS.syn), taken4),
  idCase('no option', withOptions4(Uint8Array.from([1, 1, ...TIMESTAMP])), taken4),
  idCase('no options at all', withOptions4(new Uint8Array()), taken4),
  idCase('an id of 0 is none', withOptions4(idOption(0)), taken4),
  idCase('behind the end of the options', withOptions4(idOption(7, [0])), taken4),
  idCase('an option of another length', withOptions4(Uint8Array.of(0xb7, 5, 1, 2, 3, 0, 0, 0)), taken4),
  idCase('an option longer than the header', withOptions4(Uint8Array.of(8, 60, 0, 0, 0xb7, 6, 1, 2)), taken4),
  idCase('an option of no length', withOptions4(Uint8Array.of(8, 0, 0xb7, 6, 1, 2, 3, 4)), taken4),
  idCase('behind more options than are looked at', withOptions4(idOption(7, new Array(16).fill(1))), taken4),
  idCase('the fifteenth option', withOptions4(idOption(7, new Array(14).fill(1))), wrong),
  idCase('UDP', inside(udpFrame(web4, { data: idOption(7) })), taken4),
  idCase('a fragment inside', innerFragment, taken4),
  idCase('a TCP header that is cut', withOptions4(idOption(7)).subarray(0, 39), taken4),
  idCase('options that are cut', withOptions4(idOption(7)).subarray(0, 44), taken4),
  idCase('this host has no id', withOptions4(idOption(7)), taken4, { serverId: 0 }),
  idCase('off', withOptions4(idOption(7)), taken4, { options: {} }),
];

const GROUPS = { 'IP in IP': IPIP, 'fragments and options': ODD, GUE, 'server ids': SERVER_ID } as const;

describe.each(ENGINES)('decapsulation: $name', ({ missing, make }) => {
  describe.each(Object.entries(GROUPS))('%s', (_group, cases) => {
    for (const { name, options, serverId, frame, verdict, after, stats } of cases) {
      it.skipIf(missing !== undefined)(titleOf(name, missing), () => {
        const { maps, run, close } = make(decapProgramObject(options), COMPANION_PROGRAMS.decap);
        try {
          const tables = new DecapTables(maps);
          for (const address of [OWN_4, OWN_6]) tables.putDestination(parseIp(address));
          if (serverId !== undefined) tables.setServerId(serverId);
          const result = run(frame);
          expect(result.verdict).toBe(verdict ?? XDP_PASS);
          expect(hex(result.frame)).toBe(hex(after ?? frame));
          expect(tables.stats()).toEqual({ ...NOTHING, ...stats });
        } finally {
          close();
        }
      });
    }
  });

  it.skipIf(missing !== undefined)(titleOf('an address that is taken out', missing), () => {
    const { maps, run, close } = make(decapProgramObject(), COMPANION_PROGRAMS.decap);
    try {
      const tables = new DecapTables(maps);
      tables.putDestination(parseIp(OWN_4));
      tables.deleteDestination(parseIp(OWN_4));
      tables.deleteDestination(parseIp(OWN_6));
      expect(hex(run(around4(inside(tcp4))).frame)).toBe(hex(around4(inside(tcp4))));
      expect(tables.stats()).toEqual(NOTHING);
    } finally {
      close();
    }
  });
});

it.each(['interpreter', 'jit'] as const)(
  'less than an Ethernet header passes (%s; the kernel runs no such frame)',
  (engine) => {
    const replay = new Replay({
      object: decapProgramObject({ anyDestination: true }),
      program: COMPANION_PROGRAMS.decap,
      engine,
    });
    for (const bytes of [0, 13]) {
      const frame = around4(inside(tcp4)).slice(0, bytes);
      const result = replay.run(frame);
      expect([result.verdict, hex(result.frame)]).toEqual([XDP_PASS, hex(frame)]);
    }
    expect(new DecapTables(replay.maps).stats()).toEqual(NOTHING);
  },
);

expectCoverage(decapProgramObject(), COMPANION_PROGRAMS.decap);
