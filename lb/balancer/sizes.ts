import type { ObjectSpec } from '../bpf/object/spec.js';
import { type OptionName, OptionsError, optionOf } from './options.js';
import { MAX_VIPS, RING_SIZE } from './schema.js';

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

/** Maps whose size is not fixed by the program's own arithmetic, entries; of `events` bytes. */
const SIZES = {
  /** Whole rings. */
  ch_rings: { min: RING_SIZE, max: MAX_VIPS * RING_SIZE, step: RING_SIZE },
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
/** Entries by map; what is absent keeps the object's own size. */
export type MapSizes = { readonly [M in SizableMap]?: number };

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
