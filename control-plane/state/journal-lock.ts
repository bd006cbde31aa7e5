import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf, ioError, JournalError } from './journal-faults.js';

const LOCK_FILE = 'lock';

/**
 * When a process started, in clock ticks since the system did: field 22 of /proc/PID/stat (proc_pid_stat(5)); undefined
 * for one that is gone. A number is given to another process in time, and that one started at another tick.
 */
async function startOf(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'latin1');
    // Field 2 is a name in parentheses, and may hold spaces and parentheses; field 3 follows the last one.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie has ended: all that it had open is closed.
    return fields[0] === 'Z' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

/** The process that a lock names, where it lives. */
async function ownerOf(path: string): Promise<{ text: string; pid: number | undefined } | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'latin1');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw ioError('lock', path, error);
  }
  const [pid = '', start] = text.trim().split(' ');
  const isAlive = /^\d+$/.test(pid) && start !== undefined && (await startOf(Number(pid))) === start;
  return { text, pid: isAlive ? Number(pid) : undefined };
}

/** Set a lock of a dead process aside; put it back when another one was faster and it is no longer that lock. */
async function breakLock(path: string, text: string, aside: string): Promise<void> {
  try {
    await rename(path, aside);
    if ((await readFile(aside, 'latin1')) !== text) await link(aside, path);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT' && errnoOf(error) !== 'EEXIST') throw ioError('lock', path, error);
  } finally {
    await rm(aside, { force: true });
  }
}

/** Tries to take a lock that other processes take and give back meanwhile. */
const TRIES = 10;

/** A directory that one process has, until `release` or its death. */
export class DirectoryLock {
  readonly #path: string;
  readonly #text: string;

  private constructor(path: string, text: string) {
    this.#path = path;
    this.#text = text;
  }

  /**
   * Take a directory: a file that names this process, linked under the lock's name, which fails where there is one. The
   * lock of a process that is gone is taken over.
   * @throws JournalError JOURNAL_LOCKED, JOURNAL_IO
   */
  static async take(directory: string): Promise<DirectoryLock> {
    const path = join(directory, LOCK_FILE);
    const own = `${path}.${process.pid}`;
    const text = `${process.pid} ${await startOf(process.pid)}\n`;
    try {
      await writeFile(own, text, { mode: 0o600 });
      for (let tries = 0; tries < TRIES; tries++) {
        try {
          await link(own, path);
          return new DirectoryLock(path, text);
        } catch (error) {
          if (errnoOf(error) !== 'EEXIST') throw error;
        }
        const owner = await ownerOf(path);
        if (owner?.pid !== undefined) {
          throw new JournalError(
            { code: 'JOURNAL_LOCKED', directory, pid: owner.pid },
            `state: ${directory} is in use by process ${owner.pid}`,
          );
        }
        if (owner) await breakLock(path, owner.text, `${own}.broken`);
      }
      throw new Error(`taken ${TRIES} times by others`);
    } catch (error) {
      throw ioError('lock', path, error);
    } finally {
      await rm(own, { force: true });
    }
  }

  /** Give the directory back. Idempotent; a lock that is another's by now stays. */
  async release(): Promise<void> {
    const owner = await ownerOf(this.#path);
    if (owner?.text === this.#text) await rm(this.#path, { force: true });
  }
}
