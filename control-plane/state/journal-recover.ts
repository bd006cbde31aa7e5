import { z } from 'zod';
import { type HistoryEntry, historyEntry, withEntryOf } from './history.js';
import { advance, type Delta, deltaCodec, deltaJson, ownState } from './journal-delta.js';
import { JournalError } from './journal-faults.js';
import { DRAFT_SUFFIX, type StateFiles, writeWhole } from './journal-files.js';
import {
  countRecords,
  FILE_HEADER_BYTES,
  type FileHeader,
  readHeader,
  recordAt,
  recordBytes,
} from './journal-record.js';
import { EMPTY_STATE } from './model.js';
import { fileName, type Kept, parseFileName, readSnapshot } from './snapshot.js';

/** A change as the journal holds it. */
export interface ChangeRecord {
  readonly revision: number;
  readonly actor: string;
  readonly comment: string;
  readonly action: string;
  readonly timeMs: number;
  readonly delta: Delta;
}

const changeCodec = z.object({
  revision: z.int().positive(),
  actor: z.string(),
  comment: z.string(),
  action: z.string(),
  timeMs: z.number(),
  delta: deltaCodec,
});

export const changeBytes = ({ delta, ...record }: ChangeRecord): Uint8Array =>
  recordBytes({ ...record, delta: deltaJson(delta) });

/** What was found that was not as it should be. */
export type RecoveryNote =
  /** A change was being written when the process died: it was not acknowledged, and is cut off. */
  | { readonly kind: 'torn'; readonly file: string; readonly offset: number; readonly lostBytes: number }
  /** Bytes are not those that were written: what is before them is used. `aside` is a copy of the file. */
  | {
      readonly kind: 'damaged';
      readonly file: string;
      readonly offset: number;
      readonly reason: string;
      /** Sound records behind the damage, which are not used: what they build on is missing. */
      readonly lostRecords: number;
      readonly aside: string;
    };

export interface Recovered extends Kept {
  readonly notes: readonly RecoveryNote[];
  /** Records that were replayed. */
  readonly replayed: number;
  /** Newest generation that any file has; 0: there is none. */
  readonly generation: number;
  /** Where the newest journal goes on; undefined: a new generation has to begin. */
  readonly continueAt: number | undefined;
  readonly snapshotBytes: number;
}

interface JournalFile {
  readonly name: string;
  readonly generation: number;
  readonly bytes: Uint8Array;
  /** undefined: damaged. */
  readonly header: FileHeader | undefined;
}

/** Reads a state directory, and repairs nothing but what cannot be lost: remains are removed, damaged files copied. */
class Recovery {
  readonly #files: StateFiles;
  readonly #notes: RecoveryNote[] = [];
  #own = ownState(EMPTY_STATE);
  #history: readonly HistoryEntry[] = [];
  #replayed = 0;

  constructor(files: StateFiles) {
    this.#files = files;
  }

  async run(): Promise<Recovered> {
    const names = await this.#files.list();
    for (const name of names.filter((one) => one.endsWith(DRAFT_SUFFIX))) await this.#files.remove(name);
    const numbered = names.flatMap((name) => parseFileName(name) ?? []);
    const generations = (kind: 'snapshot' | 'journal') =>
      numbered.filter((one) => one.kind === kind).map(({ generation }) => generation);
    const base = await this.#newestSnapshot(generations('snapshot').sort((a, b) => b - a));
    const journals = generations('journal').sort((a, b) => a - b);
    if (base === undefined && numbered.length > 0 && journals[0] !== 1) {
      const { directory } = this.#files;
      throw new JournalError(
        { code: 'JOURNAL_NO_STATE', directory },
        `state: no snapshot in ${directory} is whole, and its journals do not begin at the beginning: restore it from a copy, or move it away to begin with nothing`,
      );
    }
    const first = base?.generation ?? 1;
    const continueAt = await this.#replay(journals.filter((generation) => generation >= first));
    return {
      state: this.#own.state,
      history: this.#history,
      notes: this.#notes,
      replayed: this.#replayed,
      generation: Math.max(0, ...numbered.map(({ generation }) => generation)),
      // Damage is left behind: a new snapshot holds what was saved of it.
      continueAt: this.#notes.some(({ kind }) => kind === 'damaged') ? undefined : continueAt,
      snapshotBytes: base?.sizeBytes ?? 0,
    };
  }

  async #newestSnapshot(
    generations: readonly number[],
  ): Promise<{ generation: number; sizeBytes: number } | undefined> {
    for (const generation of generations) {
      const read = await readSnapshot(this.#files, generation);
      if (read.ok) {
        this.#own = ownState(read.kept.state);
        this.#history = read.kept.history;
        return { generation, sizeBytes: read.sizeBytes };
      }
      await this.#damaged(fileName('snapshot', generation), read.offset, read.reason, 0);
    }
    return undefined;
  }

  /** @returns end of the last sound record, where the newest journal can go on */
  async #replay(generations: readonly number[]): Promise<number | undefined> {
    const journals: JournalFile[] = [];
    for (const generation of generations) {
      const name = fileName('journal', generation);
      const bytes = await this.#files.read(name);
      journals.push({ name, generation, bytes, header: readHeader(bytes, 'journal', name) });
    }
    let end: number | undefined;
    for (const [i, journal] of journals.entries()) {
      const next = journals[i + 1];
      const before = this.#own.state.revision;
      const base = journal.header?.baseRevision ?? before;
      if (base !== before) {
        await this.#damaged(journal.name, 0, `follows revision ${base}, not ${before}`, 0);
        return undefined;
      }
      const read = await this.#replayOne(journal, next?.header?.baseRevision);
      if (read === undefined) return undefined;
      end = read;
    }
    return end;
  }

  /**
   * Apply the records of a journal.
   * @param last revision that the next journal follows; records behind it were refused, and are void
   * @returns end of the last record that was used; undefined where it is damaged
   */
  async #replayOne({ name, generation, bytes, header }: JournalFile, last = Number.POSITIVE_INFINITY) {
    // Records have checksums and numbers of their own, and are used where the header cannot be.
    if (header?.generation !== generation) await this.#damaged(name, 0, 'header checksum', 0);
    let offset = FILE_HEADER_BYTES;
    while (offset < bytes.length && this.#own.state.revision < last) {
      const found = recordAt(bytes, offset);
      if (!found.ok && found.flaw === 'cut') {
        this.#notes.push({ kind: 'torn', file: name, offset, lostBytes: bytes.length - offset });
        return offset;
      }
      const reason = found.ok ? this.#apply(found.record.payload) : found.flaw;
      if (reason !== undefined || !found.ok) {
        await this.#damaged(name, offset, reason ?? 'checksum', countRecords(bytes, offset + 1));
        return undefined;
      }
      offset = found.record.end;
    }
    return offset;
  }

  /** @returns why a record cannot be applied */
  #apply(payload: Uint8Array): string | undefined {
    try {
      const record: ChangeRecord = changeCodec.parse(JSON.parse(Buffer.from(payload).toString('utf8')));
      const before = this.#own.state;
      if (record.revision !== before.revision + 1) {
        return `revision ${record.revision} follows ${before.revision}`;
      }
      // Before the state moves on: it is the same object for thousands of changes.
      this.#history = withEntryOf(this.#history, historyEntry(before, record.revision, record, record.delta));
      advance(this.#own, record.delta, record.revision);
      this.#replayed++;
      return undefined;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }

  async #damaged(file: string, offset: number, reason: string, lostRecords: number): Promise<void> {
    const aside = `${file}.damaged`;
    await writeWhole(this.#files, aside, await this.#files.read(file));
    this.#notes.push({ kind: 'damaged', file, offset, reason, lostRecords, aside });
  }
}

/**
 * What a state directory holds: the newest sound snapshot and the changes after it, as far as they are sound.
 * @throws JournalError JOURNAL_IO, JOURNAL_FORMAT, JOURNAL_NO_STATE
 */
export const recover = (files: StateFiles): Promise<Recovered> => new Recovery(files).run();
