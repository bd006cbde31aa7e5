// struct bpf_spin_lock: a word of a map's value, 0 or the sign of the CPU that holds it.
import { lock, me, unlock } from "./memory";

/**
 * Times that a program waits for a lock as long as an operation does, ten seconds in all. The verifier lets nothing
 * between lock and unlock that takes time, and map_recover opens the locks of a CPU that died: after this long the
 * lock is left from a thread that nobody recovered, and the program takes it over rather than hang.
 */
const PATIENCE: u32 = 50;

/** False where the lock's owner seems to be dead. */
export function lockValue(at: usize): bool {
  // Left by a program that this CPU did not run to its end.
  return atomic.load<u32>(at) == me() || lock(at);
}

@inline export function unlockValue(at: usize): void { unlock(at); }

export function bpf_spin_lock(at: u64): i64 {
  for (let turn: u32 = 0; turn < PATIENCE; turn++) if (lockValue(<usize>at)) return 0;
  atomic.store<u32>(<usize>at, me());
  return 0;
}

export function bpf_spin_unlock(at: u64): i64 {
  unlockValue(<usize>at);
  return 0;
}
