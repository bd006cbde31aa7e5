import { z } from 'zod';
import { applyDelta, type Delta, deltaBetween, deltaCodec, deltaJson } from './journal-delta.js';
import type { DesiredState } from './model.js';

/** Revisions that are remembered. */
export const HISTORY_LENGTH = 100;

/** Who changed the configuration, and how. */
export interface Authorship {
  /** Who asked for it; `local` for the process itself. */
  readonly actor: string;
  /** Kind of the change, as `create-vip`; those of a group between commas. */
  readonly action: string;
  /** Milliseconds since 1970. */
  readonly timeMs: number;
}

/** What became of a resource. */
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

const KINDS = ['vips', 'pools', 'backends'] as const;

function changedBetween(
  before: DesiredState,
  after: DesiredState,
  { vips, pools, backends }: Delta,
): Changed[] {
  const deltas = { vips, pools, backends };
  return KINDS.flatMap((kind) => {
    const { removed, set } = deltas[kind];
    return [
      ...removed.filter((name) => !after[kind].has(name)).map((name): Changed => ({ name, how: 'deleted' })),
      ...set.map(({ name }): Changed => ({ name, how: before[kind].has(name) ? 'updated' : 'created' })),
    ];
  });
}

/** The entry of a change from a state to another. */
export function historyEntry(
  before: DesiredState,
  after: DesiredState,
  { actor, action, timeMs }: Authorship,
): HistoryEntry {
  return {
    revision: after.revision,
    actor,
    action,
    timeMs,
    changed: changedBetween(before, after, deltaBetween(before, after, 'any')),
    undo: deltaBetween(after, before, 'any'),
  };
}

/** A history with one entry more, without those that are too old. */
export function withEntryOf(history: readonly HistoryEntry[], entry: HistoryEntry): readonly HistoryEntry[] {
  return [...history, entry].slice(-HISTORY_LENGTH);
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
