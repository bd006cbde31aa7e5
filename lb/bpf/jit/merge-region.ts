import type { Instruction, Of } from '../isa/instruction.js';
import type { AluName } from '../isa/opcodes.js';
import { type Base, type Byte, ByteRegisters, type Origin, type Source, sourceOf } from './byte-values.js';
import { cloneState, type Fact, type FactContext, isStackPointer, type State } from './facts.js';
import { step } from './step.js';

/** Whose memory an address may be in: the function's frame, certainly not a stack, or nobody knows. */
type Where = 'frame' | 'elsewhere' | 'anywhere';

/** A load or store of a region. */
export interface Touch {
  readonly isWrite: boolean;
  readonly base: Base;
  readonly bytes: number;
  readonly where: Where;
  /** No other CPU sees it: the order of what is stored there and elsewhere is nobody's business. */
  readonly isPrivate: boolean;
}

/** A store, and the bytes that it puts into memory. */
export interface ByteStore {
  readonly at: number;
  readonly instruction: Of<'store'>;
  readonly touch: Touch;
  readonly bytes: readonly Byte[];
}

/** A register that an instruction put together from bytes that were loaded apart. */
export interface Assembly {
  readonly at: number;
  readonly dst: number;
  readonly bytes: 2 | 4 | 8;
  readonly source: Extract<Source, { kind: 'memory' }>;
}

/** Instructions in a row that change registers, load and store, and do nothing else: see `isPlain`. */
export interface Region {
  readonly instructions: readonly Instruction[];
  /** What each loads or stores. */
  readonly touches: readonly (Touch | undefined)[];
  readonly assemblies: readonly Assembly[];
  readonly stores: readonly ByteStore[];
}

/** Behind anything else memory may be another: what it does is not looked into. */
export function isPlain({ kind }: Instruction): boolean {
  switch (kind) {
    case 'alu':
    case 'neg':
    case 'movsx':
    case 'swap':
    case 'imm64':
    case 'load':
    case 'store':
      return true;
    default:
      return false;
  }
}

function whereOf(fact: Fact | undefined, isEscaped: boolean): Where {
  if (fact?.kind === 'frame') return 'frame';
  if (fact?.kind === 'constant') return 'elsewhere';
  // Where a pointer to the frame is out of sight, it may come back from anywhere.
  return isEscaped || isStackPointer(fact) ? 'anywhere' : 'elsewhere';
}

/** Frames have one address each, by whatever register it is told. */
const FRAME: Origin = { register: 10, at: -1 };

/**
 * What a region does, byte by byte.
 * @param start what is known before it
 */
export function readRegion(
  instructions: readonly Instruction[],
  start: State,
  context: FactContext,
  isEscaped: boolean,
): Region {
  const state = cloneState(start);
  const registers = new ByteRegisters(start.registers);
  const touches: (Touch | undefined)[] = [];
  const assemblies: Assembly[] = [];
  const stores: ByteStore[] = [];
  const touch = (register: number, off: number, bytes: number, isWrite: boolean): Touch => {
    const fact = state.registers[register];
    const { root, offset } = registers.of(register).base;
    const base =
      fact?.kind === 'frame' ? { root: FRAME, offset: fact.offset + off } : { root, offset: offset + off };
    const isPrivate = fact?.kind === 'frame' || fact?.kind === 'packet';
    return { isWrite, base, bytes, where: whereOf(fact, isEscaped), isPrivate };
  };
  for (const [at, instruction] of instructions.entries()) {
    if (instruction.kind === 'load')
      touches.push(touch(instruction.src, instruction.off, instruction.bytes, false));
    else if (instruction.kind === 'store') {
      const written = touch(instruction.dst, instruction.off, instruction.bytes, true);
      touches.push(written);
      const bytes = registers.operand(instruction.src).bytes.slice(0, instruction.bytes);
      stores.push({ at, instruction, touch: written, bytes });
    } else touches.push(undefined);
    registers.step(instruction, at);
    step(state, instruction, context, isEscaped);
    const assembly = instruction.kind === 'alu' && assemblyOf(instruction, registers, at);
    if (assembly) assemblies.push(assembly);
  }
  return { instructions, touches, assemblies, stores };
}

/** Whether it makes a whole of bytes that do not overlap. */
export const isUnion = (op: AluName): boolean => op === 'or' || op === 'add' || op === 'xor';

function assemblyOf({ op, dst }: Of<'alu'>, registers: ByteRegisters, at: number): Assembly | undefined {
  if (!isUnion(op)) return undefined;
  const { bytes } = registers.of(dst);
  const count = bytes.findLastIndex((byte) => byte !== 0) + 1;
  if (count !== 2 && count !== 4 && count !== 8) return undefined;
  const source = sourceOf(bytes.slice(0, count));
  return source?.kind === 'memory' ? { at, dst, bytes: count, source } : undefined;
}

/** Whether two accesses may have a byte in common. */
export function mayMeet(a: Touch, b: Touch): boolean {
  if (a.base.root === b.base.root)
    return a.base.offset < b.base.offset + b.bytes && b.base.offset < a.base.offset + a.bytes;
  const isApart =
    (a.where === 'frame' && b.where === 'elsewhere') || (a.where === 'elsewhere' && b.where === 'frame');
  return !isApart;
}

/**
 * Index of the first of some loads, where all of them may be made at once. Undefined where a store in between changes
 * what they give, or where one would be made before another load, and another CPU's stores could tell.
 */
export function firstOf(loads: ReadonlySet<Origin>, { touches }: Region): number | undefined {
  const own = new Set([...loads].map(({ at }) => at));
  const first = Math.min(...own);
  for (const at of own) {
    const load = touches[at];
    if (load === undefined || load.where === 'frame') return undefined;
    for (let index = first + 1; index < at; index++) {
      const between = touches[index];
      if (between === undefined || own.has(index)) continue;
      if (between.isWrite ? mayMeet(between, load) : !between.isPrivate && !load.isPrivate) return undefined;
    }
  }
  return first;
}
