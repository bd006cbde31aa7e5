/** Exit statuses of the command line. */
export const EXIT = {
  ok: 0,
  /** The server, or the system, refused. */
  refused: 1,
  /** The command line is wrong. */
  usage: 2,
  /** No server answers. */
  unreachable: 3,
} as const;

/** A fault that ends a command: one line for the user, and an exit status. */
export class CliError extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.name = 'CliError';
    this.exitCode = exitCode;
  }
}

export const usageError = (message: string) => new CliError(EXIT.usage, message);

/** A message on one line, whatever it was. */
export const oneLine = (text: string) => text.trim().replace(/\s*\n\s*/g, ' ');
