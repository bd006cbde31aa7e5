import type { TableImpact } from '../reconcile/impact.js';
import type { Change } from '../state/changes.js';
import { fieldError, StateError } from '../state/faults.js';
import { rollbackTo } from '../state/history-rollback.js';
import type { DesiredState } from '../state/model.js';
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

/** What became of a change of the whole. */
interface Made {
  readonly after: DesiredState;
  readonly changes: ReturnType<typeof changesToProto>;
  readonly impact: ReturnType<typeof impactToProto>;
}

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
  /** @param ask what to change, by the state that it changes: others may change it before its turn comes */
  const change = async (
    ask: () => Change,
    comment: string,
    validateOnly: boolean,
    caller: CallScope,
  ): Promise<Made> => {
    let before = store.state;
    let impact: readonly TableImpact[] = [];
    const draft = () => {
      before = store.state;
      const drafted = store.draft(ask(), caller.name, comment);
      impact = reconciler.impact(before, drafted);
      return drafted;
    };
    const after = await reconciler.change(draft, caller.changing(validateOnly));
    return { after, changes: changesToProto(before, after), impact: impactToProto(impact) };
  };
  const answer = ({ after, changes, impact }: Made, validateOnly: boolean): ApplySnapshotResponse => ({
    snapshot: snapshotToProto(after, validateOnly ? '' : store.etag),
    changes,
    impact,
  });

  return {
    GetSnapshot: unary(around, 'GetSnapshot', () => snapshotToProto(store.state, store.etag)),

    ApplySnapshot: unary(around, 'ApplySnapshot', async (request, _, caller) => {
      const { snapshot, prune, validateOnly, comment, requestId } = request;
      if (!snapshot) throw fieldError('snapshot', 'is required');
      checkComment(comment);
      const { etag } = snapshot;
      const target = snapshotFromProto(snapshot);
      const ask = (): Change => {
        if (etag === '' || etag === store.etag) return { kind: 'apply', target, prune };
        throw new StateError(
          { code: 'STATE_ETAG', name: 'the configuration', given: etag, current: store.etag },
          `the configuration has changed since it was read (etag "${etag}", now "${store.etag}"): read it again and retry`,
        );
      };
      let after: DesiredState | undefined;
      // What is only looked at is looked at again. What is remembered is small: who asks again for the rest is shown the
      // configuration as it is by then.
      const id = validateOnly ? '' : requestId;
      const made = await requests.once(caller, id, { ApplySnapshot: request }, async () => {
        const { after: state, ...said } = await change(ask, comment, validateOnly, caller);
        after = state;
        return said;
      });
      return answer({ ...made, after: after ?? store.state }, validateOnly);
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

    RollbackRevision: unary(
      around,
      'RollbackRevision',
      async ({ revision, validateOnly, comment }, _, caller) => {
        checkComment(comment);
        const ask = () => rollbackTo(store.state, store.history, Number(revision));
        const made = await change(ask, comment || `back to revision ${revision}`, validateOnly, caller);
        return answer(made, validateOnly);
      },
    ),
  };
}
