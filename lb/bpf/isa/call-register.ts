import type { Instruction } from './instruction.js';
import { writtenRegister } from './registers.js';

/** Registers r0 to r5 hold nothing that a caller may rely on after a call (RFC 9669 §2.3). */
const LAST_CLOBBERED_REGISTER = 5;

/**
 * Number of the helper that a call through a register means: the immediate that the register was set to on the
 * one straight way to the call. What a register may hold otherwise is not looked into: LLVM writes the pair
 * `r2 = 5; callx r2` and nothing else.
 * @param index of the call in `instructions`
 * @returns undefined where it is no such pair
 */
export function helperInRegister(
  instructions: readonly Instruction[],
  index: number,
  register: number,
): number | undefined {
  const targets = new Set<number>();
  for (const instruction of instructions) if ('target' in instruction) targets.add(instruction.target);
  for (let at = index; at > 0; at--) {
    if (targets.has(instructions[at]!.slot)) return undefined;
    const before = instructions[at - 1]!;
    if (before.kind === 'jump' || before.kind === 'exit') return undefined;
    const isCall = before.kind === 'call-helper' || before.kind === 'call-local';
    if (isCall && register <= LAST_CLOBBERED_REGISTER) return undefined;
    if (writtenRegister(before) !== register) continue;
    return before.kind === 'alu' && before.op === 'mov' && before.src.kind === 'imm'
      ? before.src.value
      : undefined;
  }
  return undefined;
}
