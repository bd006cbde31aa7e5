import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { DECAP_PROGRAM, decapObject } from '../../lb/balancer/object.js';
import { DECAP_STATS, decode, encode, IP_ADDRESS, U32 } from '../../lb/balancer/schema.js';
import { XDP_PASS } from '../../lb/bpf/engine/context.js';
import type { BpfMap } from '../../lb/bpf/maps/map.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import { Replay } from '../../lb/engine/replay.js';
import { parseIp } from '../../lb/net/address.js';
import { type KernelMap, KernelMaps, loadKernelProgram } from '../../lb/sys/bpf.js';
import { missingRoot } from '../support/capabilities.js';
import {
  BALANCER_MAC,
  CLIENT_MAC,
  concat,
  ETHERTYPE,
  encapsulated,
  ethernet,
  frameOf,
  hex,
  ipv4,
  ipv6,
  mac,
  PROTOCOL,
  TCP_FLAGS,
  tcp,
  tcpFrame,
} from '../support/packets.js';

interface Bed {
  readonly maps: ReadonlyMap<string, BpfMap>;
  run(frame: Uint8Array): { readonly verdict: number; readonly frame: Uint8Array };
  close(): void;
}
const replay = (engine: 'interpreter' | 'jit') => (): Bed => {
  const bed = new Replay({ object: decapObject(), program: DECAP_PROGRAM, engine });
  return { maps: bed.maps, run: (frame) => bed.run(frame), close: () => {} };
};
function kernel(): Bed {
  const object = decapObject();
  const maps = createMaps<KernelMap>(object, new KernelMaps());
  const program = loadKernelProgram(object.programs[0]!, [...maps.values()], object.license);
  return {
    maps,
    run(frame) {
      const { verdict, packet } = program.testRun(frame);
      return { verdict, frame: packet };
    },
    close() {
      program.close();
      for (const map of maps.values()) map.close();
    },
  };
}
const ENGINES: readonly { name: string; missing?: string; make: () => Bed }[] = [
  { name: 'interpreter', make: replay('interpreter') },
  { name: 'jit', make: replay('jit') },
  { name: 'kernel', ...(missingRoot === undefined ? {} : { missing: missingRoot }), make: kernel },
];

const OWN_4 = '10.0.0.1';
const OWN_6 = 'fc00::1';
const nextHop = mac('02:00:00:00:00:0b');
const web4 = { src: '203.0.113.77', dst: '198.51.100.10', sport: 40000, dport: 80 };
const web6 = { src: '2001:db8:cafe::77', dst: '2001:db8::10', sport: 40000, dport: 80 };
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

const tcp4 = tcpFrame(web4);
const tcp6 = tcpFrame(web6, { tos: 0xb8 });
/** An IP-in-IP frame to OWN_4 or OWN_6 whose inside is anything. */
const around4 = (
  inner: Uint8Array,
  over: { fragment?: number; options?: Uint8Array; protocol?: number } = {},
): Uint8Array =>
  frameOf(ipv4({ src: '172.16.1.2', dst: OWN_4, protocol: PROTOCOL.ipip, fragment: 0, ...over }, inner));
const around6 = (inner: Uint8Array, nextHeader: number): Uint8Array =>
  frameOf(ipv6({ src: '100::1', dst: OWN_6, nextHeader }, inner));

interface Case {
  readonly name: string;
  readonly frame: Uint8Array;
  /** Absent: passes untouched. */
  readonly after?: Uint8Array;
  readonly counted?: 'outer_ipv4' | 'outer_ipv6';
}
const CASES: readonly Case[] = [
  { name: '4in4', frame: tunnelled(tcp4, OWN_4, web4.src), after: plain(tcp4), counted: 'outer_ipv4' },
  { name: '6in6', frame: tunnelled(tcp6, OWN_6, web6.src), after: plain(tcp6), counted: 'outer_ipv6' },
  { name: '4in6', frame: tunnelled(tcp4, OWN_6, web4.src), after: plain(tcp4), counted: 'outer_ipv6' },
  {
    name: '6in4',
    frame: around4(tcp6.subarray(14), { protocol: PROTOCOL.ipv6 }),
    after: frameOf(tcp6.subarray(14)),
    counted: 'outer_ipv4',
  },
  {
    name: "a fragment inside is the host's own business",
    frame: around4(ipv4({ ...web4, protocol: PROTOCOL.tcp, fragment: 0x2000 }, tcp(web4, TCP_FLAGS.ack))),
    after: frameOf(ipv4({ ...web4, protocol: PROTOCOL.tcp, fragment: 0x2000 }, tcp(web4, TCP_FLAGS.ack))),
    counted: 'outer_ipv4',
  },
  { name: 'another IPv4 tunnel address', frame: tunnelled(tcp4, '10.0.0.2', web4.src) },
  { name: 'another IPv6 tunnel address', frame: tunnelled(tcp6, 'fc00::2', web6.src) },
  { name: 'TCP to the tunnel address', frame: tcpFrame({ ...web4, dst: OWN_4 }) },
  { name: 'outer fragment', frame: around4(tcp4.subarray(14), { fragment: 0x2000 }) },
  { name: 'outer options', frame: around4(tcp4.subarray(14), { options: Uint8Array.of(1, 1, 1, 0) }) },
  { name: 'inside is not the version that the protocol says', frame: around4(tcp6.subarray(14)) },
  {
    name: 'inside is not the version that the next header says',
    frame: around6(tcp4.subarray(14), PROTOCOL.ipv6),
  },
  { name: 'inside is cut in its IPv4 header', frame: around4(tcp4.subarray(14, 14 + 19)) },
  { name: 'inside is cut in its IPv6 header', frame: around6(tcp6.subarray(14, 14 + 39), PROTOCOL.ipv6) },
  { name: 'outer header is cut', frame: around4(tcp4.subarray(14)).slice(0, 33) },
  { name: 'Ethernet header alone', frame: around4(tcp4.subarray(14)).slice(0, 14) },
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

describe.each(ENGINES)('decapsulation: $name', ({ missing, make }) => {
  let bed: Bed;
  beforeAll(() => {
    if (missing !== undefined) return;
    bed = make();
    for (const address of [OWN_4, OWN_6]) {
      const key = encode(IP_ADDRESS, { address: parseIp(address).bytes });
      expect(bed.maps.get('decap_dst')?.update(key, encode(U32, { value: 0 }))).toBe(0);
    }
  });
  afterAll(() => {
    if (missing === undefined) bed.close();
  });
  const counters = (): Record<'outer_ipv4' | 'outer_ipv6' | 'total', bigint> => {
    const copies = bed.maps.get('decap_counters')!.lookup(encode(U32, { value: 0 }))!;
    const sum = { outer_ipv4: 0n, outer_ipv6: 0n, total: 0n };
    for (let at = 0; at < copies.length; at += DECAP_STATS.sizeBytes) {
      const one = decode(DECAP_STATS, copies, at);
      sum.outer_ipv4 += one.outer_ipv4;
      sum.outer_ipv6 += one.outer_ipv6;
      sum.total += one.total;
    }
    return sum;
  };

  for (const { name, frame, after, counted } of CASES) {
    it.skipIf(missing !== undefined)(missing === undefined ? name : `${name} (skipped: ${missing})`, () => {
      const before = counters();
      const result = bed.run(frame);
      expect(result.verdict).toBe(XDP_PASS);
      expect(hex(result.frame)).toBe(hex(after ?? frame));
      const expected = { ...before };
      if (counted !== undefined) {
        expected[counted] += 1n;
        expected.total += 1n;
      }
      expect(counters()).toEqual(expected);
    });
  }
});
