import { errnoOf, JournalError } from './journal-faults.js';
import { type StateFile, type StateFiles, writeWhole } from './journal-files.js';
import { type FileHeader, headerBytes } from './journal-record.js';

interface Waiting {
  readonly bytes: Uint8Array;
  readonly resolve: (start: number) => void;
  readonly reject: (error: unknown) => void;
}

/**
 * An append-only file of records. A record is on the disk when its promise resolves, and not in the file when it is
 * rejected; records that wait for the disk are written together, with one sync.
 */
export class Journal {
  readonly name: string;
  readonly #file: StateFile;
  #sizeBytes: number;
  #waiting: Waiting[] = [];
  #writing: Promise<void> | undefined;
  #broken: unknown;

  private constructor(name: string, file: StateFile, sizeBytes: number) {
    this.name = name;
    this.#file = file;
    this.#sizeBytes = sizeBytes;
  }

  /** A new journal without records. @throws JournalError JOURNAL_IO */
  static async create(files: StateFiles, name: string, header: Omit<FileHeader, 'kind'>): Promise<Journal> {
    const bytes = headerBytes({ kind: 'journal', ...header });
    await writeWhole(files, name, bytes);
    return new Journal(name, await files.open(name), bytes.length);
  }

  /**
   * A journal that is there, to be continued.
   * @param sizeBytes end of its last sound record; what follows is cut off
   * @throws JournalError JOURNAL_IO
   */
  static async continue(files: StateFiles, name: string, sizeBytes: number): Promise<Journal> {
    const file = await files.open(name);
    try {
      await file.truncate(sizeBytes);
      await file.sync();
    } catch (error) {
      await file.close();
      throw error;
    }
    return new Journal(name, file, sizeBytes);
  }

  /** End of the last record that is on the disk. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /**
   * What failed when the file could not be led back to its last sound record, or a sync failed: what of it is on the disk
   * is not known then (fsync(2) marks pages clean that it could not write), and it takes no more records.
   */
  get broken(): unknown {
    return this.#broken;
  }

  /**
   * Append a record.
   * @returns its offset, when it is on the disk
   * @throws JournalError JOURNAL_IO; the record is not in the file then, or the journal is broken
   */
  append(record: Uint8Array): Promise<number> {
    const written = new Promise<number>((resolve, reject) => {
      this.#waiting.push({ bytes: record, resolve, reject });
    });
    this.#writing ??= this.#writeAll().finally(() => {
      this.#writing = undefined;
    });
    return written;
  }

  /**
   * Take the last record back, for one that was not made true after all.
   * @param start its offset
   * @throws JournalError JOURNAL_IO; the journal is broken then
   */
  async retract(start: number): Promise<void> {
    try {
      await this.#file.truncate(start);
      await this.#file.sync();
      this.#sizeBytes = start;
    } catch (error) {
      this.#broken ??= error;
      throw error;
    }
  }

  /** Close the file. Records that wait are written before. */
  async close(): Promise<void> {
    await this.#writing;
    await this.#file.close();
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting;
      this.#waiting = [];
      try {
        const starts = await this.#write(batch.map(({ bytes }) => bytes));
        batch.forEach(({ resolve }, i) => void resolve(starts[i]!));
      } catch (error) {
        for (const { reject } of batch) reject(error);
      }
    }
  }

  /** Offsets of records that were written one behind the other. */
  async #write(records: readonly Uint8Array[]): Promise<number[]> {
    if (this.#broken !== undefined) {
      throw new JournalError(
        { code: 'JOURNAL_IO', operation: 'write', file: this.name, errno: errnoOf(this.#broken) },
        `state: ${this.name} takes no more changes`,
        { cause: this.#broken },
      );
    }
    const starts: number[] = [];
    let end = this.#sizeBytes;
    for (const { length } of records) {
      starts.push(end);
      end += length;
    }
    try {
      await this.#file.write(Buffer.concat(records), this.#sizeBytes);
    } catch (error) {
      await this.#cutBack();
      throw error;
    }
    try {
      await this.#file.sync();
    } catch (error) {
      this.#broken = error;
      await this.#cutBack();
      throw error;
    }
    this.#sizeBytes = end;
    return starts;
  }

  /** Lead the file back to its last sound record after a write that failed. */
  async #cutBack(): Promise<void> {
    try {
      await this.#file.truncate(this.#sizeBytes);
      await this.#file.sync();
    } catch (error) {
      this.#broken ??= error;
    }
  }
}
