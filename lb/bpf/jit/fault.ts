import { CodedError } from '../../errors.js';

type JitFault =
  /** The instruction is legal, and has no meaning in a program of the kind that is compiled here. */
  | { readonly code: 'JIT_UNSUPPORTED'; readonly slot: number; readonly what: string }
  | { readonly code: 'JIT_HELPER'; readonly slot: number; readonly helper: number }
  /** Blocks in blocks: V8 needs memory and time by the square of it. The interpreter can run the program. */
  | { readonly code: 'JIT_NESTING'; readonly slot: number; readonly max: number }
  | { readonly code: 'JIT_MAP'; readonly slot: number; readonly map: number; readonly maps: number };

/** A program that the compiler cannot translate. Only verified programs are compiled: nothing else is checked. */
export class JitError extends CodedError<JitFault> {}
