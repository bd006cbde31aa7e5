import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { missingRoot } from '../../test/support/capabilities.js';
import type { BpfMap, MapHost, MapSpec } from '../bpf/maps/map.js';
import { ArenaMaps, mapBytes } from '../bpf/maps/registry.js';
import { Arena } from '../bpf/memory/arena.js';
import { createMaps } from '../bpf/object/create-maps.js';
import { parseIp, parseMac } from '../net/address.js';
import { KernelMaps } from '../sys/bpf.js';
import { balancerObject } from './object.js';
import { decode, encode, FLOW_KEY, LB_STATS, MAX_VIPS, REAL_POS_LRU, RING_SIZE, U32 } from './schema.js';
import { COUNTER_NAMES, DROP_REASONS, DROP_REASONS_MAX } from './stats.js';
import { BalancerTables, formatVip, TablesError, type VipKey } from './tables.js';

const RINGS = 3;
const SPARE_BYTES = 8 * 2 ** 20;
const object = balancerObject();
/** Few rings: all of them would take 256 MiB of the kernel. */
const adjust = (spec: MapSpec): MapSpec =>
  spec.name === 'ch_rings' ? { ...spec, maxEntries: RINGS * RING_SIZE } : spec;

const HOSTS: readonly { name: string; missing?: string; make: () => MapHost }[] = [
  {
    name: 'arena',
    make: () => {
      const mapsBytes = object.maps.reduce((sum, spec) => sum + mapBytes(adjust(spec), 3), SPARE_BYTES);
      return new ArenaMaps(Arena.create({ workers: 2, mapsBytes, ringsBytes: 0 }));
    },
  },
  {
    name: 'kernel',
    ...(missingRoot === undefined ? {} : { missing: missingRoot }),
    make: () => new KernelMaps(),
  },
];

const web: VipKey = { address: parseIp('198.51.100.10'), port: 80, protocol: 'tcp' };
const dns: VipKey = { ...web, port: 53, protocol: 'udp' };
const web6: VipKey = { address: parseIp('2001:db8::10'), port: 80, protocol: 'tcp' };
const u32 = (value: number): Uint8Array => encode(U32, { value });
const hex = (bytes: Uint8Array | undefined): string | undefined =>
  bytes === undefined ? undefined : Buffer.from(bytes).toString('hex');

function faultOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    if (error instanceof TablesError) return error.fault;
    throw error;
  }
  return undefined;
}

describe.each(HOSTS)('tables over maps of the $name', ({ missing, make }) => {
  let host: MapHost;
  let maps: Map<string, BpfMap>;
  let tables: BalancerTables;
  beforeEach(() => {
    if (missing !== undefined) return;
    host = make();
    maps = createMaps(object, host, adjust);
    tables = new BalancerTables(maps);
  });
  afterEach(() => {
    if (missing !== undefined) return;
    tables.close();
    for (const map of maps.values()) map.close();
  });
  const test = (name: string, run: () => void): void => {
    it.skipIf(missing !== undefined)(missing === undefined ? name : `${name} (skipped: ${missing})`, run);
  };
  const read = (name: string, key: Uint8Array): string | undefined => hex(maps.get(name)?.lookup(key));
  const ringWord = (ring: number, slot: number): string | undefined =>
    read('ch_rings', u32(ring * RING_SIZE + slot));
  /** Give every CPU's copy of a counter the same words. */
  const setStats = (name: string, index: number, v1: bigint, v2: bigint): void => {
    const map = maps.get(name)!;
    const copies = new Uint8Array(map.valueBytes);
    for (let cpu = 0; cpu < map.cpus; cpu++)
      copies.set(encode(LB_STATS, { v1, v2 }), cpu * LB_STATS.sizeBytes);
    expect(map.update(u32(index), copies)).toBe(0);
  };

  test('a VIP is written, changed, read and removed', () => {
    expect(tables.getVip(web)).toBeUndefined();
    tables.putVip(web, { flags: 1, number: 5 });
    expect(read('vip_map', Uint8Array.from(Buffer.from(`c633640a${'00'.repeat(12)}00500600`, 'hex')))).toBe(
      '0100000005000000',
    );
    tables.putVip(web, { flags: 2, number: 5 });
    expect(tables.getVip(web)).toEqual({ flags: 2, number: 5 });
    expect(tables.getVip(dns)).toBeUndefined();
    tables.deleteVip(web);
    expect(tables.getVip(web)).toBeUndefined();
    tables.deleteVip(web);
  });

  test('an address is known while a VIP is on it', () => {
    const key = Uint8Array.from([198, 51, 100, 10, ...new Uint8Array(12)]);
    tables.putVip(web, { flags: 0, number: 0 });
    tables.putVip(web, { flags: 1, number: 0 });
    tables.putVip(dns, { flags: 0, number: 1 });
    tables.putVip(web6, { flags: 0, number: 2 });
    expect(read('vip_addresses', key)).toBe('02000000');
    expect(read('vip_addresses', web6.address.bytes)).toBe('01000000');
    tables.deleteVip(web);
    expect(read('vip_addresses', key)).toBe('01000000');
    tables.deleteVip(web);
    tables.deleteVip(dns);
    expect(read('vip_addresses', key)).toBeUndefined();
    expect(read('vip_addresses', web6.address.bytes)).toBe('01000000');
  });

  test('a backend has its family in its flags; cleared, it is all zero', () => {
    tables.putReal(1, parseIp('10.0.0.1'));
    tables.putReal(2, parseIp('fc00::2'), 2);
    tables.putNextHop(1, parseMac('02:00:00:00:00:01'));
    expect(read('reals', u32(1))).toBe(`0a000001${'00'.repeat(16)}`);
    expect(read('reals', u32(2))).toBe(`fc00${'00'.repeat(13)}0203000000`);
    expect(read('real_macs', u32(1))).toBe('0200000000010000');
    setStats('reals_stats', 1, 3n, 4n);
    tables.clearReal(1);
    expect(read('reals', u32(1))).toBe('00'.repeat(20));
    expect(read('real_macs', u32(1))).toBe('00'.repeat(8));
    expect(tables.realStats(1)).toEqual({ packets: 0n, bytes: 0n });
    expect(read('reals', u32(2))).toBe(`fc00${'00'.repeat(13)}0203000000`);
  });

  test("the router's address, and that a backend has none of its own any more", () => {
    tables.setRouterMac(parseMac('00:00:de:ad:be:af'));
    expect(read('ctl_array', u32(0))).toBe('0000deadbeaf0000');
    tables.putNextHop(7, parseMac('02:00:00:00:00:07'));
    tables.putNextHop(7, undefined);
    expect(read('real_macs', u32(7))).toBe('00'.repeat(8));
  });

  test('a ring: all slots at first, then those that changed', () => {
    const first = Uint32Array.from({ length: RING_SIZE }, (_, slot) => (slot % 3) + 1);
    expect(tables.putRing(1, first)).toBe(RING_SIZE);
    expect([0, 1, 65535, 65536].map((slot) => ringWord(1, slot))).toEqual([
      '01000000',
      '02000000',
      '01000000',
      '02000000',
    ]);
    expect(ringWord(0, RING_SIZE - 1)).toBe('00000000');
    expect(ringWord(2, 0)).toBe('00000000');
    const second = Uint32Array.from(first);
    second[0] = 4095;
    second[65536] = 7;
    expect(tables.putRing(1, second, first)).toBe(2);
    expect(tables.putRing(1, second, second)).toBe(0);
    expect([0, 1, 65536].map((slot) => ringWord(1, slot))).toEqual(['ff0f0000', '02000000', '07000000']);
    tables.clearRing(1);
    expect([0, 1, 30000, 65536].map((slot) => ringWord(1, slot))).toEqual(Array(4).fill('00000000'));
  });

  test('a VIP uses a ring by number', () => {
    tables.putVipRing(3, 0);
    tables.putVipRing(4, MAX_VIPS - 1);
    expect([2, 3, 4].map((vip) => read('vip_rings', u32(vip)))).toEqual(['00000000', '01000000', '00020000']);
  });

  test('counters are sums over all CPUs', () => {
    setStats('stats', 4, 2n, 0x1_0000_0000n);
    setStats('reals_stats', 9, 5n, 7n);
    setStats('stats', MAX_VIPS + 16, 11n, 13n);
    setStats('drop_stats', 4 * DROP_REASONS_MAX + 5, 1n, 60n);
    setStats('drop_stats', MAX_VIPS * DROP_REASONS_MAX, 2n, 8n);
    const cpus = BigInt(maps.get('stats')!.cpus);
    expect(cpus).toBeGreaterThan(0n);
    expect(tables.vipStats(4)).toEqual({ packets: 2n * cpus, bytes: 0x1_0000_0000n * cpus });
    expect(tables.realStats(9)).toEqual({ packets: 5n * cpus, bytes: 7n * cpus });
    expect(Object.keys(tables.counters())).toEqual(COUNTER_NAMES);
    expect(tables.counters().xdp_total).toEqual({ v1: 11n * cpus, v2: 13n * cpus });
    expect(tables.counters().xdp_tx).toEqual({ v1: 0n, v2: 0n });
    expect(Object.keys(tables.dropStats(4))).toEqual(DROP_REASONS);
    expect(tables.dropStats(4).empty_ring).toEqual({ packets: cpus, bytes: 60n * cpus });
    expect(tables.dropStats('none').short_frame).toEqual({ packets: 2n * cpus, bytes: 8n * cpus });
    expect(tables.dropStats('none').empty_ring).toEqual({ packets: 0n, bytes: 0n });
  });

  test("a number's next VIP starts from zero", () => {
    tables.putVip(web, { flags: 0, number: 4 });
    setStats('stats', 4, 2n, 3n);
    setStats('stats', 5, 2n, 3n);
    setStats('drop_stats', 4 * DROP_REASONS_MAX + 8, 1n, 60n);
    tables.deleteVip(web);
    expect(tables.vipStats(4).packets).toBe(0n);
    expect(tables.vipStats(5).packets).toBeGreaterThan(0n);
    expect(tables.dropStats(4).no_headroom.packets).toBe(0n);
  });

  test('connection tables: one a CPU, and their flows by backend', () => {
    const created: BpfMap[] = [];
    const spy: MapHost = {
      createMap: (spec) => {
        const map = host.createMap(spec);
        created.push(map);
        return map;
      },
    };
    tables.attachConnectionTables(spy, 2, 64);
    expect(created.map(({ spec }) => [spec.type, spec.maxEntries])).toEqual([
      ['LRU_HASH', 64],
      ['LRU_HASH', 64],
    ]);
    const now = 1_000_000_000_000n;
    const note = (table: BpfMap, sport: number, protocol: number, pos: number, atime: bigint): void => {
      const key = {
        src: Uint8Array.of(10, 0, 0, 1),
        dst: Uint8Array.of(10, 0, 0, 2),
        sport,
        dport: 80,
        protocol,
      };
      expect(table.update(encode(FLOW_KEY, key), encode(REAL_POS_LRU, { pos, atime }))).toBe(0);
    };
    note(created[0]!, 1, 6, 1, 0n);
    note(created[0]!, 2, 6, 2, 0n);
    note(created[1]!, 3, 6, 1, 0n);
    note(created[1]!, 4, 17, 2, now - 29_000_000_000n);
    note(created[1]!, 5, 17, 2, now - 31_000_000_000n);
    note(maps.get('fallback_cache')!, 6, 6, 9, 0n);
    expect(tables.trackedFlows(now)).toEqual(
      new Map([
        [1, 2],
        [2, 2],
        [9, 1],
      ]),
    );
    expect(decode(FLOW_KEY, created[1]!.nextKey()!).dport).toBe(80);
  });

  test('what is out of range is refused before anything is written', () => {
    const rows: readonly (readonly [() => unknown, string, number])[] = [
      [() => tables.putVip(web, { flags: 0, number: 512 }), 'VIP number', 512],
      [() => tables.putVip({ ...web, port: 65536 }, { flags: 0, number: 0 }), 'VIP port', 65536],
      [() => tables.putReal(0, parseIp('10.0.0.1')), 'backend index', 0],
      [() => tables.putReal(4096, parseIp('10.0.0.1')), 'backend index', 4096],
      [() => tables.clearReal(1.5), 'backend index', 1.5],
      [() => tables.putNextHop(0, undefined), 'backend index', 0],
      [() => tables.putRing(512, new Uint32Array(RING_SIZE)), 'ring number', 512],
      [() => tables.putRing(0, new Uint32Array(5)), 'ring size', 5],
      [() => tables.putVipRing(0, 512), 'ring number', 512],
      [() => tables.vipStats(-1), 'VIP number', -1],
      [() => tables.dropStats(512), 'VIP number', 512],
    ];
    for (const [run, what, value] of rows)
      expect(faultOf(run)).toEqual({ code: 'TABLES_RANGE', what, value });
    expect(tables.getVip(web)).toBeUndefined();
    expect(read('reals', u32(0))).toBe('00'.repeat(20));
  });

  test('a write that is refused names map, operation and errno', () => {
    // Ring 3 of 3: past the end of the map as it was made here.
    expect(faultOf(() => tables.putRing(RINGS, new Uint32Array(RING_SIZE).fill(1)))).toMatchObject({
      code: 'TABLES_WRITE',
      map: 'ch_rings',
      operation: 'update batch',
      errno: 7,
    });
    for (let port = 1; port <= MAX_VIPS; port++) tables.putVip({ ...web, port }, { flags: 0, number: 0 });
    expect(faultOf(() => tables.putVip(dns, { flags: 0, number: 0 }))).toEqual({
      code: 'TABLES_WRITE',
      map: 'vip_map',
      operation: 'update',
      errno: 7,
    });
  });

  test('a map that is missing or has another shape is refused', () => {
    const without = new Map(maps);
    without.delete('ch_rings');
    expect(faultOf(() => new BalancerTables(without))).toEqual({
      code: 'TABLES_MAP_MISSING',
      map: 'ch_rings',
    });
    const wrong = new Map(maps).set('vip_map', maps.get('reals')!);
    expect(faultOf(() => new BalancerTables(wrong))).toEqual({
      code: 'TABLES_MAP_SHAPE',
      map: 'vip_map',
      keySize: 4,
      valueSize: 20,
    });
  });
});

describe('formatVip', () => {
  it('puts IPv6 between brackets', () => {
    expect(formatVip(web6)).toBe('[2001:db8::10]:80/tcp');
    expect(formatVip(dns)).toBe('198.51.100.10:53/udp');
  });
});
