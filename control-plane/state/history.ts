import { z } from 'zod';
import { applyDelta, type Delta, deltaCodec, deltaJson, inverseOf } from './journal-delta.js';
import { type DesiredState, NODE_NAME } from './model.js';

/** Revisions that are remembered. */
export const HISTORY_LENGTH = 100;
/** Resources, as they were before, that all of them together keep in memory: some 50 MB. */
export const HISTORY_RESOURCES = 100_000;

/** Who changed the configuration, and how. */
export interface Authorship {
  /** Who asked for it; `local` for the process itself. */
  readonly actor: string;
  /** Kind of the change, as `create-vip`; those of a group between commas. */
  readonly action: string;
  /** Why, in the words of who asked; '' where nothing was said. */
  readonly comment: string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
}

/** What became of a resource; what has no names of its own is called as its list: `serverIds`. */
export interface Changed {
  readonly name: string;
  readonly how: 'created' | 'updated' | 'deleted';
}

/** A revision, and what led to it. */
export interface HistoryEntry extends Authorship {
  readonly revision: number;
  readonly changed: readonly Changed[];
  /** Leads back to the revision before. */
  readonly undo: Delta;
}

const LISTS = ['node', 'serverIds', 'sourceRoutes', 'globalFlows'] as const;
const KINDS = ['vips', 'pools', 'backends', 'healthChecks'] as const;

function changedBy(before: DesiredState, delta: Delta): Changed[] {
  const { rest } = delta;
  const lists = LISTS.filter((list) => rest !== undefined && before[list] !== rest[list]).map(
    (list): Changed => ({ name: list === 'node' ? NODE_NAME : list, how: 'updated' }),
  );
  const named = KINDS.flatMap((kind) => {
    const { removed, set } = delta[kind];
    const was: ReadonlyMap<string, object> = before[kind];
    const names = new Set(set.map(({ name }) => name));
    return [
      ...removed.filter((name) => !names.has(name)).map((name): Changed => ({ name, how: 'deleted' })),
      ...set
        .filter((resource) => was.get(resource.name) !== resource)
        .map(({ name }): Changed => ({ name, how: was.has(name) ? 'updated' : 'created' })),
    ];
  });
  return [...named, ...lists];
}

/** The entry of a revision. @param delta what leads to it */
export function historyEntry(
  before: DesiredState,
  revision: number,
  { actor, action, comment, timeMs }: Authorship,
  delta: Delta,
): HistoryEntry {
  return {
    revision,
    actor,
    action,
    comment,
    timeMs,
    changed: changedBy(before, delta),
    undo: inverseOf(before, delta),
  };
}

/**
 * A history with one entry more, without those that are too old. The last one is kept, however much it changed; others as
 * far as they are HISTORY_LENGTH with HISTORY_RESOURCES changed resources at most.
 */
export function withEntryOf(history: readonly HistoryEntry[], entry: HistoryEntry): readonly HistoryEntry[] {
  const kept = [...history.slice(1 - HISTORY_LENGTH), entry];
  let resources = entry.changed.length;
  let first = kept.length - 1;
  while (first > 0) {
    resources += kept[first - 1]!.changed.length;
    if (resources > HISTORY_RESOURCES) break;
    first--;
  }
  return kept.slice(first);
}

/**
 * The state of a revision that history reaches, the present one included; undefined for one that it does not reach.
 * Resources are as they were; their order is not.
 */
export function stateAt(
  state: DesiredState,
  history: readonly HistoryEntry[],
  revision: number,
): DesiredState | undefined {
  const undone = history.filter((entry) => entry.revision > revision).reverse();
  const first = history[0]?.revision ?? state.revision + 1;
  if (!Number.isInteger(revision) || revision > state.revision || revision < first - 1) return undefined;
  return undone.reduce((later, entry) => applyDelta(later, entry.undo, entry.revision - 1), state);
}

const whole = z.int().nonnegative();

export const historyCodec = z.array(
  z
    .object({
      revision: whole,
      actor: z.string(),
      action: z.string(),
      comment: z.string(),
      timeMs: z.number(),
      changed: z.array(z.object({ name: z.string(), how: z.enum(['created', 'updated', 'deleted']) })),
      undo: deltaCodec,
    })
    .transform((entry): HistoryEntry => entry),
);

export const historyJson = (history: readonly HistoryEntry[]): z.input<typeof historyCodec> =>
  history.map(({ changed, undo, ...entry }) => ({
    ...entry,
    changed: [...changed],
    undo: deltaJson(undo),
  }));
