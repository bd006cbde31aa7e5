// What the AssemblyScript modules share: the CPU that this instance is, copies, and plain locks.
import { BUCKET_LOCK } from "../../memory/layout";

@external("env", "cpu") export declare const cpu: i32;
@external("env", "block") export declare const block: usize;
// Not wasm's own instructions: V8's first compiler loses locals that are live across memory.atomic.wait32 (seen with
// Node 20), so that a CPU which waited for a lock took it to be at address 0.
/** Sleep while the word at `at` is `word`, 50 µs at most: a lock's owner was descheduled, and must get the core. */
@external("env", "pause") declare function pause(at: usize, word: u32): void;
/** Wake those who wait for the word at `at` to change. */
@external("env", "wake") export declare function wake(at: usize): void;

/** Turns of a lock's loop without a pause: a lock is held for some 100 ns where its owner runs. */
const SPINS: u32 = 2048;
/**
 * Pauses before an operation gives up with -EBUSY, a fifth of a second or more: the owner is dead. The
 * control plane must get out to repair the map.
 */
const PAUSES: u32 = 2000;

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

export function zero(at: usize, bytes: u32): void {
  let left = bytes;
  while (left >= 8) { store<u64>(at, 0); at += 8; left -= 8; }
  for (; left; left--, at++) store<u8>(at, 0);
}

/** Take the lock word at `at` (0 or its owner's sign); false where its owner seems to be dead. */
export function lock(at: usize): bool {
  for (let turn: u32 = 0; turn < SPINS + PAUSES; turn++) {
    const word = atomic.load<u32>(at);
    if (word == 0 && atomic.cmpxchg<u32>(at, 0, me()) == 0) return true;
    if (turn >= SPINS) pause(at, word);
  }
  return false;
}

@inline export function unlock(at: usize): void { atomic.store<u32>(at, 0); }

/** Take a bucket's lock, whose word also carries the version; false where its owner seems to be dead. */
export function lockBucket(bucket: usize): bool {
  for (let turn: u32 = 0; turn < SPINS + PAUSES; turn++) {
    if (tryLockBucket(bucket)) return true;
    if (turn >= SPINS) pause(bucket + BUCKET_LOCK, atomic.load<u32>(bucket, BUCKET_LOCK));
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
