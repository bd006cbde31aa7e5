import { Worker } from 'node:worker_threads';
import { instantiateRuntime } from '../../lb/bpf/maps/runtime.js';
import { runtimeWasm } from '../../lb/bpf/maps/runtime-wasm.gen.js';
import type { Arena } from '../../lb/bpf/memory/arena.js';
import { CPU_SCRATCH } from '../../lb/bpf/memory/layout.js';

/** What a CPU of a stress test is given. */
export interface ThreadTask {
  readonly cpu: number;
  readonly cpus: number;
  /** Descriptor of the map. */
  readonly map: number;
  /** The CPU's own scratch memory. */
  readonly scratch: number;
  /** How often, how many: what the test wants. */
  readonly numbers: Readonly<Record<string, number>>;
}

/** The part of the runtime that stress tests use: `map_…` take offsets, helpers registers. */
export interface ThreadExports {
  map_update(map: number, key: number, value: number, flags: number): number;
  map_delete(map: number, key: number): number;
  map_lookup(map: number, key: number, value: number, flags?: number): number;
  map_next_key(map: number, key: number, next: number): number;
  bpf_map_lookup_elem(map: bigint, key: bigint): bigint;
  bpf_map_update_elem(map: bigint, key: bigint, value: bigint, flags: bigint): bigint;
  bpf_map_delete_elem(map: bigint, key: bigint): bigint;
  bpf_spin_lock(lock: bigint): bigint;
  bpf_spin_unlock(lock: bigint): bigint;
}

/** What a CPU does. It runs in a thread, from its own text: it must not refer to anything outside. */
export type ThreadWork<T> = (words: Uint32Array, exports: ThreadExports, task: ThreadTask) => T;

const textOf = (work: ThreadWork<unknown>) => `
  const { parentPort, workerData: { wasm, memory, block, task, gate } } = require('node:worker_threads');
  const work = ${work.toString()};
  const global = (value) => new WebAssembly.Global({ value: 'i32' }, value);
  const words = new Int32Array(memory.buffer);
  const pause = (at, word) => void Atomics.wait(words, at >>> 2, word, 0.05);
  const wake = (at) => void Atomics.notify(words, at >>> 2);
  const env = { memory, cpu: global(task.cpu), block: global(block), pause, wake };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), { env });
  parentPort.postMessage('ready');
  Atomics.wait(words, gate, 0);
  parentPort.postMessage(work(new Uint32Array(memory.buffer), exports, task));
`;

/**
 * Run `work` on every CPU of an arena at once: a thread for each worker, and this one for the last.
 * @param here what the last CPU does instead, in this thread
 * @returns what each CPU's work gives, by CPU
 */
export async function runOnAllCpus<T>(
  arena: Arena,
  map: number,
  work: ThreadWork<T>,
  numbers: Readonly<Record<string, number>>,
  here?: () => T,
): Promise<readonly T[]> {
  const { cpus, controlCpu } = arena;
  const taskOf = (cpu: number): ThreadTask => ({
    cpu,
    cpus,
    map,
    scratch: arena.block(cpu) + CPU_SCRATCH,
    numbers,
  });
  // A word of CPU 0 that nothing here uses.
  const gate = (arena.block(0) + 8) / 4;
  Atomics.store(arena.i32, gate, 0);
  const workers = Array.from({ length: cpus - 1 }, (_, cpu) => {
    const task = taskOf(cpu);
    const workerData = { wasm: runtimeWasm, memory: arena.memory, block: arena.block(cpu), task, gate };
    return new Worker(textOf(work), { eval: true, workerData });
  });
  const next = (worker: Worker) =>
    new Promise<unknown>((resolve, reject) => worker.once('message', resolve).once('error', reject));
  try {
    await Promise.all(workers.map(next));
    const answers = workers.map(next);
    Atomics.store(arena.i32, gate, 1);
    Atomics.notify(arena.i32, gate);
    const exports = instantiateRuntime(arena.memory, controlCpu).exports as unknown as ThreadExports;
    const own = here === undefined ? work(arena.u32, exports, taskOf(controlCpu)) : here();
    return [...((await Promise.all(answers)) as T[]), own];
  } finally {
    await Promise.all(workers.map((worker) => worker.terminate()));
  }
}
