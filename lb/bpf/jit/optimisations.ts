/**
 * What the compiler does for speed alone: the code is right without each of them. They are on, all of them; that they can
 * be left out one by one is how a benchmark tells what each is worth, and how a test tells that none is needed.
 */
export const OPTIMISATIONS = {
  'inline-hash': 'lookups in hash and LRU tables written out for the size of their key',
  'inline-array': 'lookups in arrays and arrays of maps written out as an address',
  'inline-percpu-array': 'lookups in arrays for each CPU written out, the same way',
  'inline-helpers':
    'bodies of small helpers (bpf_xdp_adjust_head, bpf_ktime_get_ns, …) in place of their calls',
  'inline-checksum': 'bpf_csum_diff of known lengths written out as a sum of words',
  'direct-calls': 'callbacks that are known called as functions, not looked for by their address',
  'stack-locals': 'what is stored to the stack read again from locals, keys of lookups too',
  'dead-stores': 'stores to the stack that nothing reads not made',
  'merged-accesses': 'loads and stores of neighbouring bytes that belong together made as one',
  'byte-swaps': 'the bytes of 64-bit numbers turned round by rotations rather than shifts',
  'known-addresses': 'addresses in the stack and in maps by constants rather than by registers',
  'frozen-constants': 'loads of read-only data replaced by what is there',
  'decided-branches': 'branches that always go one way, and what is behind them, left out',
} as const satisfies Record<string, string>;

export type Optimisation = keyof typeof OPTIMISATIONS;

/** Those that a compilation does without. */
export type LeftOut = ReadonlySet<Optimisation>;

export const NOTHING_LEFT_OUT: LeftOut = new Set();
