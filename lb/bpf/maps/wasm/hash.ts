// Every kind of hash (kernel/bpf/hashtab.c's semantics).
//
// A value is replaced by a new element, so that readers find the old or the new. Two kinds are written in place: copies
// of a per-CPU map, which their CPUs write, and what is written under the value's lock (BPF_F_LOCK).
import {
  AREA_INSERTING, BUCKET_BYTES, CURSOR_ELEMENT, CURSOR_GENERATION, CURSOR_INDEX, CURSOR_KEY, CURSOR_VALUE, ELEMENT_GENERATION, ELEMENT_HASH, ELEMENT_KEY, ELEMENT_LINKED, ELEMENT_NEXT,
  ELEMENT_REFERENCED, HASH_BUCKETS, HASH_MASK, HASH_VALUE, MAP_CPU_STRIDE, MAP_CPUS, MAP_ID, MAP_KEY_SIZE, MAP_TYPE,
  MAP_VALUE_SIZE,
} from "../../memory/layout";
import {
  BPF_EXIST, BPF_F_LOCK, BPF_MAP_TYPE_HASH_OF_MAPS, BPF_NOEXIST, E2BIG, EBUSY, EEXIST, EINVAL, ENOENT, ENOMEM,
} from "../uapi";
import { before, bucketOf, find, findLocked, hashOf, head, isKey, next } from "./chain";
import { takeOrEvict } from "./lru";
import { copy, cpu, lockBucket, me, publishHead, unlockBucket, unlockChangedBucket } from "./memory";
import {
  areaOf, copiesOf, fill, holder, isLru, isPerCpu, oldestSlot, poolInit, rest, retire, setHolder, steal, take,
} from "./pool";
import { hasLock, readCopies, readLocked, readValue, writeCopies, writeLocked } from "./value";

export function hash_lookup(map: usize, key: usize): usize {
  const e = find(map, key);
  return e ? e + load<u32>(map, HASH_VALUE) : 0;
}

export function lru_hash_lookup(map: usize, key: usize): usize {
  const e = find(map, key);
  if (!e) return 0;
  markUsed(e);
  return e + load<u32>(map, HASH_VALUE);
}

@inline function markUsed(e: usize): void {
  // A store only when the bit is clear: hits do not take the line from each other.
  if (!load<u8>(e, ELEMENT_REFERENCED)) store<u8>(e, 1, ELEMENT_REFERENCED);
}

/** The copy of CPU `owner`, or 0 where there is no such key or CPU. */
export function percpuHashLookupOf(map: usize, key: usize, owner: u32): usize {
  if (owner >= load<u32>(map, MAP_CPUS)) return 0;
  const e = find(map, key);
  if (!e) return 0;
  if (isLru(map)) markUsed(e);
  return copiesOf(map, e) + owner * load<u32>(map, MAP_CPU_STRIDE);
}

export function percpu_hash_lookup(map: usize, key: usize): usize {
  return percpuHashLookupOf(map, key, cpu);
}

/**
 * The inner map's descriptor, or 0. Unlike a value that a program holds a pointer to, it must be the key's: nothing
 * would tell the program that it has another's map.
 */
export function hash_of_maps_lookup(map: usize, key: usize): usize {
  const size = load<u32>(map, MAP_KEY_SIZE);
  const hash = hashOf(map, key, size);
  while (true) {
    const e = find(map, key);
    if (!e) return 0;
    const generation = generationOf(e);
    // Once more, since it may have become another key's between the search and the generation.
    if (!isKey(e, hash, key, size)) continue;
    const inner = <usize>atomic.load<u32>(e + load<u32>(map, HASH_VALUE));
    if (generationOf(e) == generation) return inner;
  }
}

/**
 * The value's first eight bytes, read at once, or 0 where there is no such key. Like an inner map they must be the
 * key's: a frame would leave by another's interface.
 */
export function hashWord(map: usize, key: usize): u64 {
  const size = load<u32>(map, MAP_KEY_SIZE);
  const hash = hashOf(map, key, size);
  while (true) {
    const e = find(map, key);
    if (!e) return 0;
    const generation = generationOf(e);
    if (!isKey(e, hash, key, size)) continue;
    const word = atomic.load<u64>(e + load<u32>(map, HASH_VALUE));
    if (generationOf(e) == generation) return word;
  }
}

export function hashInit(map: usize): void {
  poolInit(map);
}

/**
 * @param all of a per-CPU map: write the copies of all CPUs, end to end at `value`, as bpf() does? A program writes its
 *            CPU's, and makes an element with zeros for the others.
 */
export function hashUpdate(map: usize, key: usize, value: usize, flags: u64, all: bool): i32 {
  const isLocked = (flags & BPF_F_LOCK) != 0;
  flags &= ~<u64>BPF_F_LOCK;
  if (flags > <u64>BPF_EXIST || (isLocked && !hasLock(map))) return -EINVAL;
  const hash = hashOf(map, key, load<u32>(map, MAP_KEY_SIZE));
  const bucket = bucketOf(map, hash);
  if (!lockBucket(bucket)) return -EBUSY;
  const present = findLocked(map, bucket, hash, key);
  if (present) {
    if (flags == <u64>BPF_NOEXIST) {
      unlockBucket(bucket);
      return -EEXIST;
    }
    if (isLocked || isPerCpu(map)) {
      const isDone = overwrite(map, present, value, all);
      unlockBucket(bucket);
      return isDone ? 0 : -EBUSY;
    }
    replace(map, bucket, present, hash, key, value);
    return 0;
  }
  if (flags == <u64>BPF_EXIST) {
    unlockBucket(bucket);
    return -ENOENT;
  }
  const lru = isLru(map);
  let fresh = lru ? takeOrEvict(map, bucket) : take(map);
  if (!fresh && !lru) fresh = steal(map);
  if (!fresh) {
    unlockBucket(bucket);
    return lru ? -ENOMEM : -E2BIG;
  }
  fill(map, fresh, hash, key, value, 0, all);
  // Not earlier: the eviction may have changed this chain.
  store<u32>(fresh, <u32>head(bucket), ELEMENT_NEXT);
  announce(map, fresh);
  publishHead(bucket, fresh);
  return 0;
}

/** Mark an element that the next store links; recovery looks whether that was still done. */
@inline function announce(map: usize, e: usize): void {
  store<u32>(areaOf(map, cpu), <u32>e, AREA_INSERTING);
  setHolder(e, ELEMENT_LINKED);
}

/** Write in place, under the value's lock or a CPU's copies. False where the lock's owner seems to be dead. */
function overwrite(map: usize, e: usize, value: usize, all: bool): bool {
  if (!isPerCpu(map)) return writeLocked(map, e + load<u32>(map, HASH_VALUE), value);
  if (isLru(map)) markUsed(e);
  const copies = copiesOf(map, e);
  if (all) writeCopies(map, copies, value);
  else copy(copies + cpu * load<u32>(map, MAP_CPU_STRIDE), value, load<u32>(map, MAP_VALUE_SIZE));
  return true;
}

/** Put a new element in the place of `old`, in one store: readers find either. Gives the bucket back. */
function replace(map: usize, bucket: usize, old: usize, hash: u32, key: usize, value: usize): void {
  const area = areaOf(map, cpu);
  const slot = oldestSlot(area);
  const fresh = <usize>load<u32>(slot);
  // An LRU counts the update of a key that is there as a use.
  fill(map, fresh, hash, key, value, 1, false);
  store<u32>(fresh, <u32>next(old), ELEMENT_NEXT);
  announce(map, fresh);
  setHolder(old, me());
  link(bucket, fresh);
  rest(area, slot, old);
}

/** Let `target` follow `before`, and give the bucket back. */
@inline function link(bucket: usize, target: usize): void {
  if (before) {
    atomic.store<u32>(before, <u32>target, ELEMENT_NEXT);
    unlockChangedBucket(bucket);
  } else publishHead(bucket, target);
}

export function hashDelete(map: usize, key: usize): i32 {
  return remove(map, key, 0);
}

/** Delete a key whose value is then at `value`. */
export function hashReadAndDelete(map: usize, key: usize, value: usize): i32 {
  return remove(map, key, value);
}

/** @param value where a copy of the value goes first, or 0 */
function remove(map: usize, key: usize, value: usize): i32 {
  const hash = hashOf(map, key, load<u32>(map, MAP_KEY_SIZE));
  const bucket = bucketOf(map, hash);
  if (!lockBucket(bucket)) return -EBUSY;
  const e = findLocked(map, bucket, hash, key);
  if (!e) {
    unlockBucket(bucket);
    return -ENOENT;
  }
  if (value) read(map, e, value);
  setHolder(e, me());
  link(bucket, next(e));
  retire(map, e);
  return 0;
}

/** What `copiedWhole` compares: to be read before the copy. */
@inline function generationOf(e: usize): u32 { return atomic.load<u16>(e, ELEMENT_GENERATION); }

/** Was the element not used again since `generation` was read, so that the copy is of one moment? */
@inline export function copiedWhole(e: usize, generation: u32): bool {
  // An exchange and not a load: the copy's loads must not move below it.
  return atomic.cmpxchg<u16>(e, <u16>generation, <u16>generation, ELEMENT_GENERATION) == generation;
}

/** What bpf() sees of an element: its value, all CPUs' copies, or the number of the inner map. */
@inline function read(map: usize, e: usize, value: usize): void {
  const at = e + load<u32>(map, HASH_VALUE);
  if (isPerCpu(map)) readCopies(map, value, load<u32>(at));
  else if (load<u32>(map, MAP_TYPE) == BPF_MAP_TYPE_HASH_OF_MAPS) store<u32>(value, load<u32>(load<u32>(at), MAP_ID));
  else readValue(map, value, at);
}

/**
 * A whole copy of the value; with BPF_F_LOCK, of a moment when nobody held its lock. Not a use of the key: bpf() does
 * not keep an LRU's elements alive.
 */
export function hashRead(map: usize, key: usize, value: usize, flags: u32): i32 {
  const size = load<u32>(map, MAP_KEY_SIZE);
  const hash = hashOf(map, key, size);
  while (true) {
    const e = find(map, key);
    if (!e) return -ENOENT;
    const generation = generationOf(e);
    // Once more, since it may have become another key's between the search and the generation.
    if (!isKey(e, hash, key, size)) continue;
    if (!(flags & BPF_F_LOCK)) read(map, e, value);
    else if (!readLocked(map, value, e + load<u32>(map, HASH_VALUE))) return -EBUSY;
    if (copiedWhole(e, generation)) return 0;
  }
}

/** The key after `key` in the order of the buckets; the first where `key` is 0 or not there. */
export function hashNextKey(map: usize, key: usize, answer: usize): i32 {
  const size = load<u32>(map, MAP_KEY_SIZE);
  const mask = load<u32>(map, HASH_MASK);
  const buckets = <usize>load<u32>(map, HASH_BUCKETS);
  let index: u32 = 0;
  let e = key ? find(map, key) : 0;
  if (e) {
    index = load<u32>(e, ELEMENT_HASH) & mask;
    e = next(e);
  } else e = head(buckets);
  while (true) {
    for (; e; e = next(e)) {
      const generation = generationOf(e);
      copy(answer, e + ELEMENT_KEY, size);
      // An element that is being filled has no key yet, nor the hash of one.
      if (hashOf(map, answer, size) == load<u32>(e, ELEMENT_HASH) && copiedWhole(e, generation)) return 0;
    }
    if (index == mask) return -ENOENT;
    index++;
    e = head(buckets + index * BUCKET_BYTES);
  }
}

/** A step of bpf_for_each_map_elem. The program may change the map meanwhile: it is shown each element once at most. */
export function hashIterate(map: usize, cursor: usize): i32 {
  const mask = load<u32>(map, HASH_MASK);
  const buckets = <usize>load<u32>(map, HASH_BUCKETS);
  let index = load<u32>(cursor, CURSOR_INDEX);
  let e = <usize>load<u32>(cursor, CURSOR_ELEMENT);
  if (!e) e = head(buckets);
  // An element that was unlinked still leads on; one that was used again leads to another chain.
  else if (generationOf(e) == load<u32>(cursor, CURSOR_GENERATION)) e = next(e);
  else e = 0;
  while (true) {
    for (; e && (load<u32>(e, ELEMENT_HASH) & mask) == index; e = next(e)) {
      if (holder(e) != ELEMENT_LINKED) continue;
      const value = isPerCpu(map)
        ? copiesOf(map, e) + cpu * load<u32>(map, MAP_CPU_STRIDE)
        : e + load<u32>(map, HASH_VALUE);
      store<u32>(cursor, index, CURSOR_INDEX);
      store<u32>(cursor, <u32>e, CURSOR_ELEMENT);
      store<u32>(cursor, generationOf(e), CURSOR_GENERATION);
      store<u32>(cursor, <u32>e + ELEMENT_KEY, CURSOR_KEY);
      store<u32>(cursor, <u32>value, CURSOR_VALUE);
      return 1;
    }
    if (index == mask) return 0;
    index++;
    e = head(buckets + index * BUCKET_BYTES);
  }
}
