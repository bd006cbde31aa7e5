import { type Btf, parseBtf } from '../../../lb/bpf/object/btf.js';

const BTF_MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
/** Kinds of BTF (Documentation/bpf/btf.rst §2.2) in the upper byte of `info`. */
const INT = 1 << 24;
const POINTER = 2 << 24;
const FUNCTION = 12 << 24;
const PROTOTYPE = 13 << 24;
const SIGNED = 1 << 24;

/** BTF id of the one function, which is static. */
export const STATIC_FUNCTION = 4;

/** Types of `static long f(void *)`: the kernel wants a type of each function of a program that has callbacks. */
export function functionTypes(): Btf {
  const text = new TextEncoder().encode('\0long\0f\0a\0');
  const [long, f, a] = [1, 6, 8];
  const words = [long, INT, 8, SIGNED | 64, 0, POINTER, 0, 0, PROTOTYPE | 1, 1, a, 2, f, FUNCTION, 3];
  const typeBytes = words.length * 4;
  const bytes = new Uint8Array(HEADER_BYTES + typeBytes + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, BTF_MAGIC, true);
  view.setUint8(2, 1);
  for (const [index, word] of [HEADER_BYTES, 0, typeBytes, typeBytes, text.length, ...words].entries()) {
    view.setUint32(4 + index * 4, word, true);
  }
  bytes.set(text, HEADER_BYTES + typeBytes);
  return parseBtf(bytes);
}
