/** Flows by row of `reals`. */
export type FlowCounts = ReadonlyMap<number, number>;

/** A count is not repeated before this long, ms. */
const MIN_AGE_MS = 250;
/** Nor before this many times as long as the last one took: counting takes a twentieth of the time at most. */
const AGE_PER_COST = 20;

/**
 * Counts of the connection tables, kept for a while: counting walks every entry, and a status, a list and a
 * scrape may all ask within a moment.
 */
export class FlowCensus {
  readonly #count: () => FlowCounts;
  readonly #nowMs: () => number;
  #counts: FlowCounts = new Map();
  #staleAtMs = Number.NEGATIVE_INFINITY;

  /** @param nowMs a monotonic clock */
  constructor(count: () => FlowCounts, nowMs: () => number) {
    this.#count = count;
    this.#nowMs = nowMs;
  }

  /** Counts of about now. */
  recent(): FlowCounts {
    return this.#nowMs() < this.#staleAtMs ? this.#counts : this.fresh();
  }

  /** Counts of now, for decisions that must not rest on old ones. */
  fresh(): FlowCounts {
    const start = this.#nowMs();
    this.#counts = this.#count();
    const end = this.#nowMs();
    this.#staleAtMs = end + Math.max(MIN_AGE_MS, (end - start) * AGE_PER_COST);
    return this.#counts;
  }
}
