import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { COMPANION_PROGRAMS, sourceMatchObject } from '../../lb/balancer/companions/object.js';
import { formatIp, ipFromBytes } from '../../lb/net/address.js';
import {
  type Endpoints,
  ETHERTYPE,
  frameOf,
  hex,
  ipv4,
  ipv6,
  PROTOCOL,
  TCP_FLAGS,
  tcp,
  udp,
} from '../support/packets.js';
import { ENGINES, expectCoverage, titleOf } from './bed.js';

const PIPE = 3;
const GUE_PORT = 6080;
const outer = { src: '2001:db8::aaaa:1', dst: 'fc00::1', sport: 50000, dport: GUE_PORT };
const flow = { src: '2001:db8:cafe::77', dst: '2001:db8::10', sport: 40000, dport: 80 };

const tcp6 = (ends: Endpoints, data?: Uint8Array): Uint8Array =>
  ipv6({ ...ends, nextHeader: PROTOCOL.tcp }, tcp(ends, TCP_FLAGS.ack, data));
/** A GUE packet over IPv6, all checksums right: the outer one covers the packet inside. */
const gue = (inner: Uint8Array, over: Partial<Endpoints> = {}): Uint8Array =>
  frameOf(ipv6({ ...outer, ...over, nextHeader: PROTOCOL.udp }, udp({ ...outer, ...over }, inner)));
const udp6 = ipv6({ ...flow, nextHeader: PROTOCOL.udp }, udp(flow));
const tcp4 = ipv4(
  { src: '192.0.2.1', dst: '192.0.2.2', protocol: PROTOCOL.tcp },
  tcp({ ...flow, src: '192.0.2.1', dst: '192.0.2.2' }, TCP_FLAGS.ack),
);
const gue4 = { src: '192.0.2.1', dst: '192.0.2.2', sport: 50000, dport: GUE_PORT };

interface Case {
  readonly name: string;
  readonly port?: number;
  readonly frame: Uint8Array;
  /** Absent: untouched. */
  readonly after?: Uint8Array;
}
const matched = gue(tcp6({ ...flow, src: outer.src }));
const CASES: readonly Case[] = [
  {
    name: 'the packet inside gets the outer source, checksums are those of a new packet',
    frame: gue(tcp6(flow)),
    after: matched,
  },
  { name: 'a source that is right already', frame: matched },
  {
    name: 'another port that is set',
    port: 9886,
    frame: gue(tcp6(flow), { dport: 9886 }),
    after: gue(tcp6({ ...flow, src: outer.src }), { dport: 9886 }),
  },
  { name: 'another port', frame: gue(tcp6(flow), { dport: 9886 }) },
  { name: 'the source port does not count', frame: gue(tcp6(flow), { sport: GUE_PORT, dport: 53 }) },
  { name: 'UDP inside', frame: gue(udp6) },
  { name: 'IPv4 inside', frame: gue(tcp4) },
  { name: 'IPv4 outside', frame: frameOf(ipv4({ ...gue4, protocol: PROTOCOL.udp }, udp(gue4, tcp6(flow)))) },
  { name: 'no tunnel', frame: frameOf(tcp6(flow)) },
  { name: 'IP in IP', frame: frameOf(ipv6({ ...outer, nextHeader: PROTOCOL.ipv6 }, tcp6(flow))) },
  { name: 'a TCP header that is cut', frame: gue(tcp6(flow).subarray(0, 59)) },
  { name: 'an IPv6 header inside that is cut', frame: gue(tcp6(flow).subarray(0, 39)) },
  {
    name: 'a UDP header that is cut',
    frame: frameOf(ipv6({ ...outer, nextHeader: PROTOCOL.udp }, udp(outer).subarray(0, 7))),
  },
  {
    name: 'ARP',
    frame: Uint8Array.from([
      ...new Uint8Array(12),
      ETHERTYPE.arp >> 8,
      ETHERTYPE.arp & 255,
      ...new Uint8Array(46),
    ]),
  },
];

describe.each(ENGINES)('source of a GUE tunnel: $name', ({ missing, make }) => {
  for (const { name, port, frame, after } of CASES) {
    it.skipIf(missing !== undefined)(titleOf(name, missing), () => {
      const { run, close } = make(sourceMatchObject(port), COMPANION_PROGRAMS.sourceMatch);
      try {
        const result = run(frame);
        expect(result.verdict).toBe(PIPE);
        expect(hex(result.frame)).toBe(hex(after ?? frame));
      } finally {
        close();
      }
    });
  }

  it.skipIf(missing !== undefined)(titleOf('any addresses, ports and data', missing), () => {
    const { run, close } = make(sourceMatchObject(), COMPANION_PROGRAMS.sourceMatch);
    const address = fc
      .uint8Array({ minLength: 16, maxLength: 16 })
      .map((bytes) => formatIp(ipFromBytes(bytes)));
    const port = fc.nat(65535);
    const data = fc.uint8Array({ maxLength: 64 });
    try {
      fc.assert(
        fc.property(address, address, address, port, data, (outerSrc, src, dst, sport, payload) => {
          const ends = { src, dst, sport, dport: 443 };
          const { frame, verdict } = run(gue(tcp6(ends, payload), { src: outerSrc }));
          expect(verdict).toBe(PIPE);
          expect(hex(frame)).toBe(hex(gue(tcp6({ ...ends, src: outerSrc }, payload), { src: outerSrc })));
        }),
        { numRuns: 200 },
      );
    } finally {
      close();
    }
  });
});

expectCoverage(sourceMatchObject(), COMPANION_PROGRAMS.sourceMatch);
