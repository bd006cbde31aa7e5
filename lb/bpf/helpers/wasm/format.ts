// Printing by a format that was checked before (format-check.ts; lib/vsprintf.c for what each conversion looks like).
import { isAlphanumeric, isDigit } from "./characters";
import {
  ADDRESS_BYTES, beginArguments, isReadable, LETTER_B, LETTER_c, LETTER_d, LETTER_I, LETTER_i, LETTER_k, LETTER_l,
  LETTER_p, LETTER_S, LETTER_s, LETTER_u, LETTER_X, LETTER_x, PERCENT, takeBytes, takeNumber, takeText,
} from "./format-check";

const FLAG_LEFT: u32 = 1;
const FLAG_ZERO: u32 = 2;
const FLAG_PLUS: u32 = 4;
const FLAG_SPACE: u32 = 8;
const POINTER_DIGITS: u32 = 16;
/** The kernel keeps a width in 24 bits (FIELD_WIDTH_MAX). */
const WIDTH_MAX: u32 = 0x7fffff;

const SPACE: u32 = 0x20;
const PLUS: u32 = 0x2b;
const MINUS: u32 = 0x2d;
const DOT: u32 = 0x2e;
const ZERO: u32 = 0x30;
const COLON: u32 = 0x3a;

/** Where the text goes, how many bytes there are for it with its NUL, and how many it has. */
let buffer: usize = 0;
let capacity: u32 = 0;
let length: u32 = 0;

@inline function put(c: u32): void {
  if (length < capacity) store<u8>(buffer + length, <u8>c);
  length++;
}

function pad(c: u32, count: i32): void {
  for (; count > 0 && length < capacity; count--) put(c);
  if (count > 0) length += count;
}

/** Digits of a number in base 10 or 16, `width` characters at least with what is put in front. */
function putNumber(value: u64, base: u64, isUpper: bool, sign: u32, flags: u32, width: u32): void {
  let digits: u32 = 1;
  let unit: u64 = 1;
  while (value / unit >= base) { unit *= base; digits++; }
  const missing = <i32>width - <i32>(digits + (sign ? 1 : 0));
  if (!(flags & (FLAG_LEFT | FLAG_ZERO))) pad(SPACE, missing);
  if (sign) put(sign);
  if ((flags & (FLAG_LEFT | FLAG_ZERO)) == FLAG_ZERO) pad(ZERO, missing);
  for (; unit; unit /= base) {
    const digit = <u32>(value / unit % base);
    put(digit < 10 ? ZERO + digit : (isUpper ? 0x41 : 0x61) + digit - 10);
  }
  if (flags & FLAG_LEFT) pad(SPACE, missing);
}

function putSigned(value: i64, flags: u32, width: u32): void {
  let sign: u32 = 0;
  if (value < 0) sign = MINUS;
  else if (flags & FLAG_PLUS) sign = PLUS;
  else if (flags & FLAG_SPACE) sign = SPACE;
  putNumber(value < 0 ? <u64>-value : <u64>value, 10, false, sign, flags, width);
}

function putText(address: u64, flags: u32, width: u32): void {
  const bytes = takeText(address);
  const missing = <i32>width - bytes;
  if (!(flags & FLAG_LEFT)) pad(SPACE, missing);
  for (let i = 0; i < bytes; i++) put(load<u8>(<usize>address + i));
  if (flags & FLAG_LEFT) pad(SPACE, missing);
}

function putHex(value: u32, digits: u32): void {
  putNumber(value, 16, false, 0, FLAG_ZERO, digits);
}

/** An address in network order; all zeros where it cannot be read. */
function putAddress(address: u64, isPlain: bool, isIpv6: bool): void {
  const bytes: u32 = isIpv6 ? 16 : 4;
  const isThere = isReadable(address) && isReadable(address + bytes - 1);
  for (let i: u32 = 0; i < bytes; i++) {
    const byte: u32 = isThere ? load<u8>(<usize>address + i) : 0;
    if (isIpv6) {
      if (i && !(i & 1) && !isPlain) put(COLON);
      putHex(byte, 2);
    } else {
      if (i) put(DOT);
      putNumber(byte, 10, false, 0, FLAG_ZERO, isPlain ? 3 : 1);
    }
  }
}

/**
 * A pointer, which is an offset in the arena: shown as it is, for there is nothing to hide. It has no symbol either:
 * the conversions that show one show the number with 0x in front, as the kernel of an address that it does not know.
 * @returns index of the last character of the conversion
 */
function putPointer(format: usize, i: u32, argument: u64, flags: u32, width: u32): u32 {
  const kind: u32 = load<u8>(format + i + 1);
  if ((kind == LETTER_k || kind == LETTER_u) && load<u8>(format + i + 2) == LETTER_s) {
    putText(kind == LETTER_k ? argument : 0, flags, width);
    return i + 2;
  }
  if (kind == LETTER_i || kind == LETTER_I) {
    takeBytes(ADDRESS_BYTES);
    putAddress(argument, kind == LETTER_i, load<u8>(format + i + 2) == 0x36);
  } else putPointerNumber(kind, argument, flags, width);
  while (isAlphanumeric(load<u8>(format + i + 1))) i++;
  return i;
}

function putPointerNumber(kind: u32, argument: u64, flags: u32, width: u32): void {
  takeNumber(8);
  if (kind == LETTER_s || kind == LETTER_S || kind == LETTER_B) {
    put(ZERO);
    put(LETTER_x);
    putNumber(argument, 16, false, 0, 0, 0);
  } else if (width) putNumber(argument, 16, false, 0, flags, width);
  else putNumber(argument, 16, false, 0, FLAG_ZERO, POINTER_DIGITS);
}

/**
 * Print by a checked format.
 * @param bytes room at `to`, NUL included; what does not fit is counted alone
 * @returns length of the whole text without its NUL
 */
export function printFormat(format: usize, args: usize, to: usize, bytes: u32): u32 {
  buffer = to;
  capacity = bytes;
  length = 0;
  beginArguments();
  let taken: u32 = 0;
  for (let i: u32 = 0; ; i++) {
    let c: u32 = load<u8>(format + i);
    if (!c) break;
    if (c != PERCENT) { put(c); continue; }
    c = load<u8>(format + ++i);
    if (c == PERCENT) { put(c); continue; }
    let flags: u32 = 0, width: u32 = 0;
    for (; ; c = load<u8>(format + ++i)) {
      if (c == MINUS) flags |= FLAG_LEFT;
      else if (c == ZERO) flags |= FLAG_ZERO;
      else if (c == PLUS) flags |= FLAG_PLUS;
      else if (c == SPACE) flags |= FLAG_SPACE;
      else break;
    }
    for (; isDigit(c); c = load<u8>(format + ++i)) width = min(width * 10 + c - ZERO, WIDTH_MAX);
    const argument = load<u64>(args + 8 * taken++);
    if (c == LETTER_p) {
      i = putPointer(format, i, argument, flags, width);
      continue;
    }
    if (c == LETTER_s) {
      putText(argument, flags, width);
      continue;
    }
    if (c == LETTER_c) {
      takeBytes(1);
      if (!(flags & FLAG_LEFT)) pad(SPACE, <i32>width - 1);
      put(<u32>argument & 255);
      if (flags & FLAG_LEFT) pad(SPACE, <i32>width - 1);
      continue;
    }
    let isLong = false;
    for (; c == LETTER_l; c = load<u8>(format + ++i)) isLong = true;
    takeNumber(isLong ? 8 : 4);
    if (c == LETTER_d || c == LETTER_i) putSigned(isLong ? <i64>argument : <i64><i32>argument, flags, width);
    else {
      const value = isLong ? argument : argument & 0xffffffff;
      putNumber(value, c == LETTER_u ? 10 : 16, c == LETTER_X, 0, flags, width);
    }
  }
  if (capacity) store<u8>(buffer + min(length, capacity - 1), 0);
  return length;
}
