/**
 * Keys and values of the balancer's maps, as programs/include/structs.h has them. Everything is little endian
 * but what a name ends in `Be` for; addresses are bytes in wire order, IPv4 in the first four of sixteen.
 */

/** How a field stands in memory. */
type Kind = 'u8' | 'u16be' | 'u32' | 'u64' | 'bytes';
interface Field<K extends Kind = Kind> {
  readonly kind: K;
  readonly offset: number;
  readonly bytes: number;
}
/** A struct: its size and its fields; bytes that belong to no field are zero. */
export interface Struct {
  /** Tag of the struct or union in C. */
  readonly name: string;
  readonly sizeBytes: number;
  readonly fields: Readonly<Record<string, Field>>;
}
type ValueOf<F extends Field> = F['kind'] extends 'bytes'
  ? Uint8Array
  : F['kind'] extends 'u64'
    ? bigint
    : number;
/** What a struct's fields hold in TypeScript. */
export type ValuesOf<S extends Struct> = { readonly [N in keyof S['fields']]: ValueOf<S['fields'][N]> };

const u8 = (offset: number): Field<'u8'> => ({ kind: 'u8', offset, bytes: 1 });
const u16be = (offset: number): Field<'u16be'> => ({ kind: 'u16be', offset, bytes: 2 });
const u32 = (offset: number): Field<'u32'> => ({ kind: 'u32', offset, bytes: 4 });
const u64 = (offset: number): Field<'u64'> => ({ kind: 'u64', offset, bytes: 8 });
const bytes = (offset: number, count: number): Field<'bytes'> => ({ kind: 'bytes', offset, bytes: count });

/** Key of the connection tables. */
export const FLOW_KEY = {
  name: 'flow_key',
  sizeBytes: 40,
  fields: { src: bytes(0, 16), dst: bytes(16, 16), sport: u16be(32), dport: u16be(34), protocol: u8(36) },
} as const satisfies Struct;

/** Value of the connection tables; `atime` is a monotonic time in ns, 0 for TCP. */
export const REAL_POS_LRU = {
  name: 'real_pos_lru',
  sizeBytes: 16,
  fields: { pos: u32(0), atime: u64(8) },
} as const satisfies Struct;

/** Key of vip_map; port 0 is every port. */
export const VIP_DEFINITION = {
  name: 'vip_definition',
  sizeBytes: 20,
  fields: { address: bytes(0, 16), port: u16be(16), protocol: u8(18) },
} as const satisfies Struct;

export const VIP_META = {
  name: 'vip_meta',
  sizeBytes: 8,
  fields: { flags: u32(0), vip_num: u32(4) },
} as const satisfies Struct;

/** Row of reals. */
export const REAL_DEFINITION = {
  name: 'real_definition',
  sizeBytes: 20,
  fields: { address: bytes(0, 16), flags: u8(16) },
} as const satisfies Struct;

/** Two counters; in most maps packets and bytes. */
export const LB_STATS = {
  name: 'lb_stats',
  sizeBytes: 16,
  fields: { v1: u64(0), v2: u64(8) },
} as const satisfies Struct;

export const CTL_VALUE = {
  name: 'ctl_value',
  sizeBytes: 8,
  fields: { mac: bytes(0, 6) },
} as const satisfies Struct;
export const NEXT_HOP = {
  name: 'next_hop',
  sizeBytes: 8,
  fields: { mac: bytes(0, 6) },
} as const satisfies Struct;
export const IP_ADDRESS = {
  name: 'ip_address',
  sizeBytes: 16,
  fields: { address: bytes(0, 16) },
} as const satisfies Struct;

/** Value of decap_counters. */
export const DECAP_STATS = {
  name: 'decap_stats',
  sizeBytes: 40,
  fields: { outer_ipv4: u64(0), outer_ipv6: u64(8), total: u64(16) },
} as const satisfies Struct;

/** A map's index, counter or number on its own. */
export const U32 = { name: '__u32', sizeBytes: 4, fields: { value: u32(0) } } as const satisfies Struct;

/** Which struct each map has for key and value, under the map's name. */
export const MAP_SCHEMA = {
  vip_map: { key: VIP_DEFINITION, value: VIP_META },
  vip_addresses: { key: IP_ADDRESS, value: U32 },
  vip_rings: { key: U32, value: U32 },
  ch_rings: { key: U32, value: U32 },
  reals: { key: U32, value: REAL_DEFINITION },
  real_macs: { key: U32, value: NEXT_HOP },
  fallback_cache: { key: FLOW_KEY, value: REAL_POS_LRU },
  lru_mapping: { key: U32, value: U32 },
  ctl_array: { key: U32, value: CTL_VALUE },
  stats: { key: U32, value: LB_STATS },
  reals_stats: { key: U32, value: LB_STATS },
  drop_stats: { key: U32, value: LB_STATS },
  lru_miss_stats: { key: U32, value: U32 },
  vip_miss_stats: { key: U32, value: VIP_DEFINITION },
} as const satisfies Record<string, { readonly key: Struct; readonly value: Struct }>;
export type BalancerMapName = keyof typeof MAP_SCHEMA;

/** Slots of a ring. */
export const RING_SIZE = 65537;
/** VIPs, and rings: a VIP's number is below it. */
export const MAX_VIPS = 512;
/** Rows of reals; row 0 is never a backend. */
export const MAX_REALS = 4096;
/** Rows of lru_mapping. */
export const MAX_CPUS = 128;
/** Slot of ctl_array that holds the MAC address of the router. */
export const CTL_ROUTER_MAC = 0;

/** Flags of a VIP (vip_meta.flags). */
export const VIP_FLAGS = {
  /** Source port out of key, hash and outer header: a client's flows share a backend. */
  HASH_NO_SRC_PORT: 1,
  /** No connection table: the ring alone decides. */
  LRU_BYPASS: 2,
  /** Destination port alone decides. */
  HASH_DPORT_ONLY: 8,
  /** A VIP of all ports tells destination ports apart. */
  HASH_SRC_DST_PORT: 128,
} as const;

/** Flags of a backend (real_definition.flags). */
export const REAL_FLAGS = { IPV6: 1 } as const;

/** A silent UDP flow is forgotten after this long (`udp_timeout_ns` of the program), ns. */
export const UDP_TIMEOUT_NS = 30_000_000_000n;

/** Read a struct that stands at `offset` of `from`. */
export function decode<S extends Struct>(struct: S, from: Uint8Array, offset = 0): ValuesOf<S> {
  const view = new DataView(from.buffer, from.byteOffset + offset, struct.sizeBytes);
  const values = Object.entries(struct.fields).map(([name, field]) => [name, read(view, field)]);
  // The entries are those of `fields`, each with the type that its kind has.
  return Object.fromEntries(values) as ValuesOf<S>;
}

function read(view: DataView, field: Field): Uint8Array | bigint | number {
  switch (field.kind) {
    case 'u8':
      return view.getUint8(field.offset);
    case 'u16be':
      return view.getUint16(field.offset, false);
    case 'u32':
      return view.getUint32(field.offset, true);
    case 'u64':
      return view.getBigUint64(field.offset, true);
    case 'bytes':
      return new Uint8Array(view.buffer, view.byteOffset + field.offset, field.bytes).slice();
  }
}

/** Bytes of a struct; shorter byte fields are filled with zeros, and so is what no field covers. */
export function encode<S extends Struct>(struct: S, values: ValuesOf<S>): Uint8Array {
  const out = new Uint8Array(struct.sizeBytes);
  const view = new DataView(out.buffer);
  const given: Readonly<Record<string, Uint8Array | bigint | number>> = values;
  for (const [name, field] of Object.entries(struct.fields)) write(view, field, given[name]!, name);
  return out;
}

function write(view: DataView, field: Field, value: Uint8Array | bigint | number, name: string): void {
  if (value instanceof Uint8Array) {
    if (field.kind !== 'bytes' || value.length > field.bytes) {
      throw new RangeError(`${name}: ${value.length} bytes do not fit`);
    }
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength).set(value, field.offset);
    return;
  }
  const number = BigInt(value);
  if (field.kind === 'bytes' || number < 0n || number >= 1n << BigInt(field.bytes * 8)) {
    throw new RangeError(`${name}: ${value} does not fit`);
  }
  if (field.kind === 'u64') view.setBigUint64(field.offset, number, true);
  else if (field.kind === 'u32') view.setUint32(field.offset, Number(number), true);
  else if (field.kind === 'u16be') view.setUint16(field.offset, Number(number), false);
  else view.setUint8(field.offset, Number(number));
}
