import { Journal } from './journal.js';
import { JournalError } from './journal-faults.js';
import { DRAFT_SUFFIX, type StateFiles } from './journal-files.js';
import { type ChangeRecord, changeBytes, type Recovered, recover } from './journal-recover.js';
import type { DesiredState } from './model.js';
import { fileName, type Kept, parseFileName, writeSnapshot } from './snapshot.js';

/** A journal that is smaller is not worth a snapshot. */
const MIN_JOURNAL_BYTES = 4 << 20;
/** Generations that are kept: the older one serves when the newest snapshot is damaged. */
const GENERATIONS_KEPT = 2;

export interface JournalDirectoryOptions {
  /** Wall clock, milliseconds since 1970. */
  readonly nowMs: () => number;
  /** Size from which a journal is replaced by a snapshot; the larger of this and the last snapshot's size counts. */
  readonly journalLimitBytes?: number | undefined;
}

/** The files that the desired state is kept in: snapshots, and the journal of changes since the last one. */
export class JournalDirectory {
  readonly recovered: Recovered;
  readonly #files: StateFiles;
  readonly #nowMs: () => number;
  readonly #minJournalBytes: number;
  #generation: number;
  #snapshotBytes: number;
  /** Size at which the next snapshot is tried. */
  #limitBytes: number;
  #journal: Journal | undefined;
  #lastRecord: number | undefined;
  #isClosed = false;

  private constructor(
    files: StateFiles,
    recovered: Recovered,
    { nowMs, journalLimitBytes = MIN_JOURNAL_BYTES }: JournalDirectoryOptions,
  ) {
    this.recovered = recovered;
    this.#files = files;
    this.#nowMs = nowMs;
    this.#minJournalBytes = journalLimitBytes;
    this.#generation = recovered.generation;
    this.#snapshotBytes = recovered.snapshotBytes;
    this.#limitBytes = Math.max(this.#minJournalBytes, this.#snapshotBytes);
  }

  /**
   * Read a directory and go on where it ends.
   * @throws JournalError JOURNAL_IO, JOURNAL_FORMAT, JOURNAL_NO_STATE
   */
  static async open(files: StateFiles, options: JournalDirectoryOptions): Promise<JournalDirectory> {
    const recovered = await recover(files);
    const opened = new JournalDirectory(files, recovered, options);
    await opened.#begin();
    return opened;
  }

  /**
   * Write a change; it is on the disk when the promise resolves. One at a time.
   * @param kept what it is a change of
   * @throws JournalError JOURNAL_IO, JOURNAL_CLOSED; the change is void then
   */
  async append(kept: Kept, record: ChangeRecord): Promise<void> {
    if (this.#isClosed) throw new JournalError({ code: 'JOURNAL_CLOSED' }, 'state: the store is closed');
    const journal = await this.#writable(kept);
    this.#lastRecord = await journal.append(changeBytes(record));
  }

  /**
   * Make the last change void. When that cannot be written, nothing else can be either, until a new journal can begin.
   * @throws JournalError JOURNAL_IO
   */
  async retract(): Promise<void> {
    const start = this.#lastRecord;
    if (start === undefined || this.#journal === undefined) throw new Error('there is no change to retract');
    this.#lastRecord = undefined;
    await this.#journal.retract(start);
  }

  /** Bytes of the last snapshot, and of the journal behind it. */
  get sizes(): { readonly snapshotBytes: number; readonly journalBytes: number } {
    return { snapshotBytes: this.#snapshotBytes, journalBytes: this.#journal?.sizeBytes ?? 0 };
  }

  /** Close the files. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true;
    await this.#journal?.close();
    this.#journal = undefined;
  }

  async #begin(): Promise<void> {
    // A run that died before it did so may have left names that a loss of power would take, and changes go behind them.
    await this.#files.syncDirectory();
    const { state, history, generation, continueAt } = this.recovered;
    const hasDamage = this.recovered.notes.some(({ kind }) => kind === 'damaged');
    if (continueAt !== undefined) {
      this.#journal = await Journal.continue(this.#files, fileName('journal', generation), continueAt);
    } else if (hasDamage) {
      await this.#rotate({ state, history });
    } else {
      // Nothing yet, or the process died between a snapshot and its journal.
      this.#generation = Math.max(1, generation);
      this.#journal = await this.#createJournal(this.#generation, state);
    }
  }

  /** The journal that takes the next change: a new one when the present one is broken or long. */
  async #writable(kept: Kept): Promise<Journal> {
    const journal = this.#journal;
    if (journal && journal.broken === undefined && journal.sizeBytes < this.#limitBytes) return journal;
    try {
      return await this.#rotate(kept);
    } catch (error) {
      if (journal === undefined || journal.broken !== undefined || this.#journal !== journal) throw error;
      // A change that still fits is not refused for want of room for a snapshot; that is tried again later.
      this.#limitBytes = journal.sizeBytes + this.#minJournalBytes;
      return journal;
    }
  }

  /**
   * Begin a generation: a snapshot, then its journal, then the oldest generation goes. Whatever stops half-way leaves
   * files that lead to the same state.
   */
  async #rotate(kept: Kept): Promise<Journal> {
    // Never a number twice: a snapshot of a try that failed may be there.
    this.#generation++;
    const generation = this.#generation;
    const snapshotBytes = await this.#snapshot(generation, kept);
    const old = this.#journal;
    // From here on the snapshot counts, and with it no record of the old journal any more.
    this.#journal = undefined;
    this.#lastRecord = undefined;
    await old?.close().catch(() => undefined);
    const journal = await this.#createJournal(generation, kept.state);
    this.#journal = journal;
    this.#snapshotBytes = snapshotBytes;
    this.#limitBytes = Math.max(this.#minJournalBytes, snapshotBytes);
    await this.#prune().catch(() => undefined);
    return journal;
  }

  /** Write a snapshot. One that may be there and should not be would hide what the present journal takes from now on. */
  async #snapshot(generation: number, kept: Kept): Promise<number> {
    try {
      return await writeSnapshot(this.#files, generation, kept, this.#nowMs());
    } catch (error) {
      try {
        await this.#files.remove(fileName('snapshot', generation));
        await this.#files.remove(`${fileName('snapshot', generation)}${DRAFT_SUFFIX}`);
        await this.#files.syncDirectory();
      } catch {
        // It can neither be made nor undone: no change is taken until a later snapshot counts.
        await this.#journal?.close().catch(() => undefined);
        this.#journal = undefined;
      }
      throw error;
    }
  }

  #createJournal(generation: number, { revision }: DesiredState): Promise<Journal> {
    return Journal.create(this.#files, fileName('journal', generation), {
      generation,
      baseRevision: revision,
      timeMs: this.#nowMs(),
    });
  }

  /** Remove what is older than the generations that are kept. */
  async #prune(): Promise<void> {
    const names = await this.#files.list();
    const generations = names.flatMap((name) => {
      const parsed = parseFileName(name);
      return parsed?.kind === 'snapshot' ? [parsed.generation] : [];
    });
    const oldest = generations.sort((a, b) => b - a)[GENERATIONS_KEPT - 1];
    if (oldest === undefined) return;
    for (const name of names) {
      const parsed = parseFileName(name);
      if (parsed && parsed.generation < oldest) await this.#files.remove(name);
    }
  }
}
