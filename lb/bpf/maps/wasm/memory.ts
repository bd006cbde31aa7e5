// What the AssemblyScript modules share: the CPU that this instance is, copies, and plain locks.
import { BUCKET_LOCK } from "../../memory/layout";

@external("env", "cpu") export declare const cpu: i32;
@external("env", "block") export declare const block: usize;

/**
 * Turns of a lock's loop before an operation gives up with -EBUSY: about a fifth of a second, far longer
 * than a lock is held, so the owner is dead or descheduled. The control plane must get out to repair the map.
 */
const SPIN_LIMIT: u32 = 1 << 26;

/** How this CPU signs locks and elements: never 0, never ELEMENT_LINKED. */
@inline export function me(): u32 { return <u32>cpu + 1; }

/** Copy by the widest words, in order: an aligned field of 8 bytes is never torn (as the kernel's bpf_long_memcpy). */
export function copy(to: usize, from: usize, bytes: u32): void {
  let left = bytes;
  while (left >= 8) {
    store<u64>(to, load<u64>(from));
    to += 8; from += 8; left -= 8;
  }
  if (left & 4) { store<u32>(to, load<u32>(from)); to += 4; from += 4; }
  if (left & 2) { store<u16>(to, load<u16>(from)); to += 2; from += 2; }
  if (left & 1) store<u8>(to, load<u8>(from));
}

/** Take the lock word at `at` (0 or its owner's sign); false after SPIN_LIMIT turns. */
export function lock(at: usize): bool {
  for (let turn: u32 = 0; turn < SPIN_LIMIT; turn++) {
    if (atomic.load<u32>(at) == 0 && atomic.cmpxchg<u32>(at, 0, me()) == 0) return true;
  }
  return false;
}

@inline export function unlock(at: usize): void { atomic.store<u32>(at, 0); }

/** Take a bucket's lock, whose word also carries the version; false after SPIN_LIMIT turns. */
export function lockBucket(bucket: usize): bool {
  for (let turn: u32 = 0; turn < SPIN_LIMIT; turn++) {
    if (tryLockBucket(bucket)) return true;
  }
  return false;
}

@inline export function tryLockBucket(bucket: usize): bool {
  const word = atomic.load<u32>(bucket, BUCKET_LOCK);
  return (word & 255) == 0 && atomic.cmpxchg<u32>(bucket, word, word | me(), BUCKET_LOCK) == word;
}

/** Give a bucket back whose chain was not changed. */
@inline export function unlockBucket(bucket: usize): void {
  atomic.store<u32>(bucket, load<u32>(bucket, BUCKET_LOCK) & ~255, BUCKET_LOCK);
}

/** Give a bucket back whose chain was changed: the next version, which makes readers that missed look again. */
@inline export function unlockChangedBucket(bucket: usize): void {
  atomic.store<u32>(bucket, nextVersion(bucket), BUCKET_LOCK);
}

/** Put `head` in front and give the bucket back, in one store. */
@inline export function publishHead(bucket: usize, head: usize): void {
  atomic.store<u64>(bucket, <u64>head | (<u64>nextVersion(bucket) << 32));
}

@inline function nextVersion(bucket: usize): u32 {
  return ((load<u32>(bucket, BUCKET_LOCK) >> 8) + 1) << 8;
}
