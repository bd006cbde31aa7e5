/** Memory of a fixed length, bytes. `write`: the helper fills it, so that it need not be initialised. */
export interface FixedMemory {
  readonly kind: 'fixed-memory';
  readonly bytes: number;
  readonly access: 'read' | 'write';
  /** The kernel wants it aligned to its length (MEM_ALIGNED). */
  readonly aligned?: true;
}

/**
 * What a helper takes, as the verifier must prove it (the kernel's enum bpf_arg_type). A `*size*` argument
 * is the length in bytes of the memory argument before it.
 */
export type ArgumentKind =
  /** Any initialised register. */
  | 'anything'
  /** A number, no pointer. */
  | 'scalar'
  | 'context'
  | 'map'
  /** keySize readable bytes of the map argument's map; the same for a value. */
  | 'map-key'
  | 'map-value'
  /** valueSize bytes that the helper fills. */
  | 'map-value-write'
  /** Readable memory; `…-or-null`: or NULL together with a size of 0. */
  | 'memory'
  | 'memory-or-null'
  /** Memory that the helper fills: need not be initialised (PTR_TO_UNINIT_MEM). */
  | 'memory-write'
  | 'memory-write-or-null'
  /** Memory that the helper reads and writes: must be initialised. */
  | 'memory-update'
  | FixedMemory
  | 'size'
  | 'size-or-zero'
  /** A constant: length of the memory that the helper returns. */
  | 'alloc-size'
  /** NUL-terminated string in a frozen read-only map. */
  | 'constant-string'
  /** A BPF function of the program (callback). */
  | 'function'
  /** Pointer to the stack, or NULL: context of a callback. */
  | 'stack-or-null'
  | 'spin-lock'
  | 'timer'
  /** A record of bpf_ringbuf_reserve, given back by the call. */
  | 'record-release'
  /** struct bpf_dynptr on the stack: any that is initialised; one that the call makes; a ring buffer's, given back. */
  | 'dynptr'
  | 'dynptr-new-ringbuf'
  | 'dynptr-new-local'
  | 'dynptr-release-ringbuf'
  | 'socket-common'
  | 'socket-release'
  /** A kernel object by BTF, which programs of the offered types cannot have: refused. */
  | 'kernel-object';

/** What r0 holds afterwards. */
export type ResultKind =
  | 'integer'
  | 'void'
  | 'map-value-or-null'
  | 'record-or-null'
  | 'dynptr-memory-or-null'
  | 'socket-or-null'
  | 'socket-common-or-null'
  | 'tcp-socket-or-null'
  | 'kernel-object';

/** Program types that programs here can have. */
export type HelperUser = 'xdp' | 'sched_cls';

export interface HelperPrototype {
  /** Number in a call instruction's imm (uapi/linux/bpf.h, __BPF_FUNC_MAPPER). */
  readonly id: number;
  /** The kernel's name; the runtime module exports the body under it. */
  readonly name: string;
  /** r1 to r5, as many as the helper takes. */
  readonly args: readonly ArgumentKind[];
  readonly result: ResultKind;
  /** Types of programs that the kernel lets call it (of those here). */
  readonly users: readonly HelperUser[];
  /** Why the runtime has no body for it, in a few words; absent where it has one. */
  readonly notOffered?: string;
  /** Packet pointers that the program holds are stale afterwards. */
  readonly movesPacket?: true;
  /** Memory arguments may be in the packet (the kernel's pkt_access). */
  readonly packetMemory?: true;
  /** Only programs under a GPL-compatible licence may call it. */
  readonly gplOnly?: true;
  /** The JIT writes the call out in place and the interpreter has a body of its own: runtime.wasm has none. */
  readonly builtin?: true;
}

const BOTH = ['xdp', 'sched_cls'] as const;
const XDP = ['xdp'] as const;

/**
 * The helpers, by id (bpf-helpers(7); argument kinds as the kernel's bpf_func_proto of each).
 * Interpreter, JIT and verifier read this table; the bodies are in helpers/wasm and maps/wasm.
 */
export const HELPERS = [
  {
    id: 1,
    name: 'bpf_map_lookup_elem',
    args: ['map', 'map-key'],
    result: 'map-value-or-null',
    users: BOTH,
    packetMemory: true,
  },
  {
    id: 2,
    name: 'bpf_map_update_elem',
    args: ['map', 'map-key', 'map-value', 'anything'],
    result: 'integer',
    users: BOTH,
    packetMemory: true,
  },
  { id: 3, name: 'bpf_map_delete_elem', args: ['map', 'map-key'], result: 'integer', users: BOTH },
  { id: 5, name: 'bpf_ktime_get_ns', args: [], result: 'integer', users: BOTH },
  { id: 7, name: 'bpf_get_prandom_u32', args: [], result: 'integer', users: BOTH },
  { id: 8, name: 'bpf_get_smp_processor_id', args: [], result: 'integer', users: BOTH },
  {
    id: 12,
    name: 'bpf_tail_call',
    args: ['context', 'map', 'anything'],
    result: 'void',
    users: BOTH,
    builtin: true,
  },
  { id: 23, name: 'bpf_redirect', args: ['anything', 'anything'], result: 'integer', users: BOTH },
  {
    id: 25,
    name: 'bpf_perf_event_output',
    args: ['context', 'map', 'anything', 'memory', 'size-or-zero'],
    result: 'integer',
    users: BOTH,
    packetMemory: true,
    gplOnly: true,
  },
  {
    id: 28,
    name: 'bpf_csum_diff',
    args: ['memory-or-null', 'size-or-zero', 'memory-or-null', 'size-or-zero', 'anything'],
    result: 'integer',
    users: BOTH,
    packetMemory: true,
  },
  {
    id: 44,
    name: 'bpf_xdp_adjust_head',
    args: ['context', 'anything'],
    result: 'integer',
    users: XDP,
    movesPacket: true,
  },
  { id: 51, name: 'bpf_redirect_map', args: ['map', 'anything', 'anything'], result: 'integer', users: XDP },
  {
    id: 54,
    name: 'bpf_xdp_adjust_meta',
    args: ['context', 'anything'],
    result: 'integer',
    users: XDP,
    movesPacket: true,
  },
  {
    id: 65,
    name: 'bpf_xdp_adjust_tail',
    args: ['context', 'anything'],
    result: 'integer',
    users: XDP,
    movesPacket: true,
  },
  {
    id: 87,
    name: 'bpf_map_push_elem',
    args: ['map', 'map-value', 'anything'],
    result: 'integer',
    users: BOTH,
    packetMemory: true,
  },
  { id: 88, name: 'bpf_map_pop_elem', args: ['map', 'map-value-write'], result: 'integer', users: BOTH },
  { id: 89, name: 'bpf_map_peek_elem', args: ['map', 'map-value-write'], result: 'integer', users: BOTH },
  {
    id: 130,
    name: 'bpf_ringbuf_output',
    args: ['map', 'memory', 'size-or-zero', 'anything'],
    result: 'integer',
    users: BOTH,
  },
  {
    id: 131,
    name: 'bpf_ringbuf_reserve',
    args: ['map', 'alloc-size', 'anything'],
    result: 'record-or-null',
    users: BOTH,
  },
  { id: 132, name: 'bpf_ringbuf_submit', args: ['record-release', 'anything'], result: 'void', users: BOTH },
  { id: 133, name: 'bpf_ringbuf_discard', args: ['record-release', 'anything'], result: 'void', users: BOTH },
  { id: 134, name: 'bpf_ringbuf_query', args: ['map', 'anything'], result: 'integer', users: BOTH },
  {
    id: 164,
    name: 'bpf_for_each_map_elem',
    args: ['map', 'function', 'stack-or-null', 'anything'],
    result: 'integer',
    users: BOTH,
    builtin: true,
  },
  {
    id: 181,
    name: 'bpf_loop',
    args: ['anything', 'function', 'stack-or-null', 'anything'],
    result: 'integer',
    users: BOTH,
    builtin: true,
  },
  {
    id: 197,
    name: 'bpf_dynptr_from_mem',
    args: ['memory-update', 'size-or-zero', 'anything', 'dynptr-new-local'],
    result: 'integer',
    users: BOTH,
  },
  {
    id: 198,
    name: 'bpf_ringbuf_reserve_dynptr',
    args: ['map', 'anything', 'anything', 'dynptr-new-ringbuf'],
    result: 'integer',
    users: BOTH,
  },
  {
    id: 199,
    name: 'bpf_ringbuf_submit_dynptr',
    args: ['dynptr-release-ringbuf', 'anything'],
    result: 'void',
    users: BOTH,
  },
  {
    id: 200,
    name: 'bpf_ringbuf_discard_dynptr',
    args: ['dynptr-release-ringbuf', 'anything'],
    result: 'void',
    users: BOTH,
  },
  {
    id: 201,
    name: 'bpf_dynptr_read',
    args: ['memory-write', 'size-or-zero', 'dynptr', 'anything', 'anything'],
    result: 'integer',
    users: BOTH,
  },
  {
    id: 202,
    name: 'bpf_dynptr_write',
    args: ['dynptr', 'anything', 'memory', 'size-or-zero', 'anything'],
    result: 'integer',
    users: BOTH,
  },
  {
    id: 203,
    name: 'bpf_dynptr_data',
    args: ['dynptr', 'anything', 'alloc-size'],
    result: 'dynptr-memory-or-null',
    users: BOTH,
  },
] as const satisfies readonly HelperPrototype[];

export type HelperName = (typeof HELPERS)[number]['name'];

const byId: ReadonlyMap<number, (typeof HELPERS)[number]> = new Map(HELPERS.map((row) => [row.id, row]));

/** The helper of a call's imm, or undefined where there is none. */
export function helperById(id: number): (HelperPrototype & { readonly name: HelperName }) | undefined {
  return byId.get(id);
}
