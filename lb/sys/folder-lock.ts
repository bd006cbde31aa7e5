import { closeSync, fstatSync, openSync, statSync } from 'node:fs';
import { errnoName } from './errno.js';
import { EAGAIN, lastErrno, libc, SysError } from './libc.js';

const LOCK_EX = 2;
const LOCK_NB = 4;

/** The right to work in a folder (flock(2) on the folder itself): the kernel takes it back from a process that dies. */
export class FolderLock {
  #fd: number;

  private constructor(fd: number) {
    this.#fd = fd;
  }

  /**
   * @returns undefined where another process has it, or the folder was removed meanwhile
   * @throws SysError SYS_CALL, and what opening a folder throws
   */
  static take(folder: string): FolderLock | undefined {
    const fd = openSync(folder, 'r');
    const lock = new FolderLock(fd);
    try {
      if (libc().flock(fd, LOCK_EX | LOCK_NB) < 0) {
        const errno = lastErrno();
        if (errno !== EAGAIN) {
          const name = errnoName(errno);
          throw new SysError(
            { code: 'SYS_CALL', call: 'flock', errno: name },
            `flock of ${folder} failed: ${name}`,
          );
        }
        lock.release();
        return undefined;
      }
      // Whoever had it before may have removed the folder: then a lock on it keeps nobody out.
      const [held, there] = [fstatSync(fd), statSync(folder, { throwIfNoEntry: false })];
      if (there?.ino === held.ino && there.dev === held.dev) return lock;
    } catch (error) {
      lock.release();
      throw error;
    }
    lock.release();
    return undefined;
  }

  /** Idempotent. */
  release(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
  }
}
