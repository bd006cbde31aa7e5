import { readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Health } from './health/types.js';
import type { Log } from './reconcile/reconciler.js';

const FILE = 'health.json';
/** How long changes are gathered before they are written, ms. */
const GATHER_MS = 1_000;

const memoryCodec = z.record(z.string(), z.enum(['healthy', 'unhealthy']));
type Known = Exclude<Health, 'unknown'>;

/**
 * The last known health of backends over restarts, so that a restart takes nobody out of service. It is a hint, not
 * configuration: what is lost of it is found out again by the first probe.
 */
export class HealthMemory {
  readonly #directory: string | undefined;
  readonly #log: Log;
  readonly #known: Map<string, Known>;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  private constructor(directory: string | undefined, known: Map<string, Known>, log: Log) {
    this.#directory = directory;
    this.#known = known;
    this.#log = log;
  }

  /** @param directory where it is kept; undefined: nowhere */
  static async open(directory: string | undefined, log: Log): Promise<HealthMemory> {
    return new HealthMemory(directory, await read(directory, log), log);
  }

  /** What a backend was; undefined: not known. */
  health(backend: string): Known | undefined {
    return this.#known.get(backend);
  }

  set(backend: string, health: Health): void {
    if (health === 'unknown') this.#known.delete(backend);
    else this.#known.set(backend, health);
    this.#schedule();
  }

  /** Forget all backends but these. */
  keep(backends: ReadonlySet<string>): void {
    for (const backend of this.#known.keys()) {
      if (backends.has(backend)) continue;
      this.#known.delete(backend);
      this.#schedule();
    }
  }

  /** Write what is not written yet. */
  async close(): Promise<void> {
    if (this.#timer !== undefined) {
      clearTimeout(this.#timer);
      this.#write();
    }
    await this.#writing;
  }

  #schedule(): void {
    if (this.#directory === undefined) return;
    this.#timer ??= setTimeout(() => this.#write(), GATHER_MS);
    this.#timer.unref();
  }

  #write(): void {
    this.#timer = undefined;
    if (this.#directory === undefined) return;
    const path = join(this.#directory, FILE);
    const text = JSON.stringify(Object.fromEntries(this.#known));
    this.#writing = this.#writing
      .then(() => writeFile(`${path}.new`, text, { mode: 0o600 }))
      .then(() => rename(`${path}.new`, path))
      .catch((error: unknown) =>
        this.#log('warn', 'the health of backends could not be kept', { path, error }),
      );
  }
}

async function read(directory: string | undefined, log: Log): Promise<Map<string, Known>> {
  if (directory === undefined) return new Map();
  const path = join(directory, FILE);
  try {
    return new Map(Object.entries(memoryCodec.parse(JSON.parse(await readFile(path, 'utf8')))));
  } catch (error) {
    const isAbsent = error instanceof Error && 'code' in error && error.code === 'ENOENT';
    if (!isAbsent) log('warn', 'the health of backends from before is not known', { path, error });
    return new Map();
  }
}
