import { helperById } from '../helpers/prototypes.js';
import type { Instruction, Of } from '../isa/instruction.js';
import type { AluName } from '../isa/opcodes.js';
import { JUMP_CONDITIONS } from '../isa/semantics.js';
import type { ArenaMapInfo } from '../maps/registry.js';

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
  /** A pointer that is not NULL, and not into a stack. */
  | { readonly kind: 'non-null' }
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
}

const U64 = 0xffffffffffffffffn;
const U32 = 0xffffffffn;

export const constant = (value: bigint): Fact => ({ kind: 'constant', value: value & U64 });
const LOST: Fact = { kind: 'lost' };

/** Stack of whom? A value of these kinds can reach into a frame. */
function isStackPointer(fact: Fact | undefined): boolean {
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
    case 'argument':
      return b.kind === a.kind && a.register === b.register && a.offset === b.offset;
    case 'non-null':
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
  return { registers, slots: new Map() };
}

export function cloneState(state: State): State {
  return { registers: [...state.registers], slots: new Map(state.slots) };
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
  for (const [offset, slot] of into.slots) {
    const theirs = other.slots.get(offset);
    if (theirs === undefined || theirs.bytes !== slot.bytes || !samePlace(theirs.origin, slot.origin)) {
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

/** Bytes that were written: what slots had there is gone, the rest of a slot stays. */
function dropBytes(state: State, { start, end }: ByteRange): void {
  for (const slot of [...state.slots.values()]) {
    const slotEnd = slot.offset + slot.bytes;
    if (slot.offset >= end || slotEnd <= start) continue;
    state.slots.delete(slot.offset);
    if (slot.offset < start) state.slots.set(slot.offset, cutSlot(slot, slot.offset, start - slot.offset));
    if (slotEnd > end) state.slots.set(end, cutSlot(slot, end, slotEnd - end));
  }
}

/** Map that a fact names, for its layout: the map itself or the template of inner maps. */
function mapOf(
  fact: Fact | undefined,
  maps: readonly ArenaMapInfo[],
): Pick<ArenaMapInfo, 'keySize' | 'valueSize'> | undefined {
  if (fact?.kind === 'map') return maps[fact.map];
  if (fact?.kind === 'inner-map') return maps[fact.map]?.inner;
  return undefined;
}

/** Memory that an instruction reads or writes. */
export function accesses(instruction: Instruction, state: State, context: FactContext): Access[] {
  const at = (register: number, offset: number, bytes: number, write: boolean): Access => ({
    base: state.registers[register],
    start: offset,
    end: offset + bytes,
    write,
  });
  switch (instruction.kind) {
    case 'load':
    case 'load-acquire':
      return [at(instruction.src, instruction.off, instruction.bytes, false)];
    case 'store':
    case 'store-release':
      return [at(instruction.dst, instruction.off, instruction.bytes, true)];
    case 'atomic':
      return [false, true].map((write) => at(instruction.dst, instruction.off, instruction.bytes, write));
    case 'call-helper': {
      const map = mapOf(state.registers[1], context.maps);
      return (helperById(instruction.id)?.args ?? []).flatMap((kind, index): Access[] => {
        if (kind === 'map-key') return [at(index + 1, 0, map?.keySize ?? Infinity, false)];
        if (kind === 'map-value') return [at(index + 1, 0, map?.valueSize ?? Infinity, false)];
        if (kind === 'memory-or-null') return [at(index + 1, 0, Infinity, false)];
        return [];
      });
    }
    case 'call-local':
      return [1, 2, 3, 4, 5].flatMap((register): Access[] => {
        const base = state.registers[register];
        const use = context.uses.get(instruction.target)?.[register];
        if (!isStackPointer(base) || use === undefined) return [];
        return [
          ...use.reads.map((range) => ({ ...range, base, write: false })),
          ...use.writes.map((range) => ({ ...range, base, write: true })),
        ];
      });
    default:
      return [];
  }
}

/** Registers whose value leaves the function's sight here: what is stored, returned, or passed where use is not known. */
export function escapingRegisters(instruction: Instruction, state: State, context: FactContext): number[] {
  switch (instruction.kind) {
    case 'store':
      return instruction.src.kind === 'reg' ? [instruction.src.reg] : [];
    case 'store-release':
      return [instruction.src];
    case 'atomic':
      return [instruction.src, 0];
    case 'call-helper': {
      const args = helperById(instruction.id)?.args;
      if (args === undefined) return [1, 2, 3, 4, 5];
      return args.flatMap((kind, index) =>
        kind === 'anything' || kind === 'size-or-zero' ? [index + 1] : [],
      );
    }
    case 'call-local':
      return [1, 2, 3, 4, 5].filter(
        (register) => context.uses.get(instruction.target)?.[register]?.escapes !== false,
      );
    case 'exit':
      return [0];
    default: {
      // Whatever computes with a pointer and does not keep track of it.
      const after = trackedResult(instruction, state);
      return isStackPointer(after) ? [] : operandRegisters(instruction);
    }
  }
}

function operandRegisters(instruction: Instruction): number[] {
  switch (instruction.kind) {
    case 'alu':
      return [
        ...(instruction.op === 'mov' ? [] : [instruction.dst]),
        ...(instruction.src.kind === 'reg' ? [instruction.src.reg] : []),
      ];
    case 'neg':
    case 'swap':
      return [instruction.dst];
    case 'movsx':
      return [instruction.src];
    default:
      return [];
  }
}

/** Constant results of the operations that facts are worth following through; 64 bits. */
const FOLD: Partial<Record<AluName, (a: bigint, b: bigint, bits: bigint) => bigint>> = {
  mov: (_, b) => b,
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  or: (a, b) => a | b,
  and: (a, b) => a & b,
  xor: (a, b) => a ^ b,
  lsh: (a, b, bits) => a << (b & (bits - 1n)),
  rsh: (a, b, bits) => a >> (b & (bits - 1n)),
};

function foldAlu(instruction: Of<'alu'>, dst: Fact | undefined, src: Fact | undefined): Fact | undefined {
  const fold = FOLD[instruction.op];
  if (fold === undefined || src?.kind !== 'constant') return undefined;
  if (instruction.op !== 'mov' && dst?.kind !== 'constant') return undefined;
  const mask = instruction.width === 64 ? U64 : U32;
  const left = dst?.kind === 'constant' ? dst.value : 0n;
  return constant(fold(left & mask, src.value & mask, BigInt(instruction.width)) & mask);
}

/** A pointer plus a constant stays known; everything else of an ALU operation is a constant or nothing. */
function trackedResult(instruction: Instruction, state: State): Fact | undefined {
  if (instruction.kind !== 'alu') return undefined;
  const dst = state.registers[instruction.dst];
  const src: Fact | undefined =
    instruction.src.kind === 'reg'
      ? state.registers[instruction.src.reg]
      : constant(BigInt(instruction.src.value));
  const folded = foldAlu(instruction, dst, src);
  if (folded !== undefined || instruction.width !== 64) return folded;
  if (instruction.op === 'mov') return src;
  if (instruction.op === 'add') return movePointer(dst, src, 1n) ?? movePointer(src, dst, 1n);
  return instruction.op === 'sub' ? movePointer(dst, src, -1n) : undefined;
}

function movePointer(pointer: Fact | undefined, by: Fact | undefined, sign: bigint): Fact | undefined {
  if (by?.kind !== 'constant' || (pointer?.kind !== 'frame' && pointer?.kind !== 'argument'))
    return undefined;
  const offset = pointer.offset + Number(BigInt.asIntN(64, sign * by.value));
  // Stacks are smaller by far; what is beyond was no pointer.
  return Math.abs(offset) < 2 ** 31 ? { ...pointer, offset } : undefined;
}

/** Address of a value in an array map at a constant key: a constant, or a constant and this CPU's share. */
function lookupResult(state: State, context: FactContext): Fact | undefined {
  const map = state.registers[1];
  const info = map?.kind === 'map' ? context.maps[map.map] : undefined;
  if (map?.kind !== 'map' || info === undefined) return undefined;
  if (info.type === 'ARRAY_OF_MAPS') return { kind: 'inner-map', map: map.map };
  const key = constantKey(state);
  if (key === undefined || key >= info.maxEntries) return undefined;
  if (info.type === 'ARRAY') return constant(BigInt(info.data + key * info.valueStride));
  return info.type === 'PERCPU_ARRAY' ? { kind: 'non-null' } : undefined;
}

/** The u32 key that r2 points at, where the frame is known to hold a constant there. */
export function constantKey(state: State): number | undefined {
  const pointer = state.registers[2];
  if (pointer?.kind !== 'frame') return undefined;
  const fact = loadFact(state, pointer.offset, 4);
  return fact?.kind === 'constant' ? Number(fact.value) : undefined;
}

/** What is known of an unsigned load of the frame. */
function loadFact(state: State, offset: number, bytes: number): Fact | undefined {
  const slot = slotAround(state, offset, bytes);
  return slot && partOfFact(slot, offset, bytes);
}

function immediateFact(instruction: Of<'imm64'>, context: FactContext): Fact | undefined {
  const { imm } = instruction;
  if (imm.kind === 'value') return constant(imm.value);
  if (imm.kind === 'map') return { kind: 'map', map: imm.map };
  if (imm.kind !== 'map-value') return undefined;
  const info = context.maps[imm.map];
  return info && constant(BigInt(info.data + imm.offset));
}

/**
 * Moves `state` past an instruction.
 * @param isEscaped some pointer into the frame is out of sight, so that every store may hit the frame
 */
export function step(state: State, instruction: Instruction, context: FactContext, isEscaped: boolean): void {
  const { registers } = state;
  const touched = accesses(instruction, state, context);
  for (const { base, start, end, write } of touched) {
    if (!write) continue;
    if (base?.kind === 'frame') dropBytes(state, { start: base.offset + start, end: base.offset + end });
    else if (isEscaped && base?.kind !== 'constant') state.slots.clear();
  }
  switch (instruction.kind) {
    case 'alu':
      registers[instruction.dst] = trackedResult(instruction, state);
      break;
    case 'neg':
    case 'movsx':
    case 'swap':
      registers[instruction.dst] = undefined;
      break;
    case 'imm64':
      registers[instruction.dst] = immediateFact(instruction, context);
      break;
    case 'load': {
      const base = registers[instruction.src];
      registers[instruction.dst] =
        base?.kind === 'frame' && !instruction.signed
          ? loadFact(state, base.offset + instruction.off, instruction.bytes)
          : undefined;
      break;
    }
    case 'load-acquire':
      registers[instruction.dst] = undefined;
      break;
    case 'store': {
      const base = registers[instruction.dst];
      if (base?.kind !== 'frame') break;
      const { src, bytes } = instruction;
      const fact = src.kind === 'reg' ? registers[src.reg] : constant(BigInt(src.value));
      const offset = base.offset + instruction.off;
      const kept =
        fact?.kind === 'constant'
          ? constant(BigInt.asUintN(8 * bytes, fact.value))
          : bytes === 8
            ? fact
            : undefined;
      state.slots.set(offset, { offset, bytes, origin: { offset, bytes }, fact: kept });
      break;
    }
    case 'atomic':
      if (instruction.op === 'cmpxchg') registers[0] = undefined;
      else if (instruction.fetch || instruction.op === 'xchg') registers[instruction.src] = undefined;
      break;
    case 'call-helper': {
      const result = instruction.id === MAP_LOOKUP_ELEM ? lookupResult(state, context) : undefined;
      registers.fill(undefined, 0, 6);
      registers[0] = result;
      break;
    }
    case 'call-local':
      if (isEscaped) state.slots.clear();
      registers.fill(undefined, 0, 6);
      break;
    case 'packet-load':
      registers.fill(undefined, 0, 6);
      break;
    case 'store-release':
    case 'jump':
    case 'branch':
    case 'exit':
      break;
  }
}

/** BPF_FUNC_map_lookup_elem. */
export const MAP_LOOKUP_ELEM = 1;

/** Which way a branch goes, where that is known: true = taken. */
export function decide(instruction: Of<'branch'>, state: State): boolean | undefined {
  const { op, width } = instruction;
  const left = state.registers[instruction.dst];
  const right =
    instruction.src.kind === 'reg'
      ? state.registers[instruction.src.reg]
      : constant(BigInt(instruction.src.value));
  if (right?.kind !== 'constant') return undefined;
  if (left?.kind === 'constant') {
    const cut = (fact: { readonly value: bigint }) => BigInt.asUintN(width, fact.value);
    return JUMP_CONDITIONS[op](cut(left), cut(right), width);
  }
  if ((left?.kind !== 'non-null' && left?.kind !== 'map') || right.value !== 0n) return undefined;
  return op === 'jne' ? true : op === 'jeq' ? false : undefined;
}
