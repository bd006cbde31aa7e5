/** Instructions of memory by how many bytes they move. Narrow ones give an i64, zero above or with the sign. */
export const UNSIGNED_LOAD = {
  1: 'i64.load8_u',
  2: 'i64.load16_u',
  4: 'i64.load32_u',
  8: 'i64.load',
} as const;
export const SIGNED_LOAD = {
  1: 'i64.load8_s',
  2: 'i64.load16_s',
  4: 'i64.load32_s',
  8: 'i64.load',
} as const;
export const STORE = { 1: 'i64.store8', 2: 'i64.store16', 4: 'i64.store32', 8: 'i64.store' } as const;
/** Atomic ones. */
export const ACQUIRE = {
  1: 'i64.atomic.load8_u',
  2: 'i64.atomic.load16_u',
  4: 'i64.atomic.load32_u',
  8: 'i64.atomic.load',
} as const;
export const RELEASE = {
  1: 'i64.atomic.store8',
  2: 'i64.atomic.store16',
  4: 'i64.atomic.store32',
  8: 'i64.atomic.store',
} as const;
