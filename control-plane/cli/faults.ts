/** Exit statuses of the command line. */
export const EXIT = {
  ok: 0,
  /** The server, or the system, refused; of `diff`: something differs. */
  refused: 1,
  /** The command line is wrong; of `diff`: any fault. */
  usage: 2,
  /** No server answers (EX_UNAVAILABLE of sysexits.h). */
  unreachable: 69,
} as const;

/** A fault that ends a command: one line for the user, and an exit status. */
export class CliError extends Error {
  readonly exitCode: number;
  /** What `waggle explain` knows it by; undefined where the message says all. */
  readonly reason: string | undefined;

  constructor(exitCode: number, message: string, reason?: string) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
    this.reason = reason;
  }
}

export const usageError = (message: string) => new CliError(EXIT.usage, message);

/** A message on one line, whatever it was. */
export const oneLine = (text: string) => text.trim().replace(/\s*\n\s*/g, ' ');

/** What `waggle explain` knows an error by: the code of a fault of ours. */
export function reasonOf(error: unknown): string | undefined {
  if (error instanceof CliError) return error.reason;
  // Not `instanceof CodedError`: the class comes with the whole datapath, which a help text has no need of.
  if (!(error instanceof Error && 'fault' in error && 'code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** The line that an error ends a command with. */
export function errorLine(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const reason = reasonOf(error);
  return `Error: ${oneLine(message)}${reason === undefined ? '' : ` [${reason}]`}`;
}
