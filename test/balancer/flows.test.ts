import { afterEach, describe, expect, it } from 'vitest';
import {
  COUNTERS_START,
  decode,
  encode,
  FLOW_KEY,
  LB_STATS,
  REAL_POS_LRU,
  U32,
  UDP_TIMEOUT_NS,
  VIP_DEFINITION,
  VIP_FLAGS,
} from '../../lb/balancer/schema.js';
import { XDP_DROP, XDP_PASS, XDP_TX } from '../../lb/bpf/engine/context.js';
import { parseIp, parseMac } from '../../lb/net/address.js';
import { BALANCER_ENGINES, type BalancerBed, type BedOptions } from '../support/balancer.js';
import {
  type Endpoints,
  frameOf,
  hex,
  ipv4,
  mac,
  PROTOCOL,
  TCP_FLAGS,
  tcpFrame,
  udp,
  udpFrame,
} from '../support/packets.js';
import { encapsulated } from '../support/packets-encap.js';
import { arrange, CLIENT_4, CLIENT_6, out, REAL_4, REAL_6, ringOf, VIPS, vipOf } from './scene.js';

const web4: Endpoints = { src: CLIENT_4, dst: '198.51.100.10', sport: 40000, dport: 80 };
const dns4: Endpoints = { ...web4, dport: 53 };
const web6: Endpoints = { src: CLIENT_6, dst: '2001:db8::10', sport: 40001, dport: 80 };
const { syn, ack, rst } = TCP_FLAGS;
const OTHER_REAL = '10.0.0.3';

/** An entry of the connection table, in text. */
interface Entry {
  readonly src: string;
  readonly sport: number;
  readonly dport: number;
  readonly pos: number;
  readonly atime: bigint;
}

function entriesOf({ connections }: BalancerBed): Entry[] {
  const entries: Entry[] = [];
  for (let key = connections.nextKey(); key !== undefined; key = connections.nextKey(key)) {
    const { src, sport, dport } = decode(FLOW_KEY, key);
    const value = connections.lookup(key);
    if (value !== undefined) entries.push({ src: hex(src), sport, dport, ...decode(REAL_POS_LRU, value) });
  }
  return entries;
}

const paddedHex = (address: string): string => hex(parseIp(address).bytes).padEnd(32, '0');

describe.each(BALANCER_ENGINES)('flows: $name', ({ missing, make }) => {
  let bed: BalancerBed;
  let isOpen = false;
  const open = (options?: BedOptions): BalancerBed => {
    bed = make(options);
    isOpen = true;
    arrange(bed);
    bed.tables.putReal(3, parseIp(OTHER_REAL));
    return bed;
  };
  afterEach(() => {
    if (isOpen) bed.close();
    isOpen = false;
  });
  const test = (name: string, run: () => void): void => {
    it.skipIf(missing !== undefined)(missing === undefined ? name : `${name} (skipped: ${missing})`, run);
  };
  /** Expect that the frame goes out to a backend. */
  const expectSent = (frame: Uint8Array, real: string, { src, sport }: Endpoints = web4): void => {
    const result = bed.run(frame);
    expect(result.verdict).toBe(XDP_TX);
    expect(hex(result.frame)).toBe(hex(out(frame, real, src, sport)));
  };

  test('a flow keeps its backend when the ring changes, a new one takes the new ring', () => {
    open();
    expectSent(tcpFrame(web4, { flags: syn }), REAL_4);
    bed.tables.putRing(0, ringOf(3), ringOf(1));
    expectSent(tcpFrame(web4), REAL_4);
    expectSent(tcpFrame({ ...web4, sport: 40002 }, { flags: syn }), OTHER_REAL, { ...web4, sport: 40002 });
    expect(entriesOf(bed)).toContainEqual({
      src: paddedHex(CLIENT_4),
      sport: 40000,
      dport: 80,
      pos: 1,
      atime: 0n,
    });
  });

  test('a SYN asks the ring again and overwrites the entry', () => {
    open();
    expectSent(tcpFrame(web4), REAL_4);
    bed.tables.putRing(0, ringOf(3));
    expectSent(tcpFrame(web4, { flags: syn }), OTHER_REAL);
    bed.tables.putRing(0, ringOf(1));
    expectSent(tcpFrame(web4), OTHER_REAL);
    expect(entriesOf(bed)).toHaveLength(1);
  });

  test('IPv6 flows keep their backend as well', () => {
    open();
    bed.tables.putReal(4, parseIp('fc00::4'));
    expectSent(tcpFrame(web6), REAL_6, web6);
    bed.tables.putRing(2, ringOf(4));
    expectSent(tcpFrame(web6), REAL_6, web6);
    expectSent(tcpFrame(web6, { flags: syn }), 'fc00::4', web6);
    expect(entriesOf(bed)).toEqual([
      { src: paddedHex(CLIENT_6), sport: 40001, dport: 80, pos: 4, atime: 0n },
    ]);
  });

  test('a reset is forwarded and leaves no entry', () => {
    open();
    expectSent(tcpFrame(web4, { flags: rst }), REAL_4);
    expectSent(tcpFrame(web4, { flags: rst | ack }), REAL_4);
    expect(entriesOf(bed)).toEqual([]);
  });

  test('a UDP flow keeps its backend while it is not silent for 30 s, and each packet renews it', () => {
    open();
    const before = bed.now();
    expectSent(udpFrame(dns4), REAL_4);
    bed.tables.putRing(0, ringOf(3));
    expectSent(udpFrame(dns4), REAL_4);
    // Age the entry to just within the limit, leaving room for the time that the test takes itself.
    const key = bed.connections.nextKey()!;
    const aged = bed.now() - UDP_TIMEOUT_NS + 5_000_000_000n;
    bed.connections.update(key, encode(REAL_POS_LRU, { pos: 1, atime: aged }));
    expectSent(udpFrame(dns4), REAL_4);
    const [entry] = entriesOf(bed);
    expect(entry?.atime).toBeGreaterThanOrEqual(before);
    expect(entry?.atime).toBeLessThanOrEqual(bed.now());
  });

  test('a UDP flow that was silent for longer takes the ring', () => {
    open();
    expectSent(udpFrame(dns4), REAL_4);
    bed.tables.putRing(0, ringOf(3));
    const key = bed.connections.nextKey()!;
    bed.connections.update(
      key,
      encode(REAL_POS_LRU, { pos: 1, atime: bed.now() - UDP_TIMEOUT_NS - 1_000_000n }),
    );
    expectSent(udpFrame(dns4), OTHER_REAL);
    expect(entriesOf(bed)).toMatchObject([{ pos: 3 }]);
    // No TCP flow ages: its entry has no time.
    expect(bed.tables.counters().lru_miss).toEqual({ v1: 0n, v2: 0n });
  });

  test('an entry whose backend is gone is no entry', () => {
    open();
    expectSent(tcpFrame(web4), REAL_4);
    bed.tables.putRing(0, ringOf(3));
    bed.tables.clearReal(1);
    expectSent(tcpFrame(web4), OTHER_REAL);
    expect(entriesOf(bed)).toMatchObject([{ pos: 3 }]);
  });

  test('past the rate of new connections they are balanced but not noted', () => {
    open({ newConnectionsPerSecond: 100 });
    const rate = bed.maps.get('stats')!;
    const full = encode(LB_STATS, { v1: 99n, v2: bed.now() });
    const copies = new Uint8Array(rate.valueBytes);
    for (let cpu = 0; cpu < rate.cpus; cpu++) copies.set(full, cpu * LB_STATS.sizeBytes);
    rate.update(encode(U32, { value: COUNTERS_START + 2 }), copies);
    expectSent(tcpFrame(web4, { flags: syn }), REAL_4);
    expect(entriesOf(bed)).toHaveLength(1);
    // A CPU that has not counted yet (the kernel may move the test) is brought to the limit as well.
    const over = encode(LB_STATS, { v1: 100n, v2: bed.now() });
    for (let cpu = 0; cpu < rate.cpus; cpu++) copies.set(over, cpu * LB_STATS.sizeBytes);
    rate.update(encode(U32, { value: COUNTERS_START + 2 }), copies);
    expectSent(tcpFrame({ ...web4, sport: 40002 }, { flags: syn }), REAL_4, { ...web4, sport: 40002 });
    expect(entriesOf(bed)).toHaveLength(1);
    // A second later it starts anew.
    const old = encode(LB_STATS, { v1: 5000n, v2: bed.now() - 1_100_000_000n });
    for (let cpu = 0; cpu < rate.cpus; cpu++) copies.set(old, cpu * LB_STATS.sizeBytes);
    rate.update(encode(U32, { value: COUNTERS_START + 2 }), copies);
    expectSent(tcpFrame({ ...web4, sport: 40003 }, { flags: syn }), REAL_4, { ...web4, sport: 40003 });
    expect(entriesOf(bed)).toHaveLength(2);
  });

  test('a CPU without a table uses the shared one, and says so', () => {
    open({ connectionTable: false });
    expectSent(tcpFrame(web4, { flags: syn }), REAL_4);
    bed.tables.putRing(0, ringOf(3));
    expectSent(tcpFrame(web4), REAL_4);
    expect(entriesOf(bed)).toEqual([]);
    const fallback = bed.maps.get('fallback_cache')!;
    expect(decode(FLOW_KEY, fallback.nextKey()!).sport).toBe(40000);
    expect(bed.tables.counters().fallback_lru.v1).toBe(2n);
    expect(bed.tables.trackedFlows(bed.now())).toEqual(new Map([[1, 1]]));
  });

  test('counters of a new flow, a known one and a SYN', () => {
    open();
    const first = tcpFrame(web4, { flags: syn });
    bed.run(first);
    bed.run(tcpFrame(web4));
    bed.run(tcpFrame({ ...web4, sport: 40002 }));
    bed.run(udpFrame(dns4));
    const { lru, lru_miss, ring_drop, fallback_lru } = bed.tables.counters();
    expect({ lru, lru_miss, ring_drop, fallback_lru }).toEqual({
      lru: { v1: 4n, v2: 3n },
      lru_miss: { v1: 1n, v2: 1n },
      ring_drop: { v1: 0n, v2: 0n },
      fallback_lru: { v1: 0n, v2: 0n },
    });
    // IP bytes: the frame without its Ethernet header.
    const tcpBytes = BigInt(first.length - 14);
    const udpBytes = BigInt(udpFrame(dns4).length - 14);
    expect(bed.tables.vipStats(VIPS.web4.number)).toEqual({ packets: 3n, bytes: 3n * tcpBytes });
    expect(bed.tables.vipStats(VIPS.dns4.number)).toEqual({ packets: 1n, bytes: udpBytes });
    expect(bed.tables.realStats(1)).toEqual({ packets: 4n, bytes: 3n * tcpBytes + udpBytes });
    expect(bed.tables.realStats(2)).toEqual({ packets: 0n, bytes: 0n });
  });

  test('bytes of IPv6 are those of the payload', () => {
    open();
    const frame = tcpFrame(web6);
    bed.run(frame);
    expect(bed.tables.vipStats(VIPS.web6.number)).toEqual({
      packets: 1n,
      bytes: BigInt(frame.length - 14 - 40),
    });
  });

  test('an empty ring and a backend that is not there are told apart', () => {
    open();
    bed.run(tcpFrame({ ...web4, dst: '198.51.100.13' }));
    bed.run(tcpFrame({ ...web4, dst: '198.51.100.14' }));
    expect(bed.tables.counters().ring_drop).toEqual({ v1: 1n, v2: 1n });
    expect(bed.tables.vipStats(VIPS.empty.number).packets).toBe(0n);
    expect(entriesOf(bed)).toEqual([]);
  });

  test('new connections of the watched VIP are counted by backend', () => {
    open();
    const { address, port } = VIPS.web4.key;
    const watched = encode(VIP_DEFINITION, { address: address.bytes, port, protocol: PROTOCOL.tcp });
    bed.maps.get('vip_miss_stats')!.update(encode(U32, { value: 0 }), watched);
    bed.run(tcpFrame(web4, { flags: syn }));
    bed.run(tcpFrame(web4));
    bed.run(udpFrame(dns4));
    bed.run(tcpFrame({ ...web4, sport: 40002 }, { flags: syn }));
    const copies = bed.maps.get('lru_miss_stats')!.lookup(encode(U32, { value: 1 }))!;
    let misses = 0;
    for (let at = 0; at < copies.length; at += 8) misses += decode(U32, copies, at).value;
    expect(misses).toBe(2);
  });

  test('new connections are counted by VIP and by backend: a SYN, the first datagram of a flow, and nothing else', () => {
    open();
    bed.run(tcpFrame(web4, { flags: syn }));
    bed.run(tcpFrame(web4));
    bed.run(tcpFrame({ ...web4, sport: 40002 }, { flags: syn }));
    // In the midst of a connection that no table knows: it is balanced, and not new.
    bed.run(tcpFrame({ ...web4, sport: 40003 }));
    bed.run(udpFrame(dns4));
    bed.run(udpFrame(dns4));
    expect(bed.tables.vipNewFlows(VIPS.web4.number)).toBe(2n);
    expect(bed.tables.vipNewFlows(VIPS.dns4.number)).toBe(1n);
    const reals = Array.from({ length: 8 }, (_, index) => bed.tables.realNewFlows(index + 1));
    expect(reals.reduce((sum, flows) => sum + flows, 0n)).toBe(3n);
    bed.tables.deleteVip(VIPS.web4.key);
    expect(bed.tables.vipNewFlows(VIPS.web4.number)).toBe(0n);
  });

  test("a backend's own next hop goes before the router", () => {
    open();
    const own = '02:00:00:00:00:07';
    bed.tables.putNextHop(1, parseMac(own));
    const frame = tcpFrame(web4);
    expect(hex(bed.run(frame).frame)).toBe(hex(out(frame, REAL_4, CLIENT_4, 40000, own)));
    bed.tables.putNextHop(1, undefined);
    expectSent(frame, REAL_4);
  });

  test('the longest frame is an option', () => {
    open({ maxFrameBytes: 2000, sendTooBig: false });
    const data = (bytes: number): Uint8Array => new Uint8Array(bytes - 54);
    expectSent(tcpFrame(web4, { data: data(2000) }), REAL_4);
    expect(bed.run(tcpFrame(web4, { data: data(2001) })).verdict).toBe(XDP_DROP);
  });

  test('a VIP that is deleted passes, and its address with its last VIP', () => {
    open();
    const fragment = frameOf(
      ipv4({ src: CLIENT_4, dst: web4.dst, protocol: PROTOCOL.udp, fragment: 0x2000 }, udp(dns4)),
    );
    bed.tables.deleteVip(VIPS.web4.key);
    expect(bed.run(tcpFrame(web4)).verdict).toBe(XDP_PASS);
    expect(bed.run(fragment).verdict).toBe(XDP_DROP);
    bed.tables.deleteVip(VIPS.dns4.key);
    expect(bed.run(fragment).verdict).toBe(XDP_PASS);
    expect(bed.run(udpFrame(dns4)).verdict).toBe(XDP_PASS);
  });

  describe('flags of a VIP', () => {
    const flagged = (flags: number, port = 80): void => {
      open();
      bed.tables.putVip(vipOf('198.51.100.20', port, 'tcp'), { flags, number: 6 });
      bed.tables.putVipRing(6, 0);
    };
    const ends: Endpoints = { ...web4, dst: '198.51.100.20' };
    /** Out through the router, with client and port as given in the outer source. */
    const expectOuter = (frame: Uint8Array, real: string, client: string, sport: number): void => {
      const expected = encapsulated(frame, { real, client, sport, nextHop: mac('00:00:de:ad:be:af') });
      expect(hex(bed.run(frame).frame)).toBe(hex(expected));
    };

    test('without a source port: all ports of a client are one flow', () => {
      flagged(VIP_FLAGS.HASH_NO_SRC_PORT);
      expectOuter(tcpFrame(ends), REAL_4, CLIENT_4, 0);
      bed.tables.putRing(0, ringOf(3));
      expectOuter(tcpFrame({ ...ends, sport: 50000 }), REAL_4, CLIENT_4, 0);
      expect(entriesOf(bed)).toEqual([{ src: paddedHex(CLIENT_4), sport: 0, dport: 80, pos: 1, atime: 0n }]);
    });

    test('without a connection table: the ring decides for each packet', () => {
      flagged(VIP_FLAGS.LRU_BYPASS);
      expectSent(tcpFrame(ends), REAL_4);
      bed.tables.putRing(0, ringOf(3));
      expectSent(tcpFrame(ends), OTHER_REAL);
      expect(entriesOf(bed)).toEqual([]);
      expect(bed.tables.counters().lru).toEqual({ v1: 2n, v2: 2n });
    });

    test('destination port alone: clients share a backend, and a flow is found again', () => {
      flagged(VIP_FLAGS.HASH_DPORT_ONLY, 0);
      expectOuter(tcpFrame({ ...ends, dport: 9000 }), REAL_4, '0.0.0.0', 40000);
      bed.tables.putRing(0, ringOf(3));
      expectOuter(tcpFrame({ ...ends, dport: 9000 }), REAL_4, '0.0.0.0', 40000);
      expectOuter(tcpFrame({ ...ends, dport: 9000, src: '203.0.113.1' }), OTHER_REAL, '0.0.0.0', 40000);
      expect(bed.tables.counters().lru).toEqual({ v1: 3n, v2: 2n });
      expect(entriesOf(bed)).toContainEqual({
        src: paddedHex(CLIENT_4),
        sport: 40000,
        dport: 9000,
        pos: 1,
        atime: 0n,
      });
    });

    test('destination port alone: slot of the port, whatever the client', () => {
      flagged(VIP_FLAGS.HASH_DPORT_ONLY, 0);
      // Slot of port 9000 (source 0, both ports 9000), a vector of a compatible balancer.
      bed.tables.putRing(0, ringOf(3).fill(1, 43468, 43469));
      for (const [src, sport] of [
        ['61.92.136.18', 5694],
        ['237.196.79.22', 54212],
      ] as const) {
        expectOuter(tcpFrame({ ...ends, src, sport, dport: 9000 }), REAL_4, '0.0.0.0', sport);
      }
      expectOuter(tcpFrame({ ...ends, dport: 9001 }), OTHER_REAL, '0.0.0.0', 40000);
    });

    test('every port: ports of a client are one flow', () => {
      flagged(0, 0);
      expectSent(tcpFrame({ ...ends, dport: 443 }), REAL_4);
      bed.tables.putRing(0, ringOf(3));
      expectSent(tcpFrame({ ...ends, dport: 9000 }), REAL_4);
      expect(entriesOf(bed)).toEqual([
        { src: paddedHex(CLIENT_4), sport: 40000, dport: 0, pos: 1, atime: 0n },
      ]);
    });

    test('every port, told apart', () => {
      flagged(VIP_FLAGS.HASH_SRC_DST_PORT, 0);
      expectSent(tcpFrame({ ...ends, dport: 443 }), REAL_4);
      bed.tables.putRing(0, ringOf(3));
      expectSent(tcpFrame({ ...ends, dport: 9000 }), OTHER_REAL);
      expect(
        entriesOf(bed)
          .map(({ dport }) => dport)
          .sort(),
      ).toEqual([443, 9000]);
    });

    test('a VIP with a port goes before the VIP of every port', () => {
      flagged(0, 0);
      bed.tables.putVip(vipOf('198.51.100.20', 443, 'tcp'), { flags: 0, number: 5 });
      bed.run(tcpFrame({ ...ends, dport: 443 }));
      bed.run(tcpFrame({ ...ends, dport: 444 }));
      expect([5, 6].map((number) => bed.tables.vipStats(number).packets)).toEqual([1n, 1n]);
    });
  });
});
