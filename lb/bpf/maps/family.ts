import { specError } from './fault.js';
import { MAP_FLAGS, type MapSpec } from './map.js';

/** How a map is laid out behind its descriptor and staging; places are relative to the map's start, lengths bytes. */
export interface Body {
  /** Of the whole map, a multiple of 64. */
  readonly bytes: number;
  readonly valueStride: number;
  readonly cpuStride: number;
  /** Start of the values (array types). */
  readonly data: number;
  /** Words of a descriptor that are places relative to the map's start, and words that are numbers. */
  readonly places: readonly (readonly [word: number, value: number])[];
  readonly numbers: readonly (readonly [word: number, value: number])[];
}

/**
 * What is particular to a map type at creation. A type is a row of `FAMILIES` (plan.ts), its AssemblyScript, and its
 * cases in maps/wasm/dispatch.ts.
 */
export interface MapFamily {
  /**
   * Flags that the kernel takes. NUMA_NODE, ZERO_SEED and NO_PREALLOC are taken and mean nothing here.
   * BPF_F_RDONLY and BPF_F_WRONLY are not: they are modes of a file descriptor, and there is none.
   */
  readonly flags: number;
  /** There is a copy of each value for every CPU. */
  readonly perCpu?: true;
  /** Values are inner maps, and `spec.inner` says of what shape. */
  readonly mapInMap?: true;
  /** A value may have a bpf_spin_lock. */
  readonly lockable?: true;
  /**
   * The kernel's alloc_check of the type, but for flags and maxEntries ≥ 1.
   * @throws MapError MAP_SPEC by `specError`
   */
  check(spec: MapSpec): void;
  /**
   * @param cpus  CPUs of the arena (workers + 1)
   * @param start first byte behind descriptor and staging, a multiple of 64
   */
  plan(spec: MapSpec, cpus: number, start: number): Body;
}

/** Flags that say what programs may do with the values. */
export const ACCESS_FLAGS = MAP_FLAGS.BPF_F_RDONLY_PROG | MAP_FLAGS.BPF_F_WRONLY_PROG;
/** Biggest kmalloc of the kernel, bytes: 4 MiB. */
export const KMALLOC_MAX_BYTES = 4 * 1024 * 1024;

/** The kernel's PCPU_MIN_UNIT_SIZE: one CPU's copy of one value. */
const PERCPU_VALUE_MAX_BYTES = 32768;

/** Round up to a multiple of `unit`. */
export const align = (bytes: number, unit: number) => Math.ceil(bytes / unit) * unit;

/** Rules of key and value that types share. @throws MapError MAP_SPEC */
export function checkKeySize(spec: MapSpec, bytes: number, rule: string): void {
  if (spec.keySize !== bytes) throw specError(spec, 'keySize', spec.keySize, rule);
}

/** @throws MapError MAP_SPEC */
export function checkHasValue(spec: MapSpec): void {
  if (spec.valueSize === 0) throw specError(spec, 'valueSize', 0, 'a value has at least one byte');
}

/** @throws MapError MAP_SPEC */
export function checkPerCpuValue(spec: MapSpec): void {
  if (align(spec.valueSize, 8) <= PERCPU_VALUE_MAX_BYTES) return;
  const rule = `a CPU's copy has at most ${PERCPU_VALUE_MAX_BYTES} bytes`;
  throw specError(spec, 'valueSize', spec.valueSize, rule, 'E2BIG');
}
