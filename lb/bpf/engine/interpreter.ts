import { CodedError } from '../../errors.js';
import { helperById } from '../helpers/prototypes.js';
import type { AccessBytes, Instruction, Of, Operand } from '../isa/instruction.js';
import { type AtomicName, FRAME_POINTER, REGISTERS } from '../isa/opcodes.js';
import { ALU_RESULTS, JUMP_CONDITIONS } from '../isa/semantics.js';
import type { ArenaMapInfo } from '../maps/registry.js';
import type { HelperBody, Runtime } from '../maps/runtime.js';
import { CPU_STACK_END, NULL_REGION_BYTES, STACK_FRAME_BYTES, STACK_FRAMES } from '../memory/layout.js';
import type { Executable } from './context.js';

export type InterpreterFault =
  | {
      readonly code: 'INTERPRETER_MEMORY';
      readonly slot: number;
      readonly address: bigint;
      readonly bytes: number;
    }
  | { readonly code: 'INTERPRETER_BUDGET'; readonly budget: number }
  | { readonly code: 'INTERPRETER_FRAMES'; readonly slot: number }
  | { readonly code: 'INTERPRETER_ALIGNMENT'; readonly slot: number; readonly address: bigint }
  | { readonly code: 'INTERPRETER_UNSUPPORTED'; readonly slot: number; readonly what: string };

/** The program did what no verified program does. */
export class InterpreterError extends CodedError<InterpreterFault> {}

export interface InterpreterOptions {
  readonly runtime: Runtime;
  /** By the index that the program's map references have. */
  readonly maps: readonly ArenaMapInfo[];
  /** Instructions after which a run is given up. */
  readonly budget?: number;
}

const DEFAULT_BUDGET = 10_000_000;

const u64 = (value: bigint) => BigInt.asUintN(64, value);
const s64 = (value: bigint) => BigInt.asIntN(64, value);
const u32 = (value: bigint) => BigInt.asUintN(32, value);

const ATOMIC_BODIES: Record<
  Exclude<AtomicName, 'cmpxchg'>,
  keyof typeof Atomics & ('add' | 'or' | 'and' | 'xor' | 'exchange')
> = {
  add: 'add',
  or: 'or',
  and: 'and',
  xor: 'xor',
  xchg: 'exchange',
};

function swapBytes(value: bigint, bits: 16 | 32 | 64): bigint {
  let swapped = 0n;
  for (let bit = 0; bit < bits; bit += 8) swapped = (swapped << 8n) | ((value >> BigInt(bit)) & 0xffn);
  return swapped;
}

/** A caller's place: where it goes on, and the registers that the callee keeps for it. */
interface Frame {
  readonly returnIndex: number;
  readonly saved: readonly bigint[];
}

const FIRST_SAVED_REGISTER = 6;

/**
 * Make a program ready to be interpreted: slow, plain, and what the JIT is held against.
 * @throws InterpreterError from `run` and `call`, where the program leaves its memory, its frames or its budget
 */
export function interpret(instructions: readonly Instruction[], options: InterpreterOptions): Executable {
  const interpreter = new Interpreter(instructions, options);
  return {
    run: (context) => Number(u32(interpreter.execute(BigInt(context), 0n))),
    call: (r1, r2) => interpreter.execute(r1, r2),
  };
}

class Interpreter {
  readonly #instructions: readonly Instruction[];
  /** Slot → index in #instructions. */
  readonly #indexOf: ReadonlyMap<number, number>;
  readonly #runtime: Runtime;
  readonly #maps: readonly ArenaMapInfo[];
  readonly #budget: number;
  readonly #memory: DataView;
  // For atomics, in the machine's byte order: what wasm runs on is little endian.
  readonly #words: BigUint64Array;
  readonly #halves: Uint32Array;
  readonly #stackEnd: bigint;
  readonly #registers: bigint[] = new Array<bigint>(REGISTERS).fill(0n);
  #frames: Frame[] = [];

  constructor(
    instructions: readonly Instruction[],
    { runtime, maps, budget = DEFAULT_BUDGET }: InterpreterOptions,
  ) {
    this.#instructions = instructions;
    this.#indexOf = new Map(instructions.map(({ slot }, index) => [slot, index]));
    this.#runtime = runtime;
    this.#maps = maps;
    this.#budget = budget;
    const { buffer } = runtime.env.memory;
    this.#memory = new DataView(buffer);
    this.#words = new BigUint64Array(buffer);
    this.#halves = new Uint32Array(buffer);
    this.#stackEnd = BigInt(Number(runtime.env.block.value) >>> 0) + BigInt(CPU_STACK_END);
  }

  execute(r1: bigint, r2: bigint): bigint {
    const registers = this.#registers.fill(0n);
    registers[1] = u64(r1);
    registers[2] = u64(r2);
    registers[FRAME_POINTER] = this.#stackEnd;
    this.#frames = [];
    let index = 0;
    for (let left = this.#budget; left > 0; left--) {
      const instruction = this.#instructions[index]!;
      if (instruction.kind === 'exit') {
        const frame = this.#frames.pop();
        if (frame === undefined) return registers[0]!;
        for (const [i, value] of frame.saved.entries()) registers[FIRST_SAVED_REGISTER + i] = value;
        index = frame.returnIndex;
        continue;
      }
      index = this.#step(instruction, index);
    }
    throw new InterpreterError(
      { code: 'INTERPRETER_BUDGET', budget: this.#budget },
      `the program did not end within ${this.#budget} instructions`,
    );
  }

  /** Execute one instruction; gives the index of the next. */
  #step(instruction: Exclude<Instruction, Of<'exit'>>, index: number): number {
    const registers = this.#registers;
    switch (instruction.kind) {
      case 'alu': {
        const { op, width, dst, src } = instruction;
        const a = BigInt.asUintN(width, registers[dst]!);
        registers[dst] = BigInt.asUintN(
          width,
          ALU_RESULTS[op](a, BigInt.asUintN(width, this.#operand(src)), width),
        );
        break;
      }
      case 'neg':
        registers[instruction.dst] = BigInt.asUintN(instruction.width, -registers[instruction.dst]!);
        break;
      case 'movsx':
        registers[instruction.dst] = BigInt.asUintN(
          instruction.width,
          BigInt.asIntN(instruction.bits, registers[instruction.src]!),
        );
        break;
      case 'swap': {
        const { op, bits, dst } = instruction;
        const value = BigInt.asUintN(bits, registers[dst]!);
        // The machine is little endian: `le` only cuts (RFC 9669 §4.2).
        registers[dst] = op === 'le' ? value : swapBytes(value, bits);
        break;
      }
      case 'imm64':
        registers[instruction.dst] = this.#imm64(instruction);
        break;
      case 'load': {
        const { bytes, signed, dst } = instruction;
        const value = this.#load(instruction.slot, this.#address(instruction.src, instruction.off), bytes);
        registers[dst] = signed ? u64(BigInt.asIntN(bytes * 8, value)) : value;
        break;
      }
      case 'store':
        this.#store(
          instruction.slot,
          this.#address(instruction.dst, instruction.off),
          instruction.bytes,
          this.#operand(instruction.src),
        );
        break;
      case 'atomic':
        this.#atomic(instruction);
        break;
      case 'load-acquire': {
        const address = this.#aligned(
          instruction.slot,
          this.#address(instruction.src, instruction.off),
          instruction.bytes,
        );
        registers[instruction.dst] = this.#load(instruction.slot, BigInt(address), instruction.bytes);
        break;
      }
      case 'store-release': {
        const address = this.#aligned(
          instruction.slot,
          this.#address(instruction.dst, instruction.off),
          instruction.bytes,
        );
        this.#store(instruction.slot, BigInt(address), instruction.bytes, registers[instruction.src]!);
        break;
      }
      case 'jump':
        return this.#indexOf.get(instruction.target)!;
      case 'branch': {
        const { op, width, dst, src, target } = instruction;
        const a = BigInt.asUintN(width, registers[dst]!);
        if (JUMP_CONDITIONS[op](a, BigInt.asUintN(width, this.#operand(src)), width))
          return this.#indexOf.get(target)!;
        break;
      }
      case 'call-helper':
        registers[0] = this.#callHelper(instruction);
        break;
      case 'call-local':
        return this.#callLocal(instruction, index);
      case 'packet-load':
        throw new InterpreterError(
          { code: 'INTERPRETER_UNSUPPORTED', slot: instruction.slot, what: 'LD_ABS and LD_IND' },
          `instruction ${instruction.slot}: LD_ABS and LD_IND read a socket buffer, which programs here do not have`,
        );
    }
    return index + 1;
  }

  /** A second operand: an immediate is sign-extended to 64 bits, the caller cuts it. */
  #operand(src: Operand): bigint {
    return src.kind === 'reg' ? this.#registers[src.reg]! : BigInt(src.value);
  }

  /** Pointers are offsets in the arena. Nothing wraps: a verified program never leaves it. */
  #address(register: number, off: number): bigint {
    return u64(this.#registers[register]! + BigInt(off));
  }

  #checked(slot: number, address: bigint, bytes: number): number {
    if (address < NULL_REGION_BYTES || address + BigInt(bytes) > this.#memory.byteLength) {
      throw new InterpreterError(
        { code: 'INTERPRETER_MEMORY', slot, address, bytes },
        `instruction ${slot}: ${bytes} bytes at 0x${address.toString(16)} are NULL or outside of the arena`,
      );
    }
    return Number(address);
  }

  /** An address that an atomic access may use; wasm's own atomics trap where this throws. */
  #aligned(slot: number, address: bigint, bytes: AccessBytes): number {
    const at = this.#checked(slot, address, bytes);
    if (at % bytes !== 0) {
      throw new InterpreterError(
        { code: 'INTERPRETER_ALIGNMENT', slot, address },
        `instruction ${slot}: atomic access at 0x${address.toString(16)}, which is not a multiple of ${bytes}`,
      );
    }
    return at;
  }

  #load(slot: number, address: bigint, bytes: AccessBytes): bigint {
    const at = this.#checked(slot, address, bytes);
    switch (bytes) {
      case 1:
        return BigInt(this.#memory.getUint8(at));
      case 2:
        return BigInt(this.#memory.getUint16(at, true));
      case 4:
        return BigInt(this.#memory.getUint32(at, true));
      case 8:
        return this.#memory.getBigUint64(at, true);
    }
  }

  #store(slot: number, address: bigint, bytes: AccessBytes, value: bigint): void {
    const at = this.#checked(slot, address, bytes);
    switch (bytes) {
      case 1:
        this.#memory.setUint8(at, Number(value & 0xffn));
        break;
      case 2:
        this.#memory.setUint16(at, Number(value & 0xffffn), true);
        break;
      case 4:
        this.#memory.setUint32(at, Number(u32(value)), true);
        break;
      case 8:
        this.#memory.setBigUint64(at, u64(value), true);
        break;
    }
  }

  #imm64({ slot, imm }: Of<'imm64'>): bigint {
    switch (imm.kind) {
      case 'value':
        return imm.value;
      case 'map':
        return BigInt(this.#map(slot, imm.map).descriptor);
      case 'map-value':
        return BigInt(this.#map(slot, imm.map).data + imm.offset);
      case 'function':
      case 'variable':
        throw new InterpreterError(
          { code: 'INTERPRETER_UNSUPPORTED', slot, what: imm.kind },
          `instruction ${slot}: the address of a ${imm.kind} is not supported`,
        );
    }
  }

  #map(slot: number, index: number): ArenaMapInfo {
    const map = this.#maps[index];
    if (map) return map;
    throw new InterpreterError(
      { code: 'INTERPRETER_UNSUPPORTED', slot, what: `map ${index}` },
      `instruction ${slot}: the program has no map ${index}`,
    );
  }

  #atomic({ slot, op, fetch, bytes, dst, src, off }: Of<'atomic'>): void {
    const registers = this.#registers;
    const at = this.#aligned(slot, this.#address(dst, off), bytes);
    const value = registers[src]!;
    let old: bigint;
    if (op === 'cmpxchg') {
      // r0 always gets what was there, zero-extended (RFC 9669 §5.3).
      const expected = registers[0]!;
      registers[0] =
        bytes === 8
          ? Atomics.compareExchange(this.#words, at / 8, expected, value)
          : BigInt(Atomics.compareExchange(this.#halves, at / 4, Number(u32(expected)), Number(u32(value))));
      return;
    }
    const operation = ATOMIC_BODIES[op];
    if (bytes === 8) old = Atomics[operation](this.#words, at / 8, value);
    else old = BigInt(Atomics[operation](this.#halves, at / 4, Number(u32(value))));
    if (fetch) registers[src] = old;
  }

  #callHelper({ slot, id }: Of<'call-helper'>): bigint {
    const helper = helperById(id);
    if (helper === undefined) {
      throw new InterpreterError(
        { code: 'INTERPRETER_UNSUPPORTED', slot, what: `helper ${id}` },
        `instruction ${slot}: helper ${id} is not known`,
      );
    }
    const body: HelperBody = this.#runtime.exports[helper.name];
    return u64(body(...this.#registers.slice(1, 1 + helper.args.length).map(s64)));
  }

  #callLocal({ slot, target }: Of<'call-local'>, index: number): number {
    if (this.#frames.length + 1 >= STACK_FRAMES) {
      throw new InterpreterError(
        { code: 'INTERPRETER_FRAMES', slot },
        `instruction ${slot}: more than ${STACK_FRAMES} frames`,
      );
    }
    this.#frames.push({ returnIndex: index + 1, saved: this.#registers.slice(FIRST_SAVED_REGISTER) });
    this.#registers[FRAME_POINTER]! -= BigInt(STACK_FRAME_BYTES);
    return this.#indexOf.get(target)!;
  }
}
