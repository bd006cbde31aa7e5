// Which formats and arguments bpf_trace_printk and its relatives take (kernel/trace/bpf_trace.c, bpf_bprintf_prepare;
// bpf-helpers(7) lists the conversions).
import { EINVAL, ENOSPC } from "../../maps/uapi";
import { isBlank, isControl, isDigit, isPunctuation } from "./characters";

/** Bytes that the kernel copies the arguments to before it prints: numbers aligned to 4, texts with their NUL. */
const ARGUMENT_BYTES: u32 = 512;
/** An address is printed there: room for the longest, where the kernel takes what it needs. */
export const ADDRESS_BYTES: u32 = 40;

// Letters of formats.
export const PERCENT: u32 = 0x25;
export const LETTER_B: u32 = 0x42;
export const LETTER_I: u32 = 0x49;
export const LETTER_K: u32 = 0x4b;
export const LETTER_S: u32 = 0x53;
export const LETTER_X: u32 = 0x58;
export const LETTER_c: u32 = 0x63;
export const LETTER_d: u32 = 0x64;
export const LETTER_i: u32 = 0x69;
export const LETTER_k: u32 = 0x6b;
export const LETTER_l: u32 = 0x6c;
export const LETTER_p: u32 = 0x70;
export const LETTER_s: u32 = 0x73;
export const LETTER_u: u32 = 0x75;
export const LETTER_x: u32 = 0x78;
const DIGIT_0: u32 = 0x30;
const DIGIT_4: u32 = 0x34;
const DIGIT_6: u32 = 0x36;
const PLUS: u32 = 0x2b;
const MINUS: u32 = 0x2d;
const SPACE: u32 = 0x20;

/** What `takeText` says where there is no room at all. */
const NO_ROOM: i32 = -1;

/** Bytes of the arguments so far. */
let used: u32 = 0;

/** Begin with the first argument. */
@inline export function beginArguments(): void { used = 0; }

/** May programs read the byte at `address`? Beyond the null page, and in memory. */
@inline export function isReadable(address: u64): bool {
  return address >= 65536 && address < <u64>memory.size() << 16;
}

/** Length of the text that an argument points to, without its NUL, `max` at most; 0 where nothing can be read. */
function textLength(address: u64, max: u32): u32 {
  let length: u32 = 0;
  while (length < max && isReadable(address + length) && load<u8>(<usize>address + length)) length++;
  return length;
}

/** Room for the bytes of a number, or false where there is none. */
export function takeNumber(bytes: u32): bool {
  used = (used + 3) & ~3;
  return takeBytes(bytes);
}

export function takeBytes(bytes: u32): bool {
  if (used + bytes > ARGUMENT_BYTES) return false;
  used += bytes;
  return true;
}

/** Characters of a text that there is room for, with a NUL; negative where there is none at all. */
export function takeText(address: u64): i32 {
  if (used == ARGUMENT_BYTES) return NO_ROOM;
  const length = textLength(address, ARGUMENT_BYTES - used - 1);
  used += length + 1;
  return length;
}

/** What may follow a conversion that other letters would change. */
@inline function endsWord(c: u32): bool { return !c || isBlank(c) || isPunctuation(c); }

/**
 * Check a format and what its arguments need.
 * @param size bytes that may be read of the format: a NUL must be among them
 * @param args the arguments, u64 each
 * @returns 0, or a negative errno
 */
export function checkFormat(format: usize, size: u32, args: usize, count: u32): i32 {
  let end: u32 = 0;
  while (end < size && load<u8>(format + end)) end++;
  if (end == size) return -EINVAL;
  beginArguments();
  let taken: u32 = 0;
  for (let i: u32 = 0; i < end; i++) {
    let c: u32 = load<u8>(format + i);
    if (isControl(c)) return -EINVAL;
    if (c != PERCENT) continue;
    if (load<u8>(format + i + 1) == PERCENT) { i++; continue; }
    if (taken >= count) return -EINVAL;
    const argument = load<u64>(args + 8 * taken++);
    i = skipWidth(format, i + 1);
    c = load<u8>(format + i);
    if (c == LETTER_p) {
      const kind: u32 = load<u8>(format + i + 1);
      const family: u32 = kind ? load<u8>(format + i + 2) : 0;
      if (endsWord(kind)) {
        if (!takeNumber(8)) return -ENOSPC;
      } else if ((kind == LETTER_k || kind == LETTER_u) && family == LETTER_s) {
        i += 2;
        if (!endsWord(load<u8>(format + i + 1))) return -EINVAL;
        if (takeText(kind == LETTER_k ? argument : 0) < 0) return -ENOSPC;
      } else if (kind == LETTER_K || kind == LETTER_x || kind == LETTER_s || kind == LETTER_S || kind == LETTER_B) {
        i++;
        if (!takeNumber(8)) return -ENOSPC;
      } else if ((kind == LETTER_i || kind == LETTER_I) && (family == DIGIT_4 || family == DIGIT_6)) {
        i += 2;
        if (!takeBytes(ADDRESS_BYTES)) return -ENOSPC;
      } else return -EINVAL;
    } else if (c == LETTER_s) {
      if (!endsWord(load<u8>(format + i + 1))) return -EINVAL;
      if (takeText(argument) < 0) return -ENOSPC;
    } else if (c == LETTER_c) {
      if (!takeBytes(1)) return -ENOSPC;
    } else {
      let bytes: u32 = 4;
      for (let longs = 0; longs < 2 && c == LETTER_l; longs++) {
        bytes = 8;
        c = load<u8>(format + ++i);
      }
      if (c != LETTER_i && c != LETTER_d && c != LETTER_u && c != LETTER_x && c != LETTER_X) return -EINVAL;
      if (!takeNumber(bytes)) return -ENOSPC;
    }
  }
  return 0;
}

/** Index behind flags and width, which begin at `i`. */
function skipWidth(format: usize, i: u32): u32 {
  for (;; i++) {
    const c: u32 = load<u8>(format + i);
    if (c != DIGIT_0 && c != PLUS && c != MINUS && c != SPACE) break;
  }
  while (isDigit(load<u8>(format + i))) i++;
  return i;
}
