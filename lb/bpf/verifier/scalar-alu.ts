import type { Width } from '../isa/instruction.js';
import type { AluName } from '../isa/opcodes.js';
import { Scalar } from './scalar.js';
import { truncateScalar, zeroExtend } from './scalar-cast.js';
import {
  addToOffsetRange,
  addToRange,
  multiplyRange,
  subtractFromOffsetRange,
  subtractFromRange,
} from './scalar-range.js';
import { shiftLeft, shiftRight, shiftRightSigned } from './scalar-shift.js';
import { checkInvariants, learnFromBits, syncBounds } from './scalar-sync.js';
import { less } from './scalar-words.js';
import { tnumAdd, tnumAnd, tnumMul, tnumOr, tnumSub, tnumSwapBytes, tnumXor } from './tnum.js';

/** Arithmetic on a register: the two-operand operations, and negation. */
export type ScalarOp = AluName | 'neg';

/** Applies an operation to bits and ranges; `src` is not `dst`. What it leaves is not synced. */
type Transfer = (dst: Scalar, src: Scalar, width: Width) => void;

/** Operand of a negation. */
const negated = new Scalar();

/** Linux 6.18, kernel/bpf/verifier.c, adjust_scalar_min_max_vals. Division and modulo are not tracked. */
const TRANSFERS: Partial<Record<ScalarOp, Transfer>> = {
  mov: (dst, src) => dst.copyFrom(src),
  add: (dst, src) => {
    addToRange(dst, src);
    tnumAdd(dst, dst, src);
  },
  sub: (dst, src) => {
    subtractFromRange(dst, src);
    tnumSub(dst, dst, src);
  },
  neg: (dst) => {
    negated.copyFrom(dst);
    dst.setConstHalves(0, 0);
    subtractFromRange(dst, negated);
    tnumSub(dst, dst, negated);
  },
  mul: (dst, src) => {
    multiplyRange(dst, src);
    tnumMul(dst, dst, src);
  },
  and: (dst, src) => {
    tnumAnd(dst, dst, src);
    // Clearing bits lowers: the result is at most each operand.
    dst.lowerU32Max(src.u32Max);
    dst.lowerUmax(src.umaxHi, src.umaxLo);
    setLeastOfBits(dst);
    finishBitwise(dst, src);
  },
  or: (dst, src) => {
    tnumOr(dst, dst, src);
    // Setting bits raises: the result is at least each operand.
    dst.raiseU32Min(src.u32Min);
    dst.raiseUmin(src.uminHi, src.uminLo);
    setGreatestOfBits(dst);
    finishBitwise(dst, src);
  },
  xor: (dst, src) => {
    tnumXor(dst, dst, src);
    setLeastOfBits(dst);
    setGreatestOfBits(dst);
    finishBitwise(dst, src);
  },
  lsh: (dst, src, width) => shiftLeft(dst, width, src.uminLo),
  rsh: (dst, src, width) => shiftRight(dst, width, src.uminLo),
  arsh: (dst, src, width) => shiftRightSigned(dst, width, src.uminLo),
};

const SHIFTS: ReadonlySet<ScalarOp> = new Set(['lsh', 'rsh', 'arsh']);

function setLeastOfBits(dst: Scalar): void {
  dst.u32Min = dst.valueLo;
  dst.uminHi = dst.valueHi;
  dst.uminLo = dst.valueLo;
}

function setGreatestOfBits(dst: Scalar): void {
  dst.u32Max = dst.valueLo | dst.maskLo;
  dst.umaxHi = dst.valueHi | dst.maskHi;
  dst.umaxLo = dst.valueLo | dst.maskLo;
}

/** Signed ranges after a bitwise operation: the unsigned ones, where those do not cross the sign. */
function finishBitwise(dst: Scalar, src: Scalar): void {
  if (src.isConst() && dst.isConst()) {
    dst.setConstHalves(dst.valueHi, dst.valueLo);
    return;
  }
  if (src.isConst32() && dst.isConst32()) {
    dst.u32Min = dst.valueLo;
    dst.u32Max = dst.valueLo;
  }
  if (dst.u32Min <= dst.u32Max) {
    dst.s32Min = dst.u32Min;
    dst.s32Max = dst.u32Max;
  } else {
    dst.unboundSigned32();
  }
  if (less(dst.umaxHi, dst.umaxLo, dst.uminHi, dst.uminLo)) {
    dst.unboundSigned64();
  } else {
    dst.sminHi = dst.uminHi;
    dst.sminLo = dst.uminLo;
    dst.smaxHi = dst.umaxHi;
    dst.smaxLo = dst.umaxLo;
  }
  learnFromBits(dst);
}

/** Whether a shift's operand is one number below the width; a 32-bit shift reads the low half as known. */
function isShiftCount(src: Scalar, width: Width): boolean {
  if (src.umaxHi !== 0 || src.umaxLo < 0 || src.umaxLo >= width) return false;
  return width === 64
    ? src.isConst()
    : src.isConst32() && src.u32Min === src.u32Max && src.s32Min === src.s32Max;
}

/** Operations whose result is a constant where both operands are. */
const FOLDS: Partial<Record<ScalarOp, (dst: Scalar, src: Scalar) => void>> = {
  add: (dst, src) => tnumAdd(dst, dst, src),
  sub: (dst, src) => tnumSub(dst, dst, src),
  and: (dst, src) => tnumAnd(dst, dst, src),
  or: (dst, src) => tnumOr(dst, dst, src),
  xor: (dst, src) => tnumXor(dst, dst, src),
};

const aliased = new Scalar();

/**
 * What is known of `dst op= src`, in place: as much as Linux 6.18 knows, and all that can happen (RFC 9669 §4.1).
 * A 32-bit operation clears the upper half. Shifts are known by a constant below the width only, division and
 * modulo never.
 * @param src the second operand, which may be `dst`; an immediate is a constant, sign-extended to 64 bits;
 *   `neg` does not read it
 * @returns false where the result contradicts itself, which is so on paths that cannot be: its ranges are then
 *   forgotten, as the kernel does, and goes on
 */
export function aluScalar(op: ScalarOp, width: Width, dst: Scalar, src: Scalar): boolean {
  if (op === 'mov' && width === 64) {
    dst.copyFrom(src);
    return true;
  }
  const fold = FOLDS[op];
  if (fold !== undefined && dst.isConst() && src.isConst()) {
    fold(dst, src);
    dst.setConstHalves(width === 64 ? dst.valueHi : 0, dst.valueLo);
    return true;
  }
  let from = src;
  if (src === dst) {
    aliased.copyFrom(src);
    from = aliased;
  }
  const transfer = TRANSFERS[op];
  if (transfer === undefined || (SHIFTS.has(op) && !isShiftCount(from, width))) {
    // Not even the upper half of a 32-bit result, which is 0.
    dst.setUnknown();
    return true;
  }
  transfer(dst, from, width);
  if (width === 32) zeroExtend(dst);
  syncBounds(dst);
  return checkInvariants(dst);
}

/**
 * Whether the kernel follows `dst op= src` on two paths: with a register that is 0 or -1, as `s>>= 63` leaves it,
 * and a constant, so that code without branches is known as well as code with them (Linux 6.18.44,
 * kernel/bpf/verifier.c, maybe_fork_scalars).
 * @returns the width that holds 0 or -1; before the operation, one path is to set it with setForked to -1 and go on,
 *   the other, which is pushed to be followed later from the same instruction, to 0
 */
export function forkOf(op: ScalarOp, dst: Scalar, src: Scalar): Width | undefined {
  if ((op !== 'and' && op !== 'or') || !src.isConst()) return undefined;
  if ((dst.sminHi & dst.sminLo) === -1 && (dst.smaxHi | dst.smaxLo) === 0) return 64;
  return dst.s32Min === -1 && dst.s32Max === 0 ? 32 : undefined;
}

/** Become the side of a fork, see forkOf: all 64 bits, or the low 32, are those of `value`. */
export function setForked(dst: Scalar, width: Width, value: 0 | -1): void {
  if (width === 64) {
    dst.setConstHalves(value, value);
    return;
  }
  dst.valueLo = value;
  dst.maskLo = 0;
  dst.s32Min = value;
  dst.s32Max = value;
  dst.u32Min = value;
  dst.u32Max = value;
}

/**
 * What is known of a byte swap, in place: its bits. `le` only cuts, memory being little endian (RFC 9669 §4.2).
 */
export function swapScalar(op: 'le' | 'be' | 'bswap', bits: 16 | 32 | 64, dst: Scalar): void {
  if (op !== 'le') {
    tnumSwapBytes(dst, dst, bits);
    dst.unbound();
  }
  if (bits === 64) syncBounds(dst);
  else truncateScalar(dst, bits === 16 ? 2 : 4);
}

/**
 * Variable part of a pointer's offset after `pointer += src` or `-=`, in place: 64-bit ranges and bits, no 32-bit
 * ranges (Linux 6.18, kernel/bpf/verifier.c, adjust_ptr_min_max_vals).
 */
export function aluOffset(op: 'add' | 'sub', dst: Scalar, src: Scalar): void {
  dst.unbound32();
  if (op === 'add') {
    addToOffsetRange(dst, src);
    tnumAdd(dst, dst, src);
  } else {
    subtractFromOffsetRange(dst, src);
    tnumSub(dst, dst, src);
  }
  syncBounds(dst);
}
