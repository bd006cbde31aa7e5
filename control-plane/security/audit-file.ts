import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { AuditError, errnoOf } from './faults.js';

export interface AuditFileOptions {
  readonly file: string;
  /** Size from which the file is put aside as `file.1`, and a new one begun. */
  readonly maxBytes?: number | undefined;
  /** Files put aside that are kept: `file.1`, the newest, to `file.N`. */
  readonly keep?: number | undefined;
}

const DEFAULT_MAX_BYTES = 64 * 1024 * 1024;
const DEFAULT_KEEP = 9;
/** Names, addresses and configuration of a network: for its owner only. */
const MODE = 0o600;

/**
 * A file that lines are added to, one writer at a time. A line is in the file when `append` resolves, and outlives the
 * process; it is not forced to the disk, for the journal of the state is, and has the author of each change too.
 */
export class AuditFile {
  readonly #path: string;
  readonly #maxBytes: number;
  readonly #keep: number;
  #handle: FileHandle | undefined;
  #sizeBytes = 0;
  /** The last line was written in part. */
  #isTorn = false;
  #isClosed = false;
  #tail: Promise<unknown> = Promise.resolve();

  private constructor({ file, maxBytes = DEFAULT_MAX_BYTES, keep = DEFAULT_KEEP }: AuditFileOptions) {
    this.#path = file;
    this.#maxBytes = maxBytes;
    this.#keep = keep;
  }

  /** @throws AuditError */
  static async open(options: AuditFileOptions): Promise<AuditFile> {
    const file = new AuditFile(options);
    await file.probe();
    return file;
  }

  /**
   * Whether a line could be added: opens the file, and looks that the disk takes bytes.
   * @throws AuditError
   */
  probe(): Promise<void> {
    return this.#inTurn(async () => {
      const handle = await this.#opened();
      // A line that ends where it begins: readers of JSON lines pass over it, and a full disk refuses it.
      if (this.#isTorn) await this.#write(handle, '\n');
    });
  }

  /** Add a line, with its end. @throws AuditError */
  append(line: string): Promise<void> {
    return this.#inTurn(async () => {
      if (this.#sizeBytes >= this.#maxBytes) await this.#rotate();
      const handle = await this.#opened();
      await this.#write(handle, this.#isTorn ? `\n${line}` : line);
    });
  }

  /** Idempotent. */
  close(): Promise<void> {
    return this.#inTurn(async () => {
      this.#isClosed = true;
      await this.#release();
    });
  }

  #inTurn(run: () => Promise<void>): Promise<void> {
    const turn = this.#tail.then(run).catch((cause: unknown) => {
      const errno = errnoOf(cause);
      throw new AuditError(
        { code: 'AUDIT_WRITE', file: this.#path, errno },
        `cannot write the audit file ${this.#path}: ${errno}`,
        { cause },
      );
    });
    this.#tail = turn.catch(() => undefined);
    return turn;
  }

  async #opened(): Promise<FileHandle> {
    if (this.#isClosed) throw new Error('the audit file is closed');
    if (this.#handle === undefined) {
      const handle = await open(this.#path, 'a', MODE);
      try {
        const stat = await handle.stat();
        // One that was there before, with another mode.
        if (stat.isFile()) await handle.chmod(MODE);
        this.#sizeBytes = stat.size;
      } catch (error) {
        await handle.close();
        throw error;
      }
      this.#handle = handle;
    }
    return this.#handle;
  }

  async #write(handle: FileHandle, text: string): Promise<void> {
    const bytes = Buffer.from(text);
    this.#isTorn = true;
    try {
      // write(2) may take less than it is given.
      for (let done = 0; done < bytes.length; ) {
        const { bytesWritten } = await handle.write(bytes, done);
        done += bytesWritten;
        this.#sizeBytes += bytesWritten;
      }
    } catch (error) {
      // Opened anew the next time: the fault may be that of a file system that was taken away.
      await this.#release();
      throw error;
    }
    this.#isTorn = false;
  }

  async #release(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await handle?.close();
  }

  async #rotate(): Promise<void> {
    await this.#release();
    const aside = (n: number) => `${this.#path}.${n}`;
    if (this.#keep === 0) await rm(this.#path, { force: true });
    for (let n = this.#keep; n >= 1; n--) {
      await rename(n === 1 ? this.#path : aside(n - 1), aside(n)).catch((error: unknown) => {
        if (errnoOf(error) !== 'ENOENT') throw error;
      });
    }
  }
}
