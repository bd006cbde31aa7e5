import type { Scalar } from './scalar.js';
import { below, below32, less, SIGN_BIT, SIGNED_MAX } from './scalar-words.js';
import { type Halves, tnumHas, tnumMeetRange, tnumMeetRange32, tnumNext } from './tnum.js';

/**
 * Let bits and ranges learn from each other, after any of them changed (Linux 6.18, kernel/bpf/verifier.c,
 * reg_bounds_sync). The order and the number of rounds are the kernel's: more rounds would sometimes know more,
 * and then accept what the kernel refuses.
 */
export function syncBounds(s: Scalar): void {
  if (s.isConst() && isConstRange64(s) && isConstRange32(s)) return;
  learnFromBits(s);
  deduceBounds(s);
  deduceBounds(s);
  deduceBounds(s);
  tnumMeetRange(s, s.uminHi, s.uminLo, s.umaxHi, s.umaxLo);
  tnumMeetRange32(s, s.u32Min, s.u32Max);
  // Bits known from the range may cut the range again: umax 0x7f with bits (0; 0xfc) is 0x7c.
  learnFromBits(s);
}

/** Ranges from bits: least and greatest member. */
export function learnFromBits(s: Scalar): void {
  if (s.isUnknownBits() && below(s.uminHi, s.uminLo, s.umaxHi, s.umaxLo)) return;
  learnFromBits32(s);
  s.raiseSmin(s.valueHi | (s.maskHi & SIGN_BIT), s.valueLo);
  s.lowerSmax(s.valueHi | (s.maskHi & SIGNED_MAX), s.valueLo | s.maskLo);
  s.raiseUmin(s.valueHi, s.valueLo);
  s.lowerUmax(s.valueHi | s.maskHi, s.valueLo | s.maskLo);
  learnSingle(s);
}

const next: Halves = { hi: 0, lo: 0 };

/** Become a constant where bits and unsigned range have a single member in common. */
function learnSingle(s: Scalar): void {
  const hasMin = tnumHas(s, s.uminHi, s.uminLo);
  tnumNext(next, s, s.uminHi, s.uminLo);
  const { hi, lo } = next;
  const outside = below(s.umaxHi, s.umaxLo, hi, lo);
  if (hasMin) {
    if (outside) s.setConstHalves(s.uminHi, s.uminLo);
    return;
  }
  const isGreatest = hi === (s.valueHi | s.maskHi) && lo === (s.valueLo | s.maskLo);
  if (!isGreatest) {
    if (outside) return;
    tnumNext(next, s, hi, lo);
    if (!below(s.umaxHi, s.umaxLo, next.hi, next.lo)) return;
  }
  s.setConstHalves(hi, lo);
}

/** 32-bit ranges from bits. */
export function learnFromBits32(s: Scalar): void {
  s.raiseS32Min(s.valueLo | (s.maskLo & SIGN_BIT));
  s.lowerS32Max(s.valueLo | (s.maskLo & SIGNED_MAX));
  s.raiseU32Min(s.valueLo);
  s.lowerU32Max(s.valueLo | s.maskLo);
}

function deduceBounds(s: Scalar): void {
  deduce32(s);
  deduce64(s);
  deduceMixed(s);
}

/** 32-bit ranges from the 64-bit ones and from each other. */
function deduce32(s: Scalar): void {
  if (s.uminHi === s.umaxHi) {
    s.raiseU32Min(s.uminLo);
    s.lowerU32Max(s.umaxLo);
    if (s.uminLo <= s.umaxLo) boundSigned32(s, s.uminLo, s.umaxLo);
  }
  if (s.sminHi === s.smaxHi) {
    if (s.sminLo >>> 0 <= s.smaxLo >>> 0) {
      s.raiseU32Min(s.sminLo);
      s.lowerU32Max(s.smaxLo);
    }
    if (s.sminLo <= s.smaxLo) boundSigned32(s, s.sminLo, s.smaxLo);
  }
  // The range goes over one multiple of 2^32, from a negative low half to a positive: [0x7fffffff0, 0x80000000f].
  if (((s.uminHi + 1) | 0) === s.umaxHi && s.uminLo < 0 && s.umaxLo >= 0)
    boundSigned32(s, s.uminLo, s.umaxLo);
  if (((s.sminHi + 1) | 0) === s.smaxHi && s.sminLo < 0 && s.smaxLo >= 0)
    boundSigned32(s, s.sminLo, s.smaxLo);
  // A range that does not cross the sign is the same in both readings.
  if (s.u32Min <= s.u32Max) boundSigned32(s, s.u32Min, s.u32Max);
  if (s.s32Min >>> 0 <= s.s32Max >>> 0) {
    s.raiseU32Min(s.s32Min);
    s.lowerU32Max(s.s32Max);
  } else if (below32(s.u32Max, s.s32Min)) {
    // The signed range is two unsigned ones, [0, max] and [min, 2^32 - 1]; the unsigned maximum shuts one out.
    s.s32Min = s.u32Min;
    s.lowerU32Max(s.s32Max);
  } else if (below32(s.s32Max, s.u32Min)) {
    // Likewise the unsigned minimum shuts out the other.
    s.s32Max = s.u32Max;
    s.raiseU32Min(s.s32Min);
  }
}

function boundSigned32(s: Scalar, min: number, max: number): void {
  s.raiseS32Min(min);
  s.lowerS32Max(max);
}

/** 64-bit ranges from each other. */
function deduce64(s: Scalar): void {
  if (!less(s.umaxHi, s.umaxLo, s.uminHi, s.uminLo)) {
    s.raiseSmin(s.uminHi, s.uminLo);
    s.lowerSmax(s.umaxHi, s.umaxLo);
  }
  if (!below(s.smaxHi, s.smaxLo, s.sminHi, s.sminLo)) {
    s.raiseUmin(s.sminHi, s.sminLo);
    s.lowerUmax(s.smaxHi, s.smaxLo);
  } else if (below(s.umaxHi, s.umaxLo, s.sminHi, s.sminLo)) {
    // As with 32 bits.
    s.sminHi = s.uminHi;
    s.sminLo = s.uminLo;
    s.lowerUmax(s.smaxHi, s.smaxLo);
  } else if (below(s.smaxHi, s.smaxLo, s.uminHi, s.uminLo)) {
    s.smaxHi = s.umaxHi;
    s.smaxLo = s.umaxLo;
    s.raiseUmin(s.sminHi, s.sminLo);
  }
}

/** 64-bit ranges from the 32-bit ones: the low half of a bound is itself within the 32-bit range. */
function deduceMixed(s: Scalar): void {
  s.raiseUmin(s.uminHi, s.u32Min);
  s.lowerUmax(s.umaxHi, s.u32Max);
  s.raiseSmin(s.sminHi, s.u32Min);
  s.lowerSmax(s.smaxHi, s.u32Max);
  // A sign-extended 32-bit number that is not negative: its ranges are those of the low half. (Linux 6.18 does
  // not do as much for a negative one.)
  const isExtended = !less(s.sminHi, s.sminLo, -1, SIGN_BIT) && !less(0, SIGNED_MAX, s.smaxHi, s.smaxLo);
  if (s.s32Min >= 0 && isExtended) {
    s.sminHi = 0;
    s.uminHi = 0;
    s.smaxHi = s.s32Max >> 31;
    s.umaxHi = s.s32Max >> 31;
    s.sminLo = s.s32Min;
    s.uminLo = s.s32Min;
    s.smaxLo = s.s32Max;
    s.umaxLo = s.s32Max;
    tnumMeetRange(s, s.uminHi, s.uminLo, s.umaxHi, s.umaxLo);
  }
}

/** Whether some range has no member, or a constant is outside of its ranges: the path cannot be reached. */
export function isContradictory(s: Scalar): boolean {
  return (
    below(s.umaxHi, s.umaxLo, s.uminHi, s.uminLo) ||
    less(s.smaxHi, s.smaxLo, s.sminHi, s.sminLo) ||
    below32(s.u32Max, s.u32Min) ||
    s.s32Max < s.s32Min ||
    (s.isConst() && !isConstRange64(s)) ||
    (s.isConst32() && !isConstRange32(s))
  );
}

function isConstRange64(s: Scalar): boolean {
  const { valueHi, valueLo } = s;
  return (
    s.uminHi === valueHi &&
    s.uminLo === valueLo &&
    s.umaxHi === valueHi &&
    s.umaxLo === valueLo &&
    s.sminHi === valueHi &&
    s.sminLo === valueLo &&
    s.smaxHi === valueHi &&
    s.smaxLo === valueLo
  );
}

function isConstRange32(s: Scalar): boolean {
  const { valueLo } = s;
  return s.u32Min === valueLo && s.u32Max === valueLo && s.s32Min === valueLo && s.s32Max === valueLo;
}

/**
 * Forget the ranges of a scalar whose knowledge contradicts itself, as the kernel does and goes on.
 * @returns whether it was consistent
 */
export function checkInvariants(s: Scalar): boolean {
  if (!isContradictory(s)) return true;
  s.unbound();
  return false;
}
