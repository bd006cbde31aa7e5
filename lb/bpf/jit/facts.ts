import type { ArenaMapInfo } from '../maps/registry.js';
import type { LeftOut } from './optimisations.js';

/** What is known of a 64-bit value. `undefined` where a fact may stand: nothing, but that it is no stack pointer. */
export type Fact =
  | { readonly kind: 'constant'; readonly value: bigint }
  /** The descriptor of maps[map]. */
  | { readonly kind: 'map'; readonly map: number }
  /** The descriptor of a map like the template of the map-in-map maps[map], or NULL. */
  | { readonly kind: 'inner-map'; readonly map: number }
  /** r10 + offset. */
  | { readonly kind: 'frame'; readonly offset: number }
  /** What r1 to r5 held at the function's entry, + offset: may point into a caller's stack. */
  | { readonly kind: 'argument'; readonly register: number; readonly offset: number }
  /** The address of the function at a slot. */
  | { readonly kind: 'function'; readonly target: number }
  /** A pointer that is not NULL, and not into a stack. */
  | { readonly kind: 'non-null' }
  /** A pointer into the packet, or to its end. No other CPU has the packet while the program runs. */
  | { readonly kind: 'packet' }
  /** May be a pointer into a stack, to nobody knows where. */
  | { readonly kind: 'lost' };

/** A store to the frame: `bytes` at r10 + offset. All stores of one place put their value into one local too. */
export interface Place {
  readonly offset: number;
  readonly bytes: number;
}

/** Bytes of the frame, r10 + offset on, that hold what was stored to `origin`: all of it, or what is left of it. */
export interface Slot extends Place {
  readonly origin: Place;
  /** Of the slot's own bytes, zero-extended. */
  readonly fact: Fact | undefined;
}

/** What is known before an instruction: of each register, and of the frame's slots by offset. Slots never overlap. */
export interface State {
  readonly registers: (Fact | undefined)[];
  readonly slots: Map<number, Slot>;
  /**
   * Where a pointer into a stack may be that is in no slot: offsets of its 8 bytes. Anywhere else in the frame there is
   * none, as far as none was let out of sight.
   */
  readonly lost: Set<number>;
}

/** How a function uses the memory that an argument points at: byte ranges relative to it. */
export interface ArgumentUse {
  readonly reads: readonly ByteRange[];
  readonly writes: readonly ByteRange[];
  /** It is kept, changed or passed on so that its uses are not all known. */
  readonly escapes: boolean;
}

/** [start, end); the end may be Infinity. */
export interface ByteRange {
  readonly start: number;
  readonly end: number;
}

/** Memory that an instruction touches, relative to `base`. */
export interface Access extends ByteRange {
  readonly base: Fact | undefined;
  readonly write: boolean;
}

/** What facts are derived from beside the instructions. */
export interface FactContext {
  readonly maps: readonly ArenaMapInfo[];
  /** Use of r1 to r5 (at index 1 to 5) by the function at a slot; absent while it is not known. */
  readonly uses: ReadonlyMap<number, readonly ArgumentUse[]>;
  readonly frozen: readonly FrozenRegion[];
  /** Offsets of the 32-bit fields of what r1 points at at the entry that are pointers into the packet. */
  readonly packetFields: readonly number[];
  readonly without: LeftOut;
}

/** Memory whose content never changes again, from an arena offset on: the value of a frozen read-only map. */
export interface FrozenRegion {
  readonly start: number;
  readonly view: DataView;
}

export function frozenRegions(maps: readonly ArenaMapInfo[]): FrozenRegion[] {
  return maps.flatMap(({ data, constants }) =>
    constants === undefined
      ? []
      : [{ start: data, view: new DataView(constants.buffer, constants.byteOffset, constants.byteLength) }],
  );
}

const U64 = 0xffffffffffffffffn;

export const constant = (value: bigint): Fact => ({ kind: 'constant', value: value & U64 });
export const LOST: Fact = { kind: 'lost' };
/** A pointer is spilled whole, or it is none any more. */
export const POINTER_BYTES = 8;

/** Stack of whom? A value of these kinds can reach into a frame. */
export function isStackPointer(fact: Fact | undefined): boolean {
  return fact?.kind === 'frame' || fact?.kind === 'argument' || fact?.kind === 'lost';
}

function sameFact(a: Fact | undefined, b: Fact | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.kind !== b.kind) return false;
  switch (a.kind) {
    case 'constant':
      return b.kind === a.kind && a.value === b.value;
    case 'map':
    case 'inner-map':
      return b.kind === a.kind && a.map === b.map;
    case 'frame':
      return b.kind === a.kind && a.offset === b.offset;
    case 'function':
      return b.kind === a.kind && a.target === b.target;
    case 'argument':
      return b.kind === a.kind && a.register === b.register && a.offset === b.offset;
    case 'non-null':
    case 'packet':
    case 'lost':
      return true;
  }
}

/** What holds on both paths. */
function joinFacts(a: Fact | undefined, b: Fact | undefined): Fact | undefined {
  if (sameFact(a, b)) return a;
  return isStackPointer(a) || isStackPointer(b) ? LOST : undefined;
}

/** The state at a function's first instruction. */
export function entryState(): State {
  const registers: (Fact | undefined)[] = new Array<Fact | undefined>(11).fill(undefined);
  for (let register = 1; register <= 5; register++)
    registers[register] = { kind: 'argument', register, offset: 0 };
  registers[10] = { kind: 'frame', offset: 0 };
  return { registers, slots: new Map(), lost: new Set() };
}

export function cloneState(state: State): State {
  return { registers: [...state.registers], slots: new Map(state.slots), lost: new Set(state.lost) };
}

/** Weakens `into` to what also holds in `other`; true where that changed it. */
export function joinState(into: State, other: State): boolean {
  let changed = false;
  for (const [register, fact] of into.registers.entries()) {
    const joined = joinFacts(fact, other.registers[register]);
    if (sameFact(joined, fact)) continue;
    into.registers[register] = joined;
    changed = true;
  }
  const lose = (offset: number) => {
    if (into.lost.has(offset)) return;
    into.lost.add(offset);
    changed = true;
  };
  for (const offset of other.lost) lose(offset);
  for (const [offset, slot] of other.slots) {
    const ours = into.slots.get(offset);
    const isSame = ours !== undefined && ours.bytes === slot.bytes && samePlace(ours.origin, slot.origin);
    if (!isSame && isStackPointer(slot.fact)) lose(offset);
  }
  for (const [offset, slot] of into.slots) {
    const theirs = other.slots.get(offset);
    if (theirs === undefined || theirs.bytes !== slot.bytes || !samePlace(theirs.origin, slot.origin)) {
      if (isStackPointer(slot.fact)) lose(offset);
      into.slots.delete(offset);
      changed = true;
      continue;
    }
    const fact = joinFacts(slot.fact, theirs.fact);
    if (sameFact(fact, slot.fact)) continue;
    into.slots.set(offset, { ...slot, fact });
    changed = true;
  }
  return changed;
}

/** The slot that holds all of `bytes` at r10 + offset. */
export function slotAround(state: State, offset: number, bytes: number): Slot | undefined {
  for (let start = offset; start > offset - 8; start--) {
    const slot = state.slots.get(start);
    if (slot) return start + slot.bytes >= offset + bytes ? slot : undefined;
  }
  return undefined;
}

const samePlace = (a: Place, b: Place) => a.offset === b.offset && a.bytes === b.bytes;

/** Part of a slot: `bytes` of it at r10 + offset. */
function cutSlot(slot: Slot, offset: number, bytes: number): Slot {
  return { offset, bytes, origin: slot.origin, fact: partOfFact(slot, offset, bytes) };
}

/** What is known of a part of a slot, zero-extended. */
export function partOfFact(slot: Slot, offset: number, bytes: number): Fact | undefined {
  if (slot.fact?.kind !== 'constant') return bytes === slot.bytes ? slot.fact : undefined;
  return constant(BigInt.asUintN(8 * bytes, slot.fact.value >> BigInt(8 * (offset - slot.offset))));
}

/** Whether a pointer at an offset has bytes in a range. */
const isPointerIn = (offset: number, { start, end }: ByteRange) =>
  offset < end && offset + POINTER_BYTES > start;

/**
 * Bytes that were written: what slots had there is gone, the rest of a slot stays.
 * @param isCertain false: they may have been written, and a pointer may still be there
 */
export function dropBytes(state: State, range: ByteRange, isCertain: boolean): void {
  const { start, end } = range;
  if (isCertain) for (const offset of state.lost) if (isPointerIn(offset, range)) state.lost.delete(offset);
  for (const slot of [...state.slots.values()]) {
    const slotEnd = slot.offset + slot.bytes;
    if (slot.offset >= end || slotEnd <= start) continue;
    state.slots.delete(slot.offset);
    if (!isCertain && isStackPointer(slot.fact)) state.lost.add(slot.offset);
    if (slot.offset < start) state.slots.set(slot.offset, cutSlot(slot, slot.offset, start - slot.offset));
    if (slotEnd > end) state.slots.set(end, cutSlot(slot, end, slotEnd - end));
  }
}

/** Pointers into a stack that a range of the frame may hold. */
export function pointersIn(state: State, range: ByteRange): Fact[] {
  const found: Fact[] = [];
  for (const offset of state.lost) if (isPointerIn(offset, range)) found.push(LOST);
  for (const { offset, fact } of state.slots.values())
    if (fact !== undefined && isStackPointer(fact) && isPointerIn(offset, range)) found.push(fact);
  return found;
}
