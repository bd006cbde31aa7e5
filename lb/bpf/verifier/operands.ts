import type { Environment } from './environment.js';
import { refuse } from './refusal.js';
import { PLUS_CONSTANT, type Register, TYPE, UNKNOWN } from './register.js';

const FRAME_POINTER = 10;

/** A register that an instruction reads. */
export function readRegister(env: Environment, number: number): Register {
  const register = env.frame.registers[number]!;
  env.log.touch(number);
  if (register.type === TYPE.NOT_INIT)
    refuse('VERIFY_UNINITIALISED', 'EACCES', `R${number} !read_ok`, number);
  return register;
}

/** That an instruction may write a register. */
export function checkTarget(env: Environment, number: number): void {
  env.log.touch(number);
  if (number === FRAME_POINTER)
    refuse('VERIFY_FRAME_POINTER', 'EACCES', 'frame pointer is read only', number);
}

/** Put what an instruction gives into a register that was checked. */
export function setRegister(env: Environment, number: number, register: Register): void {
  env.frame.registers[number] = register;
}

/** A number of which nothing is known. */
export function setUnknown(env: Environment, number: number): void {
  env.frame.registers[number] = UNKNOWN;
}

/** Whether a register holds a pointer that may not leak: with CAP_PERFMON every one may. */
export const mayNotLeak = (env: Environment, register: Register): boolean =>
  env.isUnprivileged && register.isPointer;

/**
 * The register with an id, so that a copy of it can be told to be the same number: constants need none, and one that
 * is another plus a constant becomes a number of its own.
 */
export function withId(env: Environment, register: Register): Register {
  if (register.type !== TYPE.SCALAR) return register;
  const isSum = (register.id & PLUS_CONSTANT) !== 0;
  const needsId = (register.id === 0 || isSum) && !register.isConst();
  if (!isSum && !needsId) return register;
  const copy = register.copy();
  copy.off = 0;
  copy.id = needsId ? env.newId() : 0;
  return copy;
}

/** The register as one that is linked to no other. */
export function withoutId(register: Register): Register {
  if (register.id === 0 && register.off === 0) return register;
  const copy = register.copy();
  copy.id = 0;
  copy.off = 0;
  return copy;
}

/** Forget what is known of all packet pointers: the packet may have moved. */
export function dropPacketPointers(env: Environment): void {
  env.state.changeAll((register) => (register.isPacketOrEnd ? UNKNOWN : register));
}
