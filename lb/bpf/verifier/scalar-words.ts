// 64-bit integers as two halves, each an int32 holding 32 bits: V8 keeps such numbers unboxed, while operations
// on bigints allocate, and the verifier does dozens for every instruction it follows.

/** The sign bit of a 32-bit half. */
export const SIGN_BIT = -0x8000_0000;
/** The greatest signed half. */
export const SIGNED_MAX = 0x7fff_ffff;

/** a < b as unsigned 32-bit integers. */
export function below32(a: number, b: number): boolean {
  return a >>> 0 < b >>> 0;
}

/** a < b as unsigned 64-bit integers. */
export function below(aHi: number, aLo: number, bHi: number, bLo: number): boolean {
  return aHi === bHi ? aLo >>> 0 < bLo >>> 0 : aHi >>> 0 < bHi >>> 0;
}

/** a < b as signed 64-bit integers. */
export function less(aHi: number, aLo: number, bHi: number, bLo: number): boolean {
  return aHi === bHi ? aLo >>> 0 < bLo >>> 0 : aHi < bHi;
}

/** High half of a + b; the low half is (aLo + bLo) | 0. */
export function addHigh(aHi: number, aLo: number, bHi: number, bLo: number): number {
  const carry = (aLo >>> 0) + (bLo >>> 0) > 0xffff_ffff ? 1 : 0;
  return (aHi + bHi + carry) | 0;
}

/** High half of a - b; the low half is (aLo - bLo) | 0. */
export function subHigh(aHi: number, aLo: number, bHi: number, bLo: number): number {
  const borrow = aLo >>> 0 < bLo >>> 0 ? 1 : 0;
  return (aHi - bHi - borrow) | 0;
}

/** Low half of a << count, count 0 to 63. */
export function shiftLeftLow(aLo: number, count: number): number {
  return count < 32 ? aLo << count : 0;
}

/** High half of a << count, count 0 to 63. */
export function shiftLeftHigh(aHi: number, aLo: number, count: number): number {
  if (count === 0) return aHi;
  return count < 32 ? (aHi << count) | (aLo >>> (32 - count)) : aLo << (count - 32);
}

/** Low half of a >> count, count 0 to 63; `fill` is what moves in above bit 63: 0, or -1 for a negative. */
export function shiftRightLow(aHi: number, aLo: number, count: number, fill: number): number {
  if (count === 0) return aLo;
  if (count < 32) return (aLo >>> count) | (aHi << (32 - count));
  if (count === 32) return aHi;
  return (aHi >>> (count - 32)) | (fill << (64 - count)) | 0;
}

/** High half of a >> count, count 0 to 63; `fill` as in shiftRightLow. */
export function shiftRightHigh(aHi: number, count: number, fill: number): number {
  if (count === 0) return aHi;
  return count < 32 ? (aHi >>> count) | (fill << (32 - count)) : fill;
}

/** The four bytes of a half in the other order. */
export function swapBytes32(bits: number): number {
  return (bits << 24) | ((bits & 0xff00) << 8) | ((bits >>> 8) & 0xff00) | (bits >>> 24);
}

/** All bits from the highest set one down, as a half: 0 → 0, 5 → 7. */
export function spread32(bits: number): number {
  // A shift by 32 would be a shift by 0.
  return bits === 0 ? 0 : (0xffff_ffff >>> Math.clz32(bits)) | 0;
}

/** The unsigned 64-bit integer of two halves. */
export function unsignedOf(hi: number, lo: number): bigint {
  return (BigInt(hi >>> 0) << 32n) | BigInt(lo >>> 0);
}

/** The signed 64-bit integer of two halves. */
export function signedOf(hi: number, lo: number): bigint {
  return (BigInt(hi) << 32n) | BigInt(lo >>> 0);
}

/** High half of an integer, modulo 2^64. */
export function highOf(value: bigint): number {
  return Number(BigInt.asIntN(32, value >> 32n));
}

/** Low half of an integer, modulo 2^64. */
export function lowOf(value: bigint): number {
  return Number(BigInt.asIntN(32, value));
}
