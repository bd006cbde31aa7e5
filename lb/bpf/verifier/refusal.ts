import type { State } from './state.js';

/** Which rule a program breaks. */
export type VerifyCode =
  | 'VERIFY_ENCODING'
  | 'VERIFY_ARITHMETIC'
  | 'VERIFY_JUMP'
  | 'VERIFY_UNREACHABLE'
  | 'VERIFY_LOOP'
  | 'VERIFY_TOO_LARGE'
  | 'VERIFY_TOO_COMPLEX'
  | 'VERIFY_MAP_REFERENCE'
  | 'VERIFY_TYPES'
  | 'VERIFY_UNINITIALISED'
  | 'VERIFY_FRAME_POINTER'
  | 'VERIFY_LEAK'
  | 'VERIFY_POINTER_ARITHMETIC'
  | 'VERIFY_POINTER_OFFSET'
  | 'VERIFY_DEREFERENCE'
  | 'VERIFY_NULL'
  | 'VERIFY_NEGATIVE_INDEX'
  | 'VERIFY_UNBOUNDED'
  | 'VERIFY_MAP_BOUNDS'
  | 'VERIFY_PACKET_BOUNDS'
  | 'VERIFY_MEMORY_BOUNDS'
  | 'VERIFY_STACK_BOUNDS'
  | 'VERIFY_STACK_UNINITIALISED'
  | 'VERIFY_STACK_SPILL'
  | 'VERIFY_ALIGNMENT'
  | 'VERIFY_CONTEXT'
  | 'VERIFY_READ_ONLY'
  | 'VERIFY_ATOMIC'
  | 'VERIFY_PACKET_LOAD'
  | 'VERIFY_HELPER'
  | 'VERIFY_LICENCE'
  | 'VERIFY_ARGUMENT'
  | 'VERIFY_SIZE'
  | 'VERIFY_MAP_TYPE'
  | 'VERIFY_STRING'
  | 'VERIFY_REFERENCE'
  | 'VERIFY_LOCK'
  | 'VERIFY_DYNPTR'
  | 'VERIFY_CALLBACK'
  | 'VERIFY_CALL_DEPTH'
  | 'VERIFY_STACK_DEPTH'
  | 'VERIFY_TAIL_CALL'
  | 'VERIFY_RETURN';

export interface VerifyFault {
  readonly code: VerifyCode;
  /** The instruction, in slots; -1 where the program as a whole is meant. */
  readonly slot: number;
  /** The register in question, where there is one. */
  readonly register?: number;
}

/** How BPF_PROG_LOAD fails: EACCES for what is unsafe, EINVAL for what makes no sense, E2BIG and EFAULT for limits. */
export type VerifyErrno =
  | 'EACCES'
  | 'EINVAL'
  | 'E2BIG'
  | 'EFAULT'
  | 'EPERM'
  | 'ENOTSUPP'
  | 'EBADF'
  | 'ENOENT';

/** Why a program is refused; thrown inside the verifier only, who asks gets a result. */
export class Refusal extends Error {
  readonly code: VerifyCode;
  readonly errno: VerifyErrno;
  /** The kernel's lines. */
  readonly lines: readonly string[];
  readonly register: number | undefined;
  /** Set by who knows it. */
  slot = -1;
  /** States that the log shows behind the lines, with what stands in front of each. */
  states: readonly (readonly [string, State])[] = [];

  constructor(code: VerifyCode, errno: VerifyErrno, lines: readonly string[], register?: number) {
    super(lines.join(' | '));
    this.name = 'Refusal';
    this.code = code;
    this.errno = errno;
    this.lines = lines;
    this.register = register;
  }
}

export function refuse(code: VerifyCode, errno: VerifyErrno, line: string, register?: number): never {
  throw new Refusal(code, errno, [line], register);
}
