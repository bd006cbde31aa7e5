// Buckets and chains: finding a key without a lock.
//
// A chain is changed by one store at a time, under its bucket's lock. A reader that finds its key is done.
// One that does not may have stood on an element which was unlinked and used again elsewhere, and have
// followed it away: whoever unlinks advances the bucket's version before the element can be used again, so
// the reader sees another version than at its start, and looks again. It never waits for the lock.
import {
  BUCKET_BYTES, BUCKET_LOCK, ELEMENT_HASH, ELEMENT_KEY, ELEMENT_NEXT, HASH_BUCKETS, HASH_MASK, HASH_SEED,
  MAP_KEY_SIZE,
} from "../../memory/layout";
import { hash16, hash20, hash4, hash40, hash8, hashBytes, hashOf } from "./hash-function";

@inline export function bucketOf(map: usize, hash: u32): usize {
  return load<u32>(map, HASH_BUCKETS) + (hash & load<u32>(map, HASH_MASK)) * BUCKET_BYTES;
}

@inline export function head(bucket: usize): usize { return atomic.load<u32>(bucket); }
@inline export function next(element: usize): usize { return atomic.load<u32>(element, ELEMENT_NEXT); }

@inline function same4(e: usize, key: usize): bool { return load<u32>(e, ELEMENT_KEY) == load<u32>(key); }
@inline function same8(e: usize, key: usize): bool { return load<u64>(e, ELEMENT_KEY) == load<u64>(key); }
@inline function same16(e: usize, key: usize): bool {
  return ((load<u64>(e, 16) ^ load<u64>(key)) | (load<u64>(e, 24) ^ load<u64>(key, 8))) == 0;
}
@inline function same20(e: usize, key: usize): bool {
  return ((load<u64>(e, 16) ^ load<u64>(key)) | (load<u64>(e, 24) ^ load<u64>(key, 8)) |
    <u64>(load<u32>(e, 32) ^ load<u32>(key, 16))) == 0;
}
@inline function same40(e: usize, key: usize): bool {
  return ((load<u64>(e, 16) ^ load<u64>(key)) | (load<u64>(e, 24) ^ load<u64>(key, 8)) |
    (load<u64>(e, 32) ^ load<u64>(key, 16)) | (load<u64>(e, 40) ^ load<u64>(key, 24)) |
    (load<u64>(e, 48) ^ load<u64>(key, 32))) == 0;
}
function sameBytes(e: usize, key: usize, size: u32): bool {
  let at = e + ELEMENT_KEY;
  let left = size;
  for (; left >= 8; left -= 8, at += 8, key += 8) if (load<u64>(at) != load<u64>(key)) return false;
  for (; left; left--, at++, key++) if (load<u8>(at) != load<u8>(key)) return false;
  return true;
}

@inline function same(e: usize, key: usize, size: u32): bool {
  if (size == 40) return same40(e, key);
  if (size == 20) return same20(e, key);
  if (size == 4) return same4(e, key);
  if (size == 8) return same8(e, key);
  if (size == 16) return same16(e, key);
  return sameBytes(e, key, size);
}

/** Is `e` the element of this key? Its hash is compared first: that of an element in the making never fits. */
@inline export function isKey(e: usize, hash: u32, key: usize, size: u32): bool {
  return load<u32>(e, ELEMENT_HASH) == hash && same(e, key, size);
}

/** The element of a key whose size is a constant here, so that its code is straight. */
@inline function search(map: usize, hash: u32, key: usize, size: u32): usize {
  const bucket = bucketOf(map, hash);
  while (true) {
    const start = atomic.load<u64>(bucket);
    for (let e = <usize>start & 0xffffffff; e; e = next(e)) if (isKey(e, hash, key, size)) return e;
    if (!((atomic.load<u32>(bucket, BUCKET_LOCK) ^ <u32>(start >> 32)) >> 8)) return 0;
  }
}

function find4(map: usize, key: usize, seed: usize): usize { return search(map, hash4(key, seed), key, 4); }
function find8(map: usize, key: usize, seed: usize): usize { return search(map, hash8(key, seed), key, 8); }
function find16(map: usize, key: usize, seed: usize): usize { return search(map, hash16(key, seed), key, 16); }
function find20(map: usize, key: usize, seed: usize): usize { return search(map, hash20(key, seed), key, 20); }
function find40(map: usize, key: usize, seed: usize): usize { return search(map, hash40(key, seed), key, 40); }
function findAny(map: usize, key: usize, seed: usize): usize {
  const size = load<u32>(map, MAP_KEY_SIZE);
  const hash = hashBytes(key, size, seed);
  const bucket = bucketOf(map, hash);
  while (true) {
    const start = atomic.load<u64>(bucket);
    for (let e = <usize>start & 0xffffffff; e; e = next(e)) {
      if (load<u32>(e, ELEMENT_HASH) == hash && sameBytes(e, key, size)) return e;
    }
    if (!((atomic.load<u32>(bucket, BUCKET_LOCK) ^ <u32>(start >> 32)) >> 8)) return 0;
  }
}

/** The element of `key`, or 0. Takes no lock. */
@inline export function find(map: usize, key: usize): usize {
  const size = load<u32>(map, MAP_KEY_SIZE);
  const seed = <usize>load<u32>(map, HASH_SEED);
  if (size == 40) return find40(map, key, seed);
  if (size == 20) return find20(map, key, seed);
  if (size == 4) return find4(map, key, seed);
  if (size == 8) return find8(map, key, seed);
  if (size == 16) return find16(map, key, seed);
  return findAny(map, key, seed);
}

/** What comes before the `found` element of a chain: an element, or 0 for the bucket's head. */
export let before: usize = 0;

/** The element of a key, with `before` set. The bucket is locked. */
export function findLocked(map: usize, bucket: usize, hash: u32, key: usize): usize {
  const size = load<u32>(map, MAP_KEY_SIZE);
  before = 0;
  for (let e = head(bucket); e; e = next(e)) {
    if (isKey(e, hash, key, size)) return e;
    before = e;
  }
  return 0;
}

/** Is `element` in this chain? `before` is set if it is. The bucket is locked. */
export function inChain(bucket: usize, element: usize): bool {
  before = 0;
  for (let e = head(bucket); e; e = next(e)) {
    if (e == element) return true;
    before = e;
  }
  return false;
}

export { hashOf };
