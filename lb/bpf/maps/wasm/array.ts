// ARRAY, PERCPU_ARRAY and ARRAY_OF_MAPS (kernel/bpf/arraymap.c's semantics).
import {
  CURSOR_INDEX, CURSOR_INDEX_KEY, CURSOR_KEY, CURSOR_VALUE, MAP_CPU_STRIDE, MAP_CPUS, MAP_DATA, MAP_ID, MAP_MAX_ENTRIES,
  MAP_VALUE_SIZE, MAP_VALUE_STRIDE,
} from "../../memory/layout";
import { BPF_EXIST, BPF_F_LOCK, BPF_NOEXIST, E2BIG, EBUSY, EEXIST, EINVAL, ENOENT } from "../uapi";
import { copy, cpu } from "./memory";
import { copyValue, hasLock, openValue, readCopies, readLocked, readValue, writeCopies, writeLocked } from "./value";

@inline function element(map: usize, index: u32): usize {
  return load<u32>(map, MAP_DATA) + index * load<u32>(map, MAP_VALUE_STRIDE);
}

@inline function isPerCpu(map: usize): bool { return load<u32>(map, MAP_CPUS) > 1; }
/** From CPU 0's copy to this CPU's; 0 where there is one copy. */
@inline function ownCopy(map: usize): u32 { return isPerCpu(map) ? cpu * load<u32>(map, MAP_CPU_STRIDE) : 0; }

export function array_lookup(map: usize, key: usize): usize {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return 0;
  return element(map, index);
}

export function percpu_array_lookup(map: usize, key: usize): usize {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return 0;
  return element(map, index) + cpu * load<u32>(map, MAP_CPU_STRIDE);
}

/** The inner map's descriptor, or 0. */
export function array_of_maps_lookup(map: usize, key: usize): usize {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return 0;
  return atomic.load<u32>(element(map, index));
}

/** Another CPU's copy of a PERCPU_ARRAY's value. */
export function percpuArrayLookupOf(map: usize, key: usize, owner: u32): usize {
  const at = array_lookup(map, key);
  return at && owner < load<u32>(map, MAP_CPUS) ? at + owner * load<u32>(map, MAP_CPU_STRIDE) : 0;
}

function refusal(map: usize, key: usize, flags: u64): i32 {
  if ((flags & ~<u64>BPF_F_LOCK) > <u64>BPF_EXIST) return -EINVAL;
  if (load<u32>(key) >= load<u32>(map, MAP_MAX_ENTRIES)) return -E2BIG;
  // Every element of an array exists from the start.
  if (flags & BPF_NOEXIST) return -EEXIST;
  return (flags & BPF_F_LOCK) && !hasLock(map) ? -EINVAL : 0;
}

/** Writes this CPU's copy of a PERCPU_ARRAY, the one copy of an ARRAY. */
export function arrayUpdate(map: usize, key: usize, value: usize, flags: u64): i32 {
  const fault = refusal(map, key, flags);
  if (fault) return fault;
  const at = element(map, load<u32>(key)) + ownCopy(map);
  if (flags & BPF_F_LOCK) return writeLocked(map, at, value) ? 0 : -EBUSY;
  copyValue(map, at, value);
  return 0;
}

/** Writes all copies of a PERCPU_ARRAY from copies end to end, each rounded up to 8 bytes. */
export function percpuArrayUpdateAll(map: usize, key: usize, value: usize, flags: u64): i32 {
  const fault = refusal(map, key, flags);
  if (fault) return fault;
  writeCopies(map, element(map, load<u32>(key)), value);
  return 0;
}

/** Reads all copies: one of an ARRAY, end to end and rounded up to 8 bytes of a PERCPU_ARRAY. */
export function arrayRead(map: usize, key: usize, value: usize, flags: u32): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return -ENOENT;
  const at = element(map, index);
  if (isPerCpu(map)) readCopies(map, value, at);
  else if (flags & BPF_F_LOCK) return readLocked(map, value, at) ? 0 : -EBUSY;
  else readValue(map, value, at);
  return 0;
}

/** A step of bpf_for_each_map_elem. */
export function arrayIterate(map: usize, cursor: usize): i32 {
  const index = load<u32>(cursor, CURSOR_INDEX);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return 0;
  store<u32>(cursor, index, CURSOR_INDEX_KEY);
  store<u32>(cursor, index + 1, CURSOR_INDEX);
  store<u32>(cursor, <u32>cursor + CURSOR_INDEX_KEY, CURSOR_KEY);
  store<u32>(cursor, <u32>element(map, index) + ownCopy(map), CURSOR_VALUE);
  return 1;
}

/** Opens the locks in values that a CPU held which died. */
export function arrayRecover(map: usize, dead: u32): void {
  if (!hasLock(map)) return;
  const entries = load<u32>(map, MAP_MAX_ENTRIES);
  for (let i: u32 = 0; i < entries; i++) openValue(map, element(map, i), dead + 1);
}

/** `count` values without a lock; the loop has no dispatch for the sizes of rings and tables. */
export function arrayUpdateBatch(map: usize, keys: usize, values: usize, count: u32): i32 {
  const size = load<u32>(map, MAP_VALUE_SIZE);
  const entries = load<u32>(map, MAP_MAX_ENTRIES);
  const data = load<u32>(map, MAP_DATA);
  const stride = load<u32>(map, MAP_VALUE_STRIDE);
  for (const end = keys + count * 4; keys != end; keys += 4, values += size) {
    const index = load<u32>(keys);
    if (index >= entries) return -E2BIG;
    if (size == 4) store<u32>(data + index * stride, load<u32>(values));
    else copy(data + index * stride, values, size);
  }
  return 0;
}

/** Points `key` at a descriptor. Readers see the old map or the new one. */
export function arrayOfMapsUpdate(map: usize, key: usize, value: usize, flags: u64): i32 {
  if (flags != 0) return -EINVAL;
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return -E2BIG;
  atomic.store<u32>(element(map, index), load<u32>(value));
  return 0;
}

/** Reads the number of the inner map, as bpf() does. */
export function arrayOfMapsRead(map: usize, key: usize, value: usize): i32 {
  const inner = array_of_maps_lookup(map, key);
  if (!inner) return -ENOENT;
  store<u32>(value, load<u32>(inner, MAP_ID));
  return 0;
}

export function arrayOfMapsDelete(map: usize, key: usize): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return -E2BIG;
  return atomic.xchg<u32>(element(map, index), 0) ? 0 : -ENOENT;
}

export function arrayNextKey(map: usize, key: usize, next: usize): i32 {
  const last = load<u32>(map, MAP_MAX_ENTRIES) - 1;
  const index = key ? load<u32>(key) : <u32>-1;
  if (index == last) return -ENOENT;
  store<u32>(next, index > last ? 0 : index + 1);
  return 0;
}
