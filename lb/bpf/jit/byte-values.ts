import type { Instruction, Of, Operand } from '../isa/instruction.js';
import type { Fact } from './facts.js';

/** What a register got from one instruction, or held before the first. */
export interface Origin {
  readonly register: number;
  /** Index of the instruction; −1 for what was there before. */
  readonly at: number;
  /** Where its lowest bytes were loaded from. */
  readonly load?: { readonly base: Base; readonly bytes: number };
}

/** An address: what a register held, and a constant. */
export interface Base {
  readonly root: Origin;
  readonly offset: number;
}

/** One byte of a value: a constant, or byte `at` of what an instruction gave. */
export type Byte = number | { readonly origin: Origin; readonly at: number };

/** A 64-bit value, told in bytes: the lowest first, always 8. */
export interface Value {
  readonly bytes: readonly Byte[];
  /** The value as an address. */
  readonly base: Base;
}

const ZEROS: readonly Byte[] = new Array<Byte>(8).fill(0);

const wholeOf = (origin: Origin): Byte[] => Array.from({ length: 8 }, (_, at) => ({ origin, at }));

/** A value of which nothing is known but where it is. */
function unknownValue(origin: Origin): Value {
  return { bytes: wholeOf(origin), base: { root: origin, offset: 0 } };
}

function constantBytes(value: bigint): Byte[] {
  return Array.from({ length: 8 }, (_, at) => Number((value >> BigInt(8 * at)) & 0xffn));
}

/** The lowest `count` bytes, zeros above. */
function low(bytes: readonly Byte[], count: number): Byte[] {
  return [...bytes.slice(0, count), ...ZEROS.slice(count)];
}

/** Of two values that have no byte in common but zeros: their sum, which is their union. */
function union(left: readonly Byte[], right: readonly Byte[]): Byte[] | undefined {
  const out: Byte[] = [];
  for (const [index, byte] of left.entries()) {
    const other = right[index]!;
    if (byte !== 0 && other !== 0) return undefined;
    out.push(byte === 0 ? other : byte);
  }
  return out;
}

/** Bytes that a mask leaves; undefined where it cuts through one. */
function masked(bytes: readonly Byte[], mask: readonly Byte[]): Byte[] | undefined {
  const out: Byte[] = [];
  for (const [index, byte] of bytes.entries()) {
    const cut = mask[index]!;
    if (cut !== 0 && cut !== 0xff) return undefined;
    out.push(cut === 0 ? 0 : byte);
  }
  return out;
}

function shifted(bytes: readonly Byte[], by: Byte, width: number, isLeft: boolean): Byte[] | undefined {
  if (typeof by !== 'number') return undefined;
  const bits = by & (8 * width - 1);
  if (bits % 8 !== 0) return undefined;
  const inside = bytes.slice(0, width);
  const moved = bits / 8;
  const gap = ZEROS.slice(0, moved);
  return isLeft ? [...gap, ...inside.slice(0, width - moved)] : [...inside.slice(moved), ...gap];
}

function aluBytes({ op, width }: Of<'alu'>, left: Value, right: Value): Byte[] | undefined {
  const count = width / 8;
  const [a, b] = [low(left.bytes, count), low(right.bytes, count)];
  switch (op) {
    case 'mov':
      return b;
    case 'or':
    case 'xor':
    case 'add':
      return union(a, b);
    case 'and':
      return masked(a, b) ?? masked(b, a);
    case 'lsh':
    case 'rsh': {
      const out = shifted(a, b[0]!, count, op === 'lsh');
      return out && low([...out, ...ZEROS], count);
    }
    default:
      return undefined;
  }
}

function swapped({ op, bits }: Of<'swap'>, bytes: readonly Byte[]): Byte[] {
  const inside = bytes.slice(0, bits / 8);
  return low([...(op === 'le' ? inside : inside.reverse()), ...ZEROS], bits / 8);
}

/** What registers hold along a run of instructions, as far as it is told by bytes that were moved about. */
export class ByteRegisters {
  readonly #values = new Map<number, Value>();
  readonly #start: readonly (Fact | undefined)[];

  /** @param start what is known of the registers before the first instruction */
  constructor(start: readonly (Fact | undefined)[]) {
    this.#start = start;
  }

  /** What a register holds. */
  of(register: number): Value {
    const known = this.#values.get(register);
    if (known !== undefined) return known;
    const fact = this.#start[register];
    const whole = unknownValue({ register, at: -1 });
    const value = fact?.kind === 'constant' ? { ...whole, bytes: constantBytes(fact.value) } : whole;
    this.#values.set(register, value);
    return value;
  }

  operand(operand: Operand): Value {
    if (operand.kind === 'reg') return this.of(operand.reg);
    const bytes = constantBytes(BigInt.asUintN(64, BigInt(operand.value)));
    // No register holds it: it is no address that two accesses have in common.
    return { bytes, base: { root: { register: -1, at: -1 }, offset: operand.value } };
  }

  /** Moves past the instruction at an index. */
  step(instruction: Instruction, at: number): void {
    switch (instruction.kind) {
      case 'alu':
        this.#alu(instruction, at);
        break;
      case 'swap':
        this.#set(instruction.dst, at, swapped(instruction, this.of(instruction.dst).bytes));
        break;
      case 'imm64': {
        const { imm } = instruction;
        this.#set(instruction.dst, at, imm.kind === 'value' ? constantBytes(imm.value) : undefined);
        break;
      }
      case 'load': {
        const { dst, src, off, bytes, signed } = instruction;
        const { root, offset } = this.of(src).base;
        const origin = { register: dst, at, load: { base: { root, offset: offset + off }, bytes } };
        const whole = unknownValue(origin);
        this.#values.set(dst, signed ? whole : { ...whole, bytes: low(whole.bytes, bytes) });
        break;
      }
      case 'neg':
      case 'movsx':
        this.#set(instruction.dst, at, undefined);
        break;
      default:
    }
  }

  #alu(instruction: Of<'alu'>, at: number): void {
    const { op, width, dst, src } = instruction;
    const left = this.of(dst);
    const right = this.operand(src);
    if (op === 'mov' && width === 64 && src.kind === 'reg') {
      this.#values.set(dst, right);
      return;
    }
    const bytes = aluBytes(instruction, left, right);
    const isMoved = width === 64 && src.kind === 'imm' && (op === 'add' || op === 'sub');
    if (!isMoved) this.#set(dst, at, bytes);
    else {
      const offset = left.base.offset + (op === 'add' ? src.value : -src.value);
      const value = unknownValue({ register: dst, at });
      this.#values.set(dst, { bytes: bytes ?? value.bytes, base: { root: left.base.root, offset } });
    }
  }

  #set(register: number, at: number, bytes: readonly Byte[] | undefined): void {
    const value = unknownValue({ register, at });
    this.#values.set(register, bytes === undefined ? value : { ...value, bytes });
  }
}

/** A way to get a few bytes at once. */
export type Source =
  | { readonly kind: 'constant'; readonly value: bigint }
  /** From byte `from` on of what one instruction gave. */
  | { readonly kind: 'part'; readonly origin: Origin; readonly from: number; readonly isSwapped: boolean }
  /** Neighbours in memory, from `base` on; each was loaded. */
  | {
      readonly kind: 'memory';
      readonly base: Base;
      readonly loads: ReadonlySet<Origin>;
      readonly isSwapped: boolean;
    };

/** How bytes, the lowest first, are got at once; undefined where they have nothing to do with each other. */
export function sourceOf(bytes: readonly Byte[]): Source | undefined {
  let value = 0n;
  for (const [index, byte] of bytes.entries())
    if (typeof byte === 'number') value |= BigInt(byte) << BigInt(8 * index);
    else return neighbours(bytes, false) ?? neighbours([...bytes].reverse(), true);
  return { kind: 'constant', value };
}

function neighbours(bytes: readonly Byte[], isSwapped: boolean): Source | undefined {
  const [first] = bytes;
  if (typeof first !== 'object') return undefined;
  const loads = new Set<Origin>();
  let isPart = true;
  let isMemory = true;
  for (const [index, byte] of bytes.entries()) {
    if (typeof byte !== 'object') return undefined;
    const { origin, at } = byte;
    isPart &&= origin === first.origin && at === first.at + index;
    isMemory &&= isNeighbour(first, byte, index);
    loads.add(origin);
  }
  if (isPart) return { kind: 'part', origin: first.origin, from: first.at, isSwapped };
  const start = addressOf(first);
  return isMemory && start ? { kind: 'memory', base: start, loads, isSwapped } : undefined;
}

/** Where a byte was loaded from. */
function addressOf({ origin: { load }, at }: Exclude<Byte, number>): Base | undefined {
  if (load === undefined || at >= load.bytes) return undefined;
  return { root: load.base.root, offset: load.base.offset + at };
}

function isNeighbour(first: Exclude<Byte, number>, byte: Exclude<Byte, number>, distance: number): boolean {
  const [start, here] = [addressOf(first), addressOf(byte)];
  return start !== undefined && here?.root === start.root && here.offset === start.offset + distance;
}
