/**
 * The balancer's maps as tests see them: rows written field by field, and all that the program counts in one flat object,
 * so that a case can say which counters move and that no other one does.
 */
import {
  REASON_SLOT_NO_VIP,
  REASONS_MAX,
  reasonOfCode,
  reasonRow,
  VIP_REASON_NAMES,
  VIP_REASONS,
} from '../../lb/balancer/reasons.js';
import {
  type BalancerMapName,
  COUNTER_SLOTS,
  COUNTERS_START,
  DECISION,
  FLOW_KEY,
  LB_STATS,
  MAP_SCHEMA,
  QUIC_STATS,
  REAL_POS_LRU,
  STABLE_ROUTING_STATS,
  TCP_SERVER_ID_STATS,
  U32,
} from '../../lb/balancer/schema.js';
import { decode, encode, type Struct, type ValuesOf } from '../../lb/balancer/structs.js';
import type { BpfMap } from '../../lb/bpf/maps/map.js';

export type Maps = ReadonlyMap<string, BpfMap>;
type KeyOf<N extends BalancerMapName> = ValuesOf<(typeof MAP_SCHEMA)[N]['key']>;
type RowOf<N extends BalancerMapName> = ValuesOf<(typeof MAP_SCHEMA)[N]['value']>;

export function mapOf(maps: Maps, name: string): BpfMap {
  const map = maps.get(name);
  if (map === undefined) throw new Error(`no map ${name}`);
  return map;
}

/** Write one row; a per-CPU row on every CPU. */
export function putRow<N extends BalancerMapName>(maps: Maps, name: N, key: KeyOf<N>, row: RowOf<N>): void {
  const map = mapOf(maps, name);
  const schema: { readonly key: Struct; readonly value: Struct } = MAP_SCHEMA[name];
  // Which structs these are, the types of the parameters have said.
  const fields = { key: key as ValuesOf<Struct>, row: row as ValuesOf<Struct> };
  const one = encode(schema.value, fields.row);
  const all = new Uint8Array(map.valueBytes);
  for (let at = 0; at < all.length; at += stride(one.length)) all.set(one, at);
  const status = map.update(encode(schema.key, fields.key), all);
  if (status !== 0) throw new Error(`${name}: ${status}`);
}

/** Copies of per-CPU values stand on multiples of 8 bytes. */
const stride = (bytes: number): number => Math.ceil(bytes / 8) * 8;

/** Delete all entries of a hash. */
export function emptyMap(map: BpfMap): void {
  for (let key = map.nextKey(); key !== undefined; key = map.nextKey()) map.delete(key);
}

/** VIP numbers and backend indices that cases may use: rows beyond are not read. */
export const CASE_VIPS = 32;
export const CASE_REALS = 16;

/** What was counted, by name; counters that stand at 0 are absent. */
export type Counts = Readonly<Record<string, bigint>>;

/** Names of the rows of a map, from its first one on. */
interface Rows {
  readonly struct: Struct;
  readonly names: readonly string[];
  /** The first row, where it is not the map's first: each is then looked up by itself. */
  readonly from?: number;
}

function addRows(into: Record<string, bigint>, map: BpfMap, { struct, names, from }: Rows): void {
  const bytes = map.valueBytes;
  const rows =
    from === undefined
      ? map.lookupBatch(names.length).values
      : Buffer.concat(names.map((_, i) => map.lookup(encode(U32, { value: from + i }))!));
  const view = new DataView(rows.buffer, rows.byteOffset, rows.byteLength);
  for (let at = 0; at < names.length * bytes; at += 8) {
    // Most are zero, and reading fields takes its time.
    if (view.getBigUint64(at, true) === 0n) continue;
    const copy = Math.floor((at % bytes) / stride(struct.sizeBytes)) * stride(struct.sizeBytes);
    const row = Math.floor(at / bytes);
    for (const [field, value] of Object.entries(decode(struct, rows, row * bytes + copy))) {
      if (typeof value === 'object' || BigInt(value) === 0n) continue;
      const key = struct === U32 ? names[row]! : `${names[row]}.${field}`;
      into[key] = (into[key] ?? 0n) + BigInt(value);
    }
    at = row * bytes + copy + stride(struct.sizeBytes) - 8;
  }
}

const numbered = (count: number, name: string): string[] =>
  Array.from({ length: count }, (_, index) => `${name}.${index}`);

/** The counter of the rate of new connections: its words are a count within a second and a time. */
export const RATE_COUNTER = 'new_connection_rate';

/** Global counters in the order of their slots. */
const COUNTER_NAMES = Object.entries(COUNTER_SLOTS)
  .sort(([, a], [, b]) => a - b)
  .map(([name]) => name);

/** Rows of packets without a VIP in reason_stats; those without a reason have their number for a name. */
const reasonsWithoutVip = Array.from(
  { length: REASONS_MAX },
  (_, code) => `${reasonOfCode(code) ?? code}.none`,
);
/** Rows of a VIP; those that no reason has have their place for a name. */
const reasonsOfVip = (vip: number): string[] =>
  Array.from({ length: VIP_REASONS }, (_, place) => {
    const found = VIP_REASON_NAMES.find((reason) => reasonRow(reason, vip) === vip * VIP_REASONS + place);
    return `${found ?? place}.${vip}`;
  });

/** What is read: rows by map, and where they start if not at the first one. */
const COUNTED: readonly (Rows & { readonly map: BalancerMapName })[] = [
  { map: 'stats', struct: LB_STATS, names: numbered(CASE_VIPS, 'vip') },
  { map: 'stats', struct: LB_STATS, names: COUNTER_NAMES, from: COUNTERS_START },
  { map: 'reals_stats', struct: LB_STATS, names: numbered(CASE_REALS, 'real') },
  { map: 'server_id_stats', struct: LB_STATS, names: numbered(CASE_VIPS, 'server_id') },
  { map: 'decap_vip_stats', struct: LB_STATS, names: numbered(CASE_VIPS, 'decap_vip') },
  { map: 'lru_miss_stats', struct: U32, names: numbered(CASE_REALS, 'miss') },
  { map: 'quic_stats_map', struct: QUIC_STATS, names: ['quic'], from: 0 },
  { map: 'tpr_stats_map', struct: TCP_SERVER_ID_STATS, names: ['tcp_id'], from: 0 },
  { map: 'stable_rt_stats', struct: STABLE_ROUTING_STATS, names: ['udp_id'], from: 0 },
  {
    map: 'reason_stats',
    struct: LB_STATS,
    names: Array.from({ length: CASE_VIPS }, (_, vip) => vip).flatMap(reasonsOfVip),
  },
  {
    map: 'reason_stats',
    struct: LB_STATS,
    names: reasonsWithoutVip,
    from: REASON_SLOT_NO_VIP * VIP_REASONS,
  },
];

/**
 * All that is counted: `<counter>.v1`, `vip.<number>.v1` (packets, v2 bytes), `real.<index>.v1`,
 * `<reason>.<VIP number or none>.v1`, `quic.<field>`, `tcp_id.<field>`, `udp_id.<field>`, `server_id.<number>.v1`,
 * `decap_vip.<number>.v1`, `miss.<index>`. Without the rate of new connections.
 */
export function readCounts(maps: Maps): Counts {
  const counts: Record<string, bigint> = {};
  for (const { map, ...rows } of COUNTED) addRows(counts, mapOf(maps, map), rows);
  for (const word of ['v1', 'v2']) delete counts[`${RATE_COUNTER}.${word}`];
  return counts;
}

/** What moved between two readings. */
export function countsMoved(before: Counts, after: Counts): Counts {
  const moved: Record<string, bigint> = {};
  for (const [name, value] of Object.entries(after)) {
    const change = value - (before[name] ?? 0n);
    if (change !== 0n) moved[name] = change;
  }
  return moved;
}

/** A flow of a connection table; addresses as 32 hexadecimal digits. */
export interface TableEntry {
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
  readonly protocol: number;
  readonly pos: number;
  readonly atime: bigint;
}

/** All flows of a connection table. */
export function tableEntries(table: BpfMap): TableEntry[] {
  const entries: TableEntry[] = [];
  table.forEach((keyBytes, valueBytes) => {
    const { src, dst, sport, dport, protocol } = decode(FLOW_KEY, keyBytes);
    const { pos, atime } = decode(REAL_POS_LRU, valueBytes);
    const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
    entries.push({ src: text(src), dst: text(dst), sport, dport, protocol, pos, atime });
  });
  return entries;
}

/** Make all flows of a table seem older. */
export function ageTable(table: BpfMap, ns: bigint): void {
  for (let key = table.nextKey(); key !== undefined; key = table.nextKey(key)) {
    const { pos, atime } = decode(REAL_POS_LRU, table.lookup(key)!);
    table.update(key, encode(REAL_POS_LRU, { pos, atime: atime - ns }));
  }
}

export type Decision = ValuesOf<typeof DECISION>;
/** A reason that no packet has: what stands in decisions before a packet comes. */
const NO_REASON = 0xffff_ffff;

/** Mark all CPUs' decisions, to tell afterwards which one was written; `cpu` is whose table a simulation asks. */
export function markDecisions(maps: Maps, cpu = 0): void {
  const blank = { reason: NO_REASON, table: 0, vip_num: 0, real: 0, hash: 0, slot: 0, flags: 0, cpu };
  putRow(maps, 'decisions', { value: 0 }, blank);
}

/** The decision that was written since they were marked; undefined: none was. */
export function readMarkedDecision(maps: Maps): Decision | undefined {
  const copies = mapOf(maps, 'decisions').lookup(encode(U32, { value: 0 }))!;
  for (let at = 0; at < copies.length; at += DECISION.sizeBytes) {
    const decision = decode(DECISION, copies, at);
    if (decision.reason !== NO_REASON) return decision;
  }
  return undefined;
}
