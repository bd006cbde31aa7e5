import type { BpfMap } from '../bpf/maps/map.js';
import { decode, encode, LB_STATS, MAX_VIPS, U32 } from './schema.js';

/** Packets and bytes since the map was made, summed over all CPUs. */
export interface PacketStats {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** The two words of a counter, summed over all CPUs. */
export interface CounterValue {
  readonly v1: bigint;
  readonly v2: bigint;
}

/**
 * Global counters: slot of `stats` after the VIPs' own, and what the two words count.
 * Bytes of the xdp_… counters are of the whole frame as received.
 */
export const COUNTERS = {
  lru: { slot: 0, v1: 'packets for a VIP', v2: 'packets whose backend the ring gave' },
  lru_miss: { slot: 1, v1: 'TCP SYN without a table entry', v2: 'other TCP packets without a table entry' },
  new_connection_rate: { slot: 2, v1: 'connections in the current second', v2: 'start of that second, ns' },
  fallback_lru: { slot: 3, v1: 'packets on a CPU without a connection table', v2: '' },
  encap_fail: { slot: 7, v1: 'IPv4 header without room', v2: 'IPv6 header without room' },
  ring_drop: { slot: 9, v1: 'drops: the ring names no backend', v2: 'drops: empty ring' },
  xdp_total: { slot: 16, v1: 'packets', v2: 'bytes' },
  xdp_tx: { slot: 17, v1: 'packets', v2: 'bytes' },
  xdp_drop: { slot: 18, v1: 'packets', v2: 'bytes' },
  xdp_pass: { slot: 19, v1: 'packets', v2: 'bytes' },
} as const;
export type CounterName = keyof typeof COUNTERS;
export const COUNTER_NAMES = Object.keys(COUNTERS) as readonly CounterName[];

/** Why the balancer drops a packet, in the order of `enum drop_reason` of the program. */
export const DROP_REASONS = [
  'short_frame',
  'fragment',
  'ip_options',
  'truncated',
  'too_long',
  'empty_ring',
  'no_real',
  'family_mismatch',
  'no_headroom',
] as const;
export type DropReason = (typeof DROP_REASONS)[number];
/** Rows of drop_stats that belong to one VIP. */
export const DROP_REASONS_MAX = 32;
/** Slot of drops before a VIP is known. */
export const DROP_SLOT_NO_VIP = MAX_VIPS;

const u32 = (value: number): Uint8Array => encode(U32, { value });

/** A row of a per-CPU map of lb_stats, summed; zero where there is none. */
export function sumStats(map: BpfMap, index: number): CounterValue {
  const copies = map.lookup(u32(index));
  let [v1, v2] = [0n, 0n];
  if (copies === undefined) return { v1, v2 };
  for (let cpu = 0; cpu < map.cpus; cpu++) {
    const one = decode(LB_STATS, copies, cpu * LB_STATS.sizeBytes);
    v1 += one.v1;
    v2 += one.v2;
  }
  return { v1, v2 };
}

/** The same row as packets and bytes. */
export function sumPackets(map: BpfMap, index: number): PacketStats {
  const { v1, v2 } = sumStats(map, index);
  return { packets: v1, bytes: v2 };
}

/** All global counters by name. */
export function readCounters(stats: BpfMap): Readonly<Record<CounterName, CounterValue>> {
  const entries = COUNTER_NAMES.map(
    (name) => [name, sumStats(stats, MAX_VIPS + COUNTERS[name].slot)] as const,
  );
  return Object.fromEntries(entries) as Record<CounterName, CounterValue>;
}

/** Drops of one slot by reason. */
export function readDrops(drops: BpfMap, slot: number): Readonly<Record<DropReason, PacketStats>> {
  const entries = DROP_REASONS.map(
    (reason, i) => [reason, sumPackets(drops, slot * DROP_REASONS_MAX + i)] as const,
  );
  return Object.fromEntries(entries) as Record<DropReason, PacketStats>;
}
