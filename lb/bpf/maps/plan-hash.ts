import {
  AREA_BYTES,
  AREA_RING_SLOTS,
  BUCKET_BYTES,
  ELEMENT_KEY,
  HASH_AREAS,
  HASH_BUCKETS,
  HASH_CHUNK,
  HASH_ELEMENTS,
  HASH_MASK,
  HASH_MULTIPLIERS,
  HASH_SEED,
  HASH_STRIDE,
  HASH_TOTAL,
  HASH_VALUE,
} from '../memory/layout.js';
import {
  ACCESS_FLAGS,
  align,
  type Body,
  checkHasValue,
  KMALLOC_MAX_BYTES,
  type MapFamily,
} from './family.js';
import { specError } from './fault.js';
import { MAP_FLAGS, type MapSpec } from './map.js';

/** Key and value of a hash come from one kmalloc in the kernel, with its element's header. */
const ELEMENT_MAX_BYTES = KMALLOC_MAX_BYTES - 48;
const HASH_FLAGS = ACCESS_FLAGS | MAP_FLAGS.BPF_F_NUMA_NODE | MAP_FLAGS.BPF_F_ZERO_SEED;

function checkHash(spec: MapSpec): void {
  checkHasValue(spec);
  const { keySize, valueSize } = spec;
  if (keySize === 0) throw specError(spec, 'keySize', 0, 'a key has at least one byte');
  if (keySize + valueSize < ELEMENT_MAX_BYTES) return;
  const rule = `key and value together stay under ${ELEMENT_MAX_BYTES} bytes`;
  throw specError(spec, 'valueSize', valueSize, rule, 'E2BIG');
}

/** Buckets, and elements of a key and a value; for every kind of hash. */
export function planHash(spec: MapSpec, cpus: number, start: number): Body {
  const value = ELEMENT_KEY + align(spec.keySize, 8);
  const stride = value + align(spec.valueSize, 8);
  const total = spec.maxEntries + cpus * AREA_RING_SLOTS;
  const bucketCount = 2 ** Math.ceil(Math.log2(spec.maxEntries));
  const areas = start + align(HASH_MULTIPLIERS * 8, 64);
  const buckets = areas + (cpus + 1) * AREA_BYTES;
  const elements = buckets + align(bucketCount * BUCKET_BYTES, 64);
  // Small maps hand elements out one by one, or one CPU would sit on those that another needs.
  const chunk = Math.min(64, Math.max(1, Math.floor(spec.maxEntries / (cpus * 8))));
  return {
    bytes: elements + align(total * stride, 64),
    valueStride: 0,
    cpuStride: 0,
    data: 0,
    places: [
      [HASH_SEED, start],
      [HASH_AREAS, areas],
      [HASH_BUCKETS, buckets],
      [HASH_ELEMENTS, elements],
    ],
    numbers: [
      [HASH_MASK, bucketCount - 1],
      [HASH_STRIDE, stride],
      [HASH_TOTAL, total],
      [HASH_VALUE, value],
      [HASH_CHUNK, chunk],
    ],
  };
}

export const HASH: MapFamily = {
  flags: HASH_FLAGS | MAP_FLAGS.BPF_F_NO_PREALLOC,
  check: checkHash,
  plan: planHash,
};

/** NO_COMMON_LRU is taken and means nothing: the one LRU is shared without a common lock. */
export const LRU_HASH: MapFamily = {
  flags: HASH_FLAGS | MAP_FLAGS.BPF_F_NO_COMMON_LRU,
  check: checkHash,
  plan: planHash,
};
