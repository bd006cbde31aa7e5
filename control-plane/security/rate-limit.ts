import { AccessError } from './faults.js';

/** How often calls may be made: `perSecond` in the long run, `burst` at once. */
export interface Rate {
  readonly perSecond: number;
  readonly burst: number;
}

export interface CallRates {
  readonly reads: Rate;
  readonly changes: Rate;
  /** Streams that are open at the same time. */
  readonly streams: number;
}

export interface CallLimits {
  readonly eachCaller: CallRates;
  readonly all: CallRates;
}

/** Far above what an operator or a script does, and about what one core answers. */
export const DEFAULT_LIMITS: CallLimits = {
  eachCaller: {
    reads: { perSecond: 5_000, burst: 20_000 },
    changes: { perSecond: 2_000, burst: 10_000 },
    streams: 64,
  },
  all: {
    reads: { perSecond: 10_000, burst: 40_000 },
    changes: { perSecond: 4_000, burst: 20_000 },
    streams: 256,
  },
};

/** A bucket that fills with `perSecond` tokens and holds `burst`. */
export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #filledMs: number;

  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#tokens = rate.burst;
    this.#filledMs = nowMs;
  }

  /** Milliseconds until there is a token; 0: now. */
  waitMs(nowMs: number): number {
    const { perSecond, burst } = this.#rate;
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#filledMs) * perSecond) / 1000);
    this.#filledMs = nowMs;
    return this.#tokens >= 1 ? 0 : Math.max(1, Math.ceil(((1 - this.#tokens) * 1000) / perSecond));
  }

  /** Take one; `waitMs` has said that there is one. */
  take(): void {
    this.#tokens -= 1;
  }
}

class CallerBuckets {
  readonly reads: TokenBucket;
  readonly changes: TokenBucket;
  streams = 0;

  constructor(rates: CallRates, nowMs: number) {
    this.reads = new TokenBucket(rates.reads, nowMs);
    this.changes = new TokenBucket(rates.changes, nowMs);
  }
}

/** Callers that are told apart at once; the one that has been silent longest makes room, with a full bucket. */
const MAX_CALLERS = 1024;
const EVERYBODY = 'all callers';

/** Counts calls of each caller, and of all. */
export class CallLimiter {
  readonly #limits: CallLimits;
  readonly #nowMs: () => number;
  readonly #all: CallerBuckets;
  /** In the order of their last calls. */
  readonly #callers = new Map<string, CallerBuckets>();

  /** @param nowMs a monotonic clock */
  constructor(limits: CallLimits, nowMs: () => number) {
    this.#limits = limits;
    this.#nowMs = nowMs;
    this.#all = new CallerBuckets(limits.all, nowMs());
  }

  /**
   * Count one call.
   * @throws AccessError ACCESS_RATE; the call is not counted then
   */
  count(caller: string, kind: 'reads' | 'changes'): void {
    const nowMs = this.#nowMs();
    const own = this.#buckets(caller, nowMs)[kind];
    const shared = this.#all[kind];
    const ownWaitMs = own.waitMs(nowMs);
    const retryAfterMs = Math.max(ownWaitMs, shared.waitMs(nowMs));
    if (retryAfterMs > 0) {
      const subject = ownWaitMs > 0 ? caller : EVERYBODY;
      throw new AccessError(
        { code: 'ACCESS_RATE', subject, retryAfterMs },
        `too many ${kind} of ${subject}: try again in ${retryAfterMs} ms`,
      );
    }
    own.take();
    shared.take();
  }

  /**
   * Count a stream that opens.
   * @returns to be called when it ends; idempotent
   * @throws AccessError ACCESS_STREAMS
   */
  open(caller: string): () => void {
    const own = this.#buckets(caller, this.#nowMs());
    for (const [subject, { streams }, { streams: limit }] of [
      [caller, own, this.#limits.eachCaller],
      [EVERYBODY, this.#all, this.#limits.all],
    ] as const) {
      if (streams < limit) continue;
      throw new AccessError(
        { code: 'ACCESS_STREAMS', subject, limit },
        `${subject} may have ${limit} streams at the same time: end another first`,
      );
    }
    own.streams += 1;
    this.#all.streams += 1;
    let isOpen = true;
    return () => {
      if (!isOpen) return;
      isOpen = false;
      own.streams -= 1;
      this.#all.streams -= 1;
    };
  }

  #buckets(caller: string, nowMs: number): CallerBuckets {
    const buckets = this.#callers.get(caller) ?? new CallerBuckets(this.#limits.eachCaller, nowMs);
    this.#callers.delete(caller);
    this.#callers.set(caller, buckets);
    if (this.#callers.size > MAX_CALLERS) {
      // One with open streams stays, or they would be counted no more.
      const idle = [...this.#callers].find(([, { streams }]) => streams === 0)?.[0];
      if (idle !== undefined) this.#callers.delete(idle);
    }
    return buckets;
  }
}
