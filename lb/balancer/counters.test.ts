import { expect } from 'vitest';
import { describeTables, tablesFault, u32 } from '../../test/support/tables-bed.js';
import { parseIp } from '../net/address.js';
import { reasonRow, VIP_REASON_NAMES } from './reasons.js';
import {
  COUNTER_SLOTS,
  COUNTERS_START,
  encode,
  LB_STATS,
  QUIC_STATS,
  STABLE_ROUTING_STATS,
  TCP_SERVER_ID_STATS,
} from './schema.js';
import type { Struct } from './structs.js';
import type { VipKey } from './tables.js';

const web: VipKey = { address: parseIp('198.51.100.10'), port: 80, protocol: 'tcp' };
const words = (v1: bigint, v2: bigint): Uint8Array => encode(LB_STATS, { v1, v2 });

/** A struct of counters whose fields hold 1, 2, 3… in their order, and what `cpus` of them sum up to. */
function numbered(struct: Struct, cpus: bigint): { copy: Uint8Array; sums: Record<string, bigint> } {
  const copy = new Uint8Array(struct.sizeBytes);
  const sums: Record<string, bigint> = {};
  for (const [i, [name, { offset }]] of Object.entries(struct.fields).entries()) {
    new DataView(copy.buffer).setBigUint64(offset, BigInt(i + 1), true);
    sums[name] = BigInt(i + 1) * cpus;
  }
  return { copy, sums };
}

describeTables('counters', (test) => {
  test('server ids of QUIC: sums, and one of the ids that were not mapped', ({ fill, maps, tables }) => {
    const { copy, sums } = numbered(QUIC_STATS, BigInt(maps.get('quic_stats_map')!.cpus));
    fill('quic_stats_map', 0, copy);
    expect(tables.quicStats()).toEqual({ ...sums, cid_invalid_server_id_sample: 4n });
  });

  test('server ids of TCP and of stable routing are sums', ({ fill, maps, tables }) => {
    const cpus = BigInt(maps.get('stats')!.cpus);
    const tcp = numbered(TCP_SERVER_ID_STATS, cpus);
    const udp = numbered(STABLE_ROUTING_STATS, cpus);
    fill('tpr_stats_map', 0, tcp.copy);
    fill('stable_rt_stats', 0, udp.copy);
    expect(tables.tcpServerIdStats()).toEqual(tcp.sums);
    expect(tables.stableRoutingStats()).toEqual(udp.sums);
  });

  test('by VIP: packets without an id and against it, packets out of tunnels', ({ fill, maps, tables }) => {
    const cpus = BigInt(maps.get('stats')!.cpus);
    fill('server_id_stats', 3, words(5n, 7n));
    fill('decap_vip_stats', 3, words(9n, 0n));
    expect(tables.serverIdStats(3)).toEqual({ withoutId: 5n * cpus, mismatches: 7n * cpus });
    expect(tables.serverIdStats(4)).toEqual({ withoutId: 0n, mismatches: 0n });
    expect(tables.decapVipPackets(3)).toBe(9n * cpus);
    expect(tables.decapVipPackets(2)).toBe(0n);
  });

  test('frames by CPU are not summed', ({ maps, tables }) => {
    const map = maps.get('stats')!;
    const copies = new Uint8Array(map.valueBytes);
    copies.set(words(2n, 200n), LB_STATS.sizeBytes);
    map.update(u32(COUNTERS_START + COUNTER_SLOTS.xdp_pass), copies);
    const frames = tables.frames();
    expect(frames).toHaveLength(map.cpus);
    expect(frames[0]?.pass).toEqual({ packets: 0n, bytes: 0n });
    expect(frames[1]).toEqual({
      total: { packets: 0n, bytes: 0n },
      tx: { packets: 0n, bytes: 0n },
      drop: { packets: 0n, bytes: 0n },
      pass: { packets: 2n, bytes: 200n },
    });
  });

  test('the rate of new connections: counts are summed, the second is the latest', ({ maps, tables }) => {
    const map = maps.get('stats')!;
    const copies = new Uint8Array(map.valueBytes);
    copies.set(words(2n, 500n));
    copies.set(words(3n, 400n), LB_STATS.sizeBytes);
    map.update(u32(COUNTERS_START + COUNTER_SLOTS.new_connection_rate), copies);
    expect(tables.counters().new_connection_rate).toEqual({ v1: 5n, v2: 500n });
  });

  test('misses are those of the VIP that is watched', ({ fill, maps, read, tables }) => {
    const cpus = maps.get('lru_miss_stats')!.cpus;
    tables.watchMisses(web);
    expect(read('vip_miss_stats', u32(0))).toBe(`c633640a${'00'.repeat(12)}00500600`);
    fill('lru_miss_stats', 6, u32(3));
    expect([tables.missesOf(6), tables.missesOf(7)]).toEqual([3 * cpus, 0]);
    tables.watchMisses({ ...web, port: 81 });
    expect(tables.missesOf(6)).toBe(0);
    tables.watchMisses(undefined);
    expect(read('vip_miss_stats', u32(0))).toBe('00'.repeat(20));
    const prefix: VipKey = { ...web, address: parseIp('fc00::'), prefixBits: 8 };
    expect(tablesFault(() => tables.watchMisses(prefix))).toEqual({
      code: 'TABLES_PREFIX_VIP',
      what: 'misses by backend',
    });
  });

  test('a number that is given away again starts from zero, its neighbours do not', ({ fill, tables }) => {
    tables.putVip(web, { flags: 0, number: 4 });
    for (const number of [3, 4, 5]) {
      fill('server_id_stats', number, words(1n, 1n));
      fill('decap_vip_stats', number, words(1n, 1n));
      for (const reason of VIP_REASON_NAMES) fill('reason_stats', reasonRow(reason, number)!, words(1n, 1n));
    }
    fill('lru_miss_stats', 6, u32(3));
    tables.deleteVip(web);
    const isZero = (number: number): boolean[] => [
      tables.serverIdStats(number).withoutId === 0n,
      tables.decapVipPackets(number) === 0n,
      ...VIP_REASON_NAMES.map((reason) => tables.reasonStats(number)[reason].packets === 0n),
    ];
    expect([3, 4, 5].map((number) => new Set(isZero(number)))).toEqual([
      new Set([false]),
      new Set([true]),
      new Set([false]),
    ]);
    expect(tables.missesOf(6)).toBeGreaterThan(0);
    tables.clearReal(6);
    expect(tables.missesOf(6)).toBe(0);
  });

  test('numbers out of range are refused', ({ tables }) => {
    for (const run of [
      () => tables.serverIdStats(COUNTERS_START),
      () => tables.decapVipPackets(COUNTERS_START),
      () => tables.reasonStats(COUNTERS_START),
      () => tables.passStats(COUNTERS_START),
    ])
      expect(tablesFault(run)).toEqual({ code: 'TABLES_RANGE', what: 'VIP number', value: COUNTERS_START });
    expect(tablesFault(() => tables.missesOf(0))).toEqual({
      code: 'TABLES_RANGE',
      what: 'backend index',
      value: 0,
    });
  });
});
