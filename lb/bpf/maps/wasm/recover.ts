// Repair of a hash after a thread died somewhere inside an operation, while other CPUs go on.
//
// A chain is whole after each store, so a lock that the dead CPU holds can be opened as it is. What it had
// in hand bears its sign, or is the element that it announced last: each such element is either linked by
// now, or goes back to the ring and the free list.
import {
  AREA_END, AREA_FREE, AREA_GROW_END, AREA_GROW_LOCK, AREA_GROWN, AREA_INSERTING, AREA_LOCK, AREA_NEXT, AREA_RING, AREA_RING_SLOTS,
  BUCKET_BYTES, BUCKET_LOCK, ELEMENT_HASH, ELEMENT_LINK, ELEMENT_LINKED, HASH_BUCKETS, HASH_ELEMENTS, HASH_MASK,
  HASH_STRIDE, HASH_TOTAL, HASH_VALUE,
} from "../../memory/layout";
import { bucketOf, inChain } from "./chain";
import { cpu, lockBucket, me, unlock, unlockBucket, unlockChangedBucket } from "./memory";
import { areaCount, areaOf, give, holder, setHolder, sharedArea } from "./pool";
import { hasLock, openValue } from "./value";

export function hashRecover(map: usize, dead: u32): void {
  const sign = dead + 1;
  const areas = areaCount(map);
  openGrowLock(map, sign);
  for (let i: u32 = 0; i <= areas; i++) openArea(map, areaOf(map, i), sign);
  openBuckets(map, sign);
  settleAnnounced(map, dead);
  settleHands(map, dead);
  if (hasLock(map)) openValues(map, sign);
}

function openValues(map: usize, sign: u32): void {
  const stride = load<u32>(map, HASH_STRIDE);
  const value = load<u32>(map, HASH_VALUE);
  const elements = <usize>load<u32>(map, HASH_ELEMENTS);
  const end = elements + load<u32>(map, HASH_TOTAL) * stride;
  const neverGiven = <usize>load<u32>(sharedArea(map), AREA_GROWN);
  for (let e = elements; e != end; e += stride) {
    // Nobody had these, and their memory need not exist.
    if (e == neverGiven) e = load<u32>(sharedArea(map), AREA_GROW_END);
    openValue(map, e + value, sign);
  }
}

/** The range was given away if some area ends after what counts as given. */
function openGrowLock(map: usize, sign: u32): void {
  const shared = sharedArea(map);
  if (atomic.load<u32>(shared, AREA_GROW_LOCK) != sign) return;
  const end = load<u32>(areaOf(map, sign - 1), AREA_END);
  if (end > load<u32>(shared, AREA_GROWN)) store<u32>(shared, end, AREA_GROWN);
  unlock(shared + AREA_GROW_LOCK);
}

/** An element that was about to be taken and is still there, or was just given, is free. */
function openArea(map: usize, area: usize, sign: u32): void {
  if (atomic.load<u32>(area, AREA_LOCK) != sign) return;
  for (let e = <usize>load<u32>(area, AREA_FREE); e; e = load<u32>(e, ELEMENT_LINK)) {
    if (holder(e) == sign) setHolder(e, 0);
  }
  // Died between NEXT and END of a range's gift: END is the old one, and nothing was given.
  if (load<u32>(area, AREA_NEXT) > load<u32>(area, AREA_END)) {
    store<u32>(area, load<u32>(area, AREA_END), AREA_NEXT);
  }
  const unused = <usize>load<u32>(area, AREA_NEXT);
  if (unused != load<u32>(area, AREA_END) && holder(unused) == sign) setHolder(unused, 0);
  unlock(area + AREA_LOCK);
}

function openBuckets(map: usize, sign: u32): void {
  const buckets = <usize>load<u32>(map, HASH_BUCKETS);
  const end = buckets + (load<u32>(map, HASH_MASK) + 1) * BUCKET_BYTES;
  for (let bucket = buckets; bucket != end; bucket += BUCKET_BYTES) {
    if ((load<u32>(bucket, BUCKET_LOCK) & 255) == sign) unlockChangedBucket(bucket);
  }
}

/** What was announced as linked, but is not and is nobody else's, is in the dead CPU's hands again. */
function settleAnnounced(map: usize, dead: u32): void {
  const e = <usize>load<u32>(areaOf(map, dead), AREA_INSERTING);
  if (!e) return;
  while (holder(e) == ELEMENT_LINKED) {
    const hash = load<u32>(e, ELEMENT_HASH);
    const bucket = bucketOf(map, hash);
    if (!lockBucket(bucket)) return;
    // Under the lock of its own hash nobody else is between announcing and linking it.
    const settled = holder(e) != ELEMENT_LINKED || load<u32>(e, ELEMENT_HASH) == hash;
    if (holder(e) == ELEMENT_LINKED && settled && !inChain(bucket, e)) setHolder(e, dead + 1);
    unlockBucket(bucket);
    if (settled) return;
  }
}

/**
 * Sort what the dead CPU had in hand: linked after all, a full ring, the rest free. What this CPU itself
 * could not give because of a lock that is open now is freed too.
 */
function settleHands(map: usize, dead: u32): void {
  const stride = load<u32>(map, HASH_STRIDE);
  const elements = <usize>load<u32>(map, HASH_ELEMENTS);
  const end = elements + load<u32>(map, HASH_TOTAL) * stride;
  const area = areaOf(map, dead);
  const neverGiven = <usize>load<u32>(sharedArea(map), AREA_GROWN);
  const rings = <usize>load<u32>(sharedArea(map), AREA_GROW_END);
  let resting = 0;
  for (let e = elements; e != end; e += stride) {
    // Nobody had these, and their memory need not exist.
    if (e == neverGiven) e = rings;
    const sign = holder(e);
    if (sign == me() && dead != <u32>cpu) {
      if (!restsHere(map, e)) give(map, e);
      continue;
    }
    if (sign != dead + 1) continue;
    const bucket = bucketOf(map, load<u32>(e, ELEMENT_HASH));
    const locked = lockBucket(bucket);
    if (inChain(bucket, e)) setHolder(e, ELEMENT_LINKED);
    else if (resting < AREA_RING_SLOTS) store<u32>(area + AREA_RING + resting++ * 4, <u32>e);
    else {
      setHolder(e, me());
      give(map, e);
    }
    if (locked) unlockBucket(bucket);
  }
}

/** Is the element in this CPU's own ring? */
function restsHere(map: usize, e: usize): bool {
  const ring = areaOf(map, cpu) + AREA_RING;
  for (let i = 0; i < AREA_RING_SLOTS; i++) if (load<u32>(ring + i * 4) == <u32>e) return true;
  return false;
}
