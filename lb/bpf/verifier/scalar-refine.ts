import type { Width } from '../isa/instruction.js';
import type { JumpName } from '../isa/opcodes.js';
import type { Scalar } from './scalar.js';
import { checkInvariants, syncBounds } from './scalar-sync.js';
import { addHigh, subHigh } from './scalar-words.js';
import { tnumIntersect } from './tnum.js';

/** What a comparison that holds says of two registers. */
type Condition = 'eq' | 'ne' | 'set' | 'clear' | 'lt' | 'le' | 'slt' | 'sle';

interface ConditionRow {
  readonly taken: Condition;
  readonly fallsThrough: Condition;
  /** Whether the operands change places. */
  readonly swapTaken: boolean;
  readonly swapFallsThrough: boolean;
}

const row = (taken: Condition, fallsThrough: Condition, swapTaken = false, swapFallsThrough = false) => {
  return { taken, fallsThrough, swapTaken, swapFallsThrough };
};

/** The condition that holds on each arm: a > b is b < a, and where it does not hold a <= b. */
const CONDITIONS: Record<JumpName, ConditionRow> = {
  jeq: row('eq', 'ne'),
  jne: row('ne', 'eq'),
  jset: row('set', 'clear'),
  jlt: row('lt', 'le', false, true),
  jle: row('le', 'lt', false, true),
  jgt: row('lt', 'le', true, false),
  jge: row('le', 'lt', true, false),
  jslt: row('slt', 'sle', false, true),
  jsle: row('sle', 'slt', false, true),
  jsgt: row('slt', 'sle', true, false),
  jsge: row('sle', 'slt', true, false),
};

type Refine = (a: Scalar, b: Scalar) => void;

/** Linux 6.18, kernel/bpf/verifier.c, regs_refine_cond_op. */
const REFINEMENTS: Record<Width, Record<Condition, Refine>> = {
  64: {
    eq: equal64,
    ne: (a, b) => (b.isConst() ? excludeEdge64(a, b) : a.isConst() && excludeEdge64(b, a)),
    set: (a, b) => (b.isConst() ? setBit64(a, b) : a.isConst() && setBit64(b, a)),
    clear: (a, b) => (b.isConst() ? clearBits64(a, b) : a.isConst() && clearBits64(b, a)),
    lt: below64,
    le: notAbove64,
    slt: less64,
    sle: notGreater64,
  },
  32: {
    eq: equal32,
    ne: (a, b) => (b.isConst32() ? excludeEdge32(a, b) : a.isConst32() && excludeEdge32(b, a)),
    set: (a, b) => (b.isConst32() ? setBit32(a, b) : a.isConst32() && setBit32(b, a)),
    clear: (a, b) => (b.isConst32() ? clearBits32(a, b) : a.isConst32() && clearBits32(b, a)),
    lt: below32Bits,
    le: notAbove32,
    slt: less32,
    sle: notGreater32,
  },
};

function equal64(a: Scalar, b: Scalar): void {
  a.raiseUmin(b.uminHi, b.uminLo);
  a.lowerUmax(b.umaxHi, b.umaxLo);
  a.raiseSmin(b.sminHi, b.sminLo);
  a.lowerSmax(b.smaxHi, b.smaxLo);
  b.uminHi = a.uminHi;
  b.uminLo = a.uminLo;
  b.umaxHi = a.umaxHi;
  b.umaxLo = a.umaxLo;
  b.sminHi = a.sminHi;
  b.sminLo = a.sminLo;
  b.smaxHi = a.smaxHi;
  b.smaxLo = a.smaxLo;
  tnumIntersect(a, a, b);
  b.setTnum(a.valueHi, a.valueLo, a.maskHi, a.maskLo);
}

function equal32(a: Scalar, b: Scalar): void {
  a.raiseU32Min(b.u32Min);
  a.lowerU32Max(b.u32Max);
  a.raiseS32Min(b.s32Min);
  a.lowerS32Max(b.s32Max);
  b.u32Min = a.u32Min;
  b.u32Max = a.u32Max;
  b.s32Min = a.s32Min;
  b.s32Max = a.s32Max;
  const mask = a.maskLo & b.maskLo;
  const value = (a.valueLo | b.valueLo) & ~mask;
  a.valueLo = value;
  a.maskLo = mask;
  b.valueLo = value;
  b.maskLo = mask;
}

/** a != b where b is a constant: a bound of a that is b moves inwards. */
function excludeEdge64(a: Scalar, b: Scalar): void {
  const { valueHi: hi, valueLo: lo } = b;
  // Copies: a and b may be the same register.
  const upHi = addHigh(hi, lo, 0, 1);
  const upLo = (lo + 1) | 0;
  const downHi = subHigh(hi, lo, 0, 1);
  const downLo = (lo - 1) | 0;
  if (a.uminHi === hi && a.uminLo === lo) {
    a.uminHi = upHi;
    a.uminLo = upLo;
  }
  if (a.umaxHi === hi && a.umaxLo === lo) {
    a.umaxHi = downHi;
    a.umaxLo = downLo;
  }
  if (a.sminHi === hi && a.sminLo === lo) {
    a.sminHi = upHi;
    a.sminLo = upLo;
  }
  if (a.smaxHi === hi && a.smaxLo === lo) {
    a.smaxHi = downHi;
    a.smaxLo = downLo;
  }
}

function excludeEdge32(a: Scalar, b: Scalar): void {
  const { valueLo: value } = b;
  const up = (value + 1) | 0;
  const down = (value - 1) | 0;
  if (a.u32Min === value) a.u32Min = up;
  if (a.u32Max === value) a.u32Max = down;
  if (a.s32Min === value) a.s32Min = up;
  if (a.s32Max === value) a.s32Max = down;
}

const isPowerOfTwo = (half: number) => half !== 0 && (half & (half - 1)) === 0;

/** a & b != 0 where b is a constant of one bit: a has it. */
function setBit64(a: Scalar, b: Scalar): void {
  const { valueHi: hi, valueLo: lo } = b;
  if (!(hi === 0 ? isPowerOfTwo(lo) : lo === 0 && isPowerOfTwo(hi))) return;
  a.setTnum(a.valueHi | hi, a.valueLo | lo, a.maskHi & ~hi, a.maskLo & ~lo);
}

function setBit32(a: Scalar, b: Scalar): void {
  const { valueLo: bit } = b;
  if (!isPowerOfTwo(bit)) return;
  a.valueLo |= bit;
  a.maskLo &= ~bit;
}

/** (a & b) == 0 where b is a constant: a has none of its bits. Ranges come from the bits alone. */
function clearBits64(a: Scalar, b: Scalar): void {
  const { valueHi: hi, valueLo: lo } = b;
  a.unbound();
  a.setTnum(a.valueHi & ~hi, a.valueLo & ~lo, a.maskHi & ~hi, a.maskLo & ~lo);
}

function clearBits32(a: Scalar, b: Scalar): void {
  const { valueLo: bits } = b;
  a.unbound();
  a.valueLo &= ~bits;
  a.maskLo &= ~bits;
}

function notAbove64(a: Scalar, b: Scalar): void {
  a.lowerUmax(b.umaxHi, b.umaxLo);
  b.raiseUmin(a.uminHi, a.uminLo);
}

function below64(a: Scalar, b: Scalar): void {
  a.lowerUmax(subHigh(b.umaxHi, b.umaxLo, 0, 1), (b.umaxLo - 1) | 0);
  b.raiseUmin(addHigh(a.uminHi, a.uminLo, 0, 1), (a.uminLo + 1) | 0);
}

function notGreater64(a: Scalar, b: Scalar): void {
  a.lowerSmax(b.smaxHi, b.smaxLo);
  b.raiseSmin(a.sminHi, a.sminLo);
}

function less64(a: Scalar, b: Scalar): void {
  a.lowerSmax(subHigh(b.smaxHi, b.smaxLo, 0, 1), (b.smaxLo - 1) | 0);
  b.raiseSmin(addHigh(a.sminHi, a.sminLo, 0, 1), (a.sminLo + 1) | 0);
}

function notAbove32(a: Scalar, b: Scalar): void {
  a.lowerU32Max(b.u32Max);
  b.raiseU32Min(a.u32Min);
}

function below32Bits(a: Scalar, b: Scalar): void {
  a.lowerU32Max((b.u32Max - 1) | 0);
  b.raiseU32Min((a.u32Min + 1) | 0);
}

function notGreater32(a: Scalar, b: Scalar): void {
  a.lowerS32Max(b.s32Max);
  b.raiseS32Min(a.s32Min);
}

function less32(a: Scalar, b: Scalar): void {
  a.lowerS32Max((b.s32Max - 1) | 0);
  b.raiseS32Min((a.s32Min + 1) | 0);
}

/**
 * Narrow both operands of a conditional jump to what they can be on one of its arms, in place. Call it only where
 * branchTaken gives undefined: bounds at the ends of their type would wrap.
 * @param b the second operand, which may be `a`; an immediate is a constant, sign-extended to 64 bits
 * @returns false where a range comes out empty, so that the arm cannot be reached: the ranges of the register in
 *   question are then forgotten, as the kernel does, and goes on; true does not say that it can be reached
 */
export function refineBranch(op: JumpName, width: Width, taken: boolean, a: Scalar, b: Scalar): boolean {
  const conditions = CONDITIONS[op];
  const condition = taken ? conditions.taken : conditions.fallsThrough;
  const swap = taken ? conditions.swapTaken : conditions.swapFallsThrough;
  const refine = REFINEMENTS[width][condition];
  if (swap) refine(b, a);
  else refine(a, b);
  syncBounds(a);
  syncBounds(b);
  const first = checkInvariants(a);
  return checkInvariants(b) && first;
}
