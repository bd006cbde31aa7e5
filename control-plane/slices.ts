import { setImmediate as turn } from 'node:timers/promises';

/** How long work goes on before others have their turn, ms. */
const SLICE_MS = 20;

/**
 * Do steps one after the other, and have others do theirs in between: where there are many steps, probes are read and
 * callers are answered meanwhile.
 * @throws what a step throws; those behind it are not done
 */
export async function inSlices<T>(steps: Iterable<T>, run: (step: T) => void): Promise<void> {
  let endMs = performance.now() + SLICE_MS;
  for (const step of steps) {
    if (performance.now() >= endMs) {
      await turn();
      endMs = performance.now() + SLICE_MS;
    }
    run(step);
  }
}
