import { CodedError } from '../../lb/index.js';

export type IdsFault =
  | { readonly code: 'IDS_NUMBERS'; readonly what: string; readonly limit: number }
  | { readonly code: 'IDS_REALS'; readonly limit: number; readonly resting: number };

/** No number is free. */
export class IdsError extends CodedError<IdsFault> {}

/** Numbers 0..limit-1 by key, the lowest that is free first: tables indexed by them stay dense. */
export class Numbers {
  readonly #what: string;
  readonly #limit: number;
  readonly #byKey = new Map<string, number>();
  readonly #used = new Set<number>();

  /** @param what named in the error, plural */
  constructor(what: string, limit: number) {
    this.#what = what;
    this.#limit = limit;
  }

  get(key: string): number | undefined {
    return this.#byKey.get(key);
  }

  /**
   * The number of a key; a new one when it has none.
   * @throws IdsError IDS_NUMBERS
   */
  acquire(key: string): number {
    const held = this.#byKey.get(key);
    if (held !== undefined) return held;
    let number = 0;
    while (this.#used.has(number)) number++;
    if (number >= this.#limit) {
      throw new IdsError(
        { code: 'IDS_NUMBERS', what: this.#what, limit: this.#limit },
        `no more than ${this.#limit} ${this.#what} are possible`,
      );
    }
    this.#byKey.set(key, number);
    this.#used.add(number);
    return number;
  }

  /** Give the numbers of all other keys back. */
  retain(keys: ReadonlySet<string>): void {
    for (const [key, number] of this.#byKey) {
      if (keys.has(key)) continue;
      this.#byKey.delete(key);
      this.#used.delete(number);
    }
  }
}

/**
 * Rows of `reals` by backend address, 1..limit. Connection tables hold row numbers, so a row whose backend is
 * gone rests: it is given to another address only when no flow points at it, and the one that rests longest
 * first. An address that comes back gets its old row while that rests, and with it the flows that are left.
 */
export class RealIndices {
  readonly #limit: number;
  readonly #byKey = new Map<string, number>();
  /** Row by the address that had it, longest at rest first (a Map keeps the order of insertion). */
  readonly #resting = new Map<string, number>();
  #nextFresh = 1;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: string): number | undefined {
    return this.#byKey.get(key);
  }

  /**
   * The row of an address; a new one when it has none. Rows that were never used come first.
   * @param trackedFlows flows by row; asked only when a row at rest is needed
   * @throws IdsError IDS_REALS: all rows are in use, or flows still point at those that rest
   */
  acquire(key: string, trackedFlows: () => ReadonlyMap<number, number>): number {
    const index =
      this.#byKey.get(key) ?? this.#resting.get(key) ?? this.#fresh() ?? this.#rested(trackedFlows());
    if (index === undefined) {
      throw new IdsError(
        { code: 'IDS_REALS', limit: this.#limit, resting: this.#resting.size },
        `all ${this.#limit} rows for backends are taken: ${this.#byKey.size} by backends, ${this.#resting.size} by flows to backends that were deleted`,
      );
    }
    this.#resting.delete(key);
    this.#byKey.set(key, index);
    return index;
  }

  /** Lay the rows of all other addresses to rest. */
  retain(keys: ReadonlySet<string>): void {
    for (const [key, index] of this.#byKey) {
      if (keys.has(key)) continue;
      this.#byKey.delete(key);
      this.#resting.set(key, index);
    }
  }

  #fresh(): number | undefined {
    return this.#nextFresh <= this.#limit ? this.#nextFresh++ : undefined;
  }

  #rested(flows: ReadonlyMap<number, number>): number | undefined {
    for (const [key, index] of this.#resting) {
      if ((flows.get(index) ?? 0) > 0) continue;
      this.#resting.delete(key);
      return index;
    }
    return undefined;
  }
}
