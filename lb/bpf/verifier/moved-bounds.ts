import { bitsText, checkMapValue } from './bounds.js';
import type { Environment } from './environment.js';
import { Refusal, refuse } from './refusal.js';
import { type Register, TYPE } from './register.js';
import { STACK_BYTES } from './stack-slot.js';

/**
 * Without CAP_PERFMON a pointer must stay in its memory even before it is used: the processor may guess an access
 * through it (Linux 6.18, kernel/bpf/verifier.c, sanitize_check_bounds).
 * @throws Refusal
 */
export function checkMovedBounds(env: Environment, dst: number, moved: Register): void {
  if (!env.isUnprivileged) return;
  if (moved.type === TYPE.STACK) checkStack(dst, moved);
  else if (moved.type === TYPE.MAP_VALUE) checkValue(dst, moved);
}

function checkStack(dst: number, moved: Register): void {
  const reject = (line: string) => refuse('VERIFY_STACK_BOUNDS', 'EACCES', line, dst);
  if (!moved.isConst()) {
    reject(`R${dst} variable stack access prohibited for !root, var_off=${bitsText(moved)} off=${moved.off}`);
    return;
  }
  const off = moved.off + moved.constNumber();
  if (off >= 0 || off < -STACK_BYTES)
    reject(`R${dst} stack pointer arithmetic goes out of range, prohibited for !root; off=${off}`);
}

function checkValue(dst: number, moved: Register): void {
  try {
    checkMapValue(moved, dst, moved.off, 1);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    const line = `R${dst} pointer arithmetic of map value goes out of range, prohibited for !root`;
    throw new Refusal(error.code, error.errno, [...error.lines, line], dst);
  }
}
