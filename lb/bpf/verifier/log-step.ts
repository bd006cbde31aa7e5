import type { Environment } from './environment.js';
import type { Step } from './program.js';
import { stepText } from './step-text.js';

/** An instruction with its opcode: `(b7) r0 = 0`. */
export function opcodeText({ program }: Environment, step: Step): string {
  return `(${(program.opcodes[step.slot] ?? 0).toString(16).padStart(2, '0')}) ${stepText(step)}`;
}
