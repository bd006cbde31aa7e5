import { RING_DATA, RING_PAGE_BYTES, RING_STATE_BYTES } from '../memory/layout.js';
import { checkKeySize, type MapFamily } from './family.js';
import { specError } from './fault.js';
import { MAP_FLAGS } from './map.js';

const isPowerOfTwo = (value: number) => Number.isInteger(Math.log2(value));

/** maxEntries is the length in bytes: a power of two, whole pages. */
export const RINGBUF: MapFamily = {
  flags: MAP_FLAGS.BPF_F_NUMA_NODE,
  check(spec) {
    checkKeySize(spec, 0, 'a ring buffer has no keys');
    const { valueSize, maxEntries } = spec;
    if (valueSize !== 0) throw specError(spec, 'valueSize', valueSize, 'a ring buffer has no values');
    if (isPowerOfTwo(maxEntries) && maxEntries >= RING_PAGE_BYTES) return;
    throw specError(spec, 'maxEntries', maxEntries, `it is a power of two from ${RING_PAGE_BYTES}`);
  },
  plan: ({ maxEntries }, _, start) => ({
    // The room begins on a page: map_init moves it there. Twice the length: see maps/wasm/ring-buffer.ts.
    bytes: start + RING_STATE_BYTES + RING_PAGE_BYTES + 2 * maxEntries,
    valueStride: 0,
    cpuStride: 0,
    data: 0,
    places: [[RING_DATA, start]],
    numbers: [],
  }),
};
