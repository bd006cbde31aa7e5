// bpf_strtol, bpf_strtoul and bpf_strncmp (kernel/bpf/helpers.c, lib/kstrtox.c).
import { EINVAL } from "../../maps/uapi";
import { ERANGE } from "../uapi";
import { digitOf, isBlank } from "./characters";

/** Bits of the flags that hold the base. */
const BASE_MASK: u64 = 0x1f;
/** Characters that are looked at after blanks and sign: the kernel copies them to a buffer of 64. */
const DIGITS_MAX: u32 = 63;

/** What the parser found besides what it returns. */
let magnitude: u64 = 0;
let isNegative: bool = false;

/** The character at `at`, 0 from `end` on. */
@inline function charAt(at: usize, end: usize): u32 { return at < end ? <u32>load<u8>(at) : 0; }

/** Parse blanks, "-", "0x" or "0", digits. @returns characters that were used, or a negative errno */
function parse(text: usize, length: u32, flags: u64): i64 {
  magnitude = 0;
  let base = <u32>(flags & BASE_MASK);
  if (!length || (base != 0 && base != 8 && base != 10 && base != 16) || flags & ~BASE_MASK) return -EINVAL;
  const last = text + length;
  let at = text;
  while (at < last && isBlank(load<u8>(at))) at++;
  isNegative = at < last && load<u8>(at) == 0x2d;
  if (isNegative) at++;
  if (at == last) return -EINVAL;
  const end = last - at > <usize>DIGITS_MAX ? at + DIGITS_MAX : last;
  const isHex = charAt(at, end) == 0x30 && (charAt(at + 1, end) | 0x20) == 0x78;
  if (base == 0) {
    if (charAt(at, end) != 0x30) base = 10;
    else base = isHex && digitOf(charAt(at + 2, end)) < 16 ? 16 : 8;
  }
  if (base == 16 && isHex) at += 2;
  const first = at;
  let overflows = false;
  for (; at < end; at++) {
    const digit = digitOf(load<u8>(at));
    if (digit >= base) break;
    if (magnitude > (u64.MAX_VALUE - digit) / base) overflows = true;
    magnitude = magnitude * base + digit;
  }
  if (overflows) return -ERANGE;
  return at == first ? -EINVAL : <i64>(at - text);
}

export function bpf_strtol(text: u64, length: u64, flags: u64, result: u64): i64 {
  store<i64>(<usize>result, 0);
  const used = parse(<usize>text, <u32>length, flags);
  if (used < 0) return used;
  const value = isNegative ? -<i64>magnitude : <i64>magnitude;
  if (isNegative ? value > 0 : value < 0) return -ERANGE;
  store<i64>(<usize>result, value);
  return used;
}

export function bpf_strtoul(text: u64, length: u64, flags: u64, result: u64): i64 {
  store<u64>(<usize>result, 0);
  const used = parse(<usize>text, <u32>length, flags);
  if (used < 0) return used;
  if (isNegative) return -EINVAL;
  store<u64>(<usize>result, magnitude);
  return used;
}

/** −1, 0 or 1 by the first characters that differ, up to the first NUL and `length` of them. */
export function bpf_strncmp(text: u64, length: u64, other: u64): i64 {
  let a = <usize>text, b = <usize>other;
  for (let left = <u32>length; left; left--, a++, b++) {
    const c = load<u8>(a), d = load<u8>(b);
    if (c != d) return c < d ? -1 : 1;
    if (!c) break;
  }
  return 0;
}
