import { MAP_DESCRIPTOR_BYTES } from '../memory/layout.js';
import { ACCESS_FLAGS, align, type Body, type MapFamily } from './family.js';
import { type SpecField, specError } from './fault.js';
import type { MapSpec, MapTypeName } from './map.js';
import { ARRAY, ARRAY_OF_MAPS, PERCPU_ARRAY } from './plan-array.js';
import { BLOOM_FILTER } from './plan-bloom.js';
import { HASH, HASH_OF_MAPS, LRU_HASH, LRU_PERCPU_HASH, PERCPU_HASH } from './plan-hash.js';
import { QUEUE } from './plan-queue.js';
import { CPUMAP, DEVMAP, DEVMAP_HASH, PERF_EVENT_ARRAY, PROG_ARRAY, XSKMAP } from './plan-references.js';
import { RINGBUF } from './plan-ring.js';
import { LPM_TRIE } from './plan-trie.js';

export { MapError } from './fault.js';

/** Types that the arena has. */
const FAMILIES = {
  HASH,
  ARRAY,
  PROG_ARRAY,
  PERF_EVENT_ARRAY,
  PERCPU_HASH,
  PERCPU_ARRAY,
  LRU_HASH,
  LRU_PERCPU_HASH,
  LPM_TRIE,
  ARRAY_OF_MAPS,
  HASH_OF_MAPS,
  DEVMAP,
  CPUMAP,
  XSKMAP,
  QUEUE,
  STACK: QUEUE,
  DEVMAP_HASH,
  RINGBUF,
  BLOOM_FILTER,
} as const satisfies Partial<Record<MapTypeName, MapFamily>>;
export type ArenaMapType = keyof typeof FAMILIES;

const ADDRESSABLE_BYTES = 2 ** 32;

/** A map's place, relative to its start, before it has one. All lengths bytes; `bytes` is a multiple of 64. */
export interface MapPlan extends Body {
  readonly type: ArenaMapType;
  /** Room for two keys and a value of bpf() (all CPUs' copies): arguments of calls from TypeScript. */
  readonly staging: number;
  /** Copies of a value. */
  readonly cpus: number;
}

/**
 * Check a spec by the kernel's rules and lay the map out.
 * @param cpus CPUs of the arena (workers + 1)
 * @throws MapError MAP_SPEC
 */
export function planMap(spec: MapSpec, cpus: number): MapPlan {
  const type = checkSpec(spec);
  const family: MapFamily = FAMILIES[type];
  const copies = family.perCpu === true ? cpus : 1;
  const staging = MAP_DESCRIPTOR_BYTES;
  const stagingBytes = 2 * align(spec.keySize, 8) + copies * align(spec.valueSize, 8);
  const body = family.plan(spec, cpus, align(staging + stagingBytes, 64));
  if (body.bytes > ADDRESSABLE_BYTES) {
    const rule = `its ${body.bytes} bytes fit the 4 GiB of an arena`;
    throw specError(spec, 'maxEntries', spec.maxEntries, rule, 'E2BIG');
  }
  return { ...body, type, staging, cpus: copies };
}

/**
 * Bytes of the arena's maps region that a map takes; those of several maps add up.
 * Inner maps of a map-in-map are maps of their own.
 * @throws MapError MAP_SPEC
 */
export function mapBytes(spec: MapSpec, cpus: number): number {
  return planMap(spec, cpus).bytes;
}

/** What the kernel checks of every type, then the type's own: the first that does not hold is the fault. */
function checkSpec(spec: MapSpec): ArenaMapType {
  const type = arenaType(spec.type);
  if (type === undefined) {
    throw specError(spec, 'type', spec.type, `it is one of ${Object.keys(FAMILIES).join(', ')}`);
  }
  const family: MapFamily = FAMILIES[type];
  const { keySize, valueSize, maxEntries, flags, mapExtra = 0 } = spec;
  for (const [field, value] of Object.entries({ keySize, valueSize, maxEntries, flags, mapExtra })) {
    if (!Number.isInteger(value) || value < 0 || value > 0xffffffff) {
      throw specError(spec, field as SpecField, value, 'it is an unsigned 32-bit number');
    }
  }
  const shown = `0x${flags.toString(16)}`;
  if ((flags & ~family.flags) !== 0) {
    throw specError(spec, 'flags', shown, `only bits of 0x${family.flags.toString(16)} are set`);
  }
  if ((flags & ACCESS_FLAGS) === ACCESS_FLAGS) {
    throw specError(spec, 'flags', shown, 'a map is not both read-only and write-only');
  }
  if (mapExtra !== 0 && type !== 'BLOOM_FILTER') {
    throw specError(spec, 'mapExtra', mapExtra, 'only a BLOOM_FILTER has it');
  }
  if (maxEntries === 0) throw specError(spec, 'maxEntries', 0, 'there is at least one entry');
  family.check(spec);
  if (family.mapInMap === true) checkInner(spec);
  checkLock(spec, family);
  checkInitial(spec, type);
  return type;
}

/** Whether maps of the type can be created here. */
export const isOfferedType = (name: MapTypeName): boolean => arenaType(name) !== undefined;

function arenaType(name: MapTypeName): ArenaMapType | undefined {
  return Object.hasOwn(FAMILIES, name) ? (name as ArenaMapType) : undefined;
}

function checkInner(spec: MapSpec): void {
  if (spec.valueSize !== 4)
    throw specError(spec, 'valueSize', spec.valueSize, 'a map-in-map holds u32 references');
  const { inner } = spec;
  if (inner === undefined)
    throw specError(spec, 'inner', 'missing', 'a map-in-map says what its inner maps are');
  if (inner.inner !== undefined) {
    throw specError(spec, 'inner', inner.name, 'a map-in-map is not inside another');
  }
  if (inner.type === 'PROG_ARRAY') {
    throw specError(spec, 'inner', inner.name, 'a PROG_ARRAY is not inside another map', 'ENOTSUPP');
  }
  checkSpec(inner);
}

/** The kernel's map_check_btf, for the field that it takes. */
function checkLock(spec: MapSpec, family: MapFamily): void {
  const { lockOffset, valueSize, flags } = spec;
  if (lockOffset === undefined) return;
  if (lockOffset < 0 || lockOffset % 4 !== 0 || lockOffset + 4 > valueSize) {
    throw specError(spec, 'lockOffset', lockOffset, 'the lock is an aligned u32 of the value');
  }
  if ((flags & ACCESS_FLAGS) !== 0) {
    throw specError(spec, 'lockOffset', lockOffset, 'programs read and write values with a lock', 'EACCES');
  }
  if (family.lockable === true) return;
  throw specError(spec, 'lockOffset', lockOffset, `a ${spec.type} has no locks in its values`, 'EOPNOTSUPP');
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
