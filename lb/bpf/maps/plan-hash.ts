import {
  AREA_BYTES,
  AREA_RING_SLOTS,
  BUCKET_BYTES,
  ELEMENT_KEY,
  HASH_AREAS,
  HASH_BUCKETS,
  HASH_CHUNK,
  HASH_CPUS,
  HASH_ELEMENTS,
  HASH_MASK,
  HASH_MULTIPLIERS,
  HASH_OWN,
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
  checkPerCpuValue,
  KMALLOC_MAX_BYTES,
  type MapFamily,
} from './family.js';
import { specError } from './fault.js';
import { MAP_FLAGS, type MapSpec } from './map.js';

/** Key and value of a hash come from one kmalloc in the kernel, with its element's header. */
const ELEMENT_MAX_BYTES = KMALLOC_MAX_BYTES - 48;
/** The kernel's bucket count is a power of two that fits 32 bits. */
const HASH_MAX_ENTRIES = 2 ** 31;
const { BPF_F_NO_COMMON_LRU, BPF_F_NO_PREALLOC, BPF_F_NUMA_NODE, BPF_F_ZERO_SEED } = MAP_FLAGS;
const HASH_FLAGS = ACCESS_FLAGS | BPF_F_NUMA_NODE | BPF_F_ZERO_SEED | BPF_F_NO_PREALLOC;

const shownFlags = ({ flags }: MapSpec) => `0x${flags.toString(16)}`;

function checkHash(spec: MapSpec): void {
  checkHasValue(spec);
  const { keySize, valueSize, maxEntries } = spec;
  if (keySize === 0) throw specError(spec, 'keySize', 0, 'a key has at least one byte');
  if (keySize + valueSize >= ELEMENT_MAX_BYTES) {
    const rule = `key and value together stay under ${ELEMENT_MAX_BYTES} bytes`;
    throw specError(spec, 'valueSize', valueSize, rule, 'E2BIG');
  }
  if (maxEntries <= HASH_MAX_ENTRIES) return;
  throw specError(spec, 'maxEntries', maxEntries, `it is at most ${HASH_MAX_ENTRIES}`, 'E2BIG');
}

function checkLru(spec: MapSpec): void {
  if ((spec.flags & BPF_F_NO_PREALLOC) !== 0) {
    throw specError(spec, 'flags', shownFlags(spec), 'an LRU has its elements beforehand', 'ENOTSUPP');
  }
  checkHash(spec);
}

/** Copies of a CPU are where the CPU is: a NUMA node has no meaning. */
function checkPerCpu(spec: MapSpec): void {
  if ((spec.flags & BPF_F_NUMA_NODE) !== 0) {
    throw specError(spec, 'flags', shownFlags(spec), 'a per-CPU hash is on no NUMA node');
  }
  checkPerCpuValue(spec);
}

/** Elements of a CPU's own part with BPF_F_NO_COMMON_LRU, without those of its ring. */
function ownEntries({ maxEntries, flags }: MapSpec, cpus: number): number {
  return (flags & BPF_F_NO_COMMON_LRU) === 0 ? 0 : Math.ceil(maxEntries / cpus);
}

/** Buckets, and elements of a key and `valueBytes`; behind them `copies` of a value for each element. */
function plan(spec: MapSpec, cpus: number, start: number, valueBytes: number, copies: number): Body {
  const value = ELEMENT_KEY + align(spec.keySize, 8);
  const stride = value + align(valueBytes, 8);
  const own = ownEntries(spec, cpus);
  const total = Math.max(spec.maxEntries, own * cpus) + cpus * AREA_RING_SLOTS;
  const bucketCount = 2 ** Math.ceil(Math.log2(spec.maxEntries));
  const areas = start + align(HASH_MULTIPLIERS * 8, 64);
  const buckets = areas + (cpus + 1) * AREA_BYTES;
  const elements = buckets + align(bucketCount * BUCKET_BYTES, 64);
  const data = elements + align(total * stride, 64);
  const valueStride = copies === 0 ? 0 : align(spec.valueSize, 8);
  // Whole cache lines a CPU: no worker writes a line of another's.
  const cpuStride = align(total * valueStride, 64);
  // Small maps hand elements out one by one, or one CPU would sit on those that another needs.
  const chunk = Math.min(64, Math.max(1, Math.floor(spec.maxEntries / (cpus * 8))));
  return {
    bytes: data + copies * cpuStride,
    valueStride,
    cpuStride,
    data: copies === 0 ? 0 : data,
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
      [HASH_CPUS, cpus],
      [HASH_OWN, own === 0 ? 0 : own + AREA_RING_SLOTS],
    ],
  };
}

/** Buckets, and elements that hold key and value. */
export function planHash(spec: MapSpec, cpus: number, start: number): Body {
  return plan(spec, cpus, start, spec.valueSize, 0);
}

/** Elements that hold key and address; copies of the values in front of nobody else's. */
function planPerCpuHash(spec: MapSpec, cpus: number, start: number): Body {
  return plan(spec, cpus, start, 8, cpus);
}

export const HASH: MapFamily = { flags: HASH_FLAGS, lockable: true, check: checkHash, plan: planHash };

export const PERCPU_HASH: MapFamily = {
  flags: HASH_FLAGS,
  perCpu: true,
  check(spec) {
    checkHash(spec);
    checkPerCpu(spec);
  },
  plan: planPerCpuHash,
};

/** With NO_COMMON_LRU each CPU has a part of the elements, in which it looks for those to evict. */
export const LRU_HASH: MapFamily = {
  flags: HASH_FLAGS | BPF_F_NO_COMMON_LRU,
  check(spec) {
    checkLru(spec);
    const isOnNode = (spec.flags & BPF_F_NUMA_NODE) !== 0;
    if (!isOnNode || (spec.flags & BPF_F_NO_COMMON_LRU) === 0) return;
    throw specError(spec, 'flags', shownFlags(spec), 'lists of CPUs are on no NUMA node');
  },
  plan: planHash,
};

export const LRU_PERCPU_HASH: MapFamily = {
  flags: HASH_FLAGS | BPF_F_NO_COMMON_LRU,
  perCpu: true,
  check(spec) {
    checkLru(spec);
    checkPerCpu(spec);
  },
  plan: planPerCpuHash,
};

export const HASH_OF_MAPS: MapFamily = {
  flags: HASH_FLAGS,
  mapInMap: true,
  check: checkHash,
  plan: planHash,
};
