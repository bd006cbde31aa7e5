import { type FSWatcher, watch } from 'node:fs';
import { dirname } from 'node:path';

/** Files are often replaced one by one: what follows within this time belongs to the same change. */
const SETTLE_MS = 200;

/**
 * Tells that files may have changed. Their directories are watched, not the files: a file is replaced by renaming
 * another over it, or by a link to another directory.
 */
export class FileWatch {
  readonly #watchers: readonly FSWatcher[];
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;

  /** @param onFault told of a directory that cannot be watched: its files are read again only when that is asked for */
  constructor(
    files: readonly string[],
    onChange: () => void,
    onFault: (directory: string, error: unknown) => void,
  ) {
    const settle = () => {
      if (this.#isClosed) return;
      clearTimeout(this.#timer);
      this.#timer = setTimeout(onChange, SETTLE_MS);
      this.#timer.unref();
    };
    this.#watchers = [...new Set(files.map(dirname))].flatMap((directory) => {
      try {
        const watcher = watch(directory, { persistent: false }, settle);
        watcher.on('error', (error) => onFault(directory, error));
        return [watcher];
      } catch (error) {
        onFault(directory, error);
        return [];
      }
    });
  }

  /** Idempotent. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
    for (const watcher of this.#watchers) watcher.close();
  }
}
