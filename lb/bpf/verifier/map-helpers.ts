import type { MapTypeName } from '../maps/map.js';
import { MAP_TYPES } from '../maps/map.js';
import type { VerifierMap } from './input.js';
import { refuse } from './refusal.js';
import { helperText } from './step-text.js';

/** Helpers that a map type is made for: no others take it (Linux 6.18, check_map_func_compatibility). */
const ONLY: Partial<Record<MapTypeName, readonly number[]>> = {
  PROG_ARRAY: [12],
  PERF_EVENT_ARRAY: [22, 25, 55, 111, 121],
  RINGBUF: [130, 131, 132, 133, 134, 198, 199, 200],
  USER_RINGBUF: [209],
  STACK_TRACE: [27],
  CGROUP_ARRAY: [33, 37],
  CGROUP_STORAGE: [81],
  PERCPU_CGROUP_STORAGE: [81],
  DEVMAP: [1, 51],
  DEVMAP_HASH: [1, 51],
  CPUMAP: [51],
  XSKMAP: [1, 51],
  ARRAY_OF_MAPS: [1],
  HASH_OF_MAPS: [1],
  SOCKMAP: [1, 3, 52, 53, 60, 82],
  SOCKHASH: [1, 3, 70, 71, 72, 82],
  REUSEPORT_SOCKARRAY: [82],
  QUEUE: [87, 88, 89],
  STACK: [87, 88, 89],
  SK_STORAGE: [107, 108, 194],
  INODE_STORAGE: [145, 146, 194],
  TASK_STORAGE: [156, 157, 194],
  CGRP_STORAGE: [210, 211, 194],
  BLOOM_FILTER: [87, 89],
};

/** Map types that a helper is made for: it takes no others. */
const ONLY_FOR: Readonly<Record<number, readonly MapTypeName[]>> = {
  12: ['PROG_ARRAY'],
  22: ['PERF_EVENT_ARRAY'],
  25: ['PERF_EVENT_ARRAY'],
  55: ['PERF_EVENT_ARRAY'],
  130: ['RINGBUF'],
  131: ['RINGBUF'],
  134: ['RINGBUF'],
  198: ['RINGBUF'],
  199: ['RINGBUF'],
  200: ['RINGBUF'],
  209: ['USER_RINGBUF'],
  33: ['CGROUP_ARRAY'],
  37: ['CGROUP_ARRAY'],
  51: ['DEVMAP', 'DEVMAP_HASH', 'CPUMAP', 'XSKMAP'],
  87: ['QUEUE', 'STACK', 'BLOOM_FILTER'],
  88: ['QUEUE', 'STACK'],
  89: ['QUEUE', 'STACK', 'BLOOM_FILTER'],
  107: ['SK_STORAGE'],
  108: ['SK_STORAGE'],
  156: ['TASK_STORAGE'],
  157: ['TASK_STORAGE'],
  195: ['PERCPU_ARRAY', 'PERCPU_HASH', 'LRU_PERCPU_HASH'],
  210: ['CGRP_STORAGE'],
  211: ['CGRP_STORAGE'],
};

/** That a helper takes maps of the type. @throws Refusal */
export function checkMapAndHelper(map: VerifierMap, helper: number): void {
  const isTaken =
    ONLY[map.type]?.includes(helper) !== false && ONLY_FOR[helper]?.includes(map.type) !== false;
  if (isTaken) return;
  refuse(
    'VERIFY_MAP_TYPE',
    'EINVAL',
    `cannot pass map_type ${MAP_TYPES[map.type]} into func ${helperText(helper)}`,
  );
}

/** Helpers that change a map. */
const CHANGES: ReadonlySet<number> = new Set([2, 3, 87, 88]);
const RDONLY_PROG = 128;

/** That a program may change the map. @throws Refusal */
export function checkMapChange(map: VerifierMap, helper: number): void {
  if ((map.flags & RDONLY_PROG) !== 0 && CHANGES.has(helper))
    refuse('VERIFY_READ_ONLY', 'EACCES', 'write into map forbidden');
}

/** Map types that bpf_for_each_map_elem can walk. */
export const CAN_BE_WALKED: ReadonlySet<MapTypeName> = new Set([
  'ARRAY',
  'PERCPU_ARRAY',
  'HASH',
  'PERCPU_HASH',
  'LRU_HASH',
  'LRU_PERCPU_HASH',
]);

/** Map types in which every index below the length has a value. */
export const ALWAYS_HAS: ReadonlySet<MapTypeName> = new Set(['ARRAY', 'PERCPU_ARRAY']);
