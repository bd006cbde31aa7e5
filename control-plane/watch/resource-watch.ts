import { stateAt } from '../state/history.js';
import type { DesiredState, Version } from '../state/model.js';
import type { Commit, Store } from '../state/store.js';
import { revisionForgotten } from './faults.js';

/** A resource that can be watched. */
export type Watchable = Version & { readonly name: string };

/** What became of a resource, as a watcher is told. */
export interface WatchItem<View> {
  readonly type: 'added' | 'modified' | 'deleted';
  /** The resource as it is, or as it was last. */
  readonly view: View;
  /** Revision that made it so. */
  readonly revision: number;
}

export interface ResourceWatchOptions<T extends Watchable, View> {
  /** The resources of a state, those of interest, by name. */
  readonly resourcesOf: (state: DesiredState) => ReadonlyMap<string, T>;
  /** What is told of a resource. */
  readonly viewOf: (resource: T, state: DesiredState) => View;
  /** False for a resource that the watcher does not ask for; its view is made when it is asked for. */
  readonly isWanted: (resource: T, view: () => View) => boolean;
}

/** What has happened to a resource since the watcher was last told of it. */
interface Pending<T> {
  readonly revision: number;
  /** It was deleted meanwhile; what is there now, if anything, is another one of its name. */
  readonly gone: T | undefined;
}

/**
 * What one watcher has to be told. It is asked for item by item, whenever the watcher can take one: what changes several times
 * before is told once, as it is then. That something was deleted is always told.
 */
export class ResourceWatch<T extends Watchable, View> {
  readonly #options: ResourceWatchOptions<T, View>;
  /** What the watcher believes to be there. */
  readonly #seen = new Map<string, T>();
  /** In the order of the revisions that changed them last. */
  readonly #pending = new Map<string, Pending<T>>();

  constructor(options: ResourceWatchOptions<T, View>) {
    this.#options = options;
  }

  /** Tell everything that is there, in the order of names. */
  begin(state: DesiredState): void {
    const { revision } = state;
    const names = [...this.#options.resourcesOf(state).keys()].sort();
    for (const name of names) this.#pending.set(name, { revision, gone: undefined });
  }

  /**
   * Go on after a revision whose state the watcher was told.
   * @throws WatchError WATCH_REVISION for one that history does not reach
   */
  resume({ state, history }: Pick<Store, 'state' | 'history'>, revision: number): void {
    const before = stateAt(state, history, revision);
    if (before === undefined) {
      const oldest = (history[0]?.revision ?? state.revision + 1) - 1;
      throw revisionForgotten(revision, oldest, state.revision);
    }
    for (const [name, resource] of this.#options.resourcesOf(before)) {
      if (this.#wantedView(resource, before) !== undefined) this.#seen.set(name, resource);
    }
    // What was in between is of no interest: the watcher knows the state before, and asks for the one after.
    for (const entry of history) if (entry.revision > revision) this.note({ before, after: state, entry });
  }

  /** A revision has become the present one. */
  note({ before, after, entry }: Pick<Commit, 'before' | 'after' | 'entry'>): void {
    const [old, fresh] = [this.#options.resourcesOf(before), this.#options.resourcesOf(after)];
    for (const { name } of entry.changed) {
      const [was, is] = [old.get(name), fresh.get(name)];
      if (was === undefined && is === undefined) continue;
      // One that is made anew in the same revision keeps its name and nothing else.
      const isAnother = was !== undefined && was.createTimeMs !== is?.createTimeMs;
      const gone = this.#pending.get(name)?.gone ?? (isAnother ? was : undefined);
      this.#put(name, { revision: entry.revision, gone });
    }
  }

  /** What is observed of these resources has changed. */
  noteStatus(names: Iterable<string>, { revision }: DesiredState): void {
    for (const name of names) {
      if (!this.#pending.has(name)) this.#put(name, { revision, gone: undefined });
    }
  }

  /** What to tell next; undefined: the watcher knows everything. */
  take(state: DesiredState): WatchItem<View> | undefined {
    const { resourcesOf, viewOf } = this.#options;
    for (const [name, { revision, gone }] of this.#pending) {
      const seen = this.#seen.get(name);
      if (gone !== undefined && seen !== undefined) {
        this.#seen.delete(name);
        this.#pending.set(name, { revision, gone: undefined });
        return { type: 'deleted', view: viewOf(gone, state), revision };
      }
      this.#pending.delete(name);
      const resource = resourcesOf(state).get(name);
      const view = resource && this.#wantedView(resource, state);
      if (resource !== undefined && view !== undefined) {
        this.#seen.set(name, resource);
        return { type: seen === undefined ? 'added' : 'modified', view, revision };
      }
      if (seen === undefined) continue;
      this.#seen.delete(name);
      return { type: 'deleted', view: viewOf(seen, state), revision };
    }
    return undefined;
  }

  /** What is told of a resource; undefined where it is not asked for. */
  #wantedView(resource: T, state: DesiredState): View | undefined {
    const { viewOf, isWanted } = this.#options;
    let made: View | undefined;
    const view = () => {
      made ??= viewOf(resource, state);
      return made;
    };
    return isWanted(resource, view) ? view() : undefined;
  }

  #put(name: string, pending: Pending<T>): void {
    // At the end: a map keeps the order in which keys came.
    this.#pending.delete(name);
    this.#pending.set(name, pending);
  }
}
