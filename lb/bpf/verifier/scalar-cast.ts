import { Scalar } from './scalar.js';
import { syncBounds } from './scalar-sync.js';
import { SIGN_BIT } from './scalar-words.js';
import { tnumMeetRange, tnumMeetRange32 } from './tnum.js';

/** Clear the upper half: what every 32-bit operation does (RFC 9669 §4.1). Not synced. */
export function zeroExtend(s: Scalar): void {
  s.valueHi = 0;
  s.maskHi = 0;
  s.uminHi = 0;
  s.uminLo = s.u32Min;
  s.umaxHi = 0;
  s.umaxLo = s.u32Max;
  // The signed 32-bit range is that of the result only where it is not negative.
  const keep = s.s32Min >= 0 && s.s32Max >= 0;
  s.sminHi = 0;
  s.sminLo = keep ? s.s32Min : 0;
  s.smaxHi = 0;
  s.smaxLo = keep ? s.s32Max : -1;
}

/**
 * Keep the low bytes and clear the rest: a load of `bytes` from a spilled number, or from memory of which nothing
 * is known (of an unknown scalar).
 */
export function truncateScalar(s: Scalar, bytes: 1 | 2 | 4): void {
  const mask = bytes === 4 ? -1 : (1 << (bytes * 8)) - 1;
  s.setTnum(0, s.valueLo & mask, 0, s.maskLo & mask);
  if (s.uminHi === s.umaxHi && (s.uminLo & ~mask) === (s.umaxLo & ~mask)) {
    s.uminLo &= mask;
    s.umaxLo &= mask;
  } else {
    s.uminLo = 0;
    s.umaxLo = mask;
  }
  s.uminHi = 0;
  s.umaxHi = 0;
  s.sminHi = 0;
  s.smaxHi = 0;
  s.sminLo = s.uminLo;
  s.smaxLo = s.umaxLo;
  if (bytes < 4) s.unbound32();
  syncBounds(s);
}

/** Sign-extend the low `bits` to 64: movsx of width 64, and sign-extending loads. Synced. */
export function signExtend64(s: Scalar, bits: 8 | 16 | 32): void {
  const shift = 32 - bits;
  if (s.isConst()) {
    const value = (s.valueLo << shift) >> shift;
    s.setConstHalves(value >> 31, value);
    return;
  }
  const sameTop = s.sminHi === s.smaxHi && (bits === 32 || s.sminLo >> bits === s.smaxLo >> bits);
  if (sameTop) {
    const first = (s.sminLo << shift) >> shift;
    const second = (s.smaxLo << shift) >> shift;
    if (first >= 0 === second >= 0) {
      const min = Math.min(first, second);
      const max = Math.max(first, second);
      s.sminHi = min >> 31;
      s.uminHi = min >> 31;
      s.sminLo = min;
      s.uminLo = min;
      s.smaxHi = max >> 31;
      s.umaxHi = max >> 31;
      s.smaxLo = max;
      s.umaxLo = max;
      setRange32(s, min, max);
      s.setTnum(0, 0, -1, -1);
      tnumMeetRange(s, s.uminHi, s.uminLo, s.umaxHi, s.umaxLo);
      return;
    }
  }
  s.setUnknown();
  s.sminHi = -1;
  s.sminLo = SIGN_BIT >> shift;
  s.smaxHi = 0;
  s.smaxLo = ~(SIGN_BIT >> shift);
  s.s32Min = s.sminLo;
  s.s32Max = s.smaxLo;
}

/** Sign-extend the low `bits` to 32 and clear the rest: movsx of width 32. Synced. */
export function signExtend32(s: Scalar, bits: 8 | 16): void {
  const shift = 32 - bits;
  extendLowHalf(s, bits, shift);
  zeroExtend(s);
  syncBounds(s);
}

function extendLowHalf(s: Scalar, bits: 8 | 16, shift: number): void {
  if (s.isConst()) {
    const value = (s.valueLo << shift) >> shift;
    s.valueLo = value;
    setRange32(s, value, value);
    return;
  }
  if (s.s32Min >> bits === s.s32Max >> bits) {
    const first = (s.s32Min << shift) >> shift;
    const second = (s.s32Max << shift) >> shift;
    if (first >= 0 === second >= 0) {
      setRange32(s, Math.min(first, second), Math.max(first, second));
      s.setTnum(0, 0, -1, -1);
      tnumMeetRange32(s, s.u32Min, s.u32Max);
      return;
    }
  }
  s.setTnum(0, 0, -1, -1);
  s.u32Min = 0;
  s.u32Max = -1;
  s.s32Min = SIGN_BIT >> shift;
  s.s32Max = ~s.s32Min;
}

/** Set both 32-bit ranges; the bounds have the same sign. */
function setRange32(s: Scalar, min: number, max: number): void {
  s.s32Min = min;
  s.s32Max = max;
  s.u32Min = min;
  s.u32Max = max;
}

const loaded = (cut: (s: Scalar) => void): Scalar => {
  const scalar = new Scalar();
  cut(scalar);
  return scalar;
};

/** Loads of memory of which nothing is known. */
const LOADED: Record<'zero' | 'sign', Record<1 | 2 | 4 | 8, Scalar>> = {
  zero: {
    1: loaded((s) => truncateScalar(s, 1)),
    2: loaded((s) => truncateScalar(s, 2)),
    4: loaded((s) => truncateScalar(s, 4)),
    8: new Scalar(),
  },
  sign: {
    1: loaded((s) => signExtend64(s, 8)),
    2: loaded((s) => signExtend64(s, 16)),
    4: loaded((s) => signExtend64(s, 32)),
    8: new Scalar(),
  },
};

/** Become what a load of `bytes` gives of memory of which nothing is known, the sign extended or zeros. */
export function widenLoad(s: Scalar, bytes: 1 | 2 | 4 | 8, signed: boolean): void {
  s.copyFrom(LOADED[signed ? 'sign' : 'zero'][bytes]);
}
