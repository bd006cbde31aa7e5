import {
  below,
  below32,
  highOf,
  less,
  lowOf,
  SIGN_BIT,
  SIGNED_MAX,
  signedOf,
  unsignedOf,
} from './scalar-words.js';
import { Tnum, tnumWithin } from './tnum.js';

/** 2^32, the weight of a high half. */
const HIGH_WEIGHT = 0x1_0000_0000;

/**
 * What is known of a 64-bit register that holds a number (or of the variable part of a pointer's offset): its
 * bits (Tnum), and unsigned and signed ranges, bounds included, of all 64 and of the low 32 bits. The number is
 * in the meet of all six. Fresh: nothing is known.
 *
 * 64-bit bounds are two halves, 32-bit bounds one; every half is an int32, `umin…`, `umax…`, `u32…` to be read
 * with `>>> 0`. The bigint and number getters are for messages and decisions outside of the rules.
 */
export class Scalar extends Tnum {
  uminHi = 0;
  uminLo = 0;
  umaxHi = -1;
  umaxLo = -1;
  sminHi = SIGN_BIT;
  sminLo = 0;
  smaxHi = SIGNED_MAX;
  smaxLo = -1;
  u32Min = 0;
  u32Max = -1;
  s32Min = SIGN_BIT;
  s32Max = SIGNED_MAX;

  /** A register that holds `value`, modulo 2^64. */
  static of(value: bigint): Scalar {
    const scalar = new Scalar();
    scalar.setConst(value);
    return scalar;
  }

  get umin(): bigint {
    return unsignedOf(this.uminHi, this.uminLo);
  }

  get umax(): bigint {
    return unsignedOf(this.umaxHi, this.umaxLo);
  }

  get smin(): bigint {
    return signedOf(this.sminHi, this.sminLo);
  }

  get smax(): bigint {
    return signedOf(this.smaxHi, this.smaxLo);
  }

  /** `umin` as a number: exact up to 2^53, above rounded, so that comparisons with less are exact. */
  get uminNumber(): number {
    return (this.uminHi >>> 0) * HIGH_WEIGHT + (this.uminLo >>> 0);
  }

  /** `umax` as a number, see uminNumber. */
  get umaxNumber(): number {
    return (this.umaxHi >>> 0) * HIGH_WEIGHT + (this.umaxLo >>> 0);
  }

  /** `smin` as a number: exact within ±2^53, beyond rounded. */
  get sminNumber(): number {
    return this.sminHi * HIGH_WEIGHT + (this.sminLo >>> 0);
  }

  /** `smax` as a number, see sminNumber. */
  get smaxNumber(): number {
    return this.smaxHi * HIGH_WEIGHT + (this.smaxLo >>> 0);
  }

  /** The integer of a constant, unsigned; of another scalar its known bits. */
  constValue(): bigint {
    return this.value;
  }

  /** The integer of a constant, signed, as a number: exact within ±2^53. */
  constNumber(): number {
    return this.valueHi * HIGH_WEIGHT + (this.valueLo >>> 0);
  }

  /** Whether it is the constant 0. */
  isZero(): boolean {
    return (this.valueHi | this.valueLo | this.maskHi | this.maskLo) === 0;
  }

  /** Whether nothing at all is known. */
  isUnknown(): boolean {
    return (
      this.isUnknownBits() &&
      (this.uminHi | this.uminLo) === 0 &&
      (this.umaxHi & this.umaxLo) === -1 &&
      this.sminHi === SIGN_BIT &&
      this.sminLo === 0 &&
      this.smaxHi === SIGNED_MAX &&
      this.smaxLo === -1 &&
      this.u32Min === 0 &&
      this.u32Max === -1 &&
      this.s32Min === SIGN_BIT &&
      this.s32Max === SIGNED_MAX
    );
  }

  /** Whether the upper half is surely 0: a 32-bit move of it is a copy. */
  fitsU32(): boolean {
    return this.umaxHi === 0;
  }

  copyFrom(from: Scalar): void {
    this.valueHi = from.valueHi;
    this.valueLo = from.valueLo;
    this.maskHi = from.maskHi;
    this.maskLo = from.maskLo;
    this.uminHi = from.uminHi;
    this.uminLo = from.uminLo;
    this.umaxHi = from.umaxHi;
    this.umaxLo = from.umaxLo;
    this.sminHi = from.sminHi;
    this.sminLo = from.sminLo;
    this.smaxHi = from.smaxHi;
    this.smaxLo = from.smaxLo;
    this.u32Min = from.u32Min;
    this.u32Max = from.u32Max;
    this.s32Min = from.s32Min;
    this.s32Max = from.s32Max;
  }

  clone(): Scalar {
    const copy = new Scalar();
    copy.copyFrom(this);
    return copy;
  }

  equals(other: Scalar): boolean {
    return (
      this.valueLo === other.valueLo &&
      this.valueHi === other.valueHi &&
      this.maskLo === other.maskLo &&
      this.maskHi === other.maskHi &&
      this.uminHi === other.uminHi &&
      this.uminLo === other.uminLo &&
      this.umaxHi === other.umaxHi &&
      this.umaxLo === other.umaxLo &&
      this.sminHi === other.sminHi &&
      this.sminLo === other.sminLo &&
      this.smaxHi === other.smaxHi &&
      this.smaxLo === other.smaxLo &&
      this.u32Min === other.u32Min &&
      this.u32Max === other.u32Max &&
      this.s32Min === other.s32Min &&
      this.s32Max === other.s32Max
    );
  }

  /** Forget everything. */
  setUnknown(): void {
    this.setTnum(0, 0, -1, -1);
    this.unbound();
  }

  /** Become the constant `value`, modulo 2^64. */
  setConst(value: bigint): void {
    this.setConstHalves(highOf(value), lowOf(value));
  }

  /** Become a constant from a sign-extended immediate: an int32. */
  setConstInt32(value: number): void {
    this.setConstHalves(value >> 31, value | 0);
  }

  setConstHalves(hi: number, lo: number): void {
    this.setTnum(hi, lo, 0, 0);
    this.uminHi = hi;
    this.umaxHi = hi;
    this.sminHi = hi;
    this.smaxHi = hi;
    this.uminLo = lo;
    this.umaxLo = lo;
    this.sminLo = lo;
    this.smaxLo = lo;
    this.u32Min = lo;
    this.u32Max = lo;
    this.s32Min = lo;
    this.s32Max = lo;
  }

  /** Forget the ranges, not the bits. */
  unbound(): void {
    this.unbound64();
    this.unbound32();
  }

  unbound64(): void {
    this.unboundUnsigned64();
    this.unboundSigned64();
  }

  unbound32(): void {
    this.unboundUnsigned32();
    this.unboundSigned32();
  }

  unboundUnsigned64(): void {
    this.uminHi = 0;
    this.uminLo = 0;
    this.umaxHi = -1;
    this.umaxLo = -1;
  }

  unboundSigned64(): void {
    this.sminHi = SIGN_BIT;
    this.sminLo = 0;
    this.smaxHi = SIGNED_MAX;
    this.smaxLo = -1;
  }

  unboundUnsigned32(): void {
    this.u32Min = 0;
    this.u32Max = -1;
  }

  unboundSigned32(): void {
    this.s32Min = SIGN_BIT;
    this.s32Max = SIGNED_MAX;
  }

  // Each of the following learns a bound, and keeps the one it has where that says more.

  raiseUmin(hi: number, lo: number): void {
    if (below(this.uminHi, this.uminLo, hi, lo)) {
      this.uminHi = hi;
      this.uminLo = lo;
    }
  }

  lowerUmax(hi: number, lo: number): void {
    if (below(hi, lo, this.umaxHi, this.umaxLo)) {
      this.umaxHi = hi;
      this.umaxLo = lo;
    }
  }

  raiseSmin(hi: number, lo: number): void {
    if (less(this.sminHi, this.sminLo, hi, lo)) {
      this.sminHi = hi;
      this.sminLo = lo;
    }
  }

  lowerSmax(hi: number, lo: number): void {
    if (less(hi, lo, this.smaxHi, this.smaxLo)) {
      this.smaxHi = hi;
      this.smaxLo = lo;
    }
  }

  raiseU32Min(bound: number): void {
    if (below32(this.u32Min, bound)) this.u32Min = bound;
  }

  lowerU32Max(bound: number): void {
    if (below32(bound, this.u32Max)) this.u32Max = bound;
  }

  raiseS32Min(bound: number): void {
    if (this.s32Min < bound) this.s32Min = bound;
  }

  lowerS32Max(bound: number): void {
    if (bound < this.s32Max) this.s32Max = bound;
  }

  /**
   * Take over what is known from a helper's signature: signed bounds, both within int32. Call syncBounds (scalar-sync.ts) after.
   */
  boundSigned(min: number, max: number): void {
    this.raiseSmin(min >> 31, min);
    this.lowerSmax(max >> 31, max);
    this.raiseS32Min(min);
    this.lowerS32Max(max);
  }
}

/** Whether all that `now` may be was allowed by `old`: a state with `old` covers one with `now`. */
export function scalarWithin(old: Scalar, now: Scalar): boolean {
  return (
    !below(now.uminHi, now.uminLo, old.uminHi, old.uminLo) &&
    !below(old.umaxHi, old.umaxLo, now.umaxHi, now.umaxLo) &&
    !less(now.sminHi, now.sminLo, old.sminHi, old.sminLo) &&
    !less(old.smaxHi, old.smaxLo, now.smaxHi, now.smaxLo) &&
    !below32(now.u32Min, old.u32Min) &&
    !below32(old.u32Max, now.u32Max) &&
    old.s32Min <= now.s32Min &&
    now.s32Max <= old.s32Max &&
    tnumWithin(old, now)
  );
}
