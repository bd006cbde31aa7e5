import { CodedError } from '../../errors.js';

export type InterpreterFault =
  | {
      readonly code: 'INTERPRETER_MEMORY';
      readonly slot: number;
      readonly address: bigint;
      readonly bytes: number;
    }
  | { readonly code: 'INTERPRETER_BUDGET'; readonly budget: number }
  | { readonly code: 'INTERPRETER_FRAMES'; readonly slot: number }
  | { readonly code: 'INTERPRETER_FUNCTION'; readonly slot: number; readonly address: bigint }
  | { readonly code: 'INTERPRETER_ALIGNMENT'; readonly slot: number; readonly address: bigint }
  | { readonly code: 'INTERPRETER_UNSUPPORTED'; readonly slot: number; readonly what: string };

/** The program did what no verified program does. */
export class InterpreterError extends CodedError<InterpreterFault> {}

export function unsupported(slot: number, what: string, why: string): InterpreterError {
  return new InterpreterError(
    { code: 'INTERPRETER_UNSUPPORTED', slot, what },
    `instruction ${slot}: ${what}: ${why}`,
  );
}
