import { mkdir, open, readdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ioError, type JournalOperation } from './journal-faults.js';

/** A file that is open for writing. */
export interface StateFile {
  /** Write all bytes at an offset. */
  write(bytes: Uint8Array, offset: number): Promise<void>;
  truncate(sizeBytes: number): Promise<void>;
  /** Returns when data and size are on the disk (fdatasync). */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** One directory, its files by name. Every method throws JournalError JOURNAL_IO. */
export interface StateFiles {
  readonly directory: string;
  list(): Promise<string[]>;
  read(name: string): Promise<Uint8Array>;
  /** A new file; one of that name is emptied. */
  create(name: string): Promise<StateFile>;
  open(name: string): Promise<StateFile>;
  /** Atomic; a file of the new name is replaced. */
  rename(from: string, to: string): Promise<void>;
  /** None of that name is no fault. */
  remove(name: string): Promise<void>;
  /** Returns when creations, renames and removals are on the disk. */
  syncDirectory(): Promise<void>;
}

async function guarded<T>(operation: JournalOperation, file: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw ioError(operation, file, error);
  }
}

/** The state holds addresses and names of a network: for its owner only. */
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

async function openFile(path: string, flags: 'r+' | 'w+'): Promise<StateFile> {
  const operation = flags === 'w+' ? 'create' : 'open';
  const handle = await guarded(operation, path, () => open(path, flags, FILE_MODE));
  return {
    write: (bytes, offset) =>
      guarded('write', path, async () => {
        // write(2) may take less than it is given.
        for (let done = 0; done < bytes.length; ) {
          const { bytesWritten } = await handle.write(bytes, done, bytes.length - done, offset + done);
          done += bytesWritten;
        }
      }),
    truncate: (sizeBytes) => guarded('truncate', path, () => handle.truncate(sizeBytes)),
    sync: () => guarded('sync', path, () => handle.datasync()),
    close: () => guarded('sync', path, () => handle.close()),
  };
}

/**
 * The files of a directory, which is made when it is not there.
 * @throws JournalError JOURNAL_IO
 */
export async function directoryFiles(directory: string): Promise<StateFiles> {
  const path = (name: string) => join(directory, name);
  await guarded('create', directory, () => mkdir(directory, { recursive: true, mode: DIRECTORY_MODE }));
  return {
    directory,
    list: () => guarded('list', directory, () => readdir(directory)),
    read: (name) => guarded('read', path(name), () => readFile(path(name))),
    create: (name) => openFile(path(name), 'w+'),
    open: (name) => openFile(path(name), 'r+'),
    rename: (from, to) => guarded('rename', path(from), () => rename(path(from), path(to))),
    remove: (name) => guarded('remove', path(name), () => rm(path(name), { force: true })),
    syncDirectory: () =>
      guarded('sync', directory, async () => {
        const handle = await open(directory, 'r');
        try {
          await handle.sync();
        } finally {
          await handle.close();
        }
      }),
  };
}

/**
 * Write a whole file so that it is there whole or not at all: a file beside it, synced, renamed, the directory synced.
 * @throws JournalError JOURNAL_IO; what stood under the name stands there still, or the new one does
 */
export async function writeWhole(files: StateFiles, name: string, bytes: Uint8Array): Promise<void> {
  const draft = `${name}${DRAFT_SUFFIX}`;
  const file = await files.create(draft);
  try {
    await file.write(bytes, 0);
    await file.sync();
  } finally {
    await file.close();
  }
  await files.rename(draft, name);
  await files.syncDirectory();
}

/** End of the names of files that are being written; those found at the start are remains. */
export const DRAFT_SUFFIX = '.new';
