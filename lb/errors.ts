/** A fault that a caller can name: a code of the form AREA_REASON and the numbers that failed. */
export interface Fault {
  readonly code: string;
}

/**
 * Base of every error that bad input or a failed system call raises.
 * `fault` is a union on `code`, so that a handler can switch on it; the message is for people.
 */
export class CodedError<F extends Fault = Fault> extends Error {
  readonly fault: F;

  constructor(fault: F, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = new.target.name;
    this.fault = fault;
  }

  get code(): F['code'] {
    return this.fault.code;
  }
}

/** The default branch of a `switch` over a union: a forgotten member does not compile. */
export function assertNever(value: never): never {
  throw new Error(`unreachable: ${JSON.stringify(value)}`);
}

/** An invariant of our own: its failure is a bug here, never bad input. */
export function assert(condition: boolean, what: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${what}`);
}
