import { setImmediate as nextTurn } from 'node:timers/promises';

/** Resources that are looked at before others get their turn. */
const SLICE = 500;

export interface StatusFeedOptions {
  /** How often statuses are looked at, ms. */
  readonly everyMs: number;
  /** Every resource by name, and a text that differs when its status does. */
  readonly read: () => Iterable<readonly [name: string, text: string]>;
  /** Told of what `read` throws. */
  readonly onError: (error: unknown) => void;
}

/** Looks at statuses again and again for as long as somebody wants to know, and says which have changed. */
export class StatusFeed {
  readonly #options: StatusFeedOptions;
  readonly #listeners = new Set<(names: readonly string[]) => void>();
  #texts = new Map<string, string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: StatusFeedOptions) {
    this.#options = options;
  }

  /** @returns takes the listener back */
  subscribe(listener: (names: readonly string[]) => void): () => void {
    this.#listeners.add(listener);
    if (this.#listeners.size === 1) this.#begin();
    return () => {
      this.#listeners.delete(listener);
      if (this.#listeners.size === 0) this.#end();
    };
  }

  #begin(): void {
    this.#texts = new Map(this.#options.read());
    this.#schedule();
  }

  #schedule(): void {
    this.#timer = setTimeout(() => void this.#look(), this.#options.everyMs);
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#texts.clear();
  }

  async #look(): Promise<void> {
    const timer = this.#timer;
    const texts = await this.#read().catch(this.#options.onError);
    // Nobody asks any more, or somebody else began anew meanwhile.
    if (this.#timer !== timer || timer === undefined) return;
    this.#schedule();
    if (!texts) return;
    const changed = [...texts].flatMap(([name, text]) => (this.#texts.get(name) === text ? [] : [name]));
    this.#texts = texts;
    if (changed.length > 0) for (const listener of this.#listeners) listener(changed);
  }

  async #read(): Promise<Map<string, string>> {
    const texts = new Map<string, string>();
    for (const [name, text] of this.#options.read()) {
      texts.set(name, text);
      if (texts.size % SLICE === 0) await nextTurn();
    }
    return texts;
  }
}
