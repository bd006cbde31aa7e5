import { CodedError } from '../errors.js';
import { interpret } from './engine/interpreter.js';
import type { Instruction } from './isa/instruction.js';
import { compileProgram, instantiateProgram } from './jit/compile.js';
import { instantiateRuntime, type Runtime } from './maps/runtime.js';
import { Arena } from './memory/arena.js';
import { checkStructure } from './verifier/structural.js';

export const ENGINES = ['interpreter', 'jit'] as const;
export type EngineName = (typeof ENGINES)[number];

export type SandboxFault =
  | { readonly code: 'SANDBOX_MEMORY'; readonly bytes: number; readonly maxBytes: number }
  | { readonly code: 'SANDBOX_TRAP'; readonly reason: string };

/** The memory does not fit, or the program did what no verified program does. */
export class SandboxError extends CodedError<SandboxFault> {}

export interface Outcome {
  /** Unsigned. */
  readonly r0: bigint;
  /** The memory as the program left it: a copy. */
  readonly memory: Uint8Array;
}

const CPU = 0;
/** Instructions after which the interpreter gives a program up; compiled code has no such bound. */
const BUDGET = 10_000_000;

/**
 * Runs programs that are bound to no hook and use no map: r1 is the address of a piece of memory, r2 its length in
 * bytes. An arena of its own.
 */
export class Sandbox {
  readonly #arena: Arena;
  readonly #runtime: Runtime;

  /** @param memoryBytes longest memory of a program */
  constructor(memoryBytes = 1 << 20) {
    this.#arena = Arena.create({ workers: 1, mapsBytes: 0, ringsBytes: memoryBytes });
    this.#runtime = instantiateRuntime(this.#arena.memory, CPU);
  }

  /**
   * @throws SandboxError; StructureError, JitError, InterpreterError
   */
  run(engine: EngineName, instructions: readonly Instruction[], memory: Uint8Array): Outcome {
    const { rings, u8 } = this.#arena;
    if (memory.length > rings.bytes) {
      throw new SandboxError(
        { code: 'SANDBOX_MEMORY', bytes: memory.length, maxBytes: rings.bytes },
        `memory of ${memory.length} bytes: at most ${rings.bytes} are possible`,
      );
    }
    checkStructure(instructions);
    const program =
      engine === 'interpreter'
        ? interpret(instructions, { runtime: this.#runtime, maps: [], budget: BUDGET })
        : instantiateProgram(new WebAssembly.Module(compileProgram(instructions, []).wasm), this.#runtime);
    const bytes = u8.subarray(rings.offset, rings.offset + memory.length);
    bytes.set(memory);
    try {
      const r0 = BigInt.asUintN(64, program.call(BigInt(rings.offset), BigInt(memory.length)));
      return { r0, memory: Uint8Array.from(bytes) };
    } catch (cause) {
      if (!(cause instanceof WebAssembly.RuntimeError)) throw cause;
      throw new SandboxError(
        { code: 'SANDBOX_TRAP', reason: cause.message },
        `the program trapped: ${cause.message}`,
        { cause },
      );
    }
  }
}
