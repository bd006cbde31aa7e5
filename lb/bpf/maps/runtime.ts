import type { HelperName } from '../helpers/prototypes.js';
import { Arena } from '../memory/arena.js';
import { runtimeWasm } from './runtime-wasm.gen.js';

/** A helper as programs call it: registers in, r0 out. */
export type HelperBody = (...registers: bigint[]) => bigint;
/** A lookup of one map type: descriptor and key offsets in, offset of the value or 0 out (a signed i32). */
export type FastLookup = (map: number, key: number) => number;

/**
 * What runtime.wasm exports. Offsets are u32, but come out of wasm as signed i32: use `>>> 0`.
 * `map_…` operations have the semantics of the bpf() system call and return 0 or a negative errno.
 */
export interface RuntimeExports extends Readonly<Record<HelperName, HelperBody>> {
  readonly array_lookup: FastLookup;
  readonly percpu_array_lookup: FastLookup;
  readonly hash_lookup: FastLookup;
  readonly lru_hash_lookup: FastLookup;
  readonly array_of_maps_lookup: FastLookup;
  /** Readies a map whose descriptor and plan are written. */
  readonly map_init: (map: number) => void;
  /** Copies the value (of a per-CPU type: every CPU's, each rounded up to 8) to `value`. */
  readonly map_lookup: (map: number, key: number, value: number) => number;
  readonly map_update: (map: number, key: number, value: number, flags: number) => number;
  /** `count` keys and values end to end, BPF_ANY; stops at the first fault. */
  readonly map_update_batch: (map: number, keys: number, values: number, count: number) => number;
  readonly map_delete: (map: number, key: number) => number;
  /** `key` 0 asks for the first key; the answer goes to `next`. */
  readonly map_next_key: (map: number, key: number, next: number) => number;
  /** Frees what a CPU that died held, and repairs the map. The CPU must not run again before. */
  readonly map_recover: (map: number, cpu: number) => void;
}

/** runtime.wasm for one CPU, and what other modules of that CPU import as `env`. */
export interface Runtime {
  readonly cpu: number;
  readonly exports: RuntimeExports;
  readonly env: {
    readonly memory: WebAssembly.Memory;
    readonly cpu: WebAssembly.Global;
    readonly block: WebAssembly.Global;
  };
}

let compiled: WebAssembly.Module | undefined;

/**
 * Instantiate the maps and helpers for one CPU of an arena. The module is compiled once a thread.
 * @param memory an arena's memory (Arena.create or Arena.attach made sure of it)
 * @param cpu    0 to cpus − 1; no two live threads share one
 * @throws ArenaError where the memory holds no arena or has no such CPU
 */
export function instantiateRuntime(memory: WebAssembly.Memory, cpu: number): Runtime {
  compiled ??= new WebAssembly.Module(runtimeWasm);
  const block = Arena.attach(memory).block(cpu);
  const env = {
    memory,
    cpu: new WebAssembly.Global({ value: 'i32', mutable: false }, cpu),
    block: new WebAssembly.Global({ value: 'i32', mutable: false }, block),
  };
  const instance = new WebAssembly.Instance(compiled, { env });
  return { cpu, env, exports: instance.exports as unknown as RuntimeExports };
}
