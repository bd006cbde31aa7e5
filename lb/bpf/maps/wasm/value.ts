// Copies of values. A bpf_spin_lock in a value belongs to who holds it: no copy writes its word, and a copy for bpf()
// has 0 there (kernel: copy_map_value, check_and_init_map_value).
import { MAP_CPU_STRIDE, MAP_CPUS, MAP_LOCK, MAP_VALUE_SIZE } from "../../memory/layout";
import { copy, zero } from "./memory";
import { lockValue, unlockValue } from "./spin-lock";

const LOCK_BYTES: u32 = 4;

@inline function lockOffset(map: usize): u32 { return load<u32>(map, MAP_LOCK) - 1; }
@inline export function hasLock(map: usize): bool { return load<u32>(map, MAP_LOCK) != 0; }
/** Bytes of a CPU's copy in what bpf() takes and gives. */
@inline export function roundedValue(map: usize): u32 { return (load<u32>(map, MAP_VALUE_SIZE) + 7) & ~7; }

/** Everything of a value but its lock. */
export function copyValue(map: usize, to: usize, from: usize): void {
  const size = load<u32>(map, MAP_VALUE_SIZE);
  if (!hasLock(map)) return copy(to, from, size);
  let at = lockOffset(map);
  copy(to, from, at);
  at += LOCK_BYTES;
  // Up to a multiple of 8 first, that fields of 8 bytes are copied whole.
  if ((at & 4) && at < size) {
    const few = min(size - at, LOCK_BYTES);
    copy(to + at, from + at, few);
    at += few;
  }
  copy(to + at, from + at, size - at);
}

/** For bpf(). */
export function readValue(map: usize, to: usize, from: usize): void {
  copyValue(map, to, from);
  if (hasLock(map)) store<u32>(to + lockOffset(map), 0);
}

/** Copy into the map while holding the value's lock; false where its owner seems to be dead. */
export function writeLocked(map: usize, to: usize, from: usize): bool {
  const lock = to + lockOffset(map);
  if (!lockValue(lock)) return false;
  copyValue(map, to, from);
  unlockValue(lock);
  return true;
}

/** Copy out of the map for bpf() while holding the value's lock; false where its owner seems to be dead. */
export function readLocked(map: usize, to: usize, from: usize): bool {
  const lock = from + lockOffset(map);
  if (!lockValue(lock)) return false;
  readValue(map, to, from);
  unlockValue(lock);
  return true;
}

/** All CPUs' copies, whose first is at `from`, end to end, each rounded up to 8 bytes with zeros. */
export function readCopies(map: usize, to: usize, from: usize): void {
  const size = load<u32>(map, MAP_VALUE_SIZE);
  for (let left = load<u32>(map, MAP_CPUS); left; left--) {
    copy(to, from, size);
    zero(to + size, roundedValue(map) - size);
    from += load<u32>(map, MAP_CPU_STRIDE);
    to += roundedValue(map);
  }
}

/** The other way. */
export function writeCopies(map: usize, to: usize, from: usize): void {
  const size = load<u32>(map, MAP_VALUE_SIZE);
  for (let left = load<u32>(map, MAP_CPUS); left; left--) {
    copy(to, from, size);
    to += load<u32>(map, MAP_CPU_STRIDE);
    from += roundedValue(map);
  }
}

/** One CPU's copy, and zeros in the others'. */
export function writeOwnCopy(map: usize, to: usize, from: usize, own: u32): void {
  const cpus = load<u32>(map, MAP_CPUS);
  const size = load<u32>(map, MAP_VALUE_SIZE);
  for (let i: u32 = 0; i < cpus; i++) {
    if (i == own) copy(to, from, size);
    else zero(to, size);
    to += load<u32>(map, MAP_CPU_STRIDE);
  }
}

/** Opens the lock in the value at `value` if the CPU that died holds it. */
@inline export function openValue(map: usize, value: usize, sign: u32): void {
  const lock = value + lockOffset(map);
  if (atomic.load<u32>(lock) == sign) unlockValue(lock);
}
