import { TARGET_BYTES } from '../memory/layout.js';
import { align, checkKeySize, type MapFamily } from './family.js';
import { specError } from './fault.js';
import { MAP_FLAGS, type MapSpec } from './map.js';
import { planValues } from './plan-array.js';
import { planHash } from './plan-hash.js';

/** Most CPUs that a CPUMAP may have room for: NR_CPUS of a big kernel; each kernel has its own. */
const CPUMAP_MAX_ENTRIES = 8192;
/** Most entries of a DEVMAP_HASH: its buckets are a power of two that fits 32 bits. */
const DEVMAP_HASH_MAX_ENTRIES = 2 ** 31;

const { BPF_F_NUMA_NODE } = MAP_FLAGS;

function checkKey(spec: MapSpec): void {
  checkKeySize(spec, 4, 'the key is a u32');
}

/** Values are file descriptors in bpf(): a u32. */
function checkDescriptors(spec: MapSpec): void {
  checkKey(spec);
  if (spec.valueSize !== 4) throw specError(spec, 'valueSize', spec.valueSize, 'the value is a u32');
}

/** struct bpf_devmap_val and bpf_cpumap_val (uapi/linux/bpf.h), whole or without the program. */
function checkTargets(spec: MapSpec): void {
  checkKey(spec);
  const { valueSize } = spec;
  if (valueSize === 4 || valueSize === 8) return;
  throw specError(spec, 'valueSize', valueSize, 'the value is a u32, or that and a program');
}

function checkMost(spec: MapSpec, most: number, errno: 'EINVAL' | 'E2BIG'): void {
  if (spec.maxEntries <= most) return;
  throw specError(spec, 'maxEntries', spec.maxEntries, `it is at most ${most}`, errno);
}

/** Elements of two words, whatever the value's length. */
const planTargets: MapFamily['plan'] = (spec, _, start) => ({
  ...planValues(spec, 1, start),
  bytes: start + align(spec.maxEntries * TARGET_BYTES, 64),
  valueStride: TARGET_BYTES,
});

const DESCRIPTORS: MapFamily = {
  flags: BPF_F_NUMA_NODE,
  check: checkDescriptors,
  plan: (spec, _, start) => planValues(spec, 1, start),
};

export const PROG_ARRAY = DESCRIPTORS;

/** BPF_F_PRESERVE_ELEMS: slots outlive the descriptor that filled them, as all do here. */
export const PERF_EVENT_ARRAY: MapFamily = {
  ...DESCRIPTORS,
  flags: BPF_F_NUMA_NODE | MAP_FLAGS.BPF_F_PRESERVE_ELEMS,
};

export const DEVMAP: MapFamily = { flags: BPF_F_NUMA_NODE, check: checkTargets, plan: planTargets };

export const DEVMAP_HASH: MapFamily = {
  flags: BPF_F_NUMA_NODE,
  check(spec) {
    checkTargets(spec);
    checkMost(spec, DEVMAP_HASH_MAX_ENTRIES, 'EINVAL');
  },
  plan: planHash,
};

export const CPUMAP: MapFamily = {
  flags: BPF_F_NUMA_NODE,
  check(spec) {
    checkTargets(spec);
    checkMost(spec, CPUMAP_MAX_ENTRIES, 'E2BIG');
  },
  plan: planTargets,
};

export const XSKMAP: MapFamily = { flags: BPF_F_NUMA_NODE, check: checkDescriptors, plan: planTargets };
