import type { Width } from '../isa/instruction.js';
import type { JumpName } from '../isa/opcodes.js';
import type { Scalar } from './scalar.js';
import { below, below32, less } from './scalar-words.js';
import { tnumOverlap } from './tnum.js';

/** What the ranges say of a comparison: true or false for every pair of members, undefined where it depends. */
type Decision = boolean | undefined;
type Decide = (a: Scalar, b: Scalar) => Decision;

const decide = (yes: boolean, no: boolean): Decision => (yes ? true : no ? false : undefined);
const not = (decision: Decision): Decision => (decision === undefined ? undefined : !decision);

// a < b for all pairs, and for no pair, by range.
const uAllLess64 = (a: Scalar, b: Scalar) => below(a.umaxHi, a.umaxLo, b.uminHi, b.uminLo);
const uNoneLess64 = (a: Scalar, b: Scalar) => !below(a.uminHi, a.uminLo, b.umaxHi, b.umaxLo);
const sAllLess64 = (a: Scalar, b: Scalar) => less(a.smaxHi, a.smaxLo, b.sminHi, b.sminLo);
const sNoneLess64 = (a: Scalar, b: Scalar) => !less(a.sminHi, a.sminLo, b.smaxHi, b.smaxLo);
const uAllLess32 = (a: Scalar, b: Scalar) => below32(a.u32Max, b.u32Min);
const uNoneLess32 = (a: Scalar, b: Scalar) => !below32(a.u32Min, b.u32Max);
const sAllLess32 = (a: Scalar, b: Scalar) => a.s32Max < b.s32Min;
const sNoneLess32 = (a: Scalar, b: Scalar) => a.s32Min >= b.s32Max;

const lessU64: Decide = (a, b) => decide(uAllLess64(a, b), uNoneLess64(a, b));
const lessS64: Decide = (a, b) => decide(sAllLess64(a, b), sNoneLess64(a, b));
const lessU32: Decide = (a, b) => decide(uAllLess32(a, b), uNoneLess32(a, b));
const lessS32: Decide = (a, b) => decide(sAllLess32(a, b), sNoneLess32(a, b));

const apart32 = (a: Scalar, b: Scalar) =>
  uAllLess32(a, b) || uAllLess32(b, a) || sAllLess32(a, b) || sAllLess32(b, a);
const apart64 = (a: Scalar, b: Scalar) =>
  uAllLess64(a, b) || uAllLess64(b, a) || sAllLess64(a, b) || sAllLess64(b, a);

function equal64(a: Scalar, b: Scalar): Decision {
  if (a.isConst() && b.isConst()) return a.valueHi === b.valueHi && a.valueLo === b.valueLo;
  return !tnumOverlap(a, b) || apart64(a, b) || apart32(a, b) ? false : undefined;
}

function equal32(a: Scalar, b: Scalar): Decision {
  if (a.isConst32() && b.isConst32()) return a.valueLo === b.valueLo;
  const bitsDiffer = ((a.valueLo ^ b.valueLo) & ~a.maskLo & ~b.maskLo) !== 0;
  return bitsDiffer || apart32(a, b) ? false : undefined;
}

function anyBit64(a: Scalar, b: Scalar): Decision {
  if (!b.isConst()) return a.isConst() ? anyBit64(b, a) : undefined;
  const sure = (a.valueHi & b.valueHi) | (a.valueLo & b.valueLo);
  const maybe = ((a.valueHi | a.maskHi) & b.valueHi) | ((a.valueLo | a.maskLo) & b.valueLo);
  return decide(sure !== 0, maybe === 0);
}

function anyBit32(a: Scalar, b: Scalar): Decision {
  if (!b.isConst32()) return a.isConst32() ? anyBit32(b, a) : undefined;
  return decide((a.valueLo & b.valueLo) !== 0, ((a.valueLo | a.maskLo) & b.valueLo) === 0);
}

/** Linux 6.18, kernel/bpf/verifier.c, is_scalar_branch_taken. */
const DECISIONS: Record<Width, Record<JumpName, Decide>> = {
  64: {
    jeq: equal64,
    jne: (a, b) => not(equal64(a, b)),
    jset: anyBit64,
    jlt: lessU64,
    jge: (a, b) => not(lessU64(a, b)),
    jgt: (a, b) => lessU64(b, a),
    jle: (a, b) => not(lessU64(b, a)),
    jslt: lessS64,
    jsge: (a, b) => not(lessS64(a, b)),
    jsgt: (a, b) => lessS64(b, a),
    jsle: (a, b) => not(lessS64(b, a)),
  },
  32: {
    jeq: equal32,
    jne: (a, b) => not(equal32(a, b)),
    jset: anyBit32,
    jlt: lessU32,
    jge: (a, b) => not(lessU32(a, b)),
    jgt: (a, b) => lessU32(b, a),
    jle: (a, b) => not(lessU32(b, a)),
    jslt: lessS32,
    jsge: (a, b) => not(lessS32(a, b)),
    jsgt: (a, b) => lessS32(b, a),
    jsle: (a, b) => not(lessS32(b, a)),
  },
};

/**
 * Whether a conditional jump on two numbers is decided by what is known of them.
 * @param b the second operand; an immediate is a constant, sign-extended to 64 bits
 * @returns true: always taken; false: never; undefined: both arms must be followed
 */
export function branchTaken(op: JumpName, width: Width, a: Scalar, b: Scalar): boolean | undefined {
  return DECISIONS[width][op](a, b);
}
