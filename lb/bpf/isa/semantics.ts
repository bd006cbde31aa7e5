import type { AluName, JumpName } from './opcodes.js';

/** Result of two-operand arithmetic: both operands unsigned and of the width, the caller cuts the result to it (RFC 9669 §4.1). */
export const ALU_RESULTS: Record<AluName, (a: bigint, b: bigint, width: 32 | 64) => bigint> = {
  add: (a, b) => a + b,
  sub: (a, b) => a - b,
  mul: (a, b) => a * b,
  div: (a, b) => (b === 0n ? 0n : a / b),
  mod: (a, b) => (b === 0n ? a : a % b),
  // The quotient goes towards zero; INT_MIN / -1 is INT_MIN, which the cut gives.
  sdiv: (a, b, width) => (b === 0n ? 0n : BigInt.asIntN(width, a) / BigInt.asIntN(width, b)),
  smod: (a, b, width) => (b === 0n ? a : BigInt.asIntN(width, a) % BigInt.asIntN(width, b)),
  or: (a, b) => a | b,
  and: (a, b) => a & b,
  xor: (a, b) => a ^ b,
  mov: (_a, b) => b,
  lsh: (a, b, width) => a << (b & BigInt(width - 1)),
  rsh: (a, b, width) => a >> (b & BigInt(width - 1)),
  arsh: (a, b, width) => BigInt.asIntN(width, a) >> (b & BigInt(width - 1)),
};

/** Whether a branch is taken: both operands unsigned and of the width (RFC 9669 §4.3). */
export const JUMP_CONDITIONS: Record<JumpName, (a: bigint, b: bigint, width: 32 | 64) => boolean> = {
  jeq: (a, b) => a === b,
  jne: (a, b) => a !== b,
  jgt: (a, b) => a > b,
  jge: (a, b) => a >= b,
  jlt: (a, b) => a < b,
  jle: (a, b) => a <= b,
  jset: (a, b) => (a & b) !== 0n,
  jsgt: (a, b, width) => BigInt.asIntN(width, a) > BigInt.asIntN(width, b),
  jsge: (a, b, width) => BigInt.asIntN(width, a) >= BigInt.asIntN(width, b),
  jslt: (a, b, width) => BigInt.asIntN(width, a) < BigInt.asIntN(width, b),
  jsle: (a, b, width) => BigInt.asIntN(width, a) <= BigInt.asIntN(width, b),
};
