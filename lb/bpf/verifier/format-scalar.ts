import { Scalar } from './scalar.js';

const isShort = (value: bigint) => value >= -0x8000n && value <= 0x7fffn;

/** A signed number as the kernel's log has it: decimal where it fits 16 bits, else hexadecimal. */
export function formatSigned(value: bigint): string {
  return isShort(value) ? `${value}` : `0x${BigInt.asUintN(64, value).toString(16)}`;
}

/** An unsigned number as the kernel's log has it: decimal where it fits 16 bits, else hexadecimal. */
export function formatUnsigned(value: bigint): string {
  return value <= 0xffffn ? `${value}` : `0x${value.toString(16)}`;
}

/** Known and unknown bits: `(value; mask)`. */
export function formatBits(s: Scalar): string {
  return `(0x${s.value.toString(16)}; 0x${s.mask.toString(16)})`;
}

interface Bound {
  readonly name: string;
  readonly signed: boolean;
  /** Pattern of 64 bits, which is what two bounds must share to be printed once. */
  readonly bits: bigint;
  readonly negative: boolean;
}

/**
 * The ranges and bits of a scalar that is no constant, as the kernel's log has them (Linux 6.18,
 * kernel/bpf/log.c): what says nothing is left out, equal bounds are written once,
 * `smin=smin32=0,smax=umax=255,var_off=(0x0; 0xff)`.
 * @returns parts for joining with commas; none where nothing is known
 */
export function formatRanges(s: Scalar): string[] {
  const bounds = boundsOf(s);
  const parts: string[] = [];
  for (const [index, bound] of bounds.entries()) {
    if (bound === undefined) continue;
    let names = `${bound.name}=`;
    // Lower bounds are at even places, upper ones at odd.
    for (let other = index + 2; other < bounds.length; other += 2) {
      const same = bounds[other];
      if (same === undefined || same.bits !== bound.bits || same.negative !== bound.negative) continue;
      names += `${same.name}=`;
      bounds[other] = undefined;
    }
    parts.push(
      names + (bound.signed ? formatSigned(BigInt.asIntN(64, bound.bits)) : formatUnsigned(bound.bits)),
    );
  }
  if (!s.isUnknownBits()) parts.push(`var_off=${formatBits(s)}`);
  return parts;
}

const UNKNOWN = new Scalar();

function boundsOf(s: Scalar): (Bound | undefined)[] {
  const { umin, umax, smin, smax } = s;
  const signed = (name: string, value: bigint): Bound => {
    return { name, signed: true, bits: BigInt.asUintN(64, value), negative: value < 0n };
  };
  const unsigned = (name: string, bits: bigint): Bound => ({ name, signed: false, bits, negative: false });
  // Sign-extended it would equal a 64-bit bound in decimal, but not look like one in hexadecimal.
  const narrow = (value: number) => BigInt(isShort(BigInt(value)) ? value : value >>> 0);
  return [
    smin === UNKNOWN.smin ? undefined : signed('smin', smin),
    smax === UNKNOWN.smax ? undefined : signed('smax', smax),
    umin === 0n ? undefined : unsigned('umin', umin),
    umax === UNKNOWN.umax ? undefined : unsigned('umax', umax),
    s.s32Min === UNKNOWN.s32Min ? undefined : signed('smin32', narrow(s.s32Min)),
    s.s32Max === UNKNOWN.s32Max ? undefined : signed('smax32', narrow(s.s32Max)),
    s.u32Min === 0 ? undefined : unsigned('umin32', BigInt(s.u32Min >>> 0)),
    s.u32Max === -1 ? undefined : unsigned('umax32', BigInt(s.u32Max >>> 0)),
  ];
}

/**
 * A register's number as the kernel's log has it: a constant is bare, anything else `scalar(…)`.
 * @param attributes what stands before the ranges: `id=3`, `id=3+8`
 */
export function formatScalar(s: Scalar, attributes: readonly string[] = []): string {
  if (s.isConst()) return formatSigned(BigInt.asIntN(64, s.constValue()));
  return `scalar(${[...attributes, ...formatRanges(s)].join(',')})`;
}
