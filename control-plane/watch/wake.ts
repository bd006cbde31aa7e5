/** Longest time that a timer of Node takes, ms. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Lets one loop wait until there is something to do. Waking before the wait counts: nothing is slept through. */
export class Wake {
  #isAwake = false;
  #end: (() => void) | undefined;

  /** There is something to do. */
  wake(): void {
    this.#isAwake = true;
    this.#end?.();
  }

  /**
   * Wait until somebody wakes, for a time at most.
   * @param signal ends the wait too
   * @returns true where somebody woke
   */
  async wait(ms: number, signal: AbortSignal): Promise<boolean> {
    if (!this.#isAwake && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const end = () => {
          clearTimeout(timer);
          signal.removeEventListener('abort', end);
          this.#end = undefined;
          resolve();
        };
        const timer = setTimeout(end, Math.min(Math.max(0, ms), MAX_TIMER_MS));
        signal.addEventListener('abort', end, { once: true });
        this.#end = end;
      });
    }
    const wasAwake = this.#isAwake;
    this.#isAwake = false;
    return wasAwake;
  }
}
