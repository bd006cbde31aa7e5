import type { Commit, Store } from '../state/store.js';
import type { EventLog, NewEvent } from './event-log.js';

/** Names of resources in the text of an event, at most. */
const NAMED = 10;
/** Names of resources by which an event is found, at most. */
const FOUND_BY = 1_000;

const HOW = ['created', 'updated', 'deleted'] as const;

/** The event of a revision. */
export function configEvent({ entry, after }: Commit): NewEvent {
  const { actor, action, changed } = entry;
  const counts = HOW.map((how) => [how, changed.filter((one) => one.how === how).length] as const);
  const names = changed.map(({ name }) => name);
  const listed = names.slice(0, NAMED).join(', ');
  const more = names.length > NAMED ? ` and ${names.length - NAMED} more` : '';
  return {
    type: 'config.changed',
    resource: names.length === 1 ? (names[0] ?? '') : '',
    also: names.slice(0, FOUND_BY),
    message: `revision ${after.revision} by ${actor}, ${action}${names.length === 0 ? '' : `: ${listed}${more}`}`,
    actor,
    attributes: {
      revision: String(after.revision),
      action,
      ...Object.fromEntries(
        counts.filter(([, count]) => count > 0).map(([how, count]) => [how, String(count)]),
      ),
    },
  };
}

/** Note every revision. @returns ends it */
export function noteConfig(store: Pick<Store, 'onCommit'>, events: EventLog): () => void {
  return store.onCommit((commit) => {
    events.emit(configEvent(commit));
  });
}
