import { CodedError } from '../../lb/index.js';
import type { Change } from './changes.js';
import { targetOf } from './fields.js';
import { type HistoryEntry, stateAt } from './history.js';
import type { DesiredState } from './model.js';

export interface HistoryFault {
  readonly code: 'HISTORY_REVISION';
  readonly revision: number;
  readonly oldest: number;
  readonly newest: number;
}

/** A revision that cannot be gone back to. */
export class HistoryError extends CodedError<HistoryFault> {}

/**
 * The change that leads back to an earlier revision. Nothing is changed. Versions are new, and a drain begins anew.
 * @throws HistoryError HISTORY_REVISION
 */
export function rollbackTo(state: DesiredState, history: readonly HistoryEntry[], revision: number): Change {
  const wanted = stateAt(state, history, revision);
  if (wanted) return { kind: 'rollback', target: targetOf(wanted), prune: true };
  const oldest = (history[0]?.revision ?? state.revision + 1) - 1;
  const newest = state.revision;
  throw new HistoryError(
    { code: 'HISTORY_REVISION', revision, oldest, newest },
    `revision ${revision} is not in ${oldest}..${newest}, which history reaches`,
  );
}
