import { DYNPTR_KIND, dynptrKind, dynptrName, FIRST_SLOT, isFirstSlot } from './dynptr-slots.js';
import type { Environment } from './environment.js';
import { acquire, release } from './references.js';
import { Refusal, refuse } from './refusal.js';
import { baseType, RECORD, Register, TYPE, UNKNOWN } from './register.js';
import { ALL_DYNPTR, isDynptr, SLOT_SIZE, slotIndex } from './stack-slot.js';
import type { Frame } from './state.js';

// struct bpf_dynptr takes two slots of the stack; the one of the lower address is the first.

const reject = (line: string, number?: number) => refuse('VERIFY_DYNPTR', 'EINVAL', line, number);

const NO_ROOM = 'Dynptr has to be an uninitialized dynptr';

/**
 * The first slot of the dynptr that a stack pointer points to.
 * @param wanted the kernel's line for what is not there
 * @returns undefined where the place is outside of what the frame has so far
 * @throws Refusal where no dynptr can be there
 */
function firstSlotOf(env: Environment, register: Register, wanted: string): number | undefined {
  const rejectPlace = (line: string): never => {
    throw new Refusal('VERIFY_DYNPTR', 'EINVAL', [line, wanted]);
  };
  if (!register.isConst()) return rejectPlace('dynptr has to be at a constant offset');
  const off = register.off + register.constNumber();
  const slot = slotIndex(off);
  if (off % SLOT_SIZE !== 0 || slot < 1) return rejectPlace(`cannot pass in dynptr at an offset=${off}`);
  const frame = env.state.frames[register.place]!;
  return slot < frame.kinds.length ? slot : undefined;
}

/** A dynptr whose bytes are about to be written is none any more. @throws Refusal where it holds a reference */
export function destroyDynptr(env: Environment, frame: Frame, slot: number): void {
  if (!isDynptr(frame.kinds[slot]!)) return;
  const first = isFirstSlot(frame.kept[slot]!.place) ? slot : slot + 1;
  const register = frame.kept[first]!;
  if (dynptrKind(register.place) === DYNPTR_KIND.RING_BUFFER) reject('cannot overwrite referenced dynptr');
  env.log.touchSlot(first);
  env.log.touchSlot(first - 1);
  forget(frame, first);
  dropSlices(env, register.id);
}

function forget(frame: Frame, first: number): void {
  for (const slot of [first, first - 1]) {
    frame.kinds[slot] = 0;
    frame.kept[slot] = undefined;
  }
}

/** Pointers into the memory of a dynptr. */
function dropSlices(env: Environment, id: number): void {
  env.state.changeAll((register) =>
    baseType(register.type) === TYPE.MEMORY && (register.type & RECORD) === 0 && register.place === id
      ? UNKNOWN
      : register,
  );
}

/** A helper makes a dynptr at a place whose bytes were checked, and written. */
export function makeDynptr(env: Environment, register: Register, kind: number): void {
  const first = firstSlotOf(env, register, NO_ROOM);
  if (first === undefined) {
    reject(NO_ROOM);
    return;
  }
  const frame = env.state.frames[register.place]!;
  destroyDynptr(env, frame, first);
  destroyDynptr(env, frame, first - 1);
  const id = env.newId();
  const reference = kind === DYNPTR_KIND.RING_BUFFER ? acquire(env) : 0;
  for (const slot of [first, first - 1]) {
    const kept = Register.pointer(TYPE.DYNPTR);
    kept.id = id;
    kept.reference = reference;
    kept.place = kind | (slot === first ? FIRST_SLOT : 0);
    frame.kinds[slot] = ALL_DYNPTR;
    frame.kept[slot] = kept;
    env.log.touchSlot(slot);
  }
}

/** That a place can become a dynptr. @throws Refusal */
export function checkRoomForDynptr(env: Environment, register: Register): void {
  if (register.type !== TYPE.STACK) reject(NO_ROOM);
  firstSlotOf(env, register, NO_ROOM);
}

/** The dynptr that an argument points to. @throws Refusal where there is none, or of another kind */
export function dynptrAt(env: Environment, register: Register, number: number, kind?: number): Register {
  const unset = `Expected an initialized dynptr as arg #${number - 1}`;
  // One that was handed in.
  if (register.type === TYPE.DYNPTR) {
    if (kind !== undefined && dynptrKind(register.place) !== kind)
      reject(`Expected a dynptr of type ${dynptrName(kind)} as arg #${number - 1}`, number);
    return register;
  }
  const first = firstSlotOf(env, register, unset);
  const frame = env.state.frames[register.place]!;
  const kept = first === undefined ? undefined : frame.kept[first];
  if (
    first === undefined ||
    kept === undefined ||
    !isDynptr(frame.kinds[first]!) ||
    !isDynptr(frame.kinds[first - 1]!) ||
    !isFirstSlot(kept.place)
  ) {
    return reject(unset, number);
  }
  if (kind !== undefined && dynptrKind(kept.place) !== kind)
    reject(`Expected a dynptr of type ${dynptrName(kind)} as arg #${number - 1}`, number);
  env.frame.uses.noteRead(env.slot, frame.index, first);
  env.frame.uses.noteRead(env.slot, frame.index, first - 1);
  return kept;
}

/** A dynptr to be given back must hold something. @throws Refusal */
export function checkHeldDynptr(env: Environment, register: Register, number: number): void {
  const unheld = `arg ${number} is an unacquired reference`;
  if (register.type === TYPE.DYNPTR) reject('cannot release unowned const bpf_dynptr', number);
  const first = firstSlotOf(env, register, unheld);
  const kept = first === undefined ? undefined : env.state.frames[register.place]!.kept[first];
  if (kept === undefined || kept.type !== TYPE.DYNPTR || kept.reference === 0) reject(unheld, number);
}

/** Give back what a dynptr holds; it is none any more. @returns false where it held nothing */
export function releaseDynptr(env: Environment, register: Register): boolean {
  const first = firstSlotOf(env, register, 'not a dynptr');
  if (first === undefined) return false;
  const frame = env.state.frames[register.place]!;
  const reference = frame.kept[first]?.reference ?? 0;
  const isHeld = release(env, reference);
  for (let slot = 1; slot < frame.kinds.length; slot++) {
    const kept = frame.kept[slot];
    if (!isDynptr(frame.kinds[slot]!) || kept === undefined) continue;
    if (kept.reference === reference && isFirstSlot(kept.place)) {
      dropSlices(env, kept.id);
      forget(frame, slot);
    }
  }
  return isHeld;
}
