// The operations by map type: those of bpf() (`map_…`) and the helpers of programs.
import {
  MAP_FROZEN, MAP_FROZEN_PROGRAMS, MAP_FROZEN_SYSCALLS, MAP_KEY_SIZE, MAP_TYPE, MAP_VALUE_SIZE,
} from "../../memory/layout";
import {
  BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_ARRAY_OF_MAPS, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LRU_HASH,
  BPF_MAP_TYPE_PERCPU_ARRAY, EINVAL, EPERM,
} from "../uapi";
import {
  array_lookup, array_of_maps_lookup, arrayNextKey, arrayOfMapsDelete, arrayOfMapsRead, arrayOfMapsUpdate,
  arrayRead, arrayUpdate, arrayUpdateBatch, percpu_array_lookup, percpuArrayUpdateAll,
} from "./array";
import { hash_lookup, hashDelete, hashInit, hashNextKey, hashRead, hashUpdate, lru_hash_lookup } from "./hash";
import { hashRecover } from "./recover";

@inline function typeOf(map: usize): u32 { return load<u32>(map, MAP_TYPE); }
@inline function isHash(type: u32): bool { return type == BPF_MAP_TYPE_HASH || type == BPF_MAP_TYPE_LRU_HASH; }

export function bpf_map_lookup_elem(map: u64, key: u64): u64 {
  const at = <usize>map, k = <usize>key;
  switch (typeOf(at)) {
    case BPF_MAP_TYPE_ARRAY: return array_lookup(at, k);
    case BPF_MAP_TYPE_HASH: return hash_lookup(at, k);
    case BPF_MAP_TYPE_LRU_HASH: return lru_hash_lookup(at, k);
    case BPF_MAP_TYPE_PERCPU_ARRAY: return percpu_array_lookup(at, k);
    case BPF_MAP_TYPE_ARRAY_OF_MAPS: return array_of_maps_lookup(at, k);
    default: return 0;
  }
}

export function bpf_map_update_elem(map: u64, key: u64, value: u64, flags: u64): i64 {
  const at = <usize>map;
  if (load<u32>(at, MAP_FROZEN) & MAP_FROZEN_PROGRAMS) return -EPERM;
  const type = typeOf(at);
  if (isHash(type)) return hashUpdate(at, <usize>key, <usize>value, flags);
  // The verifier lets no program write to a map-in-map.
  if (type == BPF_MAP_TYPE_ARRAY_OF_MAPS) return -EINVAL;
  return arrayUpdate(at, <usize>key, <usize>value, flags);
}

export function bpf_map_delete_elem(map: u64, key: u64): i64 {
  const at = <usize>map;
  if (load<u32>(at, MAP_FROZEN) & MAP_FROZEN_PROGRAMS) return -EPERM;
  return isHash(typeOf(at)) ? hashDelete(at, <usize>key) : -EINVAL;
}

export function map_init(map: usize): void {
  if (isHash(typeOf(map))) hashInit(map);
}

export function map_lookup(map: usize, key: usize, value: usize): i32 {
  const type = typeOf(map);
  if (isHash(type)) return hashRead(map, key, value);
  if (type == BPF_MAP_TYPE_ARRAY_OF_MAPS) return arrayOfMapsRead(map, key, value);
  return arrayRead(map, key, value);
}

export function map_update(map: usize, key: usize, value: usize, flags: u32): i32 {
  if (load<u32>(map, MAP_FROZEN) & MAP_FROZEN_SYSCALLS) return -EPERM;
  const type = typeOf(map);
  if (isHash(type)) return hashUpdate(map, key, value, flags);
  if (type == BPF_MAP_TYPE_ARRAY_OF_MAPS) return arrayOfMapsUpdate(map, key, value, flags);
  if (type == BPF_MAP_TYPE_PERCPU_ARRAY) return percpuArrayUpdateAll(map, key, value, flags);
  return arrayUpdate(map, key, value, flags);
}

export function map_update_batch(map: usize, keys: usize, values: usize, count: u32): i32 {
  if (load<u32>(map, MAP_FROZEN) & MAP_FROZEN_SYSCALLS) return -EPERM;
  if (typeOf(map) == BPF_MAP_TYPE_ARRAY) return arrayUpdateBatch(map, keys, values, count);
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
  const type = typeOf(map);
  if (isHash(type)) return hashDelete(map, key);
  return type == BPF_MAP_TYPE_ARRAY_OF_MAPS ? arrayOfMapsDelete(map, key) : -EINVAL;
}

export function map_next_key(map: usize, key: usize, next: usize): i32 {
  return isHash(typeOf(map)) ? hashNextKey(map, key, next) : arrayNextKey(map, key, next);
}

export function map_recover(map: usize, dead: u32): void {
  if (isHash(typeOf(map))) hashRecover(map, dead);
}
