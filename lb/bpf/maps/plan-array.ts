import {
  ACCESS_FLAGS,
  align,
  type Body,
  checkHasValue,
  checkKeySize,
  checkPerCpuValue,
  type MapFamily,
} from './family.js';
import { specError } from './fault.js';
import { MAP_FLAGS, type MapSpec } from './map.js';

const INT_MAX = 0x7fffffff;

/** @throws MapError MAP_SPEC */
function checkArray(spec: MapSpec): void {
  checkHasValue(spec);
  checkKeySize(spec, 4, 'the key of an array is a u32');
  const { valueSize } = spec;
  if (valueSize > INT_MAX) throw specError(spec, 'valueSize', valueSize, 'it is at most 2^31 - 1', 'E2BIG');
}

/** Values end to end, for each of `copies`. */
export function planValues(spec: MapSpec, copies: number, data: number): Body {
  // The kernel rounds each value up to 8; small ones at 4 put twice as many into a cache line.
  const valueStride = spec.valueSize <= 4 ? 4 : align(spec.valueSize, 8);
  // Whole cache lines a CPU: no worker writes a line of another's.
  const cpuStride = align(spec.maxEntries * valueStride, 64);
  return { bytes: data + copies * cpuStride, valueStride, cpuStride, data, places: [], numbers: [] };
}

export const ARRAY: MapFamily = {
  flags: ACCESS_FLAGS | MAP_FLAGS.BPF_F_NUMA_NODE | MAP_FLAGS.BPF_F_MMAPABLE | MAP_FLAGS.BPF_F_INNER_MAP,
  lockable: true,
  check: checkArray,
  plan: (spec, _, start) => planValues(spec, 1, start),
};

export const PERCPU_ARRAY: MapFamily = {
  flags: ACCESS_FLAGS,
  perCpu: true,
  check(spec) {
    checkArray(spec);
    checkPerCpuValue(spec);
  },
  plan: planValues,
};

export const ARRAY_OF_MAPS: MapFamily = {
  flags: MAP_FLAGS.BPF_F_NUMA_NODE,
  mapInMap: true,
  check: checkArray,
  plan: (spec, _, start) => planValues(spec, 1, start),
};
