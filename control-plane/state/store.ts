import { applyChange, type Change } from './changes.js';
import { type Authorship, type HistoryEntry, historyEntry, withEntryOf } from './history.js';
import { type Delta, deltaBetween } from './journal-delta.js';
import { JournalDirectory } from './journal-directory.js';
import { directoryFiles, type StateFiles } from './journal-files.js';
import { DirectoryLock } from './journal-lock.js';
import type { RecoveryNote } from './journal-recover.js';
import { DEFAULT_LIMITS, type StateLimits } from './limits.js';
import { type DesiredState, EMPTY_STATE } from './model.js';

export interface StoreOptions {
  /** Wall clock, milliseconds since 1970. */
  readonly nowMs: () => number;
  /** Unlike that of any other run: etags of an earlier run must not match those of other versions. */
  readonly epoch: string;
  /** How much can be declared; unless given, what the program as it is built has room for. */
  readonly limits?: StateLimits;
}

export interface DurableOptions extends StoreOptions {
  /** Size in bytes from which the journal is replaced by a snapshot. */
  readonly journalLimitBytes?: number;
}

/** What was found in the directory that a store was opened on. */
export interface RecoveryReport {
  readonly revision: number;
  /** Changes that were replayed from journals. */
  readonly replayed: number;
  readonly notes: readonly RecoveryNote[];
}

/** A revision that has become the present one. */
export interface Commit {
  readonly before: DesiredState;
  readonly after: DesiredState;
  readonly entry: HistoryEntry;
}
export type CommitListener = (commit: Commit) => void;

/** Who changes the configuration where nobody is named: the process itself. */
export const LOCAL_ACTOR = 'local';

interface Durable {
  readonly directory: JournalDirectory;
  readonly release: () => Promise<void>;
}

/**
 * The sole owner of the desired state. A change is drafted (checked, and nothing else), recorded (on the disk, where there
 * is one), made true in the datapath by whoever drafted it, and then committed: readers see only states that were made true.
 * One that could not be made true is retracted.
 */
export class Store {
  readonly #nowMs: () => number;
  readonly #epoch: string;
  readonly #limits: StateLimits;
  readonly #durable: Durable | undefined;
  readonly #drafts = new WeakMap<DesiredState, Authorship>();
  #recorded: { readonly draft: DesiredState; readonly delta: Delta } | undefined;
  #state: DesiredState = EMPTY_STATE;
  #history: readonly HistoryEntry[] = [];
  readonly #listeners = new Set<CommitListener>();

  /** A store in memory, empty. */
  constructor({ nowMs, epoch, limits = DEFAULT_LIMITS }: StoreOptions, durable?: Durable) {
    this.#limits = limits;
    this.#nowMs = nowMs;
    this.#epoch = epoch;
    this.#durable = durable;
    if (durable) {
      this.#state = durable.directory.recovered.state;
      this.#history = durable.directory.recovered.history;
    }
  }

  /**
   * A store in a directory, with what was acknowledged before; the directory is made when it is not there.
   * @throws JournalError; the directory is not held then
   */
  static async open(directory: string, options: DurableOptions): Promise<Store> {
    const files = await directoryFiles(directory);
    const lock = await DirectoryLock.take(directory);
    try {
      return await Store.over(files, options, () => lock.release());
    } catch (error) {
      await lock.release();
      throw error;
    }
  }

  /**
   * A store in files that nobody else writes.
   * @throws JournalError
   */
  static async over(
    files: StateFiles,
    options: DurableOptions,
    release: () => Promise<void> = async () => undefined,
  ): Promise<Store> {
    const directory = await JournalDirectory.open(files, options);
    return new Store(options, { directory, release });
  }

  /** Version of the whole configuration. */
  get etag(): string {
    return `${this.#epoch}-${this.#state.revision}`;
  }

  get state(): DesiredState {
    return this.#state;
  }

  /** What led to the present state, oldest first; as far as it is remembered. */
  get history(): readonly HistoryEntry[] {
    return this.#history;
  }

  /** What is on the disk; undefined for a store in memory. */
  get sizes(): JournalDirectory['sizes'] | undefined {
    return this.#durable?.directory.sizes;
  }

  /** What was found at the start; undefined for a store in memory. */
  get recovery(): RecoveryReport | undefined {
    if (!this.#durable) return undefined;
    const { state, replayed, notes } = this.#durable.directory.recovered;
    return { revision: state.revision, replayed, notes };
  }

  /**
   * The state that a change would lead to, under the next revision; the present state when it changes nothing.
   * @param actor   who asks for it
   * @param comment why, for the history
   * @throws StateError
   */
  draft(change: Change, actor: string = LOCAL_ACTOR, comment = ''): DesiredState {
    return this.draftAll([change], actor, comment);
  }

  /**
   * The state that changes one after the other would lead to, as one revision: all of them or none.
   * @throws StateError of the first that cannot be made
   */
  draftAll(changes: readonly Change[], actor: string = LOCAL_ACTOR, comment = ''): DesiredState {
    const revision = this.#state.revision + 1;
    const timeMs = this.#nowMs();
    const stamp = { revision, timeMs, etag: `${this.#epoch}-${revision}` };
    const draft = changes.reduce(
      (state, change) => applyChange(state, change, stamp, this.#limits),
      this.#state,
    );
    const action = [...new Set(changes.map(({ kind }) => kind))].join();
    if (draft !== this.#state) this.#drafts.set(draft, { actor, action, comment, timeMs });
    return draft;
  }

  /**
   * Write a draft to the disk: when the promise resolves it outlives the process. In memory nothing is done.
   * @throws JournalError; the draft is void then, and the store takes others as soon as it can write
   */
  async record(draft: DesiredState): Promise<void> {
    const authorship = this.#authorshipOf(draft);
    const delta = deltaBetween(this.#state, draft);
    if (this.#durable) {
      const kept = { state: this.#state, history: this.#history };
      await this.#durable.directory.append(kept, { revision: draft.revision, ...authorship, delta });
    }
    this.#recorded = { draft, delta };
  }

  /**
   * Make a recorded draft void: it could not be made true.
   * @throws JournalError; the draft may come back at the next start then, unless another change is made before
   */
  async retract(draft: DesiredState): Promise<void> {
    if (this.#recorded?.draft !== draft) throw new Error(`revision ${draft.revision} was not recorded`);
    this.#recorded = undefined;
    await this.#durable?.directory.retract();
  }

  /** Make a draft the present state. Drafts are recorded and committed in order, one at a time. */
  commit(draft: DesiredState): void {
    const authorship = this.#authorshipOf(draft);
    const recorded = this.#recorded?.draft === draft ? this.#recorded : undefined;
    if (this.#durable && recorded === undefined) {
      throw new Error(`revision ${draft.revision} was not recorded`);
    }
    this.#recorded = undefined;
    const before = this.#state;
    const delta = recorded?.delta ?? deltaBetween(before, draft);
    const entry = historyEntry(before, draft.revision, authorship, delta);
    this.#history = withEntryOf(this.#history, entry);
    this.#state = draft;
    for (const listener of this.#listeners) listener({ before, after: draft, entry });
  }

  /**
   * Be told of each revision when it has become the present one. Listeners do not throw.
   * @returns takes the listener back
   */
  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Close the files and give the directory back. Idempotent; a change afterwards is refused. */
  async close(): Promise<void> {
    await this.#durable?.directory.close();
    await this.#durable?.release();
  }

  #authorshipOf(draft: DesiredState): Authorship {
    const authorship = this.#drafts.get(draft);
    if (authorship === undefined || draft.revision !== this.#state.revision + 1) {
      throw new Error(`draft of revision ${draft.revision} on top of ${this.#state.revision}`);
    }
    return authorship;
  }
}
