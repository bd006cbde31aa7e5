import { BLOOM_FUNCTIONS, BLOOM_MASK, HASH_MULTIPLIERS, HASH_SEED } from '../memory/layout.js';
import {
  ACCESS_FLAGS,
  align,
  checkHasValue,
  checkKeySize,
  KMALLOC_MAX_BYTES,
  type MapFamily,
} from './family.js';
import { specError } from './fault.js';
import { MAP_FLAGS, type MapSpec } from './map.js';

const DEFAULT_FUNCTIONS = 5;
const MAX_FUNCTIONS = 15;
/** The positions of bits are 32-bit numbers. */
const MAX_BITS = 2 ** 32;

/** A filter of `mapExtra` hash functions (5 unless given), sized by the kernel's formula. */
export const BLOOM_FILTER: MapFamily = {
  flags: ACCESS_FLAGS | MAP_FLAGS.BPF_F_NUMA_NODE | MAP_FLAGS.BPF_F_ZERO_SEED,
  check(spec) {
    checkKeySize(spec, 0, 'a bloom filter has no keys');
    checkHasValue(spec);
    const { valueSize, mapExtra = 0 } = spec;
    if (valueSize > KMALLOC_MAX_BYTES) {
      throw specError(spec, 'valueSize', valueSize, `it is at most ${KMALLOC_MAX_BYTES}`, 'E2BIG');
    }
    if (mapExtra <= MAX_FUNCTIONS) return;
    throw specError(spec, 'mapExtra', mapExtra, `there are at most ${MAX_FUNCTIONS} hash functions`);
  },
  plan(spec, _, start) {
    const functions = functionsOf(spec);
    const bits = countBits(spec.maxEntries, functions);
    const data = start + align(HASH_MULTIPLIERS * 8, 64);
    return {
      bytes: data + align(bits / 8, 64),
      valueStride: 0,
      cpuStride: 0,
      data,
      places: [[HASH_SEED, start]],
      numbers: [
        [BLOOM_MASK, bits - 1],
        [BLOOM_FUNCTIONS, functions],
      ],
    };
  },
};

const functionsOf = ({ mapExtra = 0 }: MapSpec) => (mapExtra === 0 ? DEFAULT_FUNCTIONS : mapExtra);

/**
 * Entries × functions / ln 2, with 7/5 for 1/ln 2, rounded up to a power of two of at least 64
 * (kernel/bpf/bloom_filter.c).
 */
function countBits(maxEntries: number, functions: number): number {
  const wanted = Math.floor((maxEntries * functions) / 5) * 7;
  if (wanted > 2 ** 31) return MAX_BITS;
  return wanted <= 64 ? 64 : 2 ** Math.ceil(Math.log2(wanted));
}
