import { describe, expect, it } from 'vitest';
import { describeTables, TABLES_RINGS, tablesFault, u32 } from '../../test/support/tables-bed.js';
import type { BpfMap, MapHost } from '../bpf/maps/map.js';
import { parseIp, parseMac } from '../net/address.js';
import { DROP_REASONS, PASS_REASONS, REASON_NAMES, type Reason, reasonRow } from './reasons.js';
import {
  COUNTERS_START,
  DEFAULT_VIPS,
  decode,
  encode,
  FLOW_KEY,
  LB_STATS,
  REAL_POS_LRU,
  RING_SIZE,
} from './schema.js';
import { COUNTER_NAMES } from './stats.js';
import { BalancerTables, formatVip, type VipKey } from './tables.js';

const web: VipKey = { address: parseIp('198.51.100.10'), port: 80, protocol: 'tcp' };
const dns: VipKey = { ...web, port: 53, protocol: 'udp' };
const web6: VipKey = { address: parseIp('2001:db8::10'), port: 80, protocol: 'tcp' };
const rowOf = (vip: number | undefined, reason: Reason): number => reasonRow(reason, vip)!;
const words = (v1: bigint, v2: bigint): Uint8Array => encode(LB_STATS, { v1, v2 });

describeTables('tables', (test) => {
  test('a VIP is written, changed, read and removed', ({ read, tables }) => {
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

  test('an address is known while a VIP is on it', ({ read, tables }) => {
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

  test('a backend has its family in its flags; cleared, it is all zero', ({ fill, read, tables }) => {
    tables.putReal(1, parseIp('10.0.0.1'));
    tables.putReal(2, parseIp('fc00::2'), 2);
    tables.putNextHop(1, parseMac('02:00:00:00:00:01'));
    expect(read('reals', u32(1))).toBe(`0a000001${'00'.repeat(16)}`);
    expect(read('reals', u32(2))).toBe(`fc00${'00'.repeat(13)}0203000000`);
    expect(read('real_macs', u32(1))).toBe('0200000000010000');
    fill('reals_stats', 1, words(3n, 4n));
    tables.clearReal(1);
    expect(read('reals', u32(1))).toBe('00'.repeat(20));
    expect(read('real_macs', u32(1))).toBe('00'.repeat(8));
    expect(tables.realStats(1)).toEqual({ packets: 0n, bytes: 0n });
    expect(read('reals', u32(2))).toBe(`fc00${'00'.repeat(13)}0203000000`);
  });

  test("the router's address, and that a backend has none of its own any more", ({ read, tables }) => {
    tables.setRouterMac(parseMac('00:00:de:ad:be:af'));
    expect(read('ctl_array', u32(0))).toBe('0000deadbeaf0000');
    tables.putNextHop(7, parseMac('02:00:00:00:00:07'));
    tables.putNextHop(7, undefined);
    expect(read('real_macs', u32(7))).toBe('00'.repeat(8));
  });

  test('a ring: all slots at first, then those that changed', ({ read, tables }) => {
    const ringWord = (ring: number, slot: number) => read('ch_rings', u32(ring * RING_SIZE + slot));
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
    expect(tables.readRing(1)).toEqual(second);
    expect(tables.readRing(0)).toEqual(new Uint32Array(RING_SIZE));
    tables.clearRing(1);
    expect([0, 1, 30000, 65536].map((slot) => ringWord(1, slot))).toEqual(Array(4).fill('00000000'));
  });

  test('a VIP uses a ring by number', ({ read, tables }) => {
    tables.putVipRing(3, 0);
    tables.putVipRing(4, TABLES_RINGS - 1);
    expect([2, 3, 4].map((vip) => read('vip_rings', u32(vip)))).toEqual(['00000000', '01000000', '03000000']);
  });

  test('counters are sums over all CPUs', ({ fill, maps, tables }) => {
    fill('stats', 4, words(2n, 0x1_0000_0000n));
    fill('reals_stats', 9, words(5n, 7n));
    fill('stats', COUNTERS_START + 16, words(11n, 13n));
    fill('reason_stats', rowOf(4, 'empty_ring'), words(1n, 60n));
    fill('reason_stats', rowOf(4, 'too_big_sent'), words(4n, 400n));
    fill('reason_stats', rowOf(4, 'local'), words(6n, 600n));
    fill('reason_stats', rowOf(undefined, 'short_frame'), words(2n, 8n));
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
    expect(Object.keys(tables.passStats(4))).toEqual(PASS_REASONS);
    expect(tables.passStats(4).local).toEqual({ packets: 6n * cpus, bytes: 600n * cpus });
    expect(Object.keys(tables.reasonStats(4))).toEqual(REASON_NAMES);
    expect(tables.reasonStats(4).too_big_sent).toEqual({ packets: 4n * cpus, bytes: 400n * cpus });
  });

  test("a number's next VIP starts from zero", ({ fill, tables }) => {
    tables.putVip(web, { flags: 0, number: 4 });
    fill('stats', 4, words(2n, 3n));
    fill('stats', 5, words(2n, 3n));
    fill('reason_stats', rowOf(4, 'no_headroom'), words(1n, 60n));
    tables.deleteVip(web);
    expect(tables.vipStats(4).packets).toBe(0n);
    expect(tables.vipStats(5).packets).toBeGreaterThan(0n);
    expect(tables.dropStats(4).no_headroom.packets).toBe(0n);
  });

  test('connection tables: one a CPU, and their flows by backend', ({ host, maps, tables }) => {
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

  test('what is out of range is refused before anything is written', ({ read, tables }) => {
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
      expect(tablesFault(run)).toEqual({ code: 'TABLES_RANGE', what, value });
    expect(tables.getVip(web)).toBeUndefined();
    expect(read('reals', u32(0))).toBe('00'.repeat(20));
  });

  test('how full the maps are: what is there counts once, and what is gone does not', ({ tables }) => {
    const prefix: VipKey = { ...web6, prefixBits: 64 };
    for (let time = 0; time < 2; time++) {
      for (const vip of [web, dns, web6, prefix]) tables.putVip(vip, { flags: 0, number: 1 });
      for (const real of [1, 2, 3]) tables.putReal(real, parseIp('10.0.0.1'));
      for (const id of [1, 2]) tables.putServerId(id, 1);
      for (const bits of [8, 16, 24, 32]) tables.putSourceRoute({ address: parseIp('10.0.0.0'), bits }, 1);
      tables.putSourceRoute({ address: parseIp('fc00::'), bits: 7 }, 1);
      tables.putDecapDestination(parseIp('10.0.0.9'));
      tables.putDownReal(dns, 1);
      tables.putDownReal(web, 1);
    }
    const entries = () => Object.fromEntries(tables.occupancy().map((one) => [one.map, one.entries]));
    expect(entries()).toEqual({
      vip_map: 3,
      vip_lpm_map: 1,
      reals: 3,
      server_id_map: 2,
      lpm_src_v4: 4,
      lpm_src_v6: 1,
      decap_dst: 1,
      vip_to_down_reals_map: 2,
    });
    for (let time = 0; time < 2; time++) {
      for (const vip of [web, prefix]) tables.deleteVip(vip);
      tables.clearReal(2);
      tables.deleteServerId(2);
      for (const bits of [9, 24]) tables.deleteSourceRoute({ address: parseIp('10.0.0.0'), bits });
      tables.deleteSourceRoute({ address: parseIp('fc00::'), bits: 7 });
      tables.deleteDecapDestination(parseIp('10.0.0.9'));
    }
    expect(entries()).toEqual({
      vip_map: 2,
      vip_lpm_map: 0,
      reals: 2,
      server_id_map: 1,
      lpm_src_v4: 3,
      lpm_src_v6: 0,
      decap_dst: 0,
      vip_to_down_reals_map: 1,
    });
    expect(tables.occupancy()[0]).toEqual({ map: 'vip_map', entries: 2, maxEntries: DEFAULT_VIPS });
  });

  test('a write that is refused names map, operation and errno', ({ tables }) => {
    for (let port = 1; port <= DEFAULT_VIPS; port++) tables.putVip({ ...web, port }, { flags: 0, number: 0 });
    expect(tablesFault(() => tables.putVip(dns, { flags: 0, number: 0 }))).toEqual({
      code: 'TABLES_WRITE',
      map: 'vip_map',
      operation: 'update',
      errno: 7,
    });
  });

  test('a map that is missing or has another shape is refused', ({ maps }) => {
    const without = new Map(maps);
    without.delete('ch_rings');
    expect(tablesFault(() => new BalancerTables(without))).toEqual({
      code: 'TABLES_MAP_MISSING',
      map: 'ch_rings',
    });
    const wrong = new Map(maps).set('vip_map', maps.get('reals')!);
    expect(tablesFault(() => new BalancerTables(wrong))).toEqual({
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
