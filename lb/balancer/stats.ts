import type { BpfMap } from '../bpf/maps/map.js';
import { type DropReason, type PassReason, type Reason, reasonRow } from './reasons.js';
import {
  COUNTER_SLOTS,
  COUNTERS_START,
  type CounterName,
  decode,
  encode,
  LB_STATS,
  QUIC_STATS,
  STABLE_ROUTING_STATS,
  TCP_SERVER_ID_STATS,
  U32,
  U64,
} from './schema.js';
import type { Struct } from './structs.js';

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
 * What the two words of each global counter count; an empty text: unused.
 * Bytes of the xdp_… counters are of the whole frame as received.
 */
export const COUNTERS: Readonly<Record<CounterName, { readonly v1: string; readonly v2: string }>> = {
  lru: { v1: 'packets for a VIP', v2: 'packets whose backend the ring gave' },
  lru_miss: { v1: 'TCP SYN without a table entry', v2: 'other TCP packets without a table entry' },
  new_connection_rate: { v1: 'connections in the current second', v2: 'start of that second, ns' },
  fallback_lru: { v1: 'packets on a CPU without a connection table', v2: '' },
  too_big_sent: { v1: '"fragmentation needed" sent', v2: 'ICMPv6 "packet too big" sent' },
  source_route: {
    v1: 'new flows whose client has no source route',
    v2: 'new flows that a source route took',
  },
  remote_decap: { v1: 'tunnel packets for a tunnel destination', v2: '' },
  encap_fail: { v1: 'IPv4 header without room', v2: 'IPv6 header without room' },
  global_lru: { v1: 'look-ups on a CPU without a global table', v2: 'packets that a global table routed' },
  ring_drop: { v1: 'drops: the ring names no backend', v2: 'drops: empty ring' },
  decap: { v1: 'outer IPv4 headers taken off', v2: 'outer IPv6 headers taken off' },
  quic_icmp: { v1: 'ICMP errors for QUIC VIPs', v2: 'those with a code that a client may ignore' },
  too_big_seen_ipv6: { v1: 'ICMPv6 "packet too big" received', v2: 'those with an MTU below 1280' },
  too_big_seen_ipv4: { v1: '"fragmentation needed" received', v2: 'those with an MTU below 1280' },
  rebalanced: {
    v1: 'IPv4 packets balanced after their tunnel',
    v2: 'IPv6 packets balanced after their tunnel',
  },
  flow_migrated: { v1: 'UDP packets taken from a backend that is down', v2: '' },
  xdp_total: { v1: 'packets', v2: 'bytes' },
  xdp_tx: { v1: 'packets', v2: 'bytes' },
  xdp_drop: { v1: 'packets', v2: 'bytes' },
  xdp_pass: { v1: 'packets', v2: 'bytes' },
  egress_decap: {
    v1: 'IPv4 packets sent back out after their tunnel',
    v2: 'IPv6 packets sent back out after their tunnel',
  },
  events_lost: { v1: 'events for which the ring buffer had no room', v2: '' },
};
export type { CounterName } from './schema.js';
export const COUNTER_NAMES = Object.keys(COUNTER_SLOTS) as readonly CounterName[];

/** The counters that count frames by verdict, packets and bytes. */
const FRAME_COUNTERS = { total: 'xdp_total', tx: 'xdp_tx', drop: 'xdp_drop', pass: 'xdp_pass' } as const;
/** Frames that one CPU saw, and what became of them. */
export type FrameStats = Readonly<Record<keyof typeof FRAME_COUNTERS, PacketStats>>;

const u32 = (value: number): Uint8Array => encode(U32, { value });

/** Bytes of one CPU's copy in a value of a per-CPU map. */
const strideOf = (struct: Struct): number => (struct.sizeBytes + 7) & ~7;

/** A row of a per-CPU map of lb_stats, one copy a CPU; empty where there is no row. */
export function statsByCpu(map: BpfMap, index: number): readonly CounterValue[] {
  const copies = map.lookup(u32(index));
  if (copies === undefined) return [];
  return Array.from({ length: map.cpus }, (_, cpu) => decode(LB_STATS, copies, cpu * strideOf(LB_STATS)));
}

/**
 * A row of a per-CPU map of lb_stats, summed; zero where there is none. Field by field and not by `decode`: a scrape of a large
 * configuration reads hundreds of thousands of them.
 */
export function sumStats(map: BpfMap, index: number): CounterValue {
  const key = new Uint8Array(4);
  new DataView(key.buffer).setUint32(0, index, true);
  const copies = map.lookup(key);
  let [v1, v2] = [0n, 0n];
  if (copies === undefined) return { v1, v2 };
  const view = new DataView(copies.buffer, copies.byteOffset, copies.byteLength);
  const { fields } = LB_STATS;
  for (let cpu = 0; cpu < map.cpus; cpu++) {
    const at = cpu * strideOf(LB_STATS);
    v1 += view.getBigUint64(at + fields.v1.offset, true);
    v2 += view.getBigUint64(at + fields.v2.offset, true);
  }
  return { v1, v2 };
}

/** The same row as packets and bytes. */
export function sumPackets(map: BpfMap, index: number): PacketStats {
  const { v1, v2 } = sumStats(map, index);
  return { packets: v1, bytes: v2 };
}

/** A row of a per-CPU map of u32, summed; 0 where there is none. */
export function sumWords(map: BpfMap, index: number): number {
  const copies = map.lookup(u32(index));
  if (copies === undefined) return 0;
  let sum = 0;
  for (let cpu = 0; cpu < map.cpus; cpu++) sum += decode(U32, copies, cpu * strideOf(U32)).value;
  return sum;
}

/** A row of a per-CPU map of u64, summed; 0 where there is none. */
export function sumLongs(map: BpfMap, index: number): bigint {
  const copies = map.lookup(u32(index));
  if (copies === undefined) return 0n;
  let sum = 0n;
  for (let cpu = 0; cpu < map.cpus; cpu++) sum += decode(U64, copies, cpu * strideOf(U64)).value;
  return sum;
}

/** All global counters by name. The second of new_connection_rate is the latest of all CPUs. */
export function readCounters(stats: BpfMap): Readonly<Record<CounterName, CounterValue>> {
  const entries = COUNTER_NAMES.map((name) => {
    const copies = statsByCpu(stats, COUNTERS_START + COUNTER_SLOTS[name]);
    const v1 = copies.reduce((sum, one) => sum + one.v1, 0n);
    const join = name === 'new_connection_rate' ? larger : (a: bigint, b: bigint) => a + b;
    return [name, { v1, v2: copies.reduce((sum, one) => join(sum, one.v2), 0n) }] as const;
  });
  return Object.fromEntries(entries) as Record<CounterName, CounterValue>;
}

/** Frames by CPU, from CPU 0 on: every CPU that per-CPU maps have, used or not. */
export function framesByCpu(stats: BpfMap): readonly FrameStats[] {
  const rows = Object.entries(FRAME_COUNTERS).map(
    ([field, counter]) => [field, statsByCpu(stats, COUNTERS_START + COUNTER_SLOTS[counter])] as const,
  );
  return Array.from({ length: stats.cpus }, (_, cpu) => {
    const entries = rows.map(([field, copies]) => {
      const { v1, v2 } = copies[cpu] ?? { v1: 0n, v2: 0n };
      return [field, { packets: v1, bytes: v2 }];
    });
    return Object.fromEntries(entries) as FrameStats;
  });
}

/** Packets of one VIP by reason, for the reasons that are asked for; of none where no number is given. One read for all. */
export function readReasons<R extends Reason>(
  map: BpfMap,
  vipNumber: number | undefined,
  reasons: readonly R[],
): Readonly<Record<R, PacketStats>> {
  const rows = reasons.map((reason) => reasonRow(reason, vipNumber));
  const counted = rows.filter((row) => row !== undefined);
  const first = Math.min(...counted);
  const sums = counted.length === 0 ? [] : sumRows(map, first, Math.max(...counted) - first + 1);
  const entries = reasons.map((reason, i) => {
    const row = rows[i];
    return [reason, (row === undefined ? undefined : sums[row - first]) ?? NO_PACKETS] as const;
  });
  return Object.fromEntries(entries) as Record<R, PacketStats>;
}
const NO_PACKETS: PacketStats = { packets: 0n, bytes: 0n };

/** Neighbouring rows of a per-CPU map of lb_stats, each summed; fewer where the map ends. */
function sumRows(map: BpfMap, first: number, count: number): readonly PacketStats[] {
  const batch = map.lookupBatch(count, first === 0 ? undefined : u32(first - 1));
  const view = new DataView(batch.values.buffer, batch.values.byteOffset, batch.values.byteLength);
  const stride = strideOf(LB_STATS);
  return Array.from({ length: batch.count }, (_, row) => {
    let [packets, bytes] = [0n, 0n];
    for (let cpu = 0; cpu < map.cpus; cpu++) {
      const at = row * map.valueBytes + cpu * stride;
      packets += view.getBigUint64(at + LB_STATS.fields.v1.offset, true);
      bytes += view.getBigUint64(at + LB_STATS.fields.v2.offset, true);
    }
    return { packets, bytes };
  });
}
export type DropStats = Readonly<Record<DropReason, PacketStats>>;
export type PassStats = Readonly<Record<PassReason, PacketStats>>;

/** The fields of a struct of counters, each a u64, summed. */
type Sums<S extends Struct> = { readonly [N in keyof S['fields']]: bigint };
export type QuicStats = Sums<typeof QUIC_STATS>;
export type TcpServerIdStats = Sums<typeof TCP_SERVER_ID_STATS>;
export type StableRoutingStats = Sums<typeof STABLE_ROUTING_STATS>;

/** Server ids of a VIP's packets. */
export interface ServerIdStats {
  /** Packets that could not have an id yet: QUIC Initial and 0-RTT, TCP SYN. */
  readonly withoutId: bigint;
  /** Packets whose entry in the connection table was another backend than their id's. */
  readonly mismatches: bigint;
}

/** The only row of a per-CPU map of `struct`, its fields joined over the CPUs by `join`. */
function readFields<S extends Struct>(
  map: BpfMap,
  struct: S,
  join: (field: string, sum: bigint, one: bigint) => bigint,
): Sums<S> {
  const copies = map.lookup(u32(0)) ?? new Uint8Array(map.valueBytes);
  const view = new DataView(copies.buffer, copies.byteOffset, copies.byteLength);
  const entries = Object.entries(struct.fields).map(([field, { offset }]) => {
    let sum = 0n;
    for (let cpu = 0; cpu < map.cpus; cpu++)
      sum = join(field, sum, view.getBigUint64(cpu * strideOf(struct) + offset, true));
    return [field, sum];
  });
  return Object.fromEntries(entries) as Sums<S>;
}

const add = (_: string, sum: bigint, one: bigint): bigint => sum + one;
const larger = (a: bigint, b: bigint): bigint => (a > b ? a : b);

/**
 * Server ids in QUIC connection ids. `cid_invalid_server_id_sample` is no count: an id that is not mapped, seen last on
 * some CPU (the largest of them), 0 where there was none.
 */
export function readQuicStats(map: BpfMap): QuicStats {
  return readFields(map, QUIC_STATS, (field, sum, one) =>
    field === 'cid_invalid_server_id_sample' ? larger(sum, one) : sum + one,
  );
}

/** Server ids in a TCP option. */
export function readTcpServerIdStats(map: BpfMap): TcpServerIdStats {
  return readFields(map, TCP_SERVER_ID_STATS, add);
}

/** Server ids in the header of UDP stable routing. */
export function readStableRoutingStats(map: BpfMap): StableRoutingStats {
  return readFields(map, STABLE_ROUTING_STATS, add);
}
