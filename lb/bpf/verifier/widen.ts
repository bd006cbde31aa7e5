import type { Environment } from './environment.js';
import { sameCallSites } from './equal.js';
import { type Register, sameContent, UNKNOWN } from './register.js';
import { type Frame, REGISTER_COUNT } from './state.js';

/**
 * A callback has returned and may be called again: numbers that changed since the last time, and that decided nothing,
 * can be anything, so that the rounds come to an end (Linux 6.18, kernel/bpf/verifier.c, widen_imprecise_scalars).
 * @param slot the call that makes the rounds
 */
export function widenNumbers(env: Environment, slot: number): void {
  const { state } = env;
  const before = env.kept
    .at(slot, state.frame)
    .find((kept) => kept.branches > 0 && kept.depth < state.depth && sameCallSites(kept, state));
  if (before === undefined) return;
  for (const frame of before.frames) widenFrame(frame, state.frames[frame.index]!);
}

function widenFrame(old: Frame, now: Frame): void {
  for (let number = 0; number < REGISTER_COUNT; number++) {
    const isPrecise = old.isPreciseRegister(number) || now.isPreciseRegister(number);
    if (mayWiden(old.registers[number]!, now.registers[number]!, isPrecise)) now.registers[number] = UNKNOWN;
  }
  for (let slot = 0; slot < old.kinds.length; slot++) {
    const was = old.spilled(slot);
    const is = now.spilled(slot);
    if (was === undefined || is === undefined) continue;
    if (mayWiden(was, is, old.isPreciseSlot(slot) || now.isPreciseSlot(slot))) now.kept[slot] = UNKNOWN;
  }
}

const mayWiden = (old: Register, now: Register, isPrecise: boolean) =>
  old.isScalar && now.isScalar && !isPrecise && !(sameContent(old, now) && old.id === now.id);
