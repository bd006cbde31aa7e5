import {
  addHigh,
  below,
  below32,
  shiftLeftHigh,
  shiftLeftLow,
  shiftRightHigh,
  shiftRightLow,
  spread32,
  subHigh,
  swapBytes32,
  unsignedOf,
} from './scalar-words.js';

// Tracked numbers: what is known of each bit of a 64-bit integer ("Sound, Precise, and Fast Abstract
// Interpretation with Tristate Numbers", CGO '22, and Linux's Documentation/bpf/verifier.rst).

/**
 * A set of 64-bit integers by bits: bits of `mask` are unknown, the others are those of `value`; no bit is in
 * both. Halves are int32.
 */
export class Tnum {
  valueHi = 0;
  valueLo = 0;
  maskHi = -1;
  maskLo = -1;

  setTnum(valueHi: number, valueLo: number, maskHi: number, maskLo: number): void {
    this.valueHi = valueHi;
    this.valueLo = valueLo;
    this.maskHi = maskHi;
    this.maskLo = maskLo;
  }

  /** Whether exactly one integer is in the set. */
  isConst(): boolean {
    return (this.maskHi | this.maskLo) === 0;
  }

  /** Whether the low 32 bits are known. */
  isConst32(): boolean {
    return this.maskLo === 0;
  }

  /** Whether nothing is known. */
  isUnknownBits(): boolean {
    return (this.maskHi & this.maskLo) === -1;
  }

  /** Known bits that are set, the others 0: the integer itself of a constant. Unsigned. */
  get value(): bigint {
    return unsignedOf(this.valueHi, this.valueLo);
  }

  /** Unknown bits. */
  get mask(): bigint {
    return unsignedOf(this.maskHi, this.maskLo);
  }
}

// Below, `out` may be `a` or `b`.

/** out ⊇ { x + y }. */
export function tnumAdd(out: Tnum, a: Tnum, b: Tnum): void {
  const sumLo = (a.valueLo + b.valueLo) | 0;
  const sumHi = addHigh(a.valueHi, a.valueLo, b.valueHi, b.valueLo);
  const masksLo = (a.maskLo + b.maskLo) | 0;
  const masksHi = addHigh(a.maskHi, a.maskLo, b.maskHi, b.maskLo);
  // Bits where the sum with every unknown bit set differs from the one with none: a carry may reach them.
  const unknownLo = (((sumLo + masksLo) | 0) ^ sumLo) | a.maskLo | b.maskLo;
  const unknownHi = (addHigh(sumHi, sumLo, masksHi, masksLo) ^ sumHi) | a.maskHi | b.maskHi;
  out.setTnum(sumHi & ~unknownHi, sumLo & ~unknownLo, unknownHi, unknownLo);
}

/** out ⊇ { x - y }. */
export function tnumSub(out: Tnum, a: Tnum, b: Tnum): void {
  const lo = (a.valueLo - b.valueLo) | 0;
  const hi = subHigh(a.valueHi, a.valueLo, b.valueHi, b.valueLo);
  const greatestLo = (lo + a.maskLo) | 0;
  const greatestHi = addHigh(hi, lo, a.maskHi, a.maskLo);
  const leastLo = (lo - b.maskLo) | 0;
  const leastHi = subHigh(hi, lo, b.maskHi, b.maskLo);
  const unknownLo = (greatestLo ^ leastLo) | a.maskLo | b.maskLo;
  const unknownHi = (greatestHi ^ leastHi) | a.maskHi | b.maskHi;
  out.setTnum(hi & ~unknownHi, lo & ~unknownLo, unknownHi, unknownLo);
}

/** out = { x & y }. */
export function tnumAnd(out: Tnum, a: Tnum, b: Tnum): void {
  const hi = a.valueHi & b.valueHi;
  const lo = a.valueLo & b.valueLo;
  const maskHi = (a.valueHi | a.maskHi) & (b.valueHi | b.maskHi) & ~hi;
  const maskLo = (a.valueLo | a.maskLo) & (b.valueLo | b.maskLo) & ~lo;
  out.setTnum(hi, lo, maskHi, maskLo);
}

/** out = { x | y }. */
export function tnumOr(out: Tnum, a: Tnum, b: Tnum): void {
  const hi = a.valueHi | b.valueHi;
  const lo = a.valueLo | b.valueLo;
  out.setTnum(hi, lo, (a.maskHi | b.maskHi) & ~hi, (a.maskLo | b.maskLo) & ~lo);
}

/** out = { x ^ y }. */
export function tnumXor(out: Tnum, a: Tnum, b: Tnum): void {
  const maskHi = a.maskHi | b.maskHi;
  const maskLo = a.maskLo | b.maskLo;
  out.setTnum((a.valueHi ^ b.valueHi) & ~maskHi, (a.valueLo ^ b.valueLo) & ~maskLo, maskHi, maskLo);
}

/** out = { x << count }, count 0 to 63. */
export function tnumShiftLeft(out: Tnum, a: Tnum, count: number): void {
  out.setTnum(
    shiftLeftHigh(a.valueHi, a.valueLo, count),
    shiftLeftLow(a.valueLo, count),
    shiftLeftHigh(a.maskHi, a.maskLo, count),
    shiftLeftLow(a.maskLo, count),
  );
}

/** out = { x >> count }, zeros moving in, count 0 to 63. */
export function tnumShiftRight(out: Tnum, a: Tnum, count: number): void {
  out.setTnum(
    shiftRightHigh(a.valueHi, count, 0),
    shiftRightLow(a.valueHi, a.valueLo, count, 0),
    shiftRightHigh(a.maskHi, count, 0),
    shiftRightLow(a.maskHi, a.maskLo, count, 0),
  );
}

/** out = { x >> count }, the sign moving in, count 0 to 63. */
export function tnumShiftRightSigned(out: Tnum, a: Tnum, count: number): void {
  const valueFill = a.valueHi >> 31;
  // An unknown sign moves in as unknown bits.
  const maskFill = a.maskHi >> 31;
  out.setTnum(
    shiftRightHigh(a.valueHi, count, valueFill),
    shiftRightLow(a.valueHi, a.valueLo, count, valueFill),
    shiftRightHigh(a.maskHi, count, maskFill),
    shiftRightLow(a.maskHi, a.maskLo, count, maskFill),
  );
}

/** out = { the low `bits` of x with their bytes in the other order, the rest 0 }. */
export function tnumSwapBytes(out: Tnum, a: Tnum, bits: 16 | 32 | 64): void {
  const valueLo = swapBytes32(a.valueLo);
  const maskLo = swapBytes32(a.maskLo);
  if (bits === 64) out.setTnum(valueLo, swapBytes32(a.valueHi), maskLo, swapBytes32(a.maskHi));
  else if (bits === 32) out.setTnum(0, valueLo, 0, maskLo);
  else out.setTnum(0, valueLo >>> 16, 0, maskLo >>> 16);
}

/** out ⊇ a ∪ b. */
export function tnumUnion(out: Tnum, a: Tnum, b: Tnum): void {
  const maskHi = (a.valueHi ^ b.valueHi) | a.maskHi | b.maskHi;
  const maskLo = (a.valueLo ^ b.valueLo) | a.maskLo | b.maskLo;
  out.setTnum(a.valueHi & b.valueHi & ~maskHi, a.valueLo & b.valueLo & ~maskLo, maskHi, maskLo);
}

const sum = new Tnum();
const factor = new Tnum();
const withBit = new Tnum();

/** out ⊇ { x * y }: long multiplication, where an unknown bit of x gives the union of both outcomes. */
export function tnumMul(out: Tnum, a: Tnum, b: Tnum): void {
  let { valueHi, valueLo, maskHi, maskLo } = a;
  factor.setTnum(b.valueHi, b.valueLo, b.maskHi, b.maskLo);
  sum.setTnum(0, 0, 0, 0);
  while ((valueHi | valueLo | maskHi | maskLo) !== 0) {
    if (valueLo & 1) tnumAdd(sum, sum, factor);
    else if (maskLo & 1) {
      tnumAdd(withBit, sum, factor);
      tnumUnion(sum, sum, withBit);
    }
    valueLo = (valueLo >>> 1) | (valueHi << 31);
    valueHi >>>= 1;
    maskLo = (maskLo >>> 1) | (maskHi << 31);
    maskHi >>>= 1;
    tnumShiftLeft(factor, factor, 1);
  }
  out.setTnum(sum.valueHi, sum.valueLo, sum.maskHi, sum.maskLo);
}

/** out = a ∩ b, where they are known to have a common member; else the bits of both. */
export function tnumIntersect(out: Tnum, a: Tnum, b: Tnum): void {
  const maskHi = a.maskHi & b.maskHi;
  const maskLo = a.maskLo & b.maskLo;
  out.setTnum((a.valueHi | b.valueHi) & ~maskHi, (a.valueLo | b.valueLo) & ~maskLo, maskHi, maskLo);
}

/** Whether a and b may have a common member. */
export function tnumOverlap(a: Tnum, b: Tnum): boolean {
  return (
    ((a.valueHi ^ b.valueHi) & ~a.maskHi & ~b.maskHi) === 0 &&
    ((a.valueLo ^ b.valueLo) & ~a.maskLo & ~b.maskLo) === 0
  );
}

/** Narrow to the bits that all of the unsigned range min to max have in common. */
export function tnumMeetRange(out: Tnum, minHi: number, minLo: number, maxHi: number, maxLo: number): void {
  const differHi = minHi ^ maxHi;
  const unknownHi = spread32(differHi);
  const unknownLo = differHi === 0 ? spread32(minLo ^ maxLo) : -1;
  const maskHi = out.maskHi & unknownHi;
  const maskLo = out.maskLo & unknownLo;
  out.setTnum(
    (out.valueHi | (minHi & ~unknownHi)) & ~maskHi,
    (out.valueLo | (minLo & ~unknownLo)) & ~maskLo,
    maskHi,
    maskLo,
  );
}

/** Narrow the low half to the bits that all of the unsigned 32-bit range min to max have in common. */
export function tnumMeetRange32(out: Tnum, min: number, max: number): void {
  const unknown = spread32(min ^ max);
  const mask = out.maskLo & unknown;
  out.valueLo = (out.valueLo | (min & ~unknown)) & ~mask;
  out.maskLo = mask;
}

/** A 64-bit integer that is a result. */
export interface Halves {
  hi: number;
  lo: number;
}

/**
 * The least member above an integer, or the greatest member where none is: out = min { x ∈ a, x > n }.
 * @param hi high half of n
 * @param lo low half of n
 */
export function tnumNext(out: Halves, a: Tnum, hi: number, lo: number): void {
  const { valueHi, valueLo, maskHi, maskLo } = a;
  const greatestHi = valueHi | maskHi;
  const greatestLo = valueLo | maskLo;
  out.hi = greatestHi;
  out.lo = greatestLo;
  if (!below(hi, lo, greatestHi, greatestLo)) return;
  out.hi = valueHi;
  out.lo = valueLo;
  if (below(hi, lo, valueHi, valueLo)) return;
  // The highest known bit in which n is not a member decides; below it, n no longer matters.
  const differHi = (hi ^ valueHi) & ~maskHi;
  const differLo = (lo ^ valueLo) & ~maskLo;
  const belowHi = spread32(differHi);
  const belowLo = differHi === 0 ? spread32(differLo) : -1;
  const memberAbove =
    differHi === 0 ? below32(lo & differLo, valueLo & differLo) : below32(hi & differHi, valueHi & differHi);
  if (memberAbove) {
    // Its bit is 1, that of n is 0: the unknown bits above stay n's, those below are 0.
    out.hi = (hi & maskHi & ~belowHi) | valueHi;
    out.lo = (lo & maskLo & ~belowLo) | valueLo;
    return;
  }
  // Count up in the unknown bits above; ones in all other places hand the carry on.
  const onesHi = hi | ~maskHi | belowHi;
  const onesLo = lo | ~maskLo | belowLo;
  out.hi = (addHigh(onesHi, onesLo, 0, 1) & maskHi) | valueHi;
  out.lo = ((onesLo + 1) & maskLo) | valueLo;
}

/** Whether an integer is a member. */
export function tnumHas(a: Tnum, hi: number, lo: number): boolean {
  return (hi & ~a.maskHi) === a.valueHi && (lo & ~a.maskLo) === a.valueLo;
}

/** Whether every member of `inner` is in `outer`. */
export function tnumWithin(outer: Tnum, inner: Tnum): boolean {
  return (
    (inner.maskHi & ~outer.maskHi) === 0 &&
    (inner.maskLo & ~outer.maskLo) === 0 &&
    (inner.valueHi & ~outer.maskHi) === outer.valueHi &&
    (inner.valueLo & ~outer.maskLo) === outer.valueLo
  );
}
