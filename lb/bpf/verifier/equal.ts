import type { Environment } from './environment.js';
import { baseType, PLUS_CONSTANT, type Register, sameContent, TYPE, UNKNOWN } from './register.js';
import { scalarWithin } from './scalar.js';
import { allOf, isSpill, KIND, kindAt, SLOT_SIZE } from './stack-slot.js';
import { type Frame, REGISTER_COUNT, type State } from './state.js';

/**
 * How alike two states must be: `covered`: what was safe from the old one is safe from the new, numbers that decided
 * nothing left aside; `within`: the same, with all numbers counting; `same`: no difference, which in a loop means that
 * it never ends.
 */
export type Likeness = 'covered' | 'within' | 'same';

/** Ids of the old state and which of the new one stand for them: each for one. */
class Pairs {
  readonly #old: number[] = [];
  readonly #now: number[] = [];
  #unused = 0;

  reset(lastId: number): void {
    this.#old.length = 0;
    this.#now.length = 0;
    this.#unused = lastId;
  }

  match(old: number, now: number): boolean {
    if ((old === 0) !== (now === 0)) return false;
    if (old === 0) return true;
    const { length } = this.#old;
    for (let index = 0; index < length; index++) {
      if (this.#old[index] === old) return this.#now[index] === now;
      if (this.#now[index] === now) return false;
    }
    this.#old.push(old);
    this.#now.push(now);
    return true;
  }

  /** `now` may be a number without id, which is like no other. */
  matchNumber(old: number, now: number): boolean {
    return this.match(old, now === 0 ? this.#fresh() : now);
  }

  #fresh(): number {
    this.#unused += 1;
    return this.#unused;
  }
}

const pairs = new Pairs();

/** Whether both are in the same chain of calls. */
export function sameCallSites(a: State, b: State): boolean {
  if (a.frames.length !== b.frames.length) return false;
  for (let index = 0; index < a.frames.length; index++) {
    if (a.frames[index]!.callSite !== b.frames[index]!.callSite) return false;
  }
  return true;
}

/**
 * Whether a kept state stands for the current one (Linux 6.18, kernel/bpf/verifier.c, states_equal). Both are at the
 * same instruction, in the same chain of calls.
 */
export function statesEqual(env: Environment, old: State, now: State, likeness: Likeness): boolean {
  pairs.reset(env.lastId);
  if (!sameReferences(old, now)) return false;
  for (let index = 0; index < old.frames.length; index++) {
    const live = env.program.liveRegisters[old.slotOfFrame(index)]!;
    if (!framesEqual(env, old.frames[index]!, now.frames[index]!, live, likeness)) return false;
  }
  return true;
}

function sameReferences(old: State, now: State): boolean {
  if (old.locks !== now.locks || old.references.length !== now.references.length) return false;
  return old.references.every((reference, index) => {
    const other = now.references[index]!;
    return (
      reference.kind === other.kind && reference.map === other.map && pairs.match(reference.id, other.id)
    );
  });
}

function framesEqual(env: Environment, old: Frame, now: Frame, live: number, likeness: Likeness): boolean {
  if (old.callbackDepth > now.callbackDepth) return false;
  for (let number = 0; number < REGISTER_COUNT; number++) {
    if ((live & (1 << number)) === 0) continue;
    const isPrecise = old.isPreciseRegister(number);
    if (!registersEqual(old.registers[number]!, now.registers[number]!, isPrecise, likeness)) return false;
  }
  return stacksEqual(env, old, now, likeness);
}

function registersEqual(old: Register, now: Register, isPrecise: boolean, likeness: Likeness): boolean {
  if (likeness === 'same') return exactlyEqual(old, now);
  if (old.type === TYPE.NOT_INIT) return likeness === 'covered' || now.type === TYPE.NOT_INIT;
  if (old.type !== now.type) return false;
  switch (baseType(old.type)) {
    case TYPE.SCALAR:
      if (!isPrecise && likeness === 'covered') return true;
      if (!scalarWithin(old, now)) return false;
      // A number that nothing was linked to stands for one that something is linked to.
      if (old.id === 0) return true;
      if ((old.id & PLUS_CONSTANT) !== (now.id & PLUS_CONSTANT)) return false;
      if ((old.id & PLUS_CONSTANT) !== 0 && old.off !== now.off) return false;
      return pairs.matchNumber(old.id, now.id);
    case TYPE.MAP_KEY:
    case TYPE.MAP_VALUE:
    case TYPE.MEMORY:
      return (
        old.off === now.off &&
        old.map === now.map &&
        old.extent === now.extent &&
        old.place === now.place &&
        scalarWithin(old, now) &&
        pairs.match(old.id, now.id) &&
        pairs.match(old.reference, now.reference)
      );
    case TYPE.PACKET:
    case TYPE.PACKET_META:
      return (
        rangesEqual(old, now) && old.off === now.off && pairs.match(old.id, now.id) && scalarWithin(old, now)
      );
    default:
      return exactlyEqual(old, now);
  }
}

/** As much of the packet was proven; or what was found about the end is the same. */
const rangesEqual = (old: Register, now: Register) =>
  old.extent < 0 || now.extent < 0 ? old.extent === now.extent : old.extent <= now.extent;

const exactlyEqual = (old: Register, now: Register) =>
  sameContent(old, now) && pairs.match(old.id, now.id) && pairs.match(old.reference, now.reference);

/** The number that eight bytes of a slot are, if they are one: kept as such, or of unknown content. */
function numberIn(env: Environment, frame: Frame, slot: number): Register | undefined {
  const kinds = frame.kinds[slot]!;
  const kept = frame.kept[slot];
  if (kinds === allOf(KIND.SPILL)) return kept?.isScalar === true ? kept : undefined;
  for (let byte = 0; byte < SLOT_SIZE; byte++) {
    const kind = kindAt(kinds, byte);
    if (kind !== KIND.MISC && !(kind === KIND.INVALID && !env.isUnprivileged)) return undefined;
  }
  return UNKNOWN;
}

function stacksEqual(env: Environment, old: Frame, now: Frame, likeness: Likeness): boolean {
  for (let slot = 0; slot < old.kinds.length; slot++) {
    if (!slotsEqual(env, old, now, slot, likeness)) return false;
  }
  return true;
}

function slotsEqual(env: Environment, old: Frame, now: Frame, slot: number, likeness: Likeness): boolean {
  const before = old.kinds[slot]!;
  const isThere = slot < now.kinds.length;
  const after = isThere ? now.kinds[slot]! : 0;
  // In a loop not even what could be read as well makes two states alike.
  if (likeness !== 'covered' && (!isThere || before !== after)) return false;
  // Nothing was in it that could have been read.
  if (before === 0) return true;
  if (isReadable(env, before)) return true;
  if (!isThere) return false;
  const a = numberIn(env, old, slot);
  const b = a === undefined ? undefined : numberIn(env, now, slot);
  if (a !== undefined && b !== undefined)
    return registersEqual(a, b, old.isPreciseSlot(slot) && isSpill(before), likeness);
  for (let byte = 0; byte < SLOT_SIZE; byte++) {
    const was = kindAt(before, byte);
    const is = kindAt(after, byte);
    if (was === KIND.INVALID || was === is) continue;
    if (was === KIND.MISC && (is === KIND.ZERO || !env.isUnprivileged)) continue;
    return false;
  }
  switch (before >>> 28) {
    case KIND.SPILL:
      return registersEqual(old.kept[slot]!, now.kept[slot]!, old.isPreciseSlot(slot), likeness);
    case KIND.DYNPTR: {
      const x = old.kept[slot]!;
      const y = now.kept[slot]!;
      return x.place === y.place && pairs.match(x.reference, y.reference);
    }
    default:
      return true;
  }
}

/** Whether a slot's bytes are such that anything in their place is as good: unknown, or unwritten, where reading that is allowed. */
function isReadable(env: Environment, kinds: number): boolean {
  if (env.isUnprivileged) return false;
  for (let byte = 0; byte < SLOT_SIZE; byte++) {
    const kind = kindAt(kinds, byte);
    if (kind !== KIND.MISC && kind !== KIND.INVALID) return false;
  }
  return true;
}
