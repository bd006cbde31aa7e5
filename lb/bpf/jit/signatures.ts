import type { Signature } from './wasm-code.js';

/** A BPF function that another calls: r1 to r5, and the lowest address of its frame. */
export const LOCAL_CALL: Signature = {
  params: ['i64', 'i64', 'i64', 'i64', 'i64', 'i32'],
  results: ['i64'],
};
/** LOCAL_CALL, and the address of the function to call. */
export const DISPATCH: Signature = { params: [...LOCAL_CALL.params, 'i32'], results: ['i64'] };
/** A program, as tail calls enter it: r1, r2, and the lowest address of its first frame. */
export const MAIN: Signature = { params: ['i64', 'i64', 'i32'], results: ['i64'] };
/** A program on its first frame: the context's address → the verdict. */
export const RUN: Signature = { params: ['i32'], results: ['i32'] };
/** A program on its first frame: r1, r2 → r0. */
export const CALL: Signature = { params: ['i64', 'i64'], results: ['i64'] };
