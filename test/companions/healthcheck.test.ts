import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { HealthcheckTables } from '../../lb/balancer/companions/healthcheck.js';
import {
  COMPANION_PROGRAMS,
  type HealthcheckOptions,
  healthcheckObject,
} from '../../lb/balancer/companions/object.js';
import { parseIp, parseMac } from '../../lb/net/address.js';
import {
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
  tcpFrame,
  udpFrame,
} from '../support/packets.js';
import { type CompanionBed, ENGINES, expectCoverage, titleOf } from './bed.js';
import {
  dst4,
  ends4,
  ends6,
  HOST_MAC,
  IFINDEX,
  MARK_4,
  MARK_6,
  MARK_UNKNOWN,
  NOTHING,
  OTHER_4,
  REAL_4,
  REAL_6,
  REDIRECT,
  ROUTER_MAC,
  SHOT,
  SOURCE_4,
  SOURCE_6,
  UNSPEC,
  web4,
  web6,
} from './healthcheck-scene.js';

const be16 = (value: number): Uint8Array => Uint8Array.of(value >> 8, value & 0xff);

/** The packet as it leaves: written from RFC 2003 and RFC 2473, with ToS 0, TTL 64 and id 0. */
function wrapped(frame: Uint8Array, real: string, protocol: number, between: Uint8Array): Uint8Array {
  const inner = concat(between, frame.subarray(14));
  const outer = real.includes(':')
    ? ipv6({ src: SOURCE_6, dst: real, nextHeader: protocol, hopLimit: 64 }, inner)
    : ipv4({ src: SOURCE_4, dst: real, protocol, id: 0, fragment: 0, ttl: 64 }, inner);
  const type = real.includes(':') ? ETHERTYPE.ipv6 : ETHERTYPE.ipv4;
  return ethernet(mac(ROUTER_MAC), mac(HOST_MAC), type, outer);
}
const ipip = (frame: Uint8Array, real: string): Uint8Array =>
  wrapped(frame, real, frame[14]! >> 4 === 6 ? PROTOCOL.ipv6 : PROTOCOL.ipip, new Uint8Array());
/** GUE, its source port (which is random) set to `sport`. */
const gue = (frame: Uint8Array, real: string, dport: number, sport: number): Uint8Array =>
  wrapped(
    frame,
    real,
    PROTOCOL.udp,
    concat(be16(sport), be16(dport), be16(8 + frame.length - 14), Uint8Array.of(0, 0)),
  );

/** Everything that the program needs, and a backend of each family. */
function arrange(tables: HealthcheckTables): void {
  tables.putReal(MARK_4, parseIp(REAL_4));
  tables.putReal(MARK_6, parseIp(REAL_6));
  tables.setSource(parseIp(SOURCE_4));
  tables.setSource(parseIp(SOURCE_6));
  tables.setMacs(parseMac(HOST_MAC), parseMac(ROUTER_MAC));
  tables.setInterface(IFINDEX);
}

interface Case {
  readonly name: string;
  readonly options?: HealthcheckOptions;
  /** What is configured beside `arrange`, or in its place. */
  readonly tables?: (tables: HealthcheckTables) => void;
  readonly bare?: true;
  readonly frame: Uint8Array;
  readonly mark?: number;
  readonly verdict: number;
  /** Absent: the frame is as it was. */
  readonly after?: Uint8Array;
  readonly stats: Partial<typeof NOTHING>;
  /** The kernel makes no packet for TC of such a frame. */
  readonly isRefusedByKernel?: true;
  /** False: the packet is dropped without its mark. */
  readonly keepsMark?: boolean;
}

const skipped = { verdict: UNSPEC, stats: { skipped: 1n } } as const;
const dropped = { verdict: SHOT, stats: { dropped: 1n } } as const;
const sent = { verdict: REDIRECT, stats: { processed: 1n } } as const;
const src6 = { address: parseIp(ends6.src), port: ends6.sport };
const fragment4 = frameOf(
  ipv4({ ...ends4, protocol: PROTOCOL.udp, fragment: 0x2000 | 100 }, new Uint8Array(40)),
);

const CASES: readonly Case[] = [
  { name: 'no mark: goes on untouched', frame: web4, ...skipped },
  { name: 'a mark that no backend has', frame: web4, mark: MARK_UNKNOWN, ...skipped },
  {
    name: 'ARP',
    frame: ethernet(mac(ROUTER_MAC), mac(HOST_MAC), ETHERTYPE.arp, new Uint8Array(28)),
    ...skipped,
  },
  { name: '4in4', frame: web4, mark: MARK_4, after: ipip(web4, REAL_4), ...sent },
  { name: '4in6', frame: web4, mark: MARK_6, after: ipip(web4, REAL_6), ...sent },
  { name: '6in6', frame: web6, mark: MARK_6, after: ipip(web6, REAL_6), ...sent },
  { name: 'IPv6 for an IPv4 backend is refused', frame: web6, mark: MARK_4, ...dropped },
  {
    name: 'a packet that is no IP packet cannot go into a tunnel',
    frame: ethernet(mac(ROUTER_MAC), mac(HOST_MAC), ETHERTYPE.arp, new Uint8Array(28)),
    mark: MARK_4,
    ...dropped,
  },
  {
    name: 'an IPv4 header that is cut',
    frame: web4.subarray(0, 33),
    mark: MARK_4,
    isRefusedByKernel: true,
    ...dropped,
  },
  {
    name: 'an IPv6 header that is cut',
    frame: web6.subarray(0, 53),
    mark: MARK_6,
    isRefusedByKernel: true,
    ...dropped,
  },
  {
    name: 'a packet without transport header',
    frame: ipFrame(ends4, PROTOCOL.tcp, 0, new Uint8Array()),
    mark: MARK_4,
    after: ipip(ipFrame(ends4, PROTOCOL.tcp, 0, new Uint8Array()), REAL_4),
    ...sent,
  },
  {
    name: 'a fragment is sent like any packet',
    frame: fragment4,
    mark: MARK_4,
    after: ipip(fragment4, REAL_4),
    ...sent,
  },
  {
    name: 'as long as the limit',
    options: { maxFrameBytes: web4.length },
    frame: web4,
    mark: MARK_4,
    after: ipip(web4, REAL_4),
    ...sent,
  },
  {
    name: 'longer than the limit',
    options: { maxFrameBytes: web4.length - 1 },
    frame: web4,
    mark: MARK_4,
    verdict: SHOT,
    stats: { dropped: 1n, tooBig: 1n },
  },
  { name: 'no health check is too long', options: { maxFrameBytes: 20 }, frame: web4, ...skipped },
  {
    name: 'no interface is set',
    bare: true,
    tables(tables) {
      tables.putReal(MARK_4, parseIp(REAL_4));
      tables.setMacs(parseMac(HOST_MAC), parseMac(ROUTER_MAC));
    },
    frame: web4,
    mark: MARK_4,
    ...dropped,
  },
  {
    name: 'no MAC addresses are set',
    bare: true,
    tables(tables) {
      tables.putReal(MARK_4, parseIp(REAL_4));
      tables.setInterface(IFINDEX);
    },
    frame: web4,
    mark: MARK_4,
    ...dropped,
  },
  {
    name: 'a mark whose backend was deleted',
    tables: (tables) => tables.deleteReal(MARK_4),
    frame: web4,
    mark: MARK_4,
    ...skipped,
  },
  ...[20_000, 65_520].map(
    (bytes): Case => ({
      name: `${bytes} bytes: there is no room for a header`,
      frame: frameOf(ipv4({ ...ends4, protocol: PROTOCOL.udp }, new Uint8Array(bytes - 34))),
      mark: MARK_4,
      isRefusedByKernel: true,
      ...dropped,
      keepsMark: false,
    }),
  ),
  ...matchCases(),
];

function matchCases(): readonly Case[] {
  const both = { matchDestinations: true, matchSources: true } as const;
  const matched = { verdict: REDIRECT, stats: { processed: 1n, destinationMatched: 1n } } as const;
  const bySource = { verdict: REDIRECT, stats: { processed: 1n, sourceMatched: 1n } } as const;
  const ping4 = ipFrame(ends4, PROTOCOL.icmp, 0, Uint8Array.of(8, 0, 0, 80, 0, 80, 0, 1));
  return [
    {
      name: 'destination: address and port',
      options: { matchDestinations: true },
      tables: (tables) => tables.putMatch('destination', dst4, parseIp(REAL_4)),
      frame: web4,
      after: ipip(web4, REAL_4),
      ...matched,
    },
    {
      name: 'destination: another port is none',
      options: { matchDestinations: true },
      tables: (tables) => tables.putMatch('destination', { ...dst4, port: 81 }, parseIp(REAL_4)),
      frame: web4,
      ...skipped,
    },
    {
      name: 'destination: port 0 is every port, after the port itself',
      options: { matchDestinations: true },
      tables(tables) {
        tables.putMatch('destination', { ...dst4, port: 0 }, parseIp(OTHER_4));
        tables.putMatch('destination', dst4, parseIp(REAL_4));
      },
      frame: udpFrame({ ...ends4, dport: 53 }),
      after: ipip(udpFrame({ ...ends4, dport: 53 }), OTHER_4),
      ...matched,
    },
    {
      name: 'destination: a protocol without ports has port 0',
      options: { matchDestinations: true },
      tables(tables) {
        tables.putMatch('destination', { ...dst4, port: 0 }, parseIp(OTHER_4));
        tables.putMatch('destination', dst4, parseIp(REAL_4));
      },
      frame: ping4,
      after: ipip(ping4, OTHER_4),
      ...matched,
    },
    {
      name: 'destination: off, the table is not asked',
      tables: (tables) => tables.putMatch('destination', dst4, parseIp(REAL_4)),
      frame: web4,
      ...skipped,
    },
    {
      name: 'destination: the mark comes first',
      options: both,
      tables: (tables) => tables.putMatch('destination', dst4, parseIp(OTHER_4)),
      frame: web4,
      mark: MARK_4,
      after: ipip(web4, REAL_4),
      ...sent,
    },
    {
      name: 'destination: a mark that no backend has',
      options: both,
      tables: (tables) => tables.putMatch('destination', dst4, parseIp(OTHER_4)),
      frame: web4,
      mark: MARK_UNKNOWN,
      after: ipip(web4, OTHER_4),
      ...matched,
    },
    {
      name: 'destination: deleted',
      options: both,
      tables(tables) {
        tables.putMatch('destination', dst4, parseIp(REAL_4));
        tables.deleteMatch('destination', dst4);
      },
      frame: web4,
      ...skipped,
    },
    {
      name: 'source: address and port, IPv6',
      options: { matchSources: true },
      tables: (tables) => tables.putMatch('source', src6, parseIp(REAL_6)),
      frame: web6,
      after: ipip(web6, REAL_6),
      ...bySource,
    },
    {
      name: 'source: port 0 is every port',
      options: { matchSources: true },
      tables: (tables) => tables.putMatch('source', { ...src6, port: 0 }, parseIp(REAL_6)),
      frame: web6,
      after: ipip(web6, REAL_6),
      ...bySource,
    },
    {
      name: 'source: the destination comes first',
      options: both,
      tables(tables) {
        tables.putMatch('source', src6, parseIp('fc00::bad'));
        tables.putMatch('destination', { address: parseIp(ends6.dst), port: 0 }, parseIp(REAL_6));
      },
      frame: web6,
      after: ipip(web6, REAL_6),
      ...matched,
    },
    {
      name: 'source: off, the table is not asked',
      options: { matchDestinations: true },
      tables: (tables) => tables.putMatch('source', src6, parseIp(REAL_6)),
      frame: web6,
      ...skipped,
    },
    {
      name: 'source: ports of a later fragment are none',
      options: { matchSources: true },
      tables(tables) {
        tables.putMatch('source', { address: parseIp(ends4.src), port: 0 }, parseIp(OTHER_4));
      },
      frame: fragment4,
      after: ipip(fragment4, OTHER_4),
      ...bySource,
    },
  ];
}

describe.each(ENGINES)('health checks: $name', ({ name: engine, missing, make }) => {
  const bed = (options: HealthcheckOptions = {}): CompanionBed =>
    make(healthcheckObject(options), COMPANION_PROGRAMS.healthcheck);

  for (const {
    name,
    options,
    tables: configure,
    bare,
    frame,
    mark,
    verdict,
    after,
    stats,
    ...rest
  } of CASES) {
    it.skipIf(missing !== undefined)(titleOf(name, missing), () => {
      const { maps, run, close } = bed(options);
      try {
        const tables = new HealthcheckTables(maps);
        if (bare !== true) arrange(tables);
        configure?.(tables);
        if (engine === 'kernel' && rest.isRefusedByKernel) {
          expect(() => run(frame, mark)).toThrow(/EINVAL/);
          return;
        }
        const result = run(frame, mark);
        expect(result.verdict).toBe(verdict);
        expect(hex(result.frame)).toBe(hex(after ?? frame));
        expect(tables.stats()).toEqual({ ...NOTHING, ...stats });
        // What was sent must not come by as a health check again.
        expect(result.mark).toBe(verdict === REDIRECT || rest.keepsMark === false ? 0 : (mark ?? 0));
        if (engine !== 'kernel') expect(result.ifindex).toBe(verdict === REDIRECT ? IFINDEX : undefined);
      } finally {
        close();
      }
    });
  }

  describe('GUE', () => {
    let gueBed: CompanionBed;
    beforeAll(() => {
      if (missing !== undefined) return;
      gueBed = bed({ gue: true, guePort: 9886 });
      arrange(new HealthcheckTables(gueBed.maps));
    });
    afterAll(() => {
      if (missing === undefined) gueBed.close();
    });
    for (const [name, frame, mark, real, outerBytes] of [
      ['4in4', web4, MARK_4, REAL_4, 20],
      ['4in6', web4, MARK_6, REAL_6, 40],
      ['6in6', web6, MARK_6, REAL_6, 40],
    ] as const) {
      it.skipIf(missing !== undefined)(titleOf(`${name}, a random source port from 1024 on`, missing), () => {
        const sports = new Set<number>();
        for (let i = 0; i < 20; i++) {
          const { verdict, frame: left } = gueBed.run(frame, mark);
          const sport = (left[14 + outerBytes]! << 8) | left[15 + outerBytes]!;
          sports.add(sport);
          expect(sport & 0x400).toBe(0x400);
          expect(verdict).toBe(REDIRECT);
          expect(hex(left)).toBe(hex(gue(frame, real, 9886, sport)));
        }
        expect(sports.size).toBeGreaterThan(10);
      });
    }
    it.skipIf(missing !== undefined)(titleOf('IPv6 for an IPv4 backend is refused', missing), () => {
      expect(gueBed.run(web6, MARK_4).verdict).toBe(SHOT);
    });
  });

  it.skipIf(missing !== undefined)(titleOf('packets are counted by what they try', missing), () => {
    const { maps, run, close } = bed();
    try {
      const tables = new HealthcheckTables(maps);
      arrange(tables);
      const keys = [
        { address: parseIp(ends4.dst), port: 80, protocol: PROTOCOL.tcp },
        { address: parseIp(ends4.dst), port: 80, protocol: PROTOCOL.udp },
        { address: parseIp(ends6.dst), port: 80, protocol: PROTOCOL.tcp },
        { address: parseIp(ends4.dst), port: 0, protocol: PROTOCOL.icmp },
      ];
      for (const key of keys) tables.putKey(key);
      const ping = ipFrame(ends4, PROTOCOL.icmp, 0, Uint8Array.of(8, 0, 0, 80, 0, 80, 0, 1));
      for (const frame of [web4, web4, web4, udpFrame(ends4), ping, ping]) run(frame, MARK_4);
      run(web6, MARK_6);
      // None of these is counted: not sent, or another key.
      run(web6, MARK_4);
      run(web4, 0);
      run(tcpFrame({ ...ends4, dport: 81 }), MARK_4);
      const counted = tables
        .keyStats()
        .map(({ key, packets }) => [key.port, key.protocol, key.address.family, packets]);
      expect(counted).toHaveLength(4);
      expect(counted).toEqual(
        expect.arrayContaining([
          [80, PROTOCOL.tcp, 4, 3n],
          [80, PROTOCOL.udp, 4, 1n],
          [80, PROTOCOL.tcp, 6, 1n],
          [0, PROTOCOL.icmp, 4, 2n],
        ]),
      );
      tables.deleteKey(keys[0]!);
      expect(tables.keyStats()).toHaveLength(3);
    } finally {
      close();
    }
  });
});

expectCoverage(healthcheckObject(), COMPANION_PROGRAMS.healthcheck);
