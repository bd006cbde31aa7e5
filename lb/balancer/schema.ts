/**
 * Keys and values of the balancer's maps, as programs/include/structs.h has them, and the numbers of
 * programs/include/consts.h. Addresses are bytes in wire order, IPv4 in the first four of sixteen.
 */
import { bytes, type MapSchema, type Struct, u8, u16, u16be, u32, u64 } from './structs.js';

export { decode, encode, type Struct, type ValuesOf } from './structs.js';

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

/** Key of vip_lpm_map; `prefix_bits` is VIP_LPM_HEAD_BITS more than that of the address. */
export const VIP_LPM_KEY = {
  name: 'vip_lpm_key',
  sizeBytes: 24,
  fields: { prefix_bits: u32(0), port: u16be(4), protocol: u8(6), address: bytes(8, 16) },
} as const satisfies Struct;

/** Key of vip_prefixes and lpm_src_v6. */
export const IPV6_PREFIX = {
  name: 'ipv6_prefix',
  sizeBytes: 20,
  fields: { prefix_bits: u32(0), address: bytes(4, 16) },
} as const satisfies Struct;

/** Key of lpm_src_v4. */
export const IPV4_PREFIX = {
  name: 'ipv4_prefix',
  sizeBytes: 8,
  fields: { prefix_bits: u32(0), address: bytes(4, 4) },
} as const satisfies Struct;

/** Row of reals, and of pckt_srcs. */
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

/** The MAC address of ctl_array's slot CTL_ROUTER_MAC. */
export const CTL_VALUE = {
  name: 'ctl_value',
  sizeBytes: 8,
  fields: { mac: bytes(0, 6) },
} as const satisfies Struct;
/** A number in one of its other slots. */
export const CTL_NUMBER = {
  name: 'ctl_value',
  sizeBytes: 8,
  fields: { value: u64(0) },
} as const satisfies Struct;
export const NEXT_HOP = {
  name: 'next_hop',
  sizeBytes: 8,
  fields: { mac: bytes(0, 6) },
} as const satisfies Struct;
/** Key of vip_addresses and decap_dst. */
export const IP_ADDRESS = {
  name: 'ip_address',
  sizeBytes: 16,
  fields: { address: bytes(0, 16) },
} as const satisfies Struct;

/** Server ids in QUIC connection ids. */
export const QUIC_STATS = {
  name: 'quic_stats',
  sizeBytes: 104,
  fields: {
    ch_routed: u64(0),
    cid_initial: u64(8),
    cid_invalid_server_id: u64(16),
    cid_invalid_server_id_sample: u64(24),
    cid_routed: u64(32),
    cid_unknown_real_dropped: u64(40),
    cid_v0: u64(48),
    cid_v1: u64(56),
    cid_v2: u64(64),
    cid_v3: u64(72),
    dst_match_in_lru: u64(80),
    dst_mismatch_in_lru: u64(88),
    dst_not_found_in_lru: u64(96),
  },
} as const satisfies Struct;

/** Server ids in a TCP option. */
export const TCP_SERVER_ID_STATS = {
  name: 'tcp_server_id_stats',
  sizeBytes: 32,
  fields: { ch_routed: u64(0), dst_mismatch_in_lru: u64(8), sid_routed: u64(16), tcp_syn: u64(24) },
} as const satisfies Struct;

/** Server ids in a UDP stable-routing header. */
export const STABLE_ROUTING_STATS = {
  name: 'stable_routing_stats',
  sizeBytes: 40,
  fields: {
    ch_routed: u64(0),
    cid_routed: u64(8),
    cid_invalid_server_id: u64(16),
    cid_unknown_real_dropped: u64(24),
    invalid_packet_type: u64(32),
  },
} as const satisfies Struct;

/** Head of a record of the ring buffer `events`; `data_bytes` of the packet follow. */
export const EVENT_RECORD = {
  name: 'event_record',
  sizeBytes: 16,
  fields: { event: u32(0), packet_bytes: u32(4), data_bytes: u32(8), vip_num: u16(12), reason: u8(14) },
} as const satisfies Struct;

/** Why the last packet went where it went. */
export const DECISION = {
  name: 'decision',
  sizeBytes: 32,
  fields: {
    reason: u32(0),
    table: u32(4),
    vip_num: u32(8),
    real: u32(12),
    hash: u32(16),
    slot: u32(20),
    flags: u32(24),
    cpu: u32(28),
  },
} as const satisfies Struct;

/** Value of decap_counters. */
export const DECAP_STATS = {
  name: 'decap_stats',
  sizeBytes: 40,
  fields: {
    outer_ipv4: u64(0),
    outer_ipv6: u64(8),
    total: u64(16),
    server_id_checked: u64(24),
    server_id_misrouted: u64(32),
  },
} as const satisfies Struct;

/** A map's index, counter or number on its own. */
export const U32 = { name: '__u32', sizeBytes: 4, fields: { value: u32(0) } } as const satisfies Struct;
export const U64 = { name: '__u64', sizeBytes: 8, fields: { value: u64(0) } } as const satisfies Struct;
/** A mark on its own. */
export const U8 = { name: '__u8', sizeBytes: 1, fields: { value: u8(0) } } as const satisfies Struct;

/** Which struct each map has for key and value, under the map's name. */
export const MAP_SCHEMA = {
  vip_map: { key: VIP_DEFINITION, value: VIP_META },
  vip_addresses: { key: IP_ADDRESS, value: U32 },
  vip_lpm_map: { key: VIP_LPM_KEY, value: VIP_META },
  vip_prefixes: { key: IPV6_PREFIX, value: U32 },
  vip_rings: { key: U32, value: U32 },
  ch_rings: { key: U32, value: U32 },
  reals: { key: U32, value: REAL_DEFINITION },
  real_macs: { key: U32, value: NEXT_HOP },
  fallback_cache: { key: FLOW_KEY, value: REAL_POS_LRU },
  lru_mapping: { key: U32, value: U32 },
  fallback_glru: { key: FLOW_KEY, value: U32 },
  global_lru_maps: { key: U32, value: U32 },
  server_id_map: { key: U32, value: U32 },
  lpm_src_v4: { key: IPV4_PREFIX, value: U32 },
  lpm_src_v6: { key: IPV6_PREFIX, value: U32 },
  vip_to_down_reals_map: { key: VIP_DEFINITION, value: U32 },
  decap_dst: { key: IP_ADDRESS, value: U32 },
  pckt_srcs: { key: U32, value: REAL_DEFINITION },
  ctl_array: { key: U32, value: CTL_VALUE },
  stats: { key: U32, value: LB_STATS },
  reals_stats: { key: U32, value: LB_STATS },
  vip_new_flows: { key: U32, value: U64 },
  real_new_flows: { key: U32, value: U64 },
  reason_stats: { key: U32, value: LB_STATS },
  quic_stats_map: { key: U32, value: QUIC_STATS },
  stable_rt_stats: { key: U32, value: STABLE_ROUTING_STATS },
  tpr_stats_map: { key: U32, value: TCP_SERVER_ID_STATS },
  server_id_stats: { key: U32, value: LB_STATS },
  decap_vip_stats: { key: U32, value: LB_STATS },
  decisions: { key: U32, value: DECISION },
  lru_miss_stats: { key: U32, value: U32 },
  vip_miss_stats: { key: U32, value: VIP_DEFINITION },
} as const satisfies MapSchema;
export type BalancerMapName = keyof typeof MAP_SCHEMA;

/** The ring buffer of events: the one map without keys and values. */
export const EVENTS_MAP = 'events';

/** Slots of a ring. */
export const RING_SIZE = 65537;
/**
 * Where the global counters start in `stats`: numbers of VIPs are those below it, and then STATS_SLOTS and up. What has no
 * VIP has this number.
 */
export const COUNTERS_START = 512;
/** Where the numbers of VIPs go on behind the global counters. */
export const STATS_SLOTS = 1024;
/** VIPs and rings that the object has room for as it is built; see `sizesFor`. */
export const DEFAULT_VIPS = COUNTERS_START;
/** Rows of reals as the object is built; row 0 is never a backend. */
export const DEFAULT_REALS = 4096;
/** Rows of lru_mapping and global_lru_maps. */
export const MAX_CPUS = 128;
/** Slot of ctl_array that holds the MAC address of the router. */
export const CTL_ROUTER_MAC = 0;
/** Slot of ctl_array that is not 0 while packets are reported as events. */
export const CTL_EVENTS = 5;
/** Slots of pckt_srcs. */
export const OWN_ADDRESS_SLOTS = { 4: 0, 6: 1 } as const;
/** Bits of a vip_lpm_key in front of the address: port, protocol and padding, which always count. */
export const VIP_LPM_HEAD_BITS = 32;
/** Bytes of a packet that an event carries, at most. */
export const EVENT_PACKET_BYTES = 128;

/** Flags of a VIP (vip_meta.flags). */
export const VIP_FLAGS = {
  /** Source port out of key, hash and outer header: a client's flows share a backend. */
  HASH_NO_SRC_PORT: 1,
  /** No connection table: the ring alone decides. */
  LRU_BYPASS: 2,
  /** Server ids in QUIC connection ids decide. For UDP alone. */
  QUIC_VIP: 4,
  /** Destination port alone decides. */
  HASH_DPORT_ONLY: 8,
  /** The client's prefix decides before the ring. */
  SRC_ROUTING: 16,
  /** Packets for a backend that is this host (REAL_FLAGS.LOCAL) go up the stack. */
  LOCAL_VIP: 32,
  /** Tables that were filled from outside are asked after the CPU's own. */
  GLOBAL_LRU: 64,
  /** A VIP of all ports tells destination ports apart. */
  HASH_SRC_DST_PORT: 128,
  /** Server ids in a header of the UDP payload decide. */
  UDP_STABLE_ROUTING: 256,
  /** UDP flows leave backends that are marked down for the VIP. */
  UDP_FLOW_MIGRATION: 512,
} as const;
export type VipFlagName = keyof typeof VIP_FLAGS;

/** A silent UDP flow is forgotten after this long unless the option `udpTimeoutNs` says otherwise, ns. */
export const UDP_TIMEOUT_NS = 30_000_000_000n;

/** Flags of a backend (real_definition.flags). */
export const REAL_FLAGS = { IPV6: 1, LOCAL: 2 } as const;

/** Flags of a tunnel's destination (values of decap_dst). */
export const DECAP_FLAGS = {
  /** What comes out of the tunnel goes back where it came from. */
  EGRESS: 2,
} as const;

/** Global counters: index in `stats` from COUNTERS_START on. What the words count: COUNTERS (stats.ts). */
export const COUNTER_SLOTS = {
  lru: 0,
  lru_miss: 1,
  new_connection_rate: 2,
  fallback_lru: 3,
  too_big_sent: 4,
  source_route: 5,
  remote_decap: 6,
  encap_fail: 7,
  global_lru: 8,
  ring_drop: 9,
  decap: 10,
  quic_icmp: 11,
  too_big_seen_ipv6: 12,
  too_big_seen_ipv4: 13,
  rebalanced: 14,
  flow_migrated: 15,
  xdp_total: 16,
  xdp_tx: 17,
  xdp_drop: 18,
  xdp_pass: 19,
  egress_decap: 20,
  events_lost: 21,
} as const;
export type CounterName = keyof typeof COUNTER_SLOTS;

/** Where a backend came from, in the order of `enum table`. */
export const TABLES = [
  'none',
  'ring',
  'lru',
  'global_lru',
  'source_route',
  'quic',
  'udp_server_id',
  'tcp_server_id',
] as const;
export type TableName = (typeof TABLES)[number];

/** Flags of a decision. */
export const DECISION_FLAGS = {
  /** `hash` and `slot` are set. */
  HASHED: 1,
  /** The flow was noted in the connection table. */
  INSERTED: 2,
  /** Too many new connections: not noted. */
  FLOODED: 4,
  /** Taken from a backend that is down. */
  MIGRATED: 8,
  /** The packet came in a tunnel. */
  DECAPSULATED: 16,
  /** The flow is that of the packet inside an ICMP error. */
  ICMP: 32,
} as const;
export type DecisionFlagName = keyof typeof DECISION_FLAGS;

/** Kinds of events by their number (`enum event`). */
export const EVENT_KINDS = {
  tcp_nonsyn_lru_miss: 0,
  packet_too_big: 1,
  quic_unknown_server: 2,
  drop: 16,
} as const;
export type EventKind = keyof typeof EVENT_KINDS;
