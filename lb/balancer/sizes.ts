import type { ObjectSpec } from '../bpf/object/spec.js';
import { rowsForVips } from './limits.js';
import { type OptionName, OptionsError, optionOf } from './options.js';
import { REASONS_MAX, VIP_REASONS } from './reasons.js';
import { COUNTERS_START, RING_SIZE, STATS_SLOTS } from './schema.js';

interface SizeRule {
  readonly min: number;
  readonly max: number;
  /** Sizes are multiples of it. */
  readonly step?: number;
  readonly isPowerOfTwo?: boolean;
  /** Options that use the map; without them the map is as small as it can be. */
  readonly options?: readonly OptionName[];
}

/** The most that the kernel takes for a hash or a trie. */
const MAX_ENTRIES = 2 ** 31;
/** A ring buffer has whole pages, in a power of two (kernel/bpf/ringbuf.c's rule). */
const PAGE_BYTES = 4096;
const SERVER_ID_OPTIONS = ['quicRouting', 'tcpServerIds', 'udpStableRouting'] as const;

/** Numbers of VIPs are of 16 bits in events. */
const MAX_VIPS = 65_024;
const MAX_VIP_ROWS = rowsForVips(MAX_VIPS);
/** Index in ch_rings is a number of 32 bits; more memory than this the kernel does not give to one map. */
const MAX_RINGS = 8192;
/** Rows of reals: row 0 is none. */
const MAX_REAL_ROWS = 2 ** 20;

/** Maps whose size is not fixed by the program's own arithmetic, entries; of `events` bytes. */
const SIZES = {
  vip_map: { min: 1, max: MAX_VIPS },
  vip_addresses: { min: 1, max: MAX_VIPS },
  vip_rings: { min: 1, max: MAX_VIP_ROWS },
  /** The global counters' slots are always there. */
  stats: { min: STATS_SLOTS, max: MAX_VIP_ROWS },
  reason_stats: { min: reasonRows(1), max: reasonRows(MAX_VIPS) },
  server_id_stats: { min: 1, max: MAX_VIP_ROWS },
  decap_vip_stats: { min: 1, max: MAX_VIP_ROWS },
  reals: { min: 2, max: MAX_REAL_ROWS },
  real_macs: { min: 2, max: MAX_REAL_ROWS },
  reals_stats: { min: 2, max: MAX_REAL_ROWS },
  vip_new_flows: { min: 1, max: MAX_VIP_ROWS },
  real_new_flows: { min: 2, max: MAX_REAL_ROWS },
  lru_miss_stats: { min: 2, max: MAX_REAL_ROWS },
  /** Whole rings. */
  ch_rings: { min: RING_SIZE, max: MAX_RINGS * RING_SIZE, step: RING_SIZE },
  /** The connection table of CPUs without one of their own. */
  fallback_cache: { min: 1, max: MAX_ENTRIES },
  fallback_glru: { min: 1, max: MAX_ENTRIES, options: ['globalLru'] },
  vip_lpm_map: { min: 1, max: MAX_ENTRIES, options: ['prefixVips'] },
  vip_prefixes: { min: 1, max: MAX_ENTRIES, options: ['prefixVips'] },
  server_id_map: { min: 1, max: MAX_ENTRIES, options: SERVER_ID_OPTIONS },
  lpm_src_v4: { min: 1, max: MAX_ENTRIES, options: ['sourceRouting'] },
  lpm_src_v6: { min: 1, max: MAX_ENTRIES, options: ['sourceRouting'] },
  decap_dst: { min: 1, max: MAX_ENTRIES, options: ['ipipDecap', 'gueDecap'] },
  vip_to_down_reals_map: { min: 1, max: MAX_VIPS, options: ['udpFlowMigration'] },
  events: { min: PAGE_BYTES, max: MAX_ENTRIES, isPowerOfTwo: true, options: ['eventsEnabled'] },
} as const satisfies Readonly<Record<string, SizeRule>>;
export type SizableMap = keyof typeof SIZES;

/** Rows of reason_stats for so many VIPs; those of packets without a VIP are always there. */
function reasonRows(vips: number): number {
  return Math.max(rowsForVips(vips) * VIP_REASONS, COUNTERS_START * VIP_REASONS + REASONS_MAX);
}

/** Entries by map; what is absent keeps the object's own size. */
export type MapSizes = { readonly [M in SizableMap]?: number };

/** How much of each a balancer is to have room for. */
export interface Capacity {
  /** VIPs, to 65,024; those that are prefixes have the size of vip_lpm_map besides. */
  readonly vips: number;
  /** Rings, to 8,192: one for each pool that serves. Each takes 256 KiB in the arena, 512 KiB in the kernel. */
  readonly rings: number;
  /** Addresses of backends, to 1,048,575. */
  readonly reals: number;
}

/** Sizes of the maps of a balancer: what is to be given to `sizedObject`, which checks them. */
export function sizesFor({ vips, rings, reals }: Capacity): MapSizes {
  const vipRows = rowsForVips(vips);
  return {
    vip_map: vips,
    vip_addresses: vips,
    vip_rings: vipRows,
    stats: Math.max(vipRows, STATS_SLOTS),
    reason_stats: reasonRows(vips),
    server_id_stats: vipRows,
    decap_vip_stats: vipRows,
    vip_new_flows: vipRows,
    vip_to_down_reals_map: vips,
    ch_rings: rings * RING_SIZE,
    reals: reals + 1,
    real_macs: reals + 1,
    reals_stats: reals + 1,
    real_new_flows: reals + 1,
    lru_miss_stats: reals + 1,
  };
}

/**
 * The object with maps of other sizes. Maps of an option that is off (see withOptions) are as small as they can be,
 * whatever is asked for.
 * @throws OptionsError OPTIONS_MAP_FIXED for a map whose size is the program's own, OPTIONS_MAP_SIZE
 */
export function sizedObject(object: ObjectSpec, sizes: MapSizes = {}): ObjectSpec {
  for (const [map, entries] of Object.entries(sizes)) checkSize(map, entries);
  const maps = object.maps.map((map) => {
    if (!isSizable(map.name)) return map;
    const rule: SizeRule = SIZES[map.name];
    const isOff = rule.options?.every((option) => optionOf(object, option) === 0) ?? false;
    return { ...map, maxEntries: isOff ? rule.min : (sizes[map.name] ?? map.maxEntries) };
  });
  return { ...object, maps };
}

function isSizable(map: string): map is SizableMap {
  return Object.hasOwn(SIZES, map);
}

function checkSize(map: string, entries: number): void {
  if (!isSizable(map)) {
    throw new OptionsError(
      { code: 'OPTIONS_MAP_FIXED', map },
      `map ${map}: its size is fixed by the program; those of ${Object.keys(SIZES).join(', ')} are not`,
    );
  }
  const rule: SizeRule = SIZES[map];
  const { min, max, step = 1, isPowerOfTwo = false } = rule;
  const isRound = isPowerOfTwo ? Number.isInteger(Math.log2(entries)) : entries % step === 0;
  if (Number.isInteger(entries) && entries >= min && entries <= max && isRound) return;
  const form = isPowerOfTwo ? 'a power of two' : step === 1 ? 'a whole number' : `a multiple of ${step}`;
  throw new OptionsError(
    { code: 'OPTIONS_MAP_SIZE', map, entries },
    `map ${map}: ${entries} is not ${form} from ${min} to ${max}`,
  );
}
