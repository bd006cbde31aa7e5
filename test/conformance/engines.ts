import { interpret } from '../../lb/bpf/engine/interpreter.js';
import type { Instruction } from '../../lb/bpf/isa/instruction.js';
import { compileProgram, instantiateProgram } from '../../lb/bpf/jit/compile.js';
import { instantiateRuntime } from '../../lb/bpf/maps/runtime.js';
import { Arena } from '../../lb/bpf/memory/arena.js';
import { CPU_SCRATCH, CPU_SCRATCH_BYTES } from '../../lb/bpf/memory/layout.js';
import { checkStructure } from '../../lb/bpf/verifier/structural.js';

export const ENGINES = ['interpreter', 'jit'] as const;
export type EngineName = (typeof ENGINES)[number];

const CPU = 0;
const BUDGET = 1_000_000;
const arena = Arena.create({ workers: 1, mapsBytes: 4096, ringsBytes: 0 });
const runtime = instantiateRuntime(arena.memory, CPU);
const scratch = arena.block(CPU) + CPU_SCRATCH;

export interface Outcome {
  readonly r0: bigint;
  /** The memory as the program left it. */
  readonly memory: Uint8Array;
}

/** Check a program's structure and run it, r1 = address of the memory, r2 = its length. */
export function runProgram(
  engine: EngineName,
  instructions: readonly Instruction[],
  memory: Uint8Array,
): Outcome {
  if (memory.length > CPU_SCRATCH_BYTES) {
    throw new Error(`${memory.length} bytes of memory do not fit ${CPU_SCRATCH_BYTES}`);
  }
  checkStructure(instructions);
  const program =
    engine === 'interpreter'
      ? interpret(instructions, { runtime, maps: [], budget: BUDGET })
      : instantiateProgram(new WebAssembly.Module(compileProgram(instructions, []).wasm), runtime);
  const bytes = arena.u8.subarray(scratch, scratch + memory.length);
  bytes.set(memory);
  const r0 = BigInt.asUintN(64, program.call(BigInt(scratch), BigInt(memory.length)));
  return { r0, memory: Uint8Array.from(bytes) };
}

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
