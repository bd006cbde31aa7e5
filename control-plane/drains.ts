import type { BalancerTables } from '../lb/index.js';
import type { Log, Reconciler } from './reconcile/reconciler.js';
import { changedNames } from './state/lineage.js';
import type { Backend, DesiredState } from './state/model.js';
import type { Commit } from './state/store.js';
import type { EventLog } from './watch/event-log.js';

/** Who ends a drain, in the history. */
const ACTOR = 'drain';
/** How often the flows of drains that nobody waits for are looked at, ms. */
const LOOK_MS = 1_000;
/** Longest that a timer can be set to, ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

export interface DrainsOptions {
  readonly reconciler: Reconciler;
  readonly tables: Pick<BalancerTables, 'forgetFlows'>;
  readonly events: EventLog;
  readonly log: Log;
  /** Wall clock, milliseconds since 1970. */
  readonly nowMs: () => number;
}

/**
 * Ends drains: at its deadline a backend is disabled, or removed where it was to leave; one that leaves is removed as soon as no
 * flow is left. Flows of a backend that is disabled are forgotten, so that others take them.
 */
export class Drains {
  readonly #options: DrainsOptions;
  /** Backends that have been told to have no flow left. */
  readonly #empty = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe: (() => void) | undefined;
  #isEnding = false;

  constructor(options: DrainsOptions) {
    this.#options = options;
  }

  /** Look after drains until `stop`; those that ended meanwhile end now. */
  start(): void {
    this.#unsubscribe ??= this.#options.reconciler.store.onCommit((commit) => this.#committed(commit));
    this.#plan(0);
  }

  /** Idempotent. */
  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    clearTimeout(this.#timer);
  }

  #committed({ before, after }: Commit): void {
    if (before.backends === after.backends) return;
    const changed = [...changedNames(before.backends, after.backends)].flatMap(
      (name) => after.backends.get(name) ?? [],
    );
    const disabled = changed.filter((backend) => {
      return backend.isDown && before.backends.get(backend.name)?.isDown === false;
    });
    if (disabled.length > 0) this.#forget(after, disabled);
    for (const name of this.#empty) {
      if (after.backends.get(name)?.drainStartMs === undefined) this.#empty.delete(name);
    }
    if (changed.some(({ drainStartMs }) => drainStartMs !== undefined)) this.#plan(0);
  }

  /** Flows go by address: one that another backend still serves keeps them. */
  #forget(state: DesiredState, disabled: readonly Backend[]): void {
    const { reconciler, tables, log } = this.#options;
    const inUse = new Set(
      [...state.backends.values()].filter(({ isDown }) => !isDown).map(({ addressKey }) => addressKey),
    );
    const gone = disabled.filter(({ addressKey }) => !inUse.has(addressKey));
    const rows = gone.flatMap((backend) => reconciler.realIndex(backend) ?? []);
    if (rows.length === 0) return;
    const flows = tables.forgetFlows(new Set(rows));
    log('info', 'flows of disabled backends go to others', { backends: gone.map(({ name }) => name), flows });
  }

  /** Look again after a while, or when the next deadline passes. */
  #plan(delayMs: number): void {
    clearTimeout(this.#timer);
    // A look that was under way when it was stopped is the last.
    if (this.#unsubscribe === undefined) return;
    this.#timer = setTimeout(
      () => {
        this.#look().catch((error: unknown) => {
          this.#options.log('error', 'drains could not be looked at', { error });
          this.#plan(LOOK_MS);
        });
      },
      Math.min(delayMs, MAX_TIMER_MS),
    );
    this.#timer.unref();
  }

  async #look(): Promise<void> {
    const { reconciler, nowMs } = this.#options;
    if (this.#isEnding) return;
    const draining = [...reconciler.store.state.backends.values()].filter(
      ({ drainStartMs }) => drainStartMs !== undefined,
    );
    if (draining.length === 0) return;
    this.#isEnding = true;
    try {
      const flows = reconciler.flows.recent();
      let freshFlows: typeof flows | undefined;
      for (const backend of draining) {
        const index = reconciler.realIndex(backend);
        const isEmpty = index === undefined || (flows.get(index) ?? 0) === 0;
        if (isEmpty) this.#emptied(backend);
        const isOver = backend.drainDeadlineMs !== undefined && backend.drainDeadlineMs <= nowMs();
        let isGone = isEmpty && backend.leaves;
        if (isGone && index !== undefined) {
          // A count may be a little old: who is removed must have nothing now. None comes anew: it is out of its ring.
          freshFlows ??= reconciler.flows.fresh();
          isGone = (freshFlows.get(index) ?? 0) === 0;
        }
        if (isOver || isGone) await this.#end(backend);
      }
    } finally {
      this.#isEnding = false;
    }
    const deadlines = draining.flatMap(({ drainDeadlineMs }) => drainDeadlineMs ?? []);
    const untilMs = Math.min(...deadlines.map((deadline) => deadline - nowMs()));
    this.#plan(Math.min(LOOK_MS, Math.max(0, untilMs)));
  }

  #emptied({ name }: Backend): void {
    if (this.#empty.has(name)) return;
    this.#empty.add(name);
    this.#options.events.emit({
      type: 'backend.drained',
      resource: name,
      message: `${name} has no connection left that the tables know`,
    });
  }

  async #end({ name, leaves, etag }: Backend): Promise<void> {
    const { reconciler, events, log } = this.#options;
    try {
      const kind = leaves ? 'delete-backend' : 'disable-backend';
      await reconciler.change({ kind, name, etag }, { actor: ACTOR });
      const message = leaves
        ? `${name} was drained and is removed`
        : `the time of ${name}'s drain is over: it is disabled`;
      events.emit({ type: 'backend.drain_ended', resource: name, message });
    } catch (error) {
      // Somebody else changed it meanwhile, or the disk is full: it is looked at again.
      log('warn', 'a drain could not be ended yet', { backend: name, error });
    }
  }
}
