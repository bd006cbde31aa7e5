import { CodedError } from '../../lb/index.js';

/** What of a state directory was being done when the system refused. */
export type JournalOperation =
  | 'create'
  | 'list'
  | 'lock'
  | 'open'
  | 'read'
  | 'remove'
  | 'rename'
  | 'sync'
  | 'truncate'
  | 'write';

/** Why the desired state cannot be made durable, or cannot be read back. */
export type JournalFault =
  /** The system refused (ENOSPC, EIO, EACCES …): the change is not made. */
  | {
      readonly code: 'JOURNAL_IO';
      readonly operation: JournalOperation;
      readonly file: string;
      readonly errno: string;
    }
  /** Another process that lives has the directory. */
  | { readonly code: 'JOURNAL_LOCKED'; readonly directory: string; readonly pid: number }
  /** A file of a format that this version does not read. */
  | { readonly code: 'JOURNAL_FORMAT'; readonly file: string; readonly version: number }
  /** Nothing that the state could be built from is whole. */
  | { readonly code: 'JOURNAL_NO_STATE'; readonly directory: string }
  /** The store was closed. */
  | { readonly code: 'JOURNAL_CLOSED' };

/** The desired state could not be written or read. A change that raised it was not made. */
export class JournalError extends CodedError<JournalFault> {}

/** The code of a failed system call, as ENOSPC. */
export function errnoOf(error: unknown): string {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
    ? error.code
    : 'EUNKNOWN';
}

/** The fault of a failed system call; a JournalError stays what it is. */
export function ioError(operation: JournalOperation, file: string, cause: unknown): JournalError {
  if (cause instanceof JournalError) return cause;
  const errno = errnoOf(cause);
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new JournalError(
    { code: 'JOURNAL_IO', operation, file, errno },
    `state: ${operation} of ${file}: ${reason}`,
    { cause },
  );
}
