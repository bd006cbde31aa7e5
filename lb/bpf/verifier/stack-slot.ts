/**
 * What each byte of an 8-byte stack slot holds: a half-byte each in one int32, the lowest for the byte of the
 * highest address, as the kernel counts (enum bpf_stack_slot_type).
 */
export const KIND = {
  /** Never written on this path. */
  INVALID: 0,
  /** Part of a register that was stored whole. */
  SPILL: 1,
  MISC: 2,
  ZERO: 3,
  DYNPTR: 4,
} as const;

const KIND_BITS = 4;
const KIND_MASK = 0xf;
const EVERY_BYTE = 0x1111_1111;
export const SLOT_SIZE = 8;
/** Bytes of a frame. */
export const STACK_BYTES = 512;

/** Characters of the log, by kind. */
export const KIND_LETTERS = '?rm0d';

export const kindAt = (kinds: number, byte: number): number => (kinds >>> (byte * KIND_BITS)) & KIND_MASK;

export const withKind = (kinds: number, byte: number, kind: number): number =>
  (kinds & ~(KIND_MASK << (byte * KIND_BITS))) | (kind << (byte * KIND_BITS));

/** All eight bytes of one kind. */
export const allOf = (kind: number): number => Math.imul(EVERY_BYTE, kind);

export const ALL_DYNPTR = allOf(KIND.DYNPTR);

/** Whether a register is kept in the slot: its lowest byte stands at the lowest address, however many there are. */
export const isSpill = (kinds: number): boolean => kinds >>> 28 === KIND.SPILL;

export const isDynptr = (kinds: number): boolean => kinds >>> 28 === KIND.DYNPTR;

/** Bytes of the register that the slot keeps. */
export function spillBytes(kinds: number): number {
  let bytes = 1;
  for (let byte = SLOT_SIZE - 1; byte > 0 && kindAt(kinds, byte - 1) === KIND.SPILL; byte--) bytes++;
  return bytes;
}

/** The slot with what was a register's or dynptr's bytes made to bytes of which nothing is known. */
export function scrubbed(kinds: number): number {
  let result = kinds;
  for (let byte = 0; byte < SLOT_SIZE; byte++) {
    const kind = kindAt(kinds, byte);
    if (kind === KIND.SPILL || kind === KIND.DYNPTR) result = withKind(result, byte, KIND.MISC);
  }
  return result;
}

/** Kinds of a slot after the low `bytes` of a register were stored to its lowest addresses. */
export function spilledOver(kinds: number, bytes: number): number {
  let result = kinds;
  for (let byte = 0; byte < SLOT_SIZE; byte++) {
    if (byte >= SLOT_SIZE - bytes) {
      result = withKind(result, byte, KIND.SPILL);
      continue;
    }
    const kind = kindAt(kinds, byte);
    // What is above keeps its zeros, and stays unwritten.
    if (kind === KIND.ZERO || kind === KIND.INVALID) continue;
    result = withKind(result, byte, KIND.MISC);
  }
  return result;
}

/** Index of the slot that a byte of the frame is in, from its (negative) offset. */
export const slotIndex = (offset: number): number => (-offset - 1) >> 3;
/** Which byte of its slot it is. */
export const byteIndex = (offset: number): number => (-offset - 1) & 7;
