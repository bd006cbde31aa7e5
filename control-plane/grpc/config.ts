import type { Change } from '../state/changes.js';
import { fieldError, StateError } from '../state/faults.js';
import { rollbackTo } from '../state/history-rollback.js';
import type { CallScope } from './call-scope.js';
import type { ApiContext } from './context.js';
import { changesToProto, impactToProto, revisionToProto } from './convert-changes.js';
import { snapshotFromProto, snapshotToProto } from './convert-snapshot.js';
import type { ApplySnapshotResponse } from './generated/waggle/v1/ApplySnapshotResponse.js';
import type { ConfigServiceHandlers } from './generated/waggle/v1/ConfigService.js';
import type { HandlersWithout } from './handlers.js';
import { pageOf } from './page.js';
import type { RequestIds } from './request-ids.js';
import { type Surroundings, unary } from './unary.js';

const MAX_COMMENT = 255;
/** Digits of a revision in its key: keys sort as the numbers do. */
const REVISION_DIGITS = 16;

/** @throws StateError STATE_FIELDS */
function checkComment(comment: string): void {
  if (comment.length > MAX_COMMENT)
    throw fieldError('comment', `${comment.length} characters are more than ${MAX_COMMENT}`);
  if (/\p{Cc}/u.test(comment)) throw fieldError('comment', 'contains a control character');
}

/** waggle.v1.ConfigService, but for its stream. */
export function configHandlers(
  context: ApiContext,
  around: Surroundings,
  requests: RequestIds,
): HandlersWithout<ConfigServiceHandlers, 'WatchSnapshot'> {
  const { reconciler } = context;
  const { store } = reconciler;
  const change = async (
    asked: Change,
    comment: string,
    validateOnly: boolean,
    caller: CallScope,
  ): Promise<ApplySnapshotResponse> => {
    const before = store.state;
    // Of the draft that is applied, not of one that is there by then.
    const impact = impactToProto(reconciler.impact(before, store.draft(asked)));
    const after = await reconciler.change(asked, { ...caller.changing(validateOnly), comment });
    return {
      snapshot: snapshotToProto(after, validateOnly ? '' : store.etag),
      changes: changesToProto(before, after),
      impact,
    };
  };

  return {
    GetSnapshot: unary(around, 'GetSnapshot', () => snapshotToProto(store.state, store.etag)),

    ApplySnapshot: unary(around, 'ApplySnapshot', (request, _, caller) => {
      const { snapshot, prune, validateOnly, comment, requestId } = request;
      if (!snapshot) throw fieldError('snapshot', 'is required');
      checkComment(comment);
      const { etag } = snapshot;
      if (etag !== '' && etag !== store.etag) {
        throw new StateError(
          { code: 'STATE_ETAG', name: 'the configuration', given: etag, current: store.etag },
          `the configuration has changed since it was read (etag "${etag}", now "${store.etag}"): read it again and retry`,
        );
      }
      const asked: Change = { kind: 'apply', target: snapshotFromProto(snapshot), prune };
      return requests.once(caller.name, requestId, { ApplySnapshot: request }, () =>
        change(asked, comment, validateOnly, caller),
      );
    }),

    ListRevisions: unary(around, 'ListRevisions', ({ pageSize: size, pageToken: token }) => {
      const last = Number.MAX_SAFE_INTEGER;
      const entries = store.history.map((entry) => ({
        // Newest first.
        name: String(last - entry.revision).padStart(REVISION_DIGITS, '0'),
        entry,
      }));
      const { items, nextPageToken } = pageOf(entries, { scope: 'revisions', size, token });
      return { revisions: items.map(({ entry }) => revisionToProto(entry)), nextPageToken };
    }),

    RollbackRevision: unary(around, 'RollbackRevision', ({ revision, validateOnly, comment }, _, caller) => {
      checkComment(comment);
      const asked = rollbackTo(store.state, store.history, Number(revision));
      return change(asked, comment || `back to revision ${revision}`, validateOnly, caller);
    }),
  };
}
