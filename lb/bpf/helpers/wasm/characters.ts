// Characters as the kernel's ctype.h sorts them: Latin-1.

@inline export function isDigit(c: u32): bool { return c - 0x30 < 10; }
@inline export function isAlphanumeric(c: u32): bool {
  return isDigit(c) || (c | 0x20) - 0x61 < 26 || (c >= 0xc0 && c != 0xd7 && c != 0xf7);
}
@inline export function isBlank(c: u32): bool { return c == 0x20 || c - 9 < 5 || c == 0xa0; }
@inline export function isPunctuation(c: u32): bool { return c > 0x20 && c - 0x7f >= 0x22 && !isAlphanumeric(c); }
/** ASCII that is neither a character nor a blank. */
@inline export function isControl(c: u32): bool { return c == 0x7f || (c < 0x20 && c - 9 >= 5); }

/** The value of a hexadecimal digit; 255 where it is none. */
export function digitOf(c: u32): u32 {
  if (isDigit(c)) return c - 0x30;
  const letter = (c | 0x20) - 0x61;
  return letter < 6 ? letter + 10 : 255;
}
