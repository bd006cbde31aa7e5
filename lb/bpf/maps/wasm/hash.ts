// HASH and LRU_HASH (kernel/bpf/hashtab.c's semantics).
import {
  AREA_INSERTING, BUCKET_BYTES, ELEMENT_GENERATION, ELEMENT_HASH, ELEMENT_KEY, ELEMENT_LINKED, ELEMENT_NEXT,
  ELEMENT_REFERENCED, HASH_BUCKETS, HASH_MASK, HASH_VALUE, MAP_KEY_SIZE, MAP_VALUE_SIZE,
} from "../../memory/layout";
import { BPF_EXIST, BPF_NOEXIST, E2BIG, EBUSY, EEXIST, EINVAL, ENOENT, ENOMEM } from "../uapi";
import { before, bucketOf, find, findLocked, hashOf, head, isKey, next } from "./chain";
import { takeOrEvict } from "./lru";
import { copy, cpu, lockBucket, me, publishHead, unlockBucket, unlockChangedBucket } from "./memory";
import { areaOf, fill, isLru, oldestSlot, poolInit, rest, retire, setHolder, steal, take } from "./pool";

export function hash_lookup(map: usize, key: usize): usize {
  const e = find(map, key);
  return e ? e + load<u32>(map, HASH_VALUE) : 0;
}

export function lru_hash_lookup(map: usize, key: usize): usize {
  const e = find(map, key);
  if (!e) return 0;
  // A store only when the bit is clear: hits do not take the line from each other.
  if (!load<u8>(e, ELEMENT_REFERENCED)) store<u8>(e, 1, ELEMENT_REFERENCED);
  return e + load<u32>(map, HASH_VALUE);
}

export function hashInit(map: usize): void {
  poolInit(map);
}

export function hashUpdate(map: usize, key: usize, value: usize, flags: u64): i32 {
  if (flags > <u64>BPF_EXIST) return -EINVAL;
  const hash = hashOf(map, key, load<u32>(map, MAP_KEY_SIZE));
  const bucket = bucketOf(map, hash);
  if (!lockBucket(bucket)) return -EBUSY;
  const present = findLocked(map, bucket, hash, key);
  if (present) {
    if (flags == <u64>BPF_NOEXIST) {
      unlockBucket(bucket);
      return -EEXIST;
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
  fill(map, fresh, hash, key, value, 0);
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

/** Put a new element in the place of `old`, in one store: readers find either. Gives the bucket back. */
function replace(map: usize, bucket: usize, old: usize, hash: u32, key: usize, value: usize): void {
  const area = areaOf(map, cpu);
  const slot = oldestSlot(area);
  const fresh = <usize>load<u32>(slot);
  // An LRU counts the update of a key that is there as a use.
  fill(map, fresh, hash, key, value, 1);
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
  const hash = hashOf(map, key, load<u32>(map, MAP_KEY_SIZE));
  const bucket = bucketOf(map, hash);
  if (!lockBucket(bucket)) return -EBUSY;
  const e = findLocked(map, bucket, hash, key);
  if (!e) {
    unlockBucket(bucket);
    return -ENOENT;
  }
  setHolder(e, me());
  link(bucket, next(e));
  retire(map, e);
  return 0;
}

/** What `copiedWhole` compares: to be read before the copy. */
@inline function generationOf(e: usize): u32 { return atomic.load<u16>(e, ELEMENT_GENERATION); }

/** Was the element not used again since `generation` was read, so that the copy is of one moment? */
@inline function copiedWhole(e: usize, generation: u32): bool {
  // An exchange and not a load: the copy's loads must not move below it.
  return atomic.cmpxchg<u16>(e, <u16>generation, <u16>generation, ELEMENT_GENERATION) == generation;
}

/** A whole copy of the value. Not a use of the key: bpf() does not keep an LRU's elements alive. */
export function hashRead(map: usize, key: usize, value: usize): i32 {
  const size = load<u32>(map, MAP_KEY_SIZE);
  const hash = hashOf(map, key, size);
  while (true) {
    const e = find(map, key);
    if (!e) return -ENOENT;
    const generation = generationOf(e);
    // Once more, since it may have become another key's between the search and the generation.
    if (!isKey(e, hash, key, size)) continue;
    copy(value, e + load<u32>(map, HASH_VALUE), load<u32>(map, MAP_VALUE_SIZE));
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
