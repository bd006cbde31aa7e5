import {
  ACCESS_FLAGS,
  align,
  checkHasValue,
  checkKeySize,
  KMALLOC_MAX_BYTES,
  type MapFamily,
} from './family.js';
import { specError } from './fault.js';
import { MAP_FLAGS } from './map.js';
import { planValues } from './plan-array.js';

/** QUEUE and STACK: no key, and one place more than entries (see maps/wasm/queue.ts). */
export const QUEUE: MapFamily = {
  flags: ACCESS_FLAGS | MAP_FLAGS.BPF_F_NUMA_NODE,
  check(spec) {
    checkKeySize(spec, 0, 'a queue or stack has no keys');
    checkHasValue(spec);
    const { valueSize } = spec;
    if (align(valueSize, 8) <= KMALLOC_MAX_BYTES) return;
    throw specError(spec, 'valueSize', valueSize, `it is at most ${KMALLOC_MAX_BYTES}`, 'E2BIG');
  },
  plan: (spec, _, start) => planValues({ ...spec, maxEntries: spec.maxEntries + 1 }, 1, start),
};
