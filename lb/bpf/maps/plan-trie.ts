import {
  NODE_PREFIX,
  TRIE_END,
  TRIE_NODES,
  TRIE_RESTING,
  TRIE_STRIDE,
  TRIE_UNUSED,
} from '../memory/layout.js';
import { ACCESS_FLAGS, align, type Body, KMALLOC_MAX_BYTES, type MapFamily } from './family.js';
import { specError } from './fault.js';
import { MAP_FLAGS, type MapSpec } from './map.js';

/** struct bpf_lpm_trie_key: a u32 of how many bits, then the bits. */
const BITS_BYTES = 4;
const PREFIX_MAX_BYTES = 256;
/** A value, the longest prefix and the node's header come from one kmalloc in the kernel. */
const VALUE_MAX_BYTES = KMALLOC_MAX_BYTES - PREFIX_MAX_BYTES - 24;

function check(spec: MapSpec): void {
  const { keySize, valueSize, flags } = spec;
  if ((flags & MAP_FLAGS.BPF_F_NO_PREALLOC) === 0) {
    throw specError(spec, 'flags', `0x${flags.toString(16)}`, 'it has BPF_F_NO_PREALLOC');
  }
  if (keySize <= BITS_BYTES || keySize > BITS_BYTES + PREFIX_MAX_BYTES) {
    const rule = `a key is a u32 and a prefix of 1 to ${PREFIX_MAX_BYTES} bytes`;
    throw specError(spec, 'keySize', keySize, rule);
  }
  if (valueSize > 0 && valueSize <= VALUE_MAX_BYTES) return;
  throw specError(spec, 'valueSize', valueSize, `a value has 1 to ${VALUE_MAX_BYTES} bytes`);
}

/** Nodes: one a prefix, one for each place where two part, and those that rest. */
function plan(spec: MapSpec, _: number, start: number): Body {
  const stride = NODE_PREFIX + align(spec.keySize - BITS_BYTES, 8) + align(spec.valueSize, 8);
  const bytes = (2 * spec.maxEntries + TRIE_RESTING) * stride;
  return {
    bytes: start + align(bytes, 64),
    valueStride: 0,
    cpuStride: 0,
    data: 0,
    places: [
      [TRIE_NODES, start],
      [TRIE_UNUSED, start],
      [TRIE_END, start + bytes],
    ],
    numbers: [[TRIE_STRIDE, stride]],
  };
}

export const LPM_TRIE: MapFamily = {
  flags: ACCESS_FLAGS | MAP_FLAGS.BPF_F_NO_PREALLOC | MAP_FLAGS.BPF_F_NUMA_NODE,
  check,
  plan,
};
