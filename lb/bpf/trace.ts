import { helperById } from './helpers/prototypes.js';
import type { Instruction } from './isa/instruction.js';
import { REGISTERS } from './isa/opcodes.js';
import { writtenRegister } from './isa/registers.js';
import { formatInstruction, type Names } from './isa/text.js';
import { formatLine } from './object/listing.js';
import type { LineSpec } from './object/spec.js';

/** Part of the arena that a trace calls by name: addresses in it are written as `name+offset`. */
export interface TraceRegion {
  readonly name: string;
  readonly start: number;
  readonly bytes: number;
  /** Offsets count from the end, as of a stack frame. */
  readonly isFromEnd?: boolean;
}

export interface TraceOptions {
  readonly names: Names;
  readonly lines: readonly LineSpec[];
  /** The first that an address is in names it; read anew for each address. */
  readonly regions: () => readonly TraceRegion[];
  readonly onLine: (text: string) => void;
}

const SLOT_WIDTH = 6;
const EFFECT_COLUMN = 46;
const LAST_ARGUMENT = 5;
/** Below it numbers are written as decimal. */
const SMALL = 65536n;

/**
 * Writes what each instruction does, a line each, under the source line it belongs to: the register it changed, the
 * memory it wrote, the way a branch went, what a helper was given and gave. Hand `step` to the interpreter.
 */
export class Trace {
  readonly #options: TraceOptions;
  readonly #sources: ReadonlyMap<number, LineSpec>;
  readonly #before: bigint[] = new Array<bigint>(REGISTERS).fill(0n);
  #pending: Instruction | undefined;
  #count = 0;
  /** The source line that was written last. */
  #source = '';

  constructor(options: TraceOptions) {
    this.#options = options;
    this.#sources = new Map(options.lines.map((line) => [line.slot, line]));
  }

  /** Instructions seen. */
  get count(): number {
    return this.#count;
  }

  /**
   * Before each instruction, and with undefined at the end of the run.
   * @param registers r0 to r10, unsigned; read during the call only
   */
  readonly step = (next: Instruction | undefined, registers: readonly bigint[]): void => {
    if (this.#pending !== undefined) this.#write(this.#pending, next, registers);
    this.#pending = next;
    for (let i = 0; i < REGISTERS; i++) this.#before[i] = registers[i]!;
    if (next === undefined) return;
    this.#count += 1;
    const source = this.#sources.get(next.slot);
    if (source === undefined) return;
    const text = formatLine(source);
    if (text !== this.#source) this.#options.onLine(text);
    this.#source = text;
  };

  #write(instruction: Instruction, next: Instruction | undefined, after: readonly bigint[]): void {
    const text = formatInstruction(instruction, this.#options.names);
    const effect = this.#effect(instruction, next, after);
    const left = `${String(instruction.slot).padStart(SLOT_WIDTH)}: ${text}`;
    this.#options.onLine(effect === '' ? left : `${left.padEnd(EFFECT_COLUMN)} ; ${effect}`);
  }

  #effect(instruction: Instruction, next: Instruction | undefined, after: readonly bigint[]): string {
    const before = this.#before;
    switch (instruction.kind) {
      case 'branch':
        return next?.slot === instruction.target ? 'taken' : 'not taken';
      case 'jump':
        return '';
      case 'exit':
        return `r0 = ${this.#name(after[0]!)}`;
      case 'store': {
        const { dst, off, bytes, src } = instruction;
        const value = src.kind === 'reg' ? before[src.reg]! : BigInt(src.value);
        return `${this.#at(before[dst]!, off)} = ${this.#name(BigInt.asUintN(8 * bytes, value))}`;
      }
      case 'store-release':
        return `${this.#at(before[instruction.dst]!, instruction.off)} = ${this.#name(BigInt.asUintN(8 * instruction.bytes, before[instruction.src]!))}`;
      case 'load':
      case 'load-acquire':
        return `${this.#change(instruction.dst, after)} from ${this.#at(before[instruction.src]!, instruction.off)}`;
      case 'atomic': {
        const place = this.#at(before[instruction.dst]!, instruction.off);
        const written = writtenRegister(instruction);
        return written === undefined ? place : `${place}, ${this.#change(written, after)}`;
      }
      case 'call-helper': {
        const count = helperById(instruction.id)?.args.length ?? LAST_ARGUMENT;
        const args = Array.from({ length: count }, (_, i) => this.#name(before[i + 1]!));
        return `(${args.join(', ')}) → ${this.#name(after[0]!)}`;
      }
      case 'call-local':
        return `(${[1, 2, 3, 4, 5].map((i) => this.#name(before[i]!)).join(', ')})`;
      default: {
        const written = writtenRegister(instruction);
        return written === undefined ? '' : this.#change(written, after);
      }
    }
  }

  #change(register: number, after: readonly bigint[]): string {
    const [from, to] = [this.#before[register]!, after[register]!];
    return from === to
      ? `r${register} = ${this.#name(to)}`
      : `r${register} = ${this.#name(to)} (was ${this.#name(from)})`;
  }

  #at(base: bigint, offset: number): string {
    return `[${this.#name(BigInt.asUintN(64, base + BigInt(offset)))}]`;
  }

  /** An address by the region that it is in, any other number as it is. */
  #name(value: bigint): string {
    if (value >= SMALL && value <= 0xffff_ffffn) {
      const address = Number(value);
      const regions = this.#options.regions();
      // One past the end belongs to it too: ends are compared with. But what begins there goes first.
      const region =
        regions.find(({ start, bytes }) => address >= start && address < start + bytes) ??
        regions.find(({ start, bytes }) => address === start + bytes);
      if (region !== undefined) return nameIn(region, address);
    }
    const signed = BigInt.asIntN(64, value);
    return signed > -SMALL && signed < SMALL ? String(signed) : `0x${value.toString(16)}`;
  }
}

function nameIn({ name, start, bytes, isFromEnd }: TraceRegion, address: number): string {
  if (isFromEnd === true) return address === start + bytes ? name : `${name}-${start + bytes - address}`;
  return address === start ? name : `${name}+${address - start}`;
}
