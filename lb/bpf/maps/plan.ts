import { CodedError } from '../../errors.js';
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
  MAP_DESCRIPTOR_BYTES,
} from '../memory/layout.js';
import { MAP_FLAGS, type MapSpec, type MapTypeName } from './map.js';

type MapFault =
  /** `errno`: what bpf(BPF_MAP_CREATE) answers to the same. */
  | {
      readonly code: 'MAP_SPEC';
      readonly map: string;
      readonly field: 'type' | 'keySize' | 'valueSize' | 'maxEntries' | 'flags' | 'inner' | 'initial';
      readonly value: number | string;
      readonly rule: string;
      readonly errno: 'EINVAL' | 'E2BIG';
    }
  | {
      readonly code: 'MAP_NO_ROOM';
      readonly map: string;
      readonly needBytes: number;
      readonly freeBytes: number;
    }
  | {
      readonly code: 'MAP_LENGTH';
      readonly map: string;
      readonly argument: string;
      readonly bytes: number;
      readonly wantBytes: number;
    }
  | { readonly code: 'MAP_FOREIGN'; readonly map: string; readonly inner: string }
  | { readonly code: 'MAP_CLOSED'; readonly map: string }
  | { readonly code: 'MAP_REGION_TAKEN' };

export class MapError extends CodedError<MapFault> {}

/** Types that the arena has. */
const ARENA_TYPES = ['ARRAY', 'PERCPU_ARRAY', 'HASH', 'LRU_HASH', 'ARRAY_OF_MAPS'] as const;
export type ArenaMapType = (typeof ARENA_TYPES)[number];

const ACCESS = MAP_FLAGS.BPF_F_RDONLY_PROG | MAP_FLAGS.BPF_F_WRONLY_PROG;
const ARRAY_FLAGS = ACCESS | MAP_FLAGS.BPF_F_NUMA_NODE | MAP_FLAGS.BPF_F_MMAPABLE | MAP_FLAGS.BPF_F_INNER_MAP;
const HASH_FLAGS = ACCESS | MAP_FLAGS.BPF_F_NUMA_NODE | MAP_FLAGS.BPF_F_ZERO_SEED;

/**
 * Flags that the kernel takes at the creation of each type. NUMA_NODE, ZERO_SEED and NO_PREALLOC are
 * taken and mean nothing here; NO_COMMON_LRU too: the one LRU is shared without a common lock.
 * BPF_F_RDONLY and BPF_F_WRONLY are not: they are modes of a file descriptor, and there is none.
 */
const FLAGS: Record<ArenaMapType, number> = {
  ARRAY: ARRAY_FLAGS,
  PERCPU_ARRAY:
    ARRAY_FLAGS & ~(MAP_FLAGS.BPF_F_MMAPABLE | MAP_FLAGS.BPF_F_INNER_MAP | MAP_FLAGS.BPF_F_NUMA_NODE),
  HASH: HASH_FLAGS | MAP_FLAGS.BPF_F_NO_PREALLOC,
  LRU_HASH: HASH_FLAGS | MAP_FLAGS.BPF_F_NO_COMMON_LRU,
  ARRAY_OF_MAPS: MAP_FLAGS.BPF_F_NUMA_NODE,
};

/** The kernel's PCPU_MIN_UNIT_SIZE: one CPU's copy of one value of a PERCPU_ARRAY. */
const PERCPU_VALUE_MAX_BYTES = 32768;
/** Key and value of a hash come from one kmalloc in the kernel: 4 MiB, less its element's header. */
const HASH_ELEMENT_MAX_BYTES = 4 * 1024 * 1024 - 48;
const INT_MAX = 0x7fffffff;
const ADDRESSABLE_BYTES = 2 ** 32;

/** A map's place, relative to its start, before it has one. All lengths bytes; `bytes` is a multiple of 64. */
export interface MapPlan {
  readonly type: ArenaMapType;
  readonly bytes: number;
  /** Room for two keys and a value of bpf() (all CPUs' copies): arguments of calls from TypeScript. */
  readonly staging: number;
  /** Copies of a value. */
  readonly cpus: number;
  readonly valueStride: number;
  readonly cpuStride: number;
  /** Start of the values (array types). */
  readonly data: number;
  /** Words of a descriptor that are places relative to the map's start, and words that are numbers. */
  readonly places: readonly (readonly [word: number, value: number])[];
  readonly numbers: readonly (readonly [word: number, value: number])[];
}

const align = (bytes: number, unit: number) => Math.ceil(bytes / unit) * unit;

/**
 * Check a spec by the kernel's rules and lay the map out.
 * @param cpus CPUs of the arena (workers + 1)
 * @throws MapError MAP_SPEC
 */
export function planMap(spec: MapSpec, cpus: number): MapPlan {
  const type = checkSpec(spec);
  const copies = type === 'PERCPU_ARRAY' ? cpus : 1;
  const staging = MAP_DESCRIPTOR_BYTES;
  const stagingBytes = 2 * align(spec.keySize, 8) + copies * align(spec.valueSize, 8);
  const body = align(staging + stagingBytes, 64);
  const base = { type, staging, cpus: copies };
  const plan: MapPlan =
    type === 'HASH' || type === 'LRU_HASH'
      ? { ...base, ...planHash(spec, cpus, body) }
      : { ...base, ...planArray(spec, copies, body) };
  if (plan.bytes > ADDRESSABLE_BYTES) {
    throw specError(
      spec,
      'maxEntries',
      spec.maxEntries,
      `its ${plan.bytes} bytes fit the 4 GiB of an arena`,
      'E2BIG',
    );
  }
  return plan;
}

/**
 * Bytes of the arena's maps region that a map takes; those of several maps add up.
 * Inner maps of a map-in-map are maps of their own.
 * @throws MapError MAP_SPEC
 */
export function mapBytes(spec: MapSpec, cpus: number): number {
  return planMap(spec, cpus).bytes;
}

type Body = Omit<MapPlan, 'type' | 'staging' | 'cpus'>;

function planArray(spec: MapSpec, copies: number, data: number): Body {
  // The kernel rounds each value up to 8; small ones at 4 put twice as many into a cache line.
  const valueStride = spec.valueSize <= 4 ? 4 : align(spec.valueSize, 8);
  // Whole cache lines a CPU: no worker writes a line of another's.
  const cpuStride = align(spec.maxEntries * valueStride, 64);
  return { bytes: data + copies * cpuStride, valueStride, cpuStride, data, places: [], numbers: [] };
}

function planHash(spec: MapSpec, cpus: number, start: number): Body {
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

type SpecField = Extract<MapFault, { code: 'MAP_SPEC' }>['field'];

function specError(
  spec: MapSpec,
  field: SpecField,
  value: number | string,
  rule: string,
  errno: 'EINVAL' | 'E2BIG' = 'EINVAL',
): MapError {
  return new MapError(
    { code: 'MAP_SPEC', map: spec.name, field, value, rule, errno },
    `map ${spec.name}: ${field} is ${value}, but must be such that ${rule} (${errno})`,
  );
}

/** The kernel's alloc_check of each type, as rows: the first that does not hold is the fault. */
function checkSpec(spec: MapSpec): ArenaMapType {
  const type = arenaType(spec.type);
  if (type === undefined) {
    throw specError(spec, 'type', spec.type, `it is one of ${ARENA_TYPES.join(', ')}`);
  }
  const { keySize, valueSize, maxEntries, flags } = spec;
  for (const [field, value] of Object.entries({ keySize, valueSize, maxEntries, flags })) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
      throw specError(spec, field as SpecField, value, 'it is an unsigned 32-bit number');
    }
  }
  if ((flags & ~FLAGS[type]) !== 0) {
    throw specError(
      spec,
      'flags',
      `0x${flags.toString(16)}`,
      `only bits of 0x${FLAGS[type].toString(16)} are set`,
    );
  }
  if ((flags & ACCESS) === ACCESS) {
    throw specError(spec, 'flags', `0x${flags.toString(16)}`, 'a map is not both read-only and write-only');
  }
  if (maxEntries === 0) throw specError(spec, 'maxEntries', 0, 'there is at least one entry');
  if (valueSize === 0) throw specError(spec, 'valueSize', 0, 'a value has at least one byte');
  if (type === 'HASH' || type === 'LRU_HASH') {
    if (keySize === 0) throw specError(spec, 'keySize', 0, 'a key has at least one byte');
    if (keySize + valueSize >= HASH_ELEMENT_MAX_BYTES) {
      const rule = `key and value together stay under ${HASH_ELEMENT_MAX_BYTES} bytes`;
      throw specError(spec, 'valueSize', valueSize, rule, 'E2BIG');
    }
  } else {
    if (keySize !== 4) throw specError(spec, 'keySize', keySize, 'the key of an array is a u32');
    if (valueSize > INT_MAX) throw specError(spec, 'valueSize', valueSize, 'it is at most 2^31 - 1', 'E2BIG');
    if (type === 'PERCPU_ARRAY' && align(valueSize, 8) > PERCPU_VALUE_MAX_BYTES) {
      const rule = `a CPU's copy has at most ${PERCPU_VALUE_MAX_BYTES} bytes`;
      throw specError(spec, 'valueSize', valueSize, rule, 'E2BIG');
    }
  }
  checkInner(spec, type);
  checkInitial(spec, type);
  return type;
}

function arenaType(name: MapTypeName): ArenaMapType | undefined {
  return ARENA_TYPES.find((type) => type === name);
}

function checkInner(spec: MapSpec, type: ArenaMapType): void {
  if (type !== 'ARRAY_OF_MAPS') return;
  if (spec.valueSize !== 4)
    throw specError(spec, 'valueSize', spec.valueSize, 'a map-in-map holds u32 references');
  const { inner } = spec;
  if (inner === undefined)
    throw specError(spec, 'inner', 'missing', 'a map-in-map says what its inner maps are');
  if (inner.inner !== undefined) {
    throw specError(spec, 'inner', inner.name, 'a map-in-map is not inside another');
  }
  checkSpec(inner);
}

function checkInitial(spec: MapSpec, type: ArenaMapType): void {
  const { initial, valueSize, maxEntries } = spec;
  if (initial === undefined) return;
  if (type !== 'ARRAY' || maxEntries !== 1) {
    throw specError(
      spec,
      'initial',
      `${initial.length} bytes`,
      'only an ARRAY of one element has an initial value',
    );
  }
  if (initial.length > valueSize) {
    throw specError(spec, 'initial', `${initial.length} bytes`, `it fits the value's ${valueSize} bytes`);
  }
}
