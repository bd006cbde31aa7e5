/**
 * What a helper takes, as the verifier must prove it (the kernel's enum bpf_arg_type). A `*_size` argument
 * is the length in bytes of the memory argument before it.
 */
export type ArgumentKind =
  | 'context'
  | 'map'
  /** keySize readable bytes of the map argument's map; the same for a value. */
  | 'map-key'
  | 'map-value'
  /** Readable memory, or NULL together with a size of 0. */
  | 'memory-or-null'
  | 'size-or-zero'
  /** Any initialised register. */
  | 'anything';

/** What r0 holds afterwards. */
export type ResultKind = 'integer' | 'map-value-or-null';

export interface HelperPrototype {
  /** Number in a call instruction's imm (uapi/linux/bpf.h, __BPF_FUNC_MAPPER). */
  readonly id: number;
  /** The kernel's name; the runtime module exports the body under it. */
  readonly name: string;
  /** r1 to r5, as many as the helper takes. */
  readonly args: readonly ArgumentKind[];
  readonly result: ResultKind;
  /** Packet pointers that the program holds are stale afterwards. */
  readonly movesPacket?: true;
  /** Only programs under a GPL-compatible licence may call it. */
  readonly gplOnly?: true;
}

/**
 * The helpers, by id (bpf-helpers(7); argument kinds as the kernel's bpf_func_proto of each).
 * Interpreter, JIT and verifier read this table; the bodies are in helpers/wasm and maps/wasm.
 */
export const HELPERS = [
  { id: 1, name: 'bpf_map_lookup_elem', args: ['map', 'map-key'], result: 'map-value-or-null' },
  {
    id: 2,
    name: 'bpf_map_update_elem',
    args: ['map', 'map-key', 'map-value', 'anything'],
    result: 'integer',
  },
  { id: 3, name: 'bpf_map_delete_elem', args: ['map', 'map-key'], result: 'integer' },
  { id: 5, name: 'bpf_ktime_get_ns', args: [], result: 'integer' },
  { id: 7, name: 'bpf_get_prandom_u32', args: [], result: 'integer' },
  { id: 8, name: 'bpf_get_smp_processor_id', args: [], result: 'integer' },
  {
    id: 28,
    name: 'bpf_csum_diff',
    args: ['memory-or-null', 'size-or-zero', 'memory-or-null', 'size-or-zero', 'anything'],
    result: 'integer',
  },
  {
    id: 44,
    name: 'bpf_xdp_adjust_head',
    args: ['context', 'anything'],
    result: 'integer',
    movesPacket: true,
  },
  {
    id: 65,
    name: 'bpf_xdp_adjust_tail',
    args: ['context', 'anything'],
    result: 'integer',
    movesPacket: true,
  },
] as const satisfies readonly HelperPrototype[];

export type HelperName = (typeof HELPERS)[number]['name'];

const byId: ReadonlyMap<number, (typeof HELPERS)[number]> = new Map(HELPERS.map((row) => [row.id, row]));

/** The helper of a call's imm, or undefined where there is none. */
export function helperById(id: number): (HelperPrototype & { readonly name: HelperName }) | undefined {
  return byId.get(id);
}
