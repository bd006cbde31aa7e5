import type { Clock } from '../../control-plane/health/types.js';

interface Timer {
  readonly dueMs: number;
  readonly run: () => void;
}

/** A clock that stands until it is told to go on. */
export class FakeClock implements Clock {
  #nowMs: number;
  readonly #timers = new Set<Timer>();

  constructor(nowMs = 1_800_000_000_000) {
    this.#nowMs = nowMs;
  }

  get pending(): number {
    return this.#timers.size;
  }

  readonly nowMs = (): number => this.#nowMs;

  readonly after = (delayMs: number, run: () => void): (() => void) => {
    const timer = { dueMs: this.#nowMs + delayMs, run };
    this.#timers.add(timer);
    return () => this.#timers.delete(timer);
  };

  /** Go on by so much: each timer runs at its time, and what it settled is heard before the next. */
  async advance(byMs: number): Promise<void> {
    const endMs = this.#nowMs + byMs;
    for (;;) {
      const [next] = [...this.#timers]
        .filter(({ dueMs }) => dueMs <= endMs)
        .sort((a, b) => a.dueMs - b.dueMs);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.dueMs);
      next.run();
      for (let i = 0; i < 10; i++) await Promise.resolve();
    }
    this.#nowMs = endMs;
  }

  /** The process did not run for so long. */
  stall(byMs: number): void {
    this.#nowMs += byMs;
  }
}
