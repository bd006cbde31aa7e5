import { CodedError } from '../../lb/index.js';

export type IdsFault =
  | { readonly code: 'IDS_NUMBERS'; readonly what: string; readonly limit: number }
  | { readonly code: 'IDS_REALS'; readonly limit: number; readonly resting: number };

/** No number is free. */
export class IdsError extends CodedError<IdsFault> {}

/** Numbers by key, the lowest that is free first: tables indexed by them stay dense. */
export class Numbers {
  readonly #what: string;
  readonly #limit: number;
  readonly #numberAt: (place: number) => number;
  readonly #byKey = new Map<string, number>();
  readonly #used = new Set<number>();
  /** Every place below it is taken. */
  #firstFree = 0;

  /**
   * @param what named in the error, plural
   * @param limit how many there are
   * @param numberAt the numbers in rising order, by place from 0 on
   */
  constructor(what: string, limit: number, numberAt: (place: number) => number = (place) => place) {
    this.#what = what;
    this.#limit = limit;
    this.#numberAt = numberAt;
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
    while (this.#firstFree < this.#limit && this.#used.has(this.#numberAt(this.#firstFree)))
      this.#firstFree++;
    if (this.#firstFree >= this.#limit) {
      throw new IdsError(
        { code: 'IDS_NUMBERS', what: this.#what, limit: this.#limit },
        `all ${this.#limit} numbers of ${this.#what} are taken: one that the same change removes has its number until the change is made`,
      );
    }
    const number = this.#numberAt(this.#firstFree);
    this.adopt(key, number);
    return number;
  }

  /** Have a key keep a number that it had before: for one that tables already know. */
  adopt(key: string, number: number): void {
    this.#byKey.set(key, number);
    this.#used.add(number);
  }

  /** Give the number of a key back. Idempotent. */
  release(key: string): void {
    const number = this.#byKey.get(key);
    if (number === undefined) return;
    this.#byKey.delete(key);
    this.#used.delete(number);
    // Places are in the order of numbers; to look from the start again costs less than to know the place.
    this.#firstFree = 0;
  }
}

/** What is known of a row that tables had before, and that no backend has. */
const nameOfRow = (index: number): string => `row ${index}`;

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
  /** Rows that were in use before those that are given out here. */
  readonly #adopted = new Set<number>();
  #nextFresh = 1;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get(key: string): number | undefined {
    return this.#byKey.get(key);
  }

  /** Rows in use. */
  get size(): number {
    return this.#byKey.size;
  }

  /**
   * The row of an address; a new one when it has none. Rows that were never used come first.
   * @param trackedFlows flows by row; asked only when a row at rest is needed
   * @throws IdsError IDS_REALS: all rows are in use, or flows still point at those that rest
   */
  acquire(key: string, trackedFlows: () => ReadonlyMap<number, number>): number {
    const held = this.#byKey.get(key);
    if (held !== undefined) return held;
    const index = this.#resting.get(key) ?? this.#fresh() ?? this.#rested(trackedFlows());
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

  /** Have an address keep the row that tables already have for it. */
  adopt(key: string, index: number): void {
    this.#byKey.set(key, index);
    this.#adopted.add(index);
  }

  /** Lay a row to rest that tables have emptied, and flows may still point at. */
  adoptResting(index: number): void {
    this.#resting.set(nameOfRow(index), index);
    this.#adopted.add(index);
  }

  /** Lay the row of an address to rest. Idempotent. */
  release(key: string): void {
    const index = this.#byKey.get(key);
    if (index === undefined) return;
    this.#byKey.delete(key);
    this.#resting.set(key, index);
  }

  #fresh(): number | undefined {
    while (this.#adopted.has(this.#nextFresh)) this.#nextFresh++;
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
