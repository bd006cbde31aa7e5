import type { PoolLog } from '../worker/pool.js';

/**
 * Give back what a start had acquired before a step failed: the last first, and each, whatever becomes of the others.
 * Never throws, so that the caller can throw what made the start fail; what could not be given back is said.
 */
export async function undoAll(steps: readonly (() => unknown)[], log: PoolLog): Promise<void> {
  for (const step of [...steps].reverse()) {
    try {
      await step();
    } catch (error) {
      log('warn', 'something that was acquired for a start that failed could not be given back', {
        reason: error instanceof Error ? error.message : String(error),
      });
    }
  }
}
