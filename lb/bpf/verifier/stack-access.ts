import { bitsText } from './bounds.js';
import { destroyDynptr } from './dynptr.js';
import { type Environment, LIMITS } from './environment.js';
import { setUnknown, withId, withoutId } from './operands.js';
import { markPrecise } from './precision.js';
import type { Step } from './program.js';
import { refuse } from './refusal.js';
import { baseType, Register, TYPE, UNKNOWN, ZERO } from './register.js';
import {
  byteIndex,
  isSpill,
  KIND,
  kindAt,
  SLOT_SIZE,
  STACK_BYTES,
  scrubbed,
  slotIndex,
  spillBytes,
  spilledOver,
  withKind,
} from './stack-slot.js';
import type { Frame } from './state.js';

/** What pointers can be kept on the stack; all that programs get, but for a dynptr that was handed in. */
const NOT_SPILLED: ReadonlySet<number> = new Set([TYPE.NOT_INIT, TYPE.SCALAR, TYPE.DYNPTR]);

/** The frame that a stack pointer points into. */
export const frameOf = (env: Environment, register: Register): Frame => env.state.frames[register.place]!;

/**
 * That an access stays within a frame, and that its offset is bounded (Linux 6.18, kernel/bpf/verifier.c,
 * check_stack_access_within_bounds).
 * @param off fixed offset, the pointer's own included
 * @throws Refusal
 */
export function checkStackBounds(
  env: Environment,
  register: Register,
  number: number,
  off: number,
  size: number,
  isWrite: boolean,
): void {
  const frame = frameOf(env, register);
  const what = isWrite ? ' write to' : ' read from';
  let min: number;
  let max: number;
  if (register.isConst()) {
    min = register.constNumber() + off;
    max = min + size;
  } else {
    if (register.smaxNumber >= LIMITS.offset || register.sminNumber <= -LIMITS.offset)
      refuse(
        'VERIFY_STACK_BOUNDS',
        'EACCES',
        `invalid unbounded variable-offset${what} stack R${number}`,
        number,
      );
    min = register.sminNumber + off;
    max = register.smaxNumber + off + size;
  }
  const lowest = isWrite || !env.isUnprivileged ? -STACK_BYTES : -frame.kinds.length * SLOT_SIZE;
  const isBelow = min < lowest || min > -1;
  if (isBelow || max > 0) {
    const where = register.isConst()
      ? `invalid${what} stack R${number} off=${min} size=${size}`
      : `invalid variable-offset${what} stack R${number} var_off=${bitsText(register)} off=${off} size=${size}`;
    refuse('VERIFY_STACK_BOUNDS', isBelow ? 'EACCES' : 'EINVAL', where, number);
  }
  growFrame(env, frame, -min);
}

/** Have a frame reach down to -bytes. */
export function growFrame(env: Environment, frame: Frame, bytes: number): void {
  const slots = Math.ceil(bytes / SLOT_SIZE);
  if (frame.kinds.length >= slots) return;
  frame.grow(slots);
  const subprogram = env.program.subprograms[frame.subprogram]!;
  subprogram.stackDepth = Math.max(subprogram.stackDepth, slots * SLOT_SIZE);
}

/** A read of a slot: its content matters on the paths that lead here. */
export function noteSlotRead(env: Environment, frame: Frame, slot: number): void {
  env.frame.uses.noteRead(env.slot, frame.index, slot);
}

/**
 * Follow a load from the stack, bounds checked.
 * @param target register that takes it; -1: none, as the read of an atomic operation that gives nothing back
 * @throws Refusal
 */
export function readStack(
  env: Environment,
  register: Register,
  number: number,
  off: number,
  size: number,
  target: number,
): void {
  const frame = frameOf(env, register);
  if (register.isConst()) {
    readFixed(env, frame, register.constNumber() + off, size, target);
    return;
  }
  if (target < 0) {
    refuse(
      'VERIFY_STACK_BOUNDS',
      'EACCES',
      `variable offset stack pointer cannot be passed into helper function; var_off=${bitsText(register)} off=${off} size=${size}`,
      number,
    );
  }
  refuseVariable(env, register, number);
  const min = register.sminNumber + off;
  const max = register.smaxNumber + off + size;
  checkInitialised(env, register, number, min, max, size, false);
  setFromBytes(env, frame, min, max, target);
}

/** The processor may guess a variable offset wrong: not without CAP_PERFMON. */
export function refuseVariable(env: Environment, register: Register, number: number): void {
  if (!env.isUnprivileged) return;
  refuse(
    'VERIFY_STACK_BOUNDS',
    'EACCES',
    `R${number} variable offset stack access prohibited for !root, var_off=${bitsText(register)}`,
    number,
  );
}

function readFixed(env: Environment, frame: Frame, off: number, size: number, target: number): void {
  const slot = slotIndex(off);
  const kinds = frame.kinds[slot]!;
  env.log.touchSlot(slot);
  noteSlotRead(env, frame, slot);
  if (!isSpill(kinds)) {
    checkBytes(env, kinds, off, size);
    if (target >= 0) setFromBytes(env, frame, off, off + size, target);
    return;
  }
  const kept = frame.kept[slot]!;
  const bytes = spillBytes(kinds);
  if (size === SLOT_SIZE && bytes === SLOT_SIZE) {
    fillWhole(env, frame, slot, kept, off, target);
    return;
  }
  if (!kept.isScalar) refuse('VERIFY_STACK_SPILL', 'EACCES', 'invalid size of register fill');
  if (target < 0) return;
  if (size <= bytes && isLowPart(off, size, bytes)) {
    fillPart(env, frame, slot, kept, size, bytes, target);
    return;
  }
  fillBytes(env, frame, slot, off, size, target);
}

/** The register comes back as it was. */
function fillWhole(
  env: Environment,
  frame: Frame,
  slot: number,
  kept: Register,
  off: number,
  target: number,
): void {
  if (target < 0) {
    if (env.isUnprivileged && kept.isPointer)
      refuse('VERIFY_LEAK', 'EACCES', `leaking pointer from stack off ${off}`);
  } else {
    env.frame.registers[target] = kept;
  }
  env.noteSlot(frame, slot);
}

/** Whether a narrow load reads the low bytes of what was spilled (little endian). */
const isLowPart = (off: number, size: number, bytes: number) =>
  size <= bytes && ((off % SLOT_SIZE) + SLOT_SIZE) % SLOT_SIZE === 0;

function fillPart(
  env: Environment,
  frame: Frame,
  slot: number,
  kept: Register,
  size: number,
  bytes: number,
  target: number,
): void {
  let source = kept;
  if (size === 4 && bytes === 4 && kept.fitsU32()) {
    source = withId(env, kept);
    frame.kept[slot] = source;
  }
  const bits = widthOf(source);
  env.frame.registers[target] = bits > size * 8 ? withoutId(source) : source;
  env.noteSlot(frame, slot);
}

/** Bits that a number needs. */
function widthOf(register: Register): number {
  return register.umaxHi !== 0 ? 64 - Math.clz32(register.umaxHi) : 32 - Math.clz32(register.umaxLo);
}

function fillBytes(
  env: Environment,
  frame: Frame,
  slot: number,
  off: number,
  size: number,
  target: number,
): void {
  const kinds = frame.kinds[slot]!;
  let spilled = 0;
  let zeros = 0;
  for (let i = 0; i < size; i++) {
    const kind = kindAt(kinds, byteIndex(off + i));
    if (kind === KIND.SPILL) spilled++;
    else if (kind === KIND.ZERO) zeros++;
    else checkByte(env, kind, off, i, size);
  }
  if (spilled === size && frame.kept[slot]!.isZero()) {
    env.frame.registers[target] = ZERO;
    env.noteSlot(frame, slot);
    return;
  }
  if (zeros === size) env.frame.registers[target] = ZERO;
  else setUnknown(env, target);
}

function checkByte(env: Environment, kind: number, off: number, index: number, size: number): void {
  if (kind === KIND.MISC || kind === KIND.ZERO) return;
  if (kind === KIND.INVALID && !env.isUnprivileged) return;
  refuse('VERIFY_STACK_UNINITIALISED', 'EACCES', `invalid read from stack off ${off}+${index} size ${size}`);
}

function checkBytes(env: Environment, kinds: number, off: number, size: number): void {
  for (let i = 0; i < size; i++) checkByte(env, kindAt(kinds, byteIndex(off + i)), off, i, size);
}

/** A load of bytes that are no register's: 0 where all of them surely are. */
function setFromBytes(env: Environment, frame: Frame, min: number, max: number, target: number): void {
  let zeros = 0;
  for (let off = min; off < max; off++) {
    const slot = slotIndex(off);
    env.log.touchSlot(slot);
    if (kindAt(frame.kinds[slot]!, byteIndex(off)) !== KIND.ZERO) break;
    zeros++;
  }
  if (zeros === max - min) env.frame.registers[target] = ZERO;
  else setUnknown(env, target);
}

/**
 * That every byte of a part of the stack may be read; what a helper writes over is of unknown content afterwards.
 * @throws Refusal
 */
export function checkInitialised(
  env: Environment,
  register: Register,
  number: number,
  min: number,
  max: number,
  size: number,
  isOverwritten: boolean,
): void {
  const frame = frameOf(env, register);
  for (let off = min; off < max; off++) {
    const slot = slotIndex(off);
    const byte = byteIndex(off);
    const kinds = frame.kinds[slot]!;
    const kind = kindAt(kinds, byte);
    const kept = isSpill(kinds) ? frame.kept[slot] : undefined;
    if (kind === KIND.ZERO || (kind === KIND.INVALID && !env.isUnprivileged)) {
      if (isOverwritten) frame.kinds[slot] = withKind(kinds, byte, KIND.MISC);
    } else if (kept !== undefined && (kept.isScalar || !env.isUnprivileged)) {
      if (isOverwritten) {
        frame.kept[slot] = UNKNOWN;
        frame.kinds[slot] = scrubbed(kinds);
      }
    } else if (kind !== KIND.MISC) {
      const line = register.isConst()
        ? `invalid read from stack R${number} off ${min}+${off - min} size ${size}`
        : `invalid read from stack R${number} var_off ${bitsText(register)}+${off - min} size ${size}`;
      refuse('VERIFY_STACK_UNINITIALISED', 'EACCES', line, number);
    }
    noteSlotRead(env, frame, slot);
  }
}

/** Value that is stored: a register's, a constant, or one of which nothing is known. */
export interface Stored {
  /** -1: no register. */
  readonly register: number;
  readonly immediate: number | undefined;
}

/** What an instruction stores. */
export function storedBy(step: Step): Stored {
  if (step.kind === 'store') {
    return step.src.kind === 'reg'
      ? { register: step.src.reg, immediate: undefined }
      : { register: -1, immediate: step.src.value };
  }
  if (step.kind === 'store-release') return { register: step.src, immediate: undefined };
  return NOTHING;
}
export const NOTHING: Stored = { register: -1, immediate: undefined };

/** Follow a store to the stack, bounds checked. @throws Refusal */
export function writeStack(
  env: Environment,
  register: Register,
  off: number,
  size: number,
  stored: Stored,
): void {
  const frame = frameOf(env, register);
  if (register.isConst()) writeFixed(env, frame, register.constNumber() + off, size, stored);
  else writeVariable(env, frame, register.sminNumber + off, register.smaxNumber + off + size, stored);
}

function writeFixed(env: Environment, frame: Frame, off: number, size: number, stored: Stored): void {
  const slot = slotIndex(off);
  const isAtStart = off % SLOT_SIZE === 0;
  if (env.isUnprivileged && size !== SLOT_SIZE && frame.spilled(slot)?.isPointer === true)
    refuse('VERIFY_STACK_SPILL', 'EACCES', 'attempt to corrupt spilled pointer on stack');
  destroyDynptr(env, frame, slot);
  env.log.touchSlot(slot);
  if (size === SLOT_SIZE) {
    env.wroteSlot = slot;
    env.wroteFrame = frame.index;
  }
  let value = stored.register >= 0 ? env.frame.registers[stored.register]! : undefined;
  if (isAtStart && value?.isScalar === true) {
    const fits = widthOf(value) <= size * 8;
    if (fits) {
      value = withId(env, value);
      env.frame.registers[stored.register] = value;
    }
    keep(env, frame, slot, fits ? value : forgetId(value), size);
    return;
  }
  if (isAtStart && value === undefined && stored.immediate !== undefined) {
    keep(env, frame, slot, Register.constant(stored.immediate >> 31, stored.immediate), size);
    return;
  }
  if (value !== undefined && !NOT_SPILLED.has(baseType(value.type))) {
    if (size !== SLOT_SIZE) refuse('VERIFY_STACK_SPILL', 'EACCES', 'invalid size of register spill');
    if (frame !== env.frame && value.type === TYPE.STACK) {
      refuse('VERIFY_STACK_SPILL', 'EINVAL', 'cannot spill pointers to stack into stack frame of the caller');
    }
    keep(env, frame, slot, value, size);
    return;
  }
  let kind: number = KIND.MISC;
  if (value?.isNull === true || stored.immediate === 0) {
    // The byte's being 0 is relied on wherever it is read: so must be what it came from.
    if (stored.register >= 0) markPrecise(env, stored.register);
    kind = KIND.ZERO;
  }
  frame.kept[slot] = undefined;
  let kinds = scrubbed(frame.kinds[slot]!);
  for (let i = 0; i < size; i++) kinds = withKind(kinds, byteIndex(off + i), kind);
  frame.kinds[slot] = kinds;
}

/** Only the id goes: a number that is cut is not the same. */
function forgetId(register: Register): Register {
  if (register.id === 0) return register;
  const copy = register.copy();
  copy.id = 0;
  return copy;
}

/** Keep a register, or its low bytes, in a slot. */
function keep(env: Environment, frame: Frame, slot: number, register: Register, size: number): void {
  frame.kept[slot] = register;
  frame.kinds[slot] = spilledOver(frame.kinds[slot]!, size);
  env.noteSlot(frame, slot);
}

function writeVariable(env: Environment, frame: Frame, min: number, max: number, stored: Stored): void {
  const value = stored.register >= 0 ? env.frame.registers[stored.register] : undefined;
  const isZero = value?.isNull === true || (value === undefined && stored.immediate === 0);
  let reliesOnZero = false;
  for (let off = min; off < max; off++) destroyDynptr(env, frame, slotIndex(off));
  for (let off = min; off < max; off++) {
    const slot = slotIndex(off);
    const byte = byteIndex(off);
    const kinds = frame.kinds[slot]!;
    const kind = kindAt(kinds, byte);
    env.log.touchSlot(slot);
    if (env.isUnprivileged && kind !== KIND.MISC && kind !== KIND.ZERO) {
      const isUnwritten = kind === KIND.INVALID;
      refuse(
        isUnwritten ? 'VERIFY_STACK_UNINITIALISED' : 'VERIFY_STACK_SPILL',
        'EINVAL',
        `spilled ptr in range of var-offset stack write; insn ${env.slot}, ptr off: ${off}`,
      );
    }
    const kept = kind === KIND.SPILL ? frame.spilled(slot) : undefined;
    if (isZero && kept?.isNull === true) {
      reliesOnZero = true;
      continue;
    }
    // What was spilled here is bytes of unknown content from now on.
    frame.kept[slot] = undefined;
    const stays = isZero && kind === KIND.ZERO;
    reliesOnZero ||= stays;
    frame.kinds[slot] = withKind(scrubbed(kinds), byte, stays ? KIND.ZERO : KIND.MISC);
  }
  if (reliesOnZero && stored.register >= 0) markPrecise(env, stored.register);
}
