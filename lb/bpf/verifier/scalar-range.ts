import type { Scalar } from './scalar.js';
import { addHigh, below, below32, highOf, lowOf, SIGN_BIT, SIGNED_MAX, subHigh } from './scalar-words.js';

// Ranges under +, - and * (Linux 6.18, kernel/bpf/verifier.c, scalar_min_max_add and its like). Bits are not
// touched, and nothing is synced. `src` is not `dst`.

/**
 * Add ranges. Unsigned: when both bounds wrap, the range as a whole moved around; when only the upper one does,
 * nothing is known. Signed: nothing is known once a bound overflows.
 */
export function addToRange(dst: Scalar, src: Scalar): void {
  addSigned(dst, src);
  const minHi = addHigh(dst.uminHi, dst.uminLo, src.uminHi, src.uminLo);
  const minLo = (dst.uminLo + src.uminLo) | 0;
  const maxHi = addHigh(dst.umaxHi, dst.umaxLo, src.umaxHi, src.umaxLo);
  const maxLo = (dst.umaxLo + src.umaxLo) | 0;
  const minWraps = below(minHi, minLo, dst.uminHi, dst.uminLo);
  const maxWraps = below(maxHi, maxLo, dst.umaxHi, dst.umaxLo);
  if (maxWraps && !minWraps) dst.unboundUnsigned64();
  else setUnsigned64(dst, minHi, minLo, maxHi, maxLo);
  const min = (dst.u32Min + src.u32Min) | 0;
  const max = (dst.u32Max + src.u32Max) | 0;
  if (below32(max, dst.u32Max) && !below32(min, dst.u32Min)) {
    dst.unboundUnsigned32();
  } else {
    dst.u32Min = min;
    dst.u32Max = max;
  }
  setSigned32(dst, dst.s32Min + src.s32Min, dst.s32Max + src.s32Max);
}

/** Subtract ranges; as addToRange, with borrows. */
export function subtractFromRange(dst: Scalar, src: Scalar): void {
  subtractSigned(dst, src);
  const minBorrows = below(dst.uminHi, dst.uminLo, src.umaxHi, src.umaxLo);
  const maxBorrows = below(dst.umaxHi, dst.umaxLo, src.uminHi, src.uminLo);
  if (minBorrows && !maxBorrows) dst.unboundUnsigned64();
  else subtractUnsigned(dst, src);
  if (below32(dst.u32Min, src.u32Max) && !below32(dst.u32Max, src.u32Min)) {
    dst.unboundUnsigned32();
  } else {
    dst.u32Min = (dst.u32Min - src.u32Max) | 0;
    dst.u32Max = (dst.u32Max - src.u32Min) | 0;
  }
  setSigned32(dst, dst.s32Min - src.s32Max, dst.s32Max - src.s32Min);
}

/** Add to the offset of a pointer: 64-bit ranges only, and nothing is known once a bound wraps. */
export function addToOffsetRange(dst: Scalar, src: Scalar): void {
  addSigned(dst, src);
  const maxHi = addHigh(dst.umaxHi, dst.umaxLo, src.umaxHi, src.umaxLo);
  const maxLo = (dst.umaxLo + src.umaxLo) | 0;
  // The lower bound cannot wrap without the upper one.
  if (below(maxHi, maxLo, dst.umaxHi, dst.umaxLo)) {
    dst.unboundUnsigned64();
    return;
  }
  const minHi = addHigh(dst.uminHi, dst.uminLo, src.uminHi, src.uminLo);
  setUnsigned64(dst, minHi, (dst.uminLo + src.uminLo) | 0, maxHi, maxLo);
}

/** Subtract from the offset of a pointer: 64-bit ranges only, and nothing is known once a bound borrows. */
export function subtractFromOffsetRange(dst: Scalar, src: Scalar): void {
  subtractSigned(dst, src);
  if (below(dst.uminHi, dst.uminLo, src.umaxHi, src.umaxLo)) dst.unboundUnsigned64();
  else subtractUnsigned(dst, src);
}

function addSigned(dst: Scalar, src: Scalar): void {
  const minHi = addHigh(dst.sminHi, dst.sminLo, src.sminHi, src.sminLo);
  const maxHi = addHigh(dst.smaxHi, dst.smaxLo, src.smaxHi, src.smaxLo);
  // A sum overflows where both operands have the sign that it has not.
  const overflows =
    (((dst.sminHi ^ minHi) & (src.sminHi ^ minHi)) | ((dst.smaxHi ^ maxHi) & (src.smaxHi ^ maxHi))) < 0;
  if (overflows) {
    dst.unboundSigned64();
    return;
  }
  setSigned64(dst, minHi, (dst.sminLo + src.sminLo) | 0, maxHi, (dst.smaxLo + src.smaxLo) | 0);
}

function subtractSigned(dst: Scalar, src: Scalar): void {
  const minHi = subHigh(dst.sminHi, dst.sminLo, src.smaxHi, src.smaxLo);
  const maxHi = subHigh(dst.smaxHi, dst.smaxLo, src.sminHi, src.sminLo);
  // A difference overflows where the operands differ in sign and it has the second one's.
  const overflows =
    (((dst.sminHi ^ src.smaxHi) & (dst.sminHi ^ minHi)) |
      ((dst.smaxHi ^ src.sminHi) & (dst.smaxHi ^ maxHi))) <
    0;
  if (overflows) {
    dst.unboundSigned64();
    return;
  }
  setSigned64(dst, minHi, (dst.sminLo - src.smaxLo) | 0, maxHi, (dst.smaxLo - src.sminLo) | 0);
}

function subtractUnsigned(dst: Scalar, src: Scalar): void {
  const minHi = subHigh(dst.uminHi, dst.uminLo, src.umaxHi, src.umaxLo);
  const maxHi = subHigh(dst.umaxHi, dst.umaxLo, src.uminHi, src.uminLo);
  setUnsigned64(dst, minHi, (dst.uminLo - src.umaxLo) | 0, maxHi, (dst.umaxLo - src.uminLo) | 0);
}

function setUnsigned64(dst: Scalar, minHi: number, minLo: number, maxHi: number, maxLo: number): void {
  dst.uminHi = minHi;
  dst.uminLo = minLo;
  dst.umaxHi = maxHi;
  dst.umaxLo = maxLo;
}

function setSigned64(dst: Scalar, minHi: number, minLo: number, maxHi: number, maxLo: number): void {
  dst.sminHi = minHi;
  dst.sminLo = minLo;
  dst.smaxHi = maxHi;
  dst.smaxLo = maxLo;
}

/** Set the signed 32-bit range, given as exact numbers, or forget it where it overflows. */
function setSigned32(dst: Scalar, min: number, max: number): void {
  if (min < SIGN_BIT || max > SIGNED_MAX || min > SIGNED_MAX || max < SIGN_BIT) {
    dst.unboundSigned32();
  } else {
    dst.s32Min = min;
    dst.s32Max = max;
  }
}

/** Multiply ranges: nothing is known of a range whose bounds overflow. */
export function multiplyRange(dst: Scalar, src: Scalar): void {
  // Doubles are exact below 2^53, and rounding never crosses the limits that are tested.
  const max = (dst.u32Max >>> 0) * (src.u32Max >>> 0);
  if (max > 0xffff_ffff) {
    dst.unboundUnsigned32();
  } else {
    dst.u32Min = Math.imul(dst.u32Min, src.u32Min);
    dst.u32Max = max | 0;
  }
  const a = dst.s32Min * src.s32Min;
  const b = dst.s32Min * src.s32Max;
  const c = dst.s32Max * src.s32Min;
  const d = dst.s32Max * src.s32Max;
  // Adding 0 turns -0 into 0.
  setSigned32(dst, Math.min(a, b, c, d) + 0, Math.max(a, b, c, d) + 0);
  multiplyUnsigned64(dst, src);
  multiplySigned64(dst, src);
}

function multiplyUnsigned64(dst: Scalar, src: Scalar): void {
  const max = dst.umaxNumber * src.umaxNumber;
  if (max <= Number.MAX_SAFE_INTEGER) {
    const min = dst.uminNumber * src.uminNumber;
    setUnsigned64(dst, highHalf(min), min | 0, highHalf(max), max | 0);
    return;
  }
  const exactMax = dst.umax * src.umax;
  if (exactMax >> 64n !== 0n) {
    dst.unboundUnsigned64();
    return;
  }
  const exactMin = dst.umin * src.umin;
  setUnsigned64(dst, highOf(exactMin), lowOf(exactMin), highOf(exactMax), lowOf(exactMax));
}

function multiplySigned64(dst: Scalar, src: Scalar): void {
  const a = dst.sminNumber * src.sminNumber;
  const b = dst.sminNumber * src.smaxNumber;
  const c = dst.smaxNumber * src.sminNumber;
  const d = dst.smaxNumber * src.smaxNumber;
  const min = Math.min(a, b, c, d);
  const max = Math.max(a, b, c, d);
  if (min >= Number.MIN_SAFE_INTEGER && max <= Number.MAX_SAFE_INTEGER) {
    setSigned64(dst, highHalf(min), min | 0, highHalf(max), max | 0);
    return;
  }
  multiplySignedExactly(dst, src);
}

function multiplySignedExactly(dst: Scalar, src: Scalar): void {
  const products = [dst.smin * src.smin, dst.smin * src.smax, dst.smax * src.smin, dst.smax * src.smax];
  let [min, max] = [products[0]!, products[0]!];
  for (const product of products) {
    if (BigInt.asIntN(64, product) !== product) {
      dst.unboundSigned64();
      return;
    }
    if (product < min) min = product;
    if (product > max) max = product;
  }
  setSigned64(dst, highOf(min), lowOf(min), highOf(max), lowOf(max));
}

/** High half of a safe integer. */
function highHalf(value: number): number {
  return Math.floor(value / 0x1_0000_0000) | 0;
}
