// The operations by map type: those of bpf() (`map_…`) and the helpers of programs.
import {
  MAP_FROZEN, MAP_FROZEN_PROGRAMS, MAP_FROZEN_SYSCALLS, MAP_KEY_SIZE, MAP_TYPE, MAP_VALUE_SIZE,
} from "../../memory/layout";
import {
  BPF_F_LOCK, BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_BLOOM_FILTER, BPF_MAP_TYPE_CPUMAP,
  BPF_MAP_TYPE_DEVMAP, BPF_MAP_TYPE_DEVMAP_HASH, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_HASH_OF_MAPS,
  BPF_MAP_TYPE_LPM_TRIE, BPF_MAP_TYPE_LRU_HASH, BPF_MAP_TYPE_LRU_PERCPU_HASH, BPF_MAP_TYPE_PERCPU_ARRAY,
  BPF_MAP_TYPE_PERCPU_HASH, BPF_MAP_TYPE_PERF_EVENT_ARRAY, BPF_MAP_TYPE_PROG_ARRAY, BPF_MAP_TYPE_QUEUE,
  BPF_MAP_TYPE_RINGBUF, BPF_MAP_TYPE_STACK, BPF_MAP_TYPE_XSKMAP, EINVAL, ENOTSUPP, EOPNOTSUPP, EPERM,
} from "../uapi";
import {
  array_lookup, array_of_maps_lookup, arrayIterate, arrayNextKey, arrayOfMapsDelete, arrayOfMapsRead,
  arrayOfMapsUpdate, arrayRead, arrayRecover, arrayUpdate, arrayUpdateBatch, percpu_array_lookup,
  percpuArrayLookupOf, percpuArrayUpdateAll,
} from "./array";
import { bloomPeek, bloomPush } from "./bloom";
import {
  hash_lookup, hash_of_maps_lookup, hashDelete, hashInit, hashIterate, hashNextKey, hashRead, hashReadAndDelete,
  hashUpdate, lru_hash_lookup, percpu_hash_lookup, percpuHashLookupOf,
} from "./hash";
import { lpm_trie_lookup, lpmDelete, lpmNextKey, lpmRead, lpmRecover, lpmUpdate } from "./lpm-trie";
import { queuePush, queueRecover, queueTake } from "./queue";
import { hashRecover } from "./recover";
import { ringInit, ringRecover } from "./ring-buffer";
import { slotDelete, slotRead, slotUpdate } from "./slots";
import { target_lookup, targetDelete, targetRead, targetUpdate } from "./redirect";
import { hasLock } from "./value";

@inline function typeOf(map: usize): u32 { return load<u32>(map, MAP_TYPE); }

export function bpf_map_lookup_elem(map: u64, key: u64): u64 {
  const at = <usize>map, k = <usize>key;
  switch (typeOf(at)) {
    case BPF_MAP_TYPE_ARRAY: return array_lookup(at, k);
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_DEVMAP_HASH: return hash_lookup(at, k);
    case BPF_MAP_TYPE_LRU_HASH: return lru_hash_lookup(at, k);
    case BPF_MAP_TYPE_PERCPU_ARRAY: return percpu_array_lookup(at, k);
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH: return percpu_hash_lookup(at, k);
    case BPF_MAP_TYPE_LPM_TRIE: return lpm_trie_lookup(at, k);
    case BPF_MAP_TYPE_ARRAY_OF_MAPS: return array_of_maps_lookup(at, k);
    case BPF_MAP_TYPE_HASH_OF_MAPS: return hash_of_maps_lookup(at, k);
    case BPF_MAP_TYPE_DEVMAP:
    case BPF_MAP_TYPE_XSKMAP: return target_lookup(at, k);
    // Of the others the verifier lets no program look anything up.
    default: return 0;
  }
}

/** The value of another CPU. */
export function bpf_map_lookup_percpu_elem(map: u64, key: u64, owner: u64): u64 {
  const at = <usize>map, k = <usize>key;
  switch (typeOf(at)) {
    case BPF_MAP_TYPE_PERCPU_ARRAY: return percpuArrayLookupOf(at, k, <u32>owner);
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH: return percpuHashLookupOf(at, k, <u32>owner);
    default: return 0;
  }
}

export function bpf_map_update_elem(map: u64, key: u64, value: u64, flags: u64): i64 {
  const at = <usize>map, k = <usize>key, v = <usize>value;
  if (load<u32>(at, MAP_FROZEN) & MAP_FROZEN_PROGRAMS) return -EPERM;
  switch (typeOf(at)) {
    case BPF_MAP_TYPE_ARRAY:
    case BPF_MAP_TYPE_PERCPU_ARRAY: return arrayUpdate(at, k, v, flags);
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH: return hashUpdate(at, k, v, flags, false);
    case BPF_MAP_TYPE_LPM_TRIE: return lpmUpdate(at, k, v, flags);
    // To the others the verifier lets no program write.
    default: return -EINVAL;
  }
}

export function bpf_map_delete_elem(map: u64, key: u64): i64 {
  const at = <usize>map;
  if (load<u32>(at, MAP_FROZEN) & MAP_FROZEN_PROGRAMS) return -EPERM;
  switch (typeOf(at)) {
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH: return hashDelete(at, <usize>key);
    case BPF_MAP_TYPE_LPM_TRIE: return lpmDelete(at, <usize>key);
    default: return -EINVAL;
  }
}

export function bpf_map_push_elem(map: u64, value: u64, flags: u64): i64 {
  const at = <usize>map;
  if (load<u32>(at, MAP_FROZEN) & MAP_FROZEN_PROGRAMS) return -EPERM;
  switch (typeOf(at)) {
    case BPF_MAP_TYPE_QUEUE:
    case BPF_MAP_TYPE_STACK: return queuePush(at, <usize>value, flags);
    case BPF_MAP_TYPE_BLOOM_FILTER: return bloomPush(at, <usize>value, flags);
    default: return -EINVAL;
  }
}

export function bpf_map_pop_elem(map: u64, value: u64): i64 {
  const at = <usize>map;
  if (load<u32>(at, MAP_FROZEN) & MAP_FROZEN_PROGRAMS) return -EPERM;
  switch (typeOf(at)) {
    case BPF_MAP_TYPE_QUEUE:
    case BPF_MAP_TYPE_STACK: return queueTake(at, <usize>value, true);
    case BPF_MAP_TYPE_BLOOM_FILTER: return -EOPNOTSUPP;
    default: return -EINVAL;
  }
}

export function bpf_map_peek_elem(map: u64, value: u64): i64 {
  const at = <usize>map;
  switch (typeOf(at)) {
    case BPF_MAP_TYPE_QUEUE:
    case BPF_MAP_TYPE_STACK: return queueTake(at, <usize>value, false);
    case BPF_MAP_TYPE_BLOOM_FILTER: return bloomPeek(at, <usize>value);
    default: return -EINVAL;
  }
}

export function map_init(map: usize): void {
  switch (typeOf(map)) {
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH:
    case BPF_MAP_TYPE_HASH_OF_MAPS:
    case BPF_MAP_TYPE_DEVMAP_HASH: return hashInit(map);
    case BPF_MAP_TYPE_RINGBUF: return ringInit(map);
    default: return;
  }
}

/** Of a type without keys, what a pop would take; of a BLOOM_FILTER, whether it may have the value that is there. */
export function map_lookup(map: usize, key: usize, value: usize, flags: u32): i32 {
  if ((flags & ~BPF_F_LOCK) || (flags && !hasLock(map))) return -EINVAL;
  switch (typeOf(map)) {
    case BPF_MAP_TYPE_ARRAY:
    case BPF_MAP_TYPE_PERCPU_ARRAY: return arrayRead(map, key, value, flags);
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH:
    case BPF_MAP_TYPE_HASH_OF_MAPS:
    case BPF_MAP_TYPE_DEVMAP_HASH: return hashRead(map, key, value, flags);
    case BPF_MAP_TYPE_LPM_TRIE: return lpmRead(map, key, value);
    case BPF_MAP_TYPE_ARRAY_OF_MAPS: return arrayOfMapsRead(map, key, value);
    case BPF_MAP_TYPE_PROG_ARRAY: return slotRead(map, key, value);
    case BPF_MAP_TYPE_DEVMAP:
    case BPF_MAP_TYPE_CPUMAP: return targetRead(map, key, value);
    case BPF_MAP_TYPE_XSKMAP: return -EOPNOTSUPP;
    case BPF_MAP_TYPE_QUEUE:
    case BPF_MAP_TYPE_STACK: return queueTake(map, value, false);
    case BPF_MAP_TYPE_BLOOM_FILTER: return bloomPeek(map, value);
    default: return -ENOTSUPP;
  }
}

export function map_update(map: usize, key: usize, value: usize, flags: u32): i32 {
  if (load<u32>(map, MAP_FROZEN) & MAP_FROZEN_SYSCALLS) return -EPERM;
  if ((flags & BPF_F_LOCK) && !hasLock(map)) return -EINVAL;
  switch (typeOf(map)) {
    case BPF_MAP_TYPE_ARRAY: return arrayUpdate(map, key, value, flags);
    case BPF_MAP_TYPE_PERCPU_ARRAY: return percpuArrayUpdateAll(map, key, value, flags);
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH:
    case BPF_MAP_TYPE_HASH_OF_MAPS:
    case BPF_MAP_TYPE_DEVMAP_HASH: return hashUpdate(map, key, value, flags, true);
    case BPF_MAP_TYPE_LPM_TRIE: return lpmUpdate(map, key, value, flags);
    case BPF_MAP_TYPE_ARRAY_OF_MAPS: return arrayOfMapsUpdate(map, key, value, flags);
    case BPF_MAP_TYPE_PROG_ARRAY: return slotUpdate(map, key, value);
    case BPF_MAP_TYPE_DEVMAP:
    case BPF_MAP_TYPE_CPUMAP:
    case BPF_MAP_TYPE_XSKMAP: return targetUpdate(map, key, value);
    case BPF_MAP_TYPE_QUEUE:
    case BPF_MAP_TYPE_STACK: return queuePush(map, value, flags);
    case BPF_MAP_TYPE_BLOOM_FILTER: return bloomPush(map, value, flags);
    default: return -ENOTSUPP;
  }
}

export function map_update_batch(map: usize, keys: usize, values: usize, count: u32): i32 {
  if (load<u32>(map, MAP_FROZEN) & MAP_FROZEN_SYSCALLS) return -EPERM;
  if (typeOf(map) == BPF_MAP_TYPE_ARRAY && !hasLock(map)) return arrayUpdateBatch(map, keys, values, count);
  const keySize = load<u32>(map, MAP_KEY_SIZE);
  const valueSize = load<u32>(map, MAP_VALUE_SIZE);
  for (let i: u32 = 0; i < count; i++) {
    const fault = map_update(map, keys, values, 0);
    if (fault) return fault;
    keys += keySize;
    values += valueSize;
  }
  return 0;
}

export function map_delete(map: usize, key: usize): i32 {
  if (load<u32>(map, MAP_FROZEN) & MAP_FROZEN_SYSCALLS) return -EPERM;
  switch (typeOf(map)) {
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH:
    case BPF_MAP_TYPE_HASH_OF_MAPS:
    case BPF_MAP_TYPE_DEVMAP_HASH: return hashDelete(map, key);
    case BPF_MAP_TYPE_LPM_TRIE: return lpmDelete(map, key);
    case BPF_MAP_TYPE_ARRAY_OF_MAPS: return arrayOfMapsDelete(map, key);
    case BPF_MAP_TYPE_PROG_ARRAY:
    case BPF_MAP_TYPE_PERF_EVENT_ARRAY: return slotDelete(map, key);
    case BPF_MAP_TYPE_DEVMAP:
    case BPF_MAP_TYPE_CPUMAP:
    case BPF_MAP_TYPE_XSKMAP: return targetDelete(map, key);
    case BPF_MAP_TYPE_BLOOM_FILTER: return -EOPNOTSUPP;
    case BPF_MAP_TYPE_RINGBUF: return -ENOTSUPP;
    default: return -EINVAL;
  }
}

/** What a pop gives, or the value of a key that is deleted; -ENOTSUPP where neither is done. */
export function map_lookup_and_delete(map: usize, key: usize, value: usize): i32 {
  if (load<u32>(map, MAP_FROZEN) & MAP_FROZEN_SYSCALLS) return -EPERM;
  switch (typeOf(map)) {
    case BPF_MAP_TYPE_QUEUE:
    case BPF_MAP_TYPE_STACK: return queueTake(map, value, true);
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH: return hashReadAndDelete(map, key, value);
    default: return -ENOTSUPP;
  }
}

export function map_next_key(map: usize, key: usize, next: usize): i32 {
  switch (typeOf(map)) {
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH:
    case BPF_MAP_TYPE_HASH_OF_MAPS:
    case BPF_MAP_TYPE_DEVMAP_HASH: return hashNextKey(map, key, next);
    case BPF_MAP_TYPE_LPM_TRIE: return lpmNextKey(map, key, next);
    case BPF_MAP_TYPE_QUEUE:
    case BPF_MAP_TYPE_STACK: return -EINVAL;
    case BPF_MAP_TYPE_BLOOM_FILTER: return -EOPNOTSUPP;
    case BPF_MAP_TYPE_RINGBUF: return -ENOTSUPP;
    default: return arrayNextKey(map, key, next);
  }
}

/** A step of a walk over the elements (bpf_for_each_map_elem): 1, and the addresses in the cursor, or 0 at the end. */
export function map_iterate(map: usize, cursor: usize): i32 {
  switch (typeOf(map)) {
    case BPF_MAP_TYPE_ARRAY:
    case BPF_MAP_TYPE_PERCPU_ARRAY: return arrayIterate(map, cursor);
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH: return hashIterate(map, cursor);
    default: return -EOPNOTSUPP;
  }
}

export function map_recover(map: usize, dead: u32): void {
  switch (typeOf(map)) {
    case BPF_MAP_TYPE_HASH:
    case BPF_MAP_TYPE_LRU_HASH:
    case BPF_MAP_TYPE_PERCPU_HASH:
    case BPF_MAP_TYPE_LRU_PERCPU_HASH:
    case BPF_MAP_TYPE_HASH_OF_MAPS:
    case BPF_MAP_TYPE_DEVMAP_HASH: return hashRecover(map, dead);
    case BPF_MAP_TYPE_ARRAY: return arrayRecover(map, dead);
    case BPF_MAP_TYPE_LPM_TRIE: return lpmRecover(map, dead);
    case BPF_MAP_TYPE_QUEUE:
    case BPF_MAP_TYPE_STACK: return queueRecover(map, dead);
    case BPF_MAP_TYPE_RINGBUF: return ringRecover(map, dead);
    default: return;
  }
}
