import type { Of } from '../isa/instruction.js';
import type { FunctionCode } from './lower.js';

/** Every other byte, and every other pair of bytes, of 64 bits. */
const BYTES = 0x00ff00ff00ff00ffn;
const PAIRS = 0x0000ffff0000ffffn;

/** Byte order (RFC 9669 §4.2). The arena is little endian, as wasm is: `le` only cuts. */
export function lowerSwap(code: FunctionCode, { op, bits, dst }: Of<'swap'>): void {
  const { w } = code;
  if (op === 'le') {
    if (bits === 64) return;
    code.pushRegister(dst);
    w.i64(bits === 16 ? 0xffffn : 0xffffffffn).op('i64.and');
    code.setRegister(dst);
    return;
  }
  if (bits === 64) {
    code.pushRegister(dst);
    if (code.module.without.has('byte-swaps')) shiftBytes(code);
    else rotateBytes(code);
    code.setRegister(dst);
    return;
  }
  const value = code.scratch('i32', 'swap');
  code.pushRegister32(dst);
  w.set(value);
  if (bits === 16) {
    w.get(value).i32(8).op('i32.shr_u').i32(0xff).op('i32.and');
    w.get(value).i32(0xff).op('i32.and').i32(8).op('i32.shl', 'i32.or');
  } else {
    w.get(value).i32(8).op('i32.rotl').i32(0x00ff00ff).op('i32.and');
    w.get(value).i32(24).op('i32.rotl').i32(0xff00ff00).op('i32.and', 'i32.or');
  }
  code.setRegister32(dst);
}

/** Turns the i64 on the stack round: bytes change places with their neighbours, pairs of them, and halves. */
function shiftBytes(code: FunctionCode): void {
  const { w } = code;
  const value = code.scratch('i64', 'swap');
  for (const [mask, shift] of [
    [BYTES, 8n],
    [PAIRS, 16n],
  ] as const) {
    w.set(value);
    w.get(value).i64(mask).op('i64.and').i64(shift).op('i64.shl');
    w.get(value).i64(shift).op('i64.shr_u').i64(mask).op('i64.and', 'i64.or');
  }
  w.i64(32n).op('i64.rotl');
}

/**
 * The same with one instruction less, and two less one after another: pairs turn to where they belong in the other
 * half.
 */
function rotateBytes(code: FunctionCode): void {
  const { w } = code;
  const value = code.scratch('i64', 'swap');
  for (const [mask, left, right] of [
    [BYTES, 8n, 56n],
    [PAIRS, 48n, 16n],
  ] as const) {
    w.set(value);
    w.get(value).i64(mask).op('i64.and').i64(left).op('i64.rotl');
    w.get(value).i64(right).op('i64.rotl').i64(mask).op('i64.and', 'i64.or');
  }
}
