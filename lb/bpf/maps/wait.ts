declare global {
  interface Atomics {
    /** ECMAScript 2024 §25.4.12; TypeScript has it in a later library than the one that this project builds with. */
    waitAsync(
      words: Int32Array<SharedArrayBuffer>,
      index: number,
      value: number,
      timeoutMs: number,
    ):
      | { async: false; value: 'not-equal' | 'timed-out' }
      | { async: true; value: Promise<'ok' | 'timed-out'> };
  }
}

/**
 * Wait, without blocking the thread, until a word of shared memory is changed and notified, or the time is over.
 * @param index  the word
 * @param before its value when the caller looked
 * @param timeoutMs at least 0
 * @param signal ends the wait too
 */
export async function waitForChange(
  words: Int32Array<SharedArrayBuffer>,
  index: number,
  before: number,
  timeoutMs: number,
  signal?: AbortSignal,
): Promise<void> {
  if (signal?.aborted) return;
  const result = Atomics.waitAsync(words, index, before, timeoutMs);
  if (!result.async) return;
  await new Promise<void>((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', end);
      resolve();
    };
    // Node does not stay alive for such a waiter alone, but for a timer.
    const timer = setTimeout(end, timeoutMs);
    signal?.addEventListener('abort', end, { once: true });
    void result.value.then(end);
  });
}
