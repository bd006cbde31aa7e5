import { CodedError } from '../../lb/index.js';

/** Why a watch cannot go on where its client left off. */
export type WatchFault =
  | {
      readonly code: 'WATCH_REVISION';
      readonly revision: number;
      /** The revisions that a watch can go on from. */
      readonly oldest: number;
      readonly newest: number;
    }
  | { readonly code: 'WATCH_SEQUENCE'; readonly sequence: number; readonly newest: number };

/** A watch that its client must begin anew. */
export class WatchError extends CodedError<WatchFault> {}

/** @returns the error of a revision that history does not reach */
export function revisionForgotten(revision: number, oldest: number, newest: number): WatchError {
  return new WatchError(
    { code: 'WATCH_REVISION', revision, oldest, newest },
    `resume_revision: ${revision} is not within ${oldest} to ${newest}, the revisions that are remembered: watch without it`,
  );
}

/** @returns the error of an event that never was: it was of another run of the process */
export function sequenceUnknown(sequence: number, newest: number): WatchError {
  return new WatchError(
    { code: 'WATCH_SEQUENCE', sequence, newest },
    `after_sequence: ${sequence} is after the newest event, ${newest}: the server was started anew; watch without it`,
  );
}
