/**
 * Keys and values of the maps of the balancer's companions, as programs/include/healthcheck.h and programs/decap.bpf.c
 * have them. Addresses are bytes in wire order, IPv4 in the first four of sixteen, but where said otherwise.
 */
import { DECAP_STATS, IP_ADDRESS, U32, U64 } from '../schema.js';
import { bytes, type MapSchema, type Struct, u8, u16be, u64 } from '../structs.js';

export { DECAP_STATS, IP_ADDRESS, U32, U64 } from '../schema.js';

/** Where a health check goes; of the source addresses too. For the tunnel program an IPv4 address is a little-endian number. */
export const HC_REAL_DEFINITION = {
  name: 'hc_real_definition',
  sizeBytes: 20,
  fields: { address: bytes(0, 16), flags: u8(16) },
} as const satisfies Struct;

export const HC_MAC = {
  name: 'hc_mac',
  sizeBytes: 6,
  fields: { mac: bytes(0, 6) },
} as const satisfies Struct;

/** What a health check tries; the port is 0 unless the protocol is TCP or UDP. */
export const HC_KEY = {
  name: 'hc_key',
  sizeBytes: 20,
  fields: { address: bytes(0, 16), port: u16be(16), protocol: u8(18) },
} as const satisfies Struct;

/** One end of a flow; port 0 is any. */
export const HC_MATCH_KEY = {
  name: 'hc_match_key',
  sizeBytes: 20,
  fields: { address: bytes(0, 16), port: u16be(16), flags: u8(18) },
} as const satisfies Struct;

export const HC_STATS = {
  name: 'hc_stats',
  sizeBytes: 48,
  fields: {
    processed: u64(0),
    dropped: u64(8),
    skipped: u64(16),
    too_big: u64(24),
    dst_matched: u64(32),
    src_matched: u64(40),
  },
} as const satisfies Struct;

/** A counter on its own. */

export const HEALTHCHECK_MAPS = {
  hc_reals_map: { key: U32, value: HC_REAL_DEFINITION },
  hc_dst_reals_map: { key: HC_MATCH_KEY, value: HC_REAL_DEFINITION },
  hc_src_reals_map: { key: HC_MATCH_KEY, value: HC_REAL_DEFINITION },
  hc_ctrl_map: { key: U32, value: U32 },
  hc_pckt_srcs_map: { key: U32, value: HC_REAL_DEFINITION },
  hc_pckt_macs: { key: U32, value: HC_MAC },
  hc_stats_map: { key: U32, value: HC_STATS },
  hc_key_map: { key: HC_KEY, value: U32 },
  per_hckey_stats: { key: U32, value: U64 },
} as const satisfies MapSchema;

export const DECAP_MAPS = {
  decap_dst: { key: IP_ADDRESS, value: U32 },
  decap_counters: { key: U32, value: DECAP_STATS },
  decap_drops: { key: U32, value: U64 },
  tpr_server_id: { key: U32, value: U32 },
} as const satisfies MapSchema;

/** The map that packets are handed on by: slot to program. */
export const ROOT_MAP = 'root_array';
/** Slots of root_array; the lowest that has a program runs. */
export const ROOT_SLOTS = 3;

/** Flags of hc_real_definition and hc_match_key. */
export const HC_FLAGS = { IPV6: 1 } as const;
/** Slots of hc_ctrl_map: the tunnel interfaces by family, and the one that packets leave by. */
export const HC_INTERFACE_SLOTS = { tunnel4: 1, tunnel6: 2, main: 3 } as const;
/** Slots of hc_pckt_srcs_map by family. */
export const HC_SOURCE_SLOTS = { 4: 0, 6: 1 } as const;
/** Slots of hc_pckt_macs. */
export const HC_MAC_SLOTS = { source: 0, destination: 1 } as const;
/** Rows of per_hckey_stats. */
export const MAX_HC_KEYS = 512;

/** Slots of decap_drops: `enum decap_drop` of the program. */
export const DECAP_DROP_SLOTS = { fragment: 0, ip_options: 1 } as const;
export type DecapDrop = keyof typeof DECAP_DROP_SLOTS;
