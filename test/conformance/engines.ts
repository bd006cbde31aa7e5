import type { Instruction } from '../../lb/bpf/isa/instruction.js';
import { type EngineName, type Outcome, Sandbox } from '../../lb/bpf/sandbox.js';

export { ENGINES, type EngineName } from '../../lb/bpf/sandbox.js';

const sandbox = new Sandbox();

/** Check a program's structure and run it, r1 = address of the memory, r2 = its length. */
export function runProgram(
  engine: EngineName,
  instructions: readonly Instruction[],
  memory: Uint8Array,
): Outcome {
  return sandbox.run(engine, instructions, memory);
}

export function fromHex(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
}
