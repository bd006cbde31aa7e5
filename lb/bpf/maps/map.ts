import {
  BPF_MAP_TYPE_ARRAY,
  BPF_MAP_TYPE_ARRAY_OF_MAPS,
  BPF_MAP_TYPE_HASH,
  BPF_MAP_TYPE_HASH_OF_MAPS,
  BPF_MAP_TYPE_LPM_TRIE,
  BPF_MAP_TYPE_LRU_HASH,
  BPF_MAP_TYPE_LRU_PERCPU_HASH,
  BPF_MAP_TYPE_PERCPU_ARRAY,
  BPF_MAP_TYPE_PERCPU_HASH,
  E2BIG,
  EBADF,
  EBUSY,
  EEXIST,
  EINVAL,
  ENOENT,
  ENOMEM,
  ENOSPC,
  EPERM,
} from './uapi.js';

export { BPF_ANY, BPF_EXIST, BPF_F_LOCK, BPF_NOEXIST } from './uapi.js';

/** Map types by number (enum bpf_map_type, uapi/linux/bpf.h): all that an object may ask for; a host refuses by name those it has not. */
export const MAP_TYPES = {
  HASH: BPF_MAP_TYPE_HASH,
  ARRAY: BPF_MAP_TYPE_ARRAY,
  PROG_ARRAY: 3,
  PERF_EVENT_ARRAY: 4,
  PERCPU_HASH: BPF_MAP_TYPE_PERCPU_HASH,
  PERCPU_ARRAY: BPF_MAP_TYPE_PERCPU_ARRAY,
  STACK_TRACE: 7,
  CGROUP_ARRAY: 8,
  LRU_HASH: BPF_MAP_TYPE_LRU_HASH,
  LRU_PERCPU_HASH: BPF_MAP_TYPE_LRU_PERCPU_HASH,
  LPM_TRIE: BPF_MAP_TYPE_LPM_TRIE,
  ARRAY_OF_MAPS: BPF_MAP_TYPE_ARRAY_OF_MAPS,
  HASH_OF_MAPS: BPF_MAP_TYPE_HASH_OF_MAPS,
  DEVMAP: 14,
  SOCKMAP: 15,
  CPUMAP: 16,
  XSKMAP: 17,
  SOCKHASH: 18,
  CGROUP_STORAGE: 19,
  REUSEPORT_SOCKARRAY: 20,
  PERCPU_CGROUP_STORAGE: 21,
  QUEUE: 22,
  STACK: 23,
  SK_STORAGE: 24,
  DEVMAP_HASH: 25,
  STRUCT_OPS: 26,
  RINGBUF: 27,
  INODE_STORAGE: 28,
  TASK_STORAGE: 29,
  BLOOM_FILTER: 30,
  USER_RINGBUF: 31,
  CGRP_STORAGE: 32,
  ARENA: 33,
} as const;
export type MapTypeName = keyof typeof MAP_TYPES;

/** Flags at creation (uapi/linux/bpf.h). */
export const MAP_FLAGS = {
  BPF_F_NO_PREALLOC: 1,
  BPF_F_NO_COMMON_LRU: 2,
  BPF_F_NUMA_NODE: 4,
  BPF_F_ZERO_SEED: 64,
  BPF_F_RDONLY_PROG: 128,
  BPF_F_WRONLY_PROG: 256,
  BPF_F_MMAPABLE: 1024,
  BPF_F_PRESERVE_ELEMS: 2048,
  BPF_F_INNER_MAP: 4096,
} as const;

/** The kernel's errno that map operations return, negated. */
export const ERRNO = { EPERM, ENOENT, E2BIG, EBADF, ENOMEM, EBUSY, EEXIST, EINVAL, ENOSPC } as const;

/** What an object file says of a map; plain data, the same bytes give the same spec. */
export interface MapSpec {
  readonly name: string;
  readonly type: MapTypeName;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  /** Template of the inner maps of ARRAY_OF_MAPS and HASH_OF_MAPS. */
  readonly inner?: MapSpec;
  /** Content of .rodata, .data and .bss: the one value of a one-element ARRAY. */
  readonly initial?: Uint8Array;
  /** True for .rodata: frozen after `initial` is written. */
  readonly frozen?: boolean;
  /** Map-in-map types: slots that the object file fills, by the name of the map that each points at. */
  readonly slots?: readonly { readonly index: number; readonly map: string }[];
  /** PROG_ARRAY: slots that the object file fills, by the name of the program. */
  readonly programs?: readonly { readonly index: number; readonly program: string }[];
  /** BLOOM_FILTER: hash functions (map_extra), 5 unless given. */
  readonly mapExtra?: number;
  /** Offset of the value's `struct bpf_spin_lock` (its BTF says so); absent where it has none. */
  readonly lockOffset?: number;
  /** Other fields of the value that the kernel itself looks after (bpf_timer, pointers to kernel objects, lists): by the name of their type. */
  readonly specialFields?: readonly { readonly type: string; readonly offset: number }[];
  /** NUMA node that was asked for (with BPF_F_NUMA_NODE); without meaning in the arena. */
  readonly numaNode?: number;
  /** LIBBPF_PIN_BY_NAME was asked for. */
  readonly pinned?: boolean;
  /** BTF ids of key and value in the object's BTF; absent where the object names no type. */
  readonly keyTypeId?: number;
  readonly valueTypeId?: number;
}

/**
 * A live map: in the arena or in the kernel (bpf()), one interface for both.
 * Keys and values are the bytes that the program sees. A value of a per-CPU type is the copies of all
 * `cpus`, each rounded up to 8 bytes, as bpf() does it.
 * Operations return 0 or the kernel's negative errno; they throw only when an argument's length is wrong.
 */
export interface BpfMap {
  readonly spec: MapSpec;
  /** Copies in a value: 1, or the CPUs of a per-CPU type. */
  readonly cpus: number;
  /** Length of what `lookup` returns and `update` takes, bytes. */
  readonly valueBytes: number;
  /**
   * A copy of the value, or undefined where there is none; its bpf_spin_lock is 0 there.
   * @param flags BPF_F_LOCK: of a moment when nobody held the lock; undefined where values have none
   */
  lookup(key: Uint8Array, flags?: number): Uint8Array | undefined;
  /** @param flags BPF_ANY, BPF_NOEXIST or BPF_EXIST, with BPF_F_LOCK where values have a bpf_spin_lock */
  update(key: Uint8Array, value: Uint8Array, flags?: number): number;
  delete(key: Uint8Array): number;
  /**
   * The value, which is then gone: of a key of a hash, or of a QUEUE or STACK (whose key has no byte) the next one.
   * Undefined also for the other types.
   */
  lookupAndDelete(key: Uint8Array): Uint8Array | undefined;
  /** BLOOM_FILTER: false where the value was certainly never pushed (by `update` with a key of no byte). */
  contains(value: Uint8Array): boolean;
  /** First key, or the one after `after`; undefined at the end (get_next_key). */
  nextKey(after?: Uint8Array): Uint8Array | undefined;
  /**
   * Visit every entry, of about now: programs and other threads may change the map meanwhile. Each entry is whole.
   * Key and value are valid during the call of `visit` only.
   */
  forEach(visit: (key: Uint8Array, value: Uint8Array) => void): void;
  /**
   * Some entries at once, about `count` of them, while others may change the map.
   * @param from `next` of the batch before; from the start unless given
   */
  lookupBatch(count: number, from?: Uint8Array): Batch;
  /** Delete `count` keys laid end to end; stops at the first fault and returns it. */
  deleteBatch(keys: Uint8Array, count: number): number;
  /** `count` keys and values laid end to end; stops at the first fault and returns it. */
  updateBatch(keys: Uint8Array, values: Uint8Array, count: number): number;
  /**
   * `count` values of an ARRAY of u32 from an index on, by its memory: each is whole. Undefined where the map is not such a
   * one, or the array ends before; absent where memory cannot be had.
   */
  readWords?(first: number, count: number): Uint32Array | undefined;
  /** ARRAY_OF_MAPS and HASH_OF_MAPS: point `key` at a map of the same host. */
  updateInner(key: Uint8Array, inner: BpfMap): number;
  close(): void;
}

/** Entries of a map: keys and values laid end to end. */
export interface Batch {
  readonly count: number;
  readonly keys: Uint8Array;
  readonly values: Uint8Array;
  /** Where the next batch begins, in the map's own way; undefined after the last entry. */
  readonly next: Uint8Array | undefined;
}

/** Where maps live: the arena or the kernel. */
export interface MapHost {
  createMap(spec: MapSpec): BpfMap;
}

/** `forEach` by the other operations, for maps that have no better way. */
export function forEachByKey(map: BpfMap, visit: (key: Uint8Array, value: Uint8Array) => void): void {
  // When the key that the walk stands on is deleted it starts over; the bound ends it all the same.
  let left = map.spec.maxEntries;
  for (let key = map.nextKey(); key !== undefined && left > 0; key = map.nextKey(key), left--) {
    const value = map.lookup(key);
    if (value !== undefined) visit(key, value);
  }
}

/** `lookupBatch` by the other operations: a batch goes on after the last key of the one before. */
export function batchByKey(map: BpfMap, count: number, from?: Uint8Array): Batch {
  const { keySize } = map.spec;
  const keys = new Uint8Array(count * keySize);
  const values = new Uint8Array(count * map.valueBytes);
  let found = 0;
  let key = map.nextKey(from);
  let last = from;
  while (key !== undefined && found < count) {
    const value = map.lookup(key);
    if (value !== undefined) {
      keys.set(key, found * keySize);
      values.set(value, found * map.valueBytes);
      found++;
    }
    last = key;
    key = map.nextKey(key);
  }
  return {
    count: found,
    keys: keys.subarray(0, found * keySize),
    values: values.subarray(0, found * map.valueBytes),
    next: key === undefined ? undefined : last,
  };
}
