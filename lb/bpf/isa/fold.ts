import type { Instruction, Operand } from './instruction.js';
import { ALU_RESULTS, JUMP_CONDITIONS } from './semantics.js';

/** The value of a register, unsigned 64 bits, where it is known. */
export type KnownRegister = (register: number) => bigint | undefined;

/** The bytes of a number of `bits` in the other order. */
export function swapBytes(value: bigint, bits: number): bigint {
  let swapped = 0n;
  for (let bit = 0; bit < bits; bit += 8) swapped = (swapped << 8n) | ((value >> BigInt(bit)) & 0xffn);
  return swapped;
}

const operandOf = (src: Operand, known: KnownRegister) =>
  src.kind === 'imm' ? BigInt.asUintN(64, BigInt(src.value)) : known(src.reg);

/**
 * What arithmetic leaves in its register where its operands are known (RFC 9669 §4.1, §4.2).
 * @returns unsigned 64 bits; undefined where it is not known, and for other instructions
 */
export function foldArithmetic(instruction: Instruction, known: KnownRegister): bigint | undefined {
  switch (instruction.kind) {
    case 'alu': {
      const { op, width, dst, src } = instruction;
      const b = operandOf(src, known);
      const a = op === 'mov' ? 0n : known(dst);
      if (a === undefined || b === undefined) return undefined;
      const result = ALU_RESULTS[op](BigInt.asUintN(width, a), BigInt.asUintN(width, b), width);
      return BigInt.asUintN(width, result);
    }
    case 'neg': {
      const a = known(instruction.dst);
      return a === undefined ? undefined : BigInt.asUintN(instruction.width, -a);
    }
    case 'movsx': {
      const { src, bits, width } = instruction;
      const a = known(src);
      return a === undefined ? undefined : BigInt.asUintN(width, BigInt.asIntN(bits, a));
    }
    case 'swap': {
      const { op, bits, dst } = instruction;
      const a = known(dst);
      if (a === undefined) return undefined;
      const value = BigInt.asUintN(bits, a);
      // The machine is little endian: `le` only cuts (RFC 9669 §4.2).
      return op === 'le' ? value : swapBytes(value, bits);
    }
    default:
      return undefined;
  }
}

/** Which way a branch goes where both sides are known: true = taken. */
export function foldBranch(
  { op, width, dst, src }: Extract<Instruction, { kind: 'branch' }>,
  known: KnownRegister,
): boolean | undefined {
  const a = known(dst);
  const b = operandOf(src, known);
  if (a === undefined || b === undefined) return undefined;
  return JUMP_CONDITIONS[op](BigInt.asUintN(width, a), BigInt.asUintN(width, b), width);
}
