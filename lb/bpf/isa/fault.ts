import { CodedError } from '../../errors.js';

export type IsaFault =
  | { readonly code: 'ISA_LENGTH'; readonly bytes: number }
  | { readonly code: 'ISA_OPCODE'; readonly slot: number; readonly opcode: number }
  | { readonly code: 'ISA_REGISTER'; readonly slot: number; readonly register: number }
  | { readonly code: 'ISA_RESERVED'; readonly slot: number; readonly field: string; readonly value: number }
  | { readonly code: 'ISA_TRUNCATED'; readonly slot: number }
  | { readonly code: 'ISA_CALL_REGISTER'; readonly slot: number; readonly register: number }
  | { readonly code: 'ISA_CALL_KERNEL'; readonly slot: number; readonly btfId: number }
  | { readonly code: 'ISA_RANGE'; readonly slot: number; readonly field: string; readonly value: number };

/**
 * A program that is not BPF: unknown opcode, a reserved field in use, a register that does not exist; one that calls
 * into the kernel; on the way back, a value that its field cannot hold (ISA_RANGE).
 */
export class IsaError extends CodedError<IsaFault> {}
