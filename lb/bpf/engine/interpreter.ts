import { packetOffset } from '../context/packet-load.js';
import { bodyName, type HelperUser, helperById } from '../helpers/prototypes.js';
import { FOR_EACH_MAP_ELEM, LOOP, LOOP_MAX, TAIL_CALL, TAIL_CALLS_MAX } from '../isa/builtins.js';
import { swapBytes } from '../isa/fold.js';
import type { Instruction, Of, Operand } from '../isa/instruction.js';
import { FRAME_POINTER, REGISTERS } from '../isa/opcodes.js';
import { ALU_RESULTS, JUMP_CONDITIONS } from '../isa/semantics.js';
import type { ArenaMapInfo } from '../maps/registry.js';
import type { HelperBody, Runtime } from '../maps/runtime.js';
import { E2BIG, EINVAL } from '../maps/uapi.js';
import {
  CPU_CURSORS,
  CPU_STACK_END,
  CPU_STACK_FRAMES,
  CPU_TAIL_CALLS,
  CPU_TAIL_CALLS_MISSED,
  CURSOR_BYTES,
  CURSOR_KEY,
  CURSOR_VALUE,
  MAP_DATA,
  MAP_MAX_ENTRIES,
  SKB_DATA,
  SKB_DATA_END,
  STACK_FRAME_BYTES,
  STACK_FRAMES,
} from '../memory/layout.js';
import { ArenaAccess } from './arena-access.js';
import type { Executable } from './context.js';
import { InterpretedProgram } from './interpreted-program.js';
import { InterpreterError, unsupported } from './interpreter-fault.js';

export { InterpreterError, type InterpreterFault } from './interpreter-fault.js';

/** Sees each instruction before it is executed, and undefined at the end. Registers: r0 to r10, unsigned. */
export type StepListener = (next: Instruction | undefined, registers: readonly bigint[]) => void;

export interface InterpreterOptions {
  readonly runtime: Runtime;
  /** By the index that the program's map references have. */
  readonly maps: readonly ArenaMapInfo[];
  /** The program's type, which decides between bodies of a helper; XDP unless given. */
  readonly type?: HelperUser;
  /** Instructions after which a run is given up, those of programs that it tail-calls included. */
  readonly budget?: number;
  readonly onStep?: StepListener;
}

const DEFAULT_BUDGET = 10_000_000;

const u64 = (value: bigint) => BigInt.asUintN(64, value);
const s64 = (value: bigint) => BigInt.asIntN(64, value);
const u32 = (value: bigint) => Number(BigInt.asUintN(32, value));
const s32 = (value: bigint) => Number(BigInt.asIntN(32, value));

/** A caller's place: where it goes on, and the registers that the callee keeps for it. */
interface Frame {
  readonly program: InterpretedProgram;
  readonly returnIndex: number;
  readonly saved: readonly bigint[];
  /** Frames below the program's own first one. */
  readonly base: number;
}

const FIRST_SAVED_REGISTER = 6;

/**
 * Make a program ready to be interpreted: slow, plain, and what the JIT is held against.
 * @throws InterpreterError from `run` and `call`, where the program leaves its memory, its frames or its budget
 */
export function interpret(instructions: readonly Instruction[], options: InterpreterOptions): Executable {
  const program = new InterpretedProgram(instructions, options.maps);
  const interpreter = new Interpreter(program, options);
  return {
    run: (context) => u32(interpreter.execute(BigInt(context), 0n)),
    call: (r1, r2) => interpreter.execute(r1, r2),
    target: { engine: 'interpreter', program },
  };
}

class Interpreter {
  readonly #entry: InterpretedProgram;
  readonly #runtime: Runtime;
  readonly #type: HelperUser;
  readonly #budget: number;
  readonly #onStep: StepListener | undefined;
  readonly #memory: ArenaAccess;
  /** Arena offset of the CPU's block. */
  readonly #block: number;
  readonly #registers: bigint[] = new Array<bigint>(REGISTERS).fill(0n);
  #program: InterpretedProgram;
  #index = 0;
  #left = 0;
  #frames: Frame[] = [];
  /** Length of #frames when #program was entered: it has STACK_FRAMES from there on. */
  #base = 0;

  constructor(
    entry: InterpretedProgram,
    { runtime, type = 'xdp', budget = DEFAULT_BUDGET, onStep }: Omit<InterpreterOptions, 'maps'>,
  ) {
    this.#entry = entry;
    this.#program = entry;
    this.#runtime = runtime;
    this.#type = type;
    this.#budget = budget;
    this.#onStep = onStep;
    this.#memory = new ArenaAccess(runtime.env.memory.buffer);
    this.#block = Number(runtime.env.block.value) >>> 0;
  }

  execute(r1: bigint, r2: bigint): bigint {
    const registers = this.#registers.fill(0n);
    registers[1] = u64(r1);
    registers[2] = u64(r2);
    registers[FRAME_POINTER] = BigInt(this.#block + CPU_STACK_END);
    this.#frames = [];
    this.#program = this.#entry;
    this.#index = 0;
    this.#base = 0;
    this.#left = this.#budget;
    this.#memory.setU32(this.#block + CPU_TAIL_CALLS, 0);
    this.#run();
    this.#onStep?.(undefined, registers);
    return registers[0]!;
  }

  /** Up to the end of the function that #index is in. */
  #run(): void {
    const depth = this.#frames.length;
    for (;;) {
      if (this.#left-- === 0) {
        throw new InterpreterError(
          { code: 'INTERPRETER_BUDGET', budget: this.#budget },
          `the program did not end within ${this.#budget} instructions`,
        );
      }
      const instruction = this.#program.instructions[this.#index]!;
      this.#onStep?.(instruction, this.#registers);
      if (instruction.kind === 'exit' || !this.#step(instruction)) {
        if (this.#frames.length === depth) return;
        this.#leave();
      }
    }
  }

  /** Execute one instruction; false where it ends the function. */
  #step(instruction: Exclude<Instruction, Of<'exit'>>): boolean {
    const registers = this.#registers;
    const { slot } = instruction;
    this.#index += 1;
    switch (instruction.kind) {
      case 'alu': {
        const { op, width, dst, src } = instruction;
        const a = BigInt.asUintN(width, registers[dst]!);
        const b = BigInt.asUintN(width, this.#operand(src));
        registers[dst] = BigInt.asUintN(width, ALU_RESULTS[op](a, b, width));
        break;
      }
      case 'neg':
        registers[instruction.dst] = BigInt.asUintN(instruction.width, -registers[instruction.dst]!);
        break;
      case 'movsx': {
        const { dst, src, bits, width } = instruction;
        registers[dst] = BigInt.asUintN(width, BigInt.asIntN(bits, registers[src]!));
        break;
      }
      case 'swap': {
        const { op, bits, dst } = instruction;
        const value = BigInt.asUintN(bits, registers[dst]!);
        // The machine is little endian: `le` only cuts (RFC 9669 §4.2).
        registers[dst] = op === 'le' ? value : swapBytes(value, bits);
        break;
      }
      case 'imm64':
        registers[instruction.dst] = this.#program.immediate(slot, instruction.imm);
        break;
      case 'load': {
        const { bytes, signed, dst, src, off } = instruction;
        const value = this.#memory.load(slot, this.#address(src, off), bytes);
        registers[dst] = signed ? u64(BigInt.asIntN(bytes * 8, value)) : value;
        break;
      }
      case 'store': {
        const { bytes, dst, off, src } = instruction;
        this.#memory.store(slot, this.#address(dst, off), bytes, this.#operand(src));
        break;
      }
      case 'atomic':
        this.#atomic(instruction);
        break;
      case 'load-acquire': {
        const { bytes, dst, src, off } = instruction;
        const address = this.#memory.aligned(slot, this.#address(src, off), bytes);
        registers[dst] = this.#memory.load(slot, address, bytes);
        break;
      }
      case 'store-release': {
        const { bytes, dst, src, off } = instruction;
        const address = this.#memory.aligned(slot, this.#address(dst, off), bytes);
        this.#memory.store(slot, address, bytes, registers[src]!);
        break;
      }
      case 'jump':
        this.#index = this.#program.indexOf(instruction.target);
        break;
      case 'branch': {
        const { op, width, dst, src, target } = instruction;
        const a = BigInt.asUintN(width, registers[dst]!);
        const b = BigInt.asUintN(width, this.#operand(src));
        if (JUMP_CONDITIONS[op](a, b, width)) this.#index = this.#program.indexOf(target);
        break;
      }
      case 'call-helper':
        this.#callHelper(instruction);
        break;
      case 'call-local':
        this.#enter(slot, this.#program.indexOf(instruction.target));
        break;
      case 'packet-load':
        return this.#packetLoad(instruction);
    }
    return true;
  }

  /** A second operand: an immediate is sign-extended to 64 bits, the caller cuts it. */
  #operand(src: Operand): bigint {
    return src.kind === 'reg' ? this.#registers[src.reg]! : BigInt(src.value);
  }

  #address(register: number, off: number): bigint {
    return u64(this.#registers[register]! + BigInt(off));
  }

  #atomic({ slot, op, fetch, bytes, dst, src, off }: Of<'atomic'>): void {
    const registers = this.#registers;
    const address = this.#address(dst, off);
    const value = registers[src]!;
    // r0 always gets what was there, zero-extended (RFC 9669 §5.3).
    if (op === 'cmpxchg')
      registers[0] = this.#memory.compareExchange(slot, address, bytes, registers[0]!, value);
    else {
      const old = this.#memory.exchange(slot, address, bytes, op, value);
      if (fetch) registers[src] = old;
    }
  }

  /** LD_ABS, LD_IND: out of the packet it ends the function with r0 = 0, as the kernel's code does. */
  #packetLoad({ slot, bytes, mode, src, imm }: Of<'packet-load'>): boolean {
    const registers = this.#registers;
    const offset = packetOffset(mode === 'ind' ? s32(registers[src]! + BigInt(imm)) : imm);
    const data = this.#memory.load(slot, this.#address(6, SKB_DATA), 4);
    const end = this.#memory.load(slot, this.#address(6, SKB_DATA_END), 4);
    registers[0] = 0n;
    if (offset === undefined || data + BigInt(offset + bytes) > end) return false;
    registers[0] = swapBytes(this.#memory.load(slot, data + BigInt(offset), bytes), bytes * 8);
    return true;
  }

  /** Go on at the start of a function, in a frame below; its end leads back to #index. */
  #enter(slot: number, index: number): void {
    if (this.#frames.length - this.#base + 1 >= STACK_FRAMES) {
      throw new InterpreterError(
        { code: 'INTERPRETER_FRAMES', slot },
        `instruction ${slot}: more than ${STACK_FRAMES} frames`,
      );
    }
    const saved = this.#registers.slice(FIRST_SAVED_REGISTER);
    this.#frames.push({ program: this.#program, returnIndex: this.#index, saved, base: this.#base });
    this.#registers[FRAME_POINTER]! -= BigInt(STACK_FRAME_BYTES);
    this.#index = index;
  }

  #leave(): void {
    const frame = this.#frames.pop()!;
    for (const [i, value] of frame.saved.entries()) this.#registers[FIRST_SAVED_REGISTER + i] = value;
    this.#program = frame.program;
    this.#index = frame.returnIndex;
    this.#base = frame.base;
  }

  /** r1 to r4. */
  #arguments(): readonly [bigint, bigint, bigint, bigint] {
    const [, r1 = 0n, r2 = 0n, r3 = 0n, r4 = 0n] = this.#registers;
    return [r1, r2, r3, r4];
  }

  #callHelper({ slot, id }: Of<'call-helper'>): void {
    if (id === TAIL_CALL) this.#tailCall();
    else if (id === LOOP) this.#registers[0] = u64(BigInt(this.#loop(slot)));
    else if (id === FOR_EACH_MAP_ELEM) this.#registers[0] = u64(BigInt(this.#forEach(slot)));
    else this.#registers[0] = this.#callBody(slot, id);
  }

  #callBody(slot: number, id: number): bigint {
    const helper = helperById(id);
    if (helper === undefined) throw unsupported(slot, `helper ${id}`, 'there is none of this number');
    if (helper.notOffered !== undefined)
      throw unsupported(slot, `helper ${helper.name}`, `not offered: ${helper.notOffered}`);
    const body: HelperBody | undefined = this.#runtime.exports[bodyName(helper, this.#type)];
    if (body === undefined)
      throw unsupported(slot, `helper ${helper.name}`, 'the runtime has no body for it');
    return u64(body(...this.#registers.slice(1, 1 + helper.args.length).map(s64)));
  }

  /** bpf_tail_call(ctx, map, index): another program in this frame's place, or the next instruction. */
  #tailCall(): void {
    const memory = this.#memory;
    const map = u32(this.#registers[2]!);
    const index = u32(this.#registers[3]!);
    const count = memory.u32(this.#block + CPU_TAIL_CALLS);
    this.#registers[0] = 0n;
    if (index >= memory.u32(map + MAP_MAX_ENTRIES) || count >= TAIL_CALLS_MAX) return;
    const number = memory.u32(memory.u32(map + MAP_DATA) + 4 * index);
    if (number === 0) return;
    const target = this.#runtime.programs.interpreted(number);
    if (target === undefined) {
      const missed = this.#block + CPU_TAIL_CALLS_MISSED;
      memory.setU32(missed, memory.u32(missed) + 1);
      return;
    }
    if (this.#frames.length + STACK_FRAMES > CPU_STACK_FRAMES) return;
    memory.setU32(this.#block + CPU_TAIL_CALLS, count + 1);
    const [context, frame] = [this.#registers[1]!, this.#registers[FRAME_POINTER]!];
    this.#registers.fill(0n);
    this.#registers[1] = context;
    this.#registers[FRAME_POINTER] = frame;
    this.#program = target;
    this.#index = 0;
    this.#base = this.#frames.length;
  }

  /** Call a function of the program by address, with up to four arguments; gives its r0. */
  #callback(slot: number, address: bigint, ...args: readonly bigint[]): bigint {
    this.#enter(slot, this.#program.callback(slot, address));
    for (let i = 0; i < 5; i++) this.#registers[i + 1] = args[i] ?? 0n;
    this.#run();
    const result = this.#registers[0]!;
    this.#leave();
    return result;
  }

  /** bpf_loop(nr, callback, context, flags): rounds that were made. */
  #loop(slot: number): number {
    const [rounds, callback, context, flags] = this.#arguments();
    if (flags !== 0n) return -EINVAL;
    // All 64 bits count, as where the kernel writes the loop out in place of the call.
    if (rounds > LOOP_MAX) return -E2BIG;
    const count = Number(rounds);
    for (let i = 0; i < count; i++) {
      if (this.#callback(slot, callback, BigInt(i), context) !== 0n) return i + 1;
    }
    return count;
  }

  /** bpf_for_each_map_elem(map, callback, context, flags): elements that the callback saw. */
  #forEach(slot: number): number {
    const [map, callback, context, flags] = this.#arguments();
    if (flags !== 0n) return -EINVAL;
    const cursor = this.#block + CPU_CURSORS + CURSOR_BYTES * this.#frames.length;
    this.#memory.clear(cursor, CURSOR_BYTES);
    for (let seen = 0; ; seen++) {
      const found = this.#runtime.exports.map_iterate(u32(map), cursor);
      if (found <= 0) return found === 0 ? seen : found;
      const [key, value] = [CURSOR_KEY, CURSOR_VALUE].map((word) => BigInt(this.#memory.u32(cursor + word)));
      if (this.#callback(slot, callback, map, key!, value!, context) !== 0n) return seen + 1;
    }
  }
}
