import { ProgramTable } from '../engine/program-table.js';
import type { HelperBodyName } from '../helpers/prototypes.js';
import { Arena } from '../memory/arena.js';
import { exportsOf } from '../wasm-exports.js';
import { runtimeWasm } from './runtime-wasm.gen.js';

/** A helper as programs call it: registers in, r0 out. */
export type HelperBody = (...registers: bigint[]) => bigint;
/** A lookup of one map type: descriptor and key offsets in, offset of the value or 0 out (a signed i32). */
export type FastLookup = (map: number, key: number) => number;

/**
 * What runtime.wasm exports. Offsets are u32, but come out of wasm as signed i32: use `>>> 0`.
 * `map_…` operations have the semantics of the bpf() system call and return 0 or a negative errno.
 */
export interface RuntimeExports extends Readonly<Record<HelperBodyName, HelperBody>> {
  readonly array_lookup: FastLookup;
  readonly percpu_array_lookup: FastLookup;
  readonly hash_lookup: FastLookup;
  readonly lru_hash_lookup: FastLookup;
  readonly percpu_hash_lookup: FastLookup;
  readonly lpm_trie_lookup: FastLookup;
  readonly array_of_maps_lookup: FastLookup;
  readonly hash_of_maps_lookup: FastLookup;
  /** Readies a map whose descriptor and plan are written. */
  readonly map_init: (map: number) => void;
  /** Copies the value (of a per-CPU type: every CPU's, each rounded up to 8) to `value`. */
  readonly map_lookup: (map: number, key: number, value: number, flags?: number) => number;
  readonly map_update: (map: number, key: number, value: number, flags: number) => number;
  /** `count` keys and values end to end, BPF_ANY; stops at the first fault. */
  readonly map_update_batch: (map: number, keys: number, values: number, count: number) => number;
  readonly map_delete: (map: number, key: number) => number;
  readonly map_lookup_and_delete: (map: number, key: number, value: number) => number;
  /** `key` 0 asks for the first key; the answer goes to `next`. */
  readonly map_next_key: (map: number, key: number, next: number) => number;
  /** RINGBUF: data of the consumer's next record, or 0; what is before it and discarded is passed over. */
  readonly ring_peek: (map: number) => number;
  /** RINGBUF: gives back the room of the record that `ring_peek` gave. */
  readonly ring_release: (map: number, record: number) => void;
  /**
   * One step of a walk over the elements: 1 and their addresses in the cursor (CURSOR_KEY, CURSOR_VALUE), 0 at the
   * end, or a negative errno. The cursor is CURSOR_BYTES of zeros before the first step.
   */
  readonly map_iterate: (map: number, cursor: number) => number;
  /** The same over a DEVMAP or DEVMAP_HASH; gives the element's two words at CURSOR_TARGET. */
  readonly target_iterate: (map: number, cursor: number) => number;
  /** Frees what a CPU that died held, and repairs the map. The CPU must not run again before. */
  readonly map_recover: (map: number, cpu: number) => void;
}

/** runtime.wasm for one CPU, and what other modules of that CPU import as `env`. */
export interface Runtime {
  readonly cpu: number;
  readonly exports: RuntimeExports;
  /** What tail calls can go to. */
  readonly programs: ProgramTable;
  readonly env: {
    readonly memory: WebAssembly.Memory;
    readonly cpu: WebAssembly.Global;
    readonly block: WebAssembly.Global;
    /** The table of `programs`. */
    readonly programs: WebAssembly.Table;
    /** Sleep while the word at `at` is `word`, for a moment; wake those who wait for it (see wasm/memory.ts). */
    readonly pause: (at: number, word: number) => void;
    readonly wake: (at: number) => void;
  };
}

/** Longest pause of a CPU that waits for a lock. */
const PAUSE_MS = 0.05;

let compiled: WebAssembly.Module | undefined;

/**
 * Instantiate the maps and helpers for one CPU of an arena. The module is compiled once a thread.
 * @param memory an arena's memory (Arena.create or Arena.attach made sure of it)
 * @param cpu    0 to cpus − 1; no two live threads share one
 * @throws ArenaError where the memory holds no arena or has no such CPU
 */
export function instantiateRuntime(memory: WebAssembly.Memory, cpu: number): Runtime {
  compiled ??= new WebAssembly.Module(runtimeWasm);
  const arena = Arena.attach(memory);
  const block = arena.block(cpu);
  const programs = new ProgramTable();
  const env = {
    memory,
    programs: programs.table,
    cpu: new WebAssembly.Global({ value: 'i32', mutable: false }, cpu),
    block: new WebAssembly.Global({ value: 'i32', mutable: false }, block),
    pause: (at: number, word: number) => void Atomics.wait(arena.i32, at >>> 2, word, PAUSE_MS),
    wake: (at: number) => void Atomics.notify(arena.i32, at >>> 2),
  };
  const instance = new WebAssembly.Instance(compiled, { env });
  return { cpu, env, programs, exports: exportsOf<RuntimeExports>(instance) };
}
