import { helperById } from '../helpers/prototypes.js';
import { foldBranch } from '../isa/fold.js';
import type { AccessBytes, Instruction, Of } from '../isa/instruction.js';
import { accesses } from './accesses.js';
import {
  constant,
  dropBytes,
  type Fact,
  type FactContext,
  LOST,
  POINTER_BYTES,
  partOfFact,
  pointersIn,
  type State,
  slotAround,
} from './facts.js';
import { constantsOf, trackedResult } from './fold.js';

/** BPF_FUNC_map_lookup_elem. */
export const MAP_LOOKUP_ELEM = 1;

/** Address of a value in an array map at a constant key: a constant, or a constant and this CPU's share. */
function lookupResult(state: State, context: FactContext): Fact | undefined {
  const map = state.registers[1];
  const info = map?.kind === 'map' ? context.maps[map.map] : undefined;
  if (map?.kind !== 'map' || info === undefined) return undefined;
  if (info.inner !== undefined) return { kind: 'inner-map', map: map.map };
  const key = constantKey(state);
  if (key === undefined || key >= info.maxEntries) return undefined;
  if (info.type === 'ARRAY') return constant(BigInt(info.data + key * info.valueStride));
  return info.type === 'PERCPU_ARRAY' ? { kind: 'non-null' } : undefined;
}

/** The u32 key that r2 points at, where the frame is known to hold a constant there. */
export function constantKey(state: State): number | undefined {
  const pointer = state.registers[2];
  if (pointer?.kind !== 'frame') return undefined;
  const fact = frameFact(state, pointer.offset, 4);
  return fact?.kind === 'constant' ? Number(fact.value) : undefined;
}

/** What is known of an unsigned load of the frame. */
function frameFact(state: State, offset: number, bytes: number): Fact | undefined {
  const slot = slotAround(state, offset, bytes);
  return slot && partOfFact(slot, offset, bytes);
}

const READ: Record<AccessBytes, (view: DataView, at: number) => bigint> = {
  1: (view, at) => BigInt(view.getUint8(at)),
  2: (view, at) => BigInt(view.getUint16(at, true)),
  4: (view, at) => BigInt(view.getUint32(at, true)),
  8: (view, at) => view.getBigUint64(at, true),
};

/** What a load gives whose address is known and in a map that nobody can write to any more. */
export function frozenLoad(
  { src, off, bytes, signed }: Of<'load'>,
  state: State,
  { frozen }: FactContext,
): bigint | undefined {
  const base = state.registers[src];
  if (base?.kind !== 'constant' || frozen.length === 0) return undefined;
  const address = Number(BigInt.asUintN(64, base.value + BigInt(off)));
  const region = frozen.find(
    ({ start, view }) => address >= start && address + bytes <= start + view.byteLength,
  );
  if (region === undefined) return undefined;
  const value = READ[bytes](region.view, address - region.start);
  return signed ? BigInt.asUintN(64, BigInt.asIntN(8 * bytes, value)) : value;
}

function isPacketField(
  { off, bytes }: Of<'load'>,
  base: Fact | undefined,
  { packetFields }: FactContext,
): boolean {
  if (base?.kind !== 'argument' || base.register !== 1 || bytes !== 4) return false;
  return packetFields.includes(base.offset + off);
}

function loadFact(instruction: Of<'load'>, state: State, context: FactContext): Fact | undefined {
  const base = state.registers[instruction.src];
  if (base?.kind === 'frame' && !instruction.signed) {
    const start = base.offset + instruction.off;
    const known = frameFact(state, start, instruction.bytes);
    if (known !== undefined || instruction.bytes !== POINTER_BYTES) return known;
    // A slot that is known holds what its fact says, and none says that it is a pointer.
    const end = start + POINTER_BYTES;
    return slotAround(state, start, POINTER_BYTES) === undefined &&
      pointersIn(state, { start, end }).length > 0
      ? LOST
      : undefined;
  }
  if (isPacketField(instruction, base, context)) return { kind: 'packet' };
  const value = frozenLoad(instruction, state, context);
  return value === undefined ? undefined : constant(value);
}

/** What an atomic instruction fetches: nothing that is known, but for pointers that may be there. */
function fetchFact(register: number, off: number, state: State): Fact | undefined {
  const base = state.registers[register];
  if (base?.kind !== 'frame') return undefined;
  const start = base.offset + off;
  return pointersIn(state, { start, end: start + POINTER_BYTES }).length > 0 ? LOST : undefined;
}

function immediateFact({ imm }: Of<'imm64'>, context: FactContext): Fact | undefined {
  switch (imm.kind) {
    case 'value':
      return constant(imm.value);
    case 'map':
      return { kind: 'map', map: imm.map };
    case 'map-value': {
      const info = context.maps[imm.map];
      return info && constant(BigInt(info.data + imm.offset));
    }
    case 'function':
      return { kind: 'function', target: imm.target };
    case 'variable':
      return undefined;
  }
}

function stepStore({ src, bytes, dst, off }: Of<'store'>, state: State): void {
  const base = state.registers[dst];
  if (base?.kind !== 'frame') return;
  const fact = src.kind === 'reg' ? state.registers[src.reg] : constant(BigInt(src.value));
  const offset = base.offset + off;
  let kept: Fact | undefined;
  if (fact?.kind === 'constant') kept = constant(BigInt.asUintN(8 * bytes, fact.value));
  else if (bytes === 8) kept = fact;
  state.slots.set(offset, { offset, bytes, origin: { offset, bytes }, fact: kept });
}

/** A callback works on the frame where some pointer to it is out of sight. */
const callsBack = (id: number) => helperById(id)?.args.includes('function') === true;

/**
 * Moves `state` past an instruction.
 * @param isEscaped some pointer into the frame is out of sight, so that every store may hit the frame
 */
export function step(state: State, instruction: Instruction, context: FactContext, isEscaped: boolean): void {
  const { registers } = state;
  for (const { base, start, end, write } of accesses(instruction, state, context)) {
    if (!write) continue;
    if (base?.kind === 'frame')
      dropBytes(state, { start: base.offset + start, end: base.offset + end }, instruction.kind === 'store');
    else if (isEscaped && base?.kind !== 'constant') state.slots.clear();
  }
  switch (instruction.kind) {
    case 'alu':
    case 'neg':
    case 'movsx':
    case 'swap':
      registers[instruction.dst] = trackedResult(instruction, state);
      break;
    case 'imm64':
      registers[instruction.dst] = immediateFact(instruction, context);
      break;
    case 'load':
      registers[instruction.dst] = loadFact(instruction, state, context);
      break;
    case 'load-acquire':
      registers[instruction.dst] = fetchFact(instruction.src, instruction.off, state);
      break;
    case 'store':
      stepStore(instruction, state);
      break;
    case 'atomic':
      if (instruction.op === 'cmpxchg') registers[0] = fetchFact(instruction.dst, instruction.off, state);
      else if (instruction.fetch || instruction.op === 'xchg')
        registers[instruction.src] = fetchFact(instruction.dst, instruction.off, state);
      break;
    case 'call-helper': {
      const result = instruction.id === MAP_LOOKUP_ELEM ? lookupResult(state, context) : undefined;
      if (isEscaped && callsBack(instruction.id)) state.slots.clear();
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

/** Which way a branch goes, where that is known: true = taken. */
export function decide(instruction: Of<'branch'>, state: State): boolean | undefined {
  const known = foldBranch(instruction, constantsOf(state));
  const { op, dst, src } = instruction;
  const left = state.registers[dst];
  const right = src.kind === 'reg' ? state.registers[src.reg] : constant(BigInt(src.value));
  const isPointer = left?.kind === 'non-null' || left?.kind === 'map' || left?.kind === 'function';
  if (!isPointer || right?.kind !== 'constant' || right.value !== 0n) return known;
  return op === 'jne' ? true : op === 'jeq' ? false : undefined;
}
