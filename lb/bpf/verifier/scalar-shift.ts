import type { Width } from '../isa/instruction.js';
import type { Scalar } from './scalar.js';
import { learnFromBits, learnFromBits32 } from './scalar-sync.js';
import {
  below,
  below32,
  shiftLeftHigh,
  shiftLeftLow,
  shiftRightHigh,
  shiftRightLow,
} from './scalar-words.js';
import { tnumShiftLeft, tnumShiftRight, tnumShiftRightSigned } from './tnum.js';

// Shifts by a constant below the width (Linux 6.18, kernel/bpf/verifier.c, scalar_min_max_lsh and its like).
// A 32-bit shift leaves the upper half to zero extension; nothing is synced.

/** dst << count. */
export function shiftLeft(dst: Scalar, width: Width, count: number): void {
  // Reads the 32-bit range before it is shifted.
  if (width === 64) shiftLeft64(dst, count);
  dst.unboundSigned32();
  // A bound of up to 2^(31 - count) loses no bit.
  if (count > 31 || below32(1 << (31 - count), dst.u32Max)) {
    dst.unboundUnsigned32();
  } else {
    dst.u32Min <<= count;
    dst.u32Max <<= count;
  }
  if (width === 64) {
    tnumShiftLeft(dst, dst, count);
    learnFromBits(dst);
    return;
  }
  dst.setTnum(0, dst.valueLo << count, 0, dst.maskLo << count);
  dst.unbound64();
  learnFromBits32(dst);
}

function shiftLeft64(dst: Scalar, count: number): void {
  if (count === 32) {
    // The first half of sign extension, << 32 and s>> 32: the signed 32-bit range moves up.
    dst.sminHi = dst.s32Min;
    dst.sminLo = 0;
    dst.smaxHi = dst.s32Max;
    dst.smaxLo = 0;
  } else {
    dst.unboundSigned64();
  }
  const limit = 63 - count;
  if (below(shiftLeftHigh(0, 1, limit), shiftLeftLow(1, limit), dst.umaxHi, dst.umaxLo)) {
    dst.unboundUnsigned64();
    return;
  }
  dst.uminHi = shiftLeftHigh(dst.uminHi, dst.uminLo, count);
  dst.uminLo = shiftLeftLow(dst.uminLo, count);
  dst.umaxHi = shiftLeftHigh(dst.umaxHi, dst.umaxLo, count);
  dst.umaxLo = shiftLeftLow(dst.umaxLo, count);
}

/** dst >> count, zeros moving in. */
export function shiftRight(dst: Scalar, width: Width, count: number): void {
  if (width === 32) {
    dst.unboundSigned32();
    dst.setTnum(0, (dst.valueLo >>> count) | 0, 0, (dst.maskLo >>> count) | 0);
    dst.u32Min = (dst.u32Min >>> count) | 0;
    dst.u32Max = (dst.u32Max >>> count) | 0;
    dst.unbound64();
    learnFromBits32(dst);
    return;
  }
  dst.unboundSigned64();
  const { uminHi, umaxHi } = dst;
  dst.uminLo = shiftRightLow(uminHi, dst.uminLo, count, 0);
  dst.uminHi = shiftRightHigh(uminHi, count, 0);
  dst.umaxLo = shiftRightLow(umaxHi, dst.umaxLo, count, 0);
  dst.umaxHi = shiftRightHigh(umaxHi, count, 0);
  tnumShiftRight(dst, dst, count);
  // The low half gets bits of the upper one: what is known of it comes from the bits.
  dst.unbound32();
  learnFromBits(dst);
}

/** dst >> count, the sign moving in. */
export function shiftRightSigned(dst: Scalar, width: Width, count: number): void {
  if (width === 32) {
    dst.s32Min >>= count;
    dst.s32Max >>= count;
    dst.setTnum(0, dst.valueLo >> count, 0, dst.maskLo >> count);
    dst.unboundUnsigned32();
    dst.unbound64();
    learnFromBits32(dst);
    return;
  }
  const { sminHi, smaxHi } = dst;
  dst.sminLo = shiftRightLow(sminHi, dst.sminLo, count, sminHi >> 31);
  dst.sminHi = shiftRightHigh(sminHi, count, sminHi >> 31);
  dst.smaxLo = shiftRightLow(smaxHi, dst.smaxLo, count, smaxHi >> 31);
  dst.smaxHi = shiftRightHigh(smaxHi, count, smaxHi >> 31);
  tnumShiftRightSigned(dst, dst, count);
  dst.unboundUnsigned64();
  dst.unbound32();
  learnFromBits(dst);
}
