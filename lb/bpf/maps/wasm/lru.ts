// Victims of an LRU: second chance (the clock), in ranges that the CPUs share out, so that no list is moved by a
// hit and no lock is common; with BPF_F_NO_COMMON_LRU, each in its own part. A lookup sets an element's bit; the
// sweep clears it, and evicts the element whose bit is still clear one round later. The kernel's two lists come
// to the same: what is used once in a round stays.
import {
  AREA_CURSOR, AREA_CURSOR_LEFT, AREA_HAND, ELEMENT_HASH, ELEMENT_LINKED, ELEMENT_NEXT, ELEMENT_REFERENCED,
  HASH_ELEMENTS, HASH_STRIDE, HASH_TOTAL,
} from "../../memory/layout";
import { before, bucketOf, inChain, next } from "./chain";
import { cpu, me, publishHead, tryLockBucket, unlockBucket, unlockChangedBucket } from "./memory";
import { areaOf, holder, ownCount, setHolder, sharedArea, steal, take } from "./pool";

/** Elements that one turn looks at before it takes one that is in use: bounds the time of an insert. */
const SWEEP_LIMIT: u32 = 256;
/** Elements of a range: one atomic addition each. */
const RANGE: u32 = 32;
/** Rounds over a table of which other CPUs hold each element, before -ENOMEM. */
const ROUNDS: u32 = 1 << 16;

/** The element to look at next. */
function advance(map: usize, area: usize): usize {
  const stride = load<u32>(map, HASH_STRIDE);
  const own = ownCount(map);
  let first = <usize>load<u32>(map, HASH_ELEMENTS);
  let count = load<u32>(map, HASH_TOTAL);
  let e = <usize>load<u32>(area, AREA_CURSOR);
  if (own) {
    first += cpu * own * stride;
    count = own;
    if (!e) e = first;
  } else {
    let left = load<u32>(area, AREA_CURSOR_LEFT);
    if (left == 0) {
      e = first + (atomic.add<u32>(sharedArea(map), RANGE, AREA_HAND) % count) * stride;
      left = RANGE;
    }
    store<u32>(area, left - 1, AREA_CURSOR_LEFT);
  }
  const following = e + stride;
  store<u32>(area, following == first + count * stride ? first : following, AREA_CURSOR);
  return e;
}

/** Look at up to `limit` elements for one to evict; `force` takes it in spite of its bit. */
function sweep(map: usize, held: usize, limit: u32, force: bool): usize {
  const area = areaOf(map, cpu);
  for (let i: u32 = 0; i < limit; i++) {
    const e = advance(map, area);
    if (holder(e) != ELEMENT_LINKED) continue;
    if (!force && load<u8>(e, ELEMENT_REFERENCED)) store<u8>(e, 0, ELEMENT_REFERENCED);
    else if (evict(map, e, held)) return e;
  }
  return 0;
}

/** Unlink an element, which is then in hand. `held` is the bucket that this CPU has locked already. */
function evict(map: usize, e: usize, held: usize): bool {
  const bucket = bucketOf(map, load<u32>(e, ELEMENT_HASH));
  // Never waits, since it holds a lock: a busy bucket keeps its elements.
  if (bucket != held && !tryLockBucket(bucket)) return false;
  if (!inChain(bucket, e) || holder(e) != ELEMENT_LINKED) {
    if (bucket != held) unlockBucket(bucket);
    return false;
  }
  setHolder(e, me());
  if (before) atomic.store<u32>(before, <u32>next(e), ELEMENT_NEXT);
  if (bucket == held) {
    if (!before) atomic.store<u32>(bucket, <u32>next(e));
  } else if (before) unlockChangedBucket(bucket);
  else publishHead(bucket, next(e));
  return true;
}

/** Evict any element that can be. */
function evictAny(map: usize, held: usize): usize {
  const stride = load<u32>(map, HASH_STRIDE);
  const elements = <usize>load<u32>(map, HASH_ELEMENTS);
  const end = elements + load<u32>(map, HASH_TOTAL) * stride;
  for (let e = elements; e != end; e += stride) {
    if (holder(e) == ELEMENT_LINKED && evict(map, e, held)) return e;
  }
  return 0;
}

/**
 * An element for a new key, in hand: unused, free, evicted, or another CPU's. `held` is locked. Where each CPU has its
 * own part, others' is what it takes last.
 */
export function takeOrEvict(map: usize, held: usize): usize {
  const own = ownCount(map);
  let e = take(map);
  for (let round: u32 = 0; !e && round < ROUNDS; round++) {
    e = sweep(map, held, SWEEP_LIMIT, false);
    if (!e && own) e = sweep(map, held, own, true);
    if (!e) e = steal(map);
    if (!e) e = own ? evictAny(map, held) : sweep(map, held, load<u32>(map, HASH_TOTAL), true);
    if (!e) e = take(map);
  }
  return e;
}
