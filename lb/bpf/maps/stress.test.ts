import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { Arena } from '../memory/arena.js';
import { CPU_SCRATCH } from '../memory/layout.js';
import { auditHash } from './audit.js';
import type { MapSpec } from './map.js';
import { ArenaMaps } from './registry.js';
import { instantiateRuntime } from './runtime.js';
import { runtimeWasm } from './runtime-wasm.gen.js';

const WORKERS = 2;
const CPUS = WORKERS + 1;
const SPEC: MapSpec = { name: 's', type: 'HASH', keySize: 16, valueSize: 64, maxEntries: 0, flags: 0 };

interface Task {
  readonly cpu: number;
  readonly cpus: number;
  readonly map: number;
  readonly scratch: number;
  readonly keys: number;
  readonly operations: number;
  readonly isLru: boolean;
}
interface Outcome {
  readonly torn: number;
  readonly wrong: number;
  readonly errors: number;
  readonly present: number;
}
interface Exports {
  map_update(map: number, key: number, value: number, flags: number): number;
  map_delete(map: number, key: number): number;
  map_lookup(map: number, key: number, value: number): number;
  hash_lookup(map: number, key: number): number;
  lru_hash_lookup(map: number, key: number): number;
}

/**
 * Update, delete and look up at random. A CPU writes its own keys only (key % cpus), so that it knows at
 * each moment which of them are there; it reads all keys, and each value carries its key and a checksum.
 * Runs in workers too, from its own text: it must not refer to anything outside.
 */
function work(words: Uint32Array, exports: Exports, task: Task): Outcome {
  const { cpu, cpus, map, scratch, keys, operations, isLru } = task;
  const [key, value, out] = [scratch, scratch + 64, scratch + 256];
  const VALUE_WORDS = 16;
  let state = 12345 + cpu * 7;
  const random = () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  const has = new Uint8Array(keys);
  const outcome = { torn: 0, wrong: 0, errors: 0, present: 0 };
  const setKey = (k: number) => {
    for (let i = 0; i < 4; i++) words[key / 4 + i] = k * (i + 1);
  };
  const check = (k: number) => {
    const missing = exports.map_lookup(map, key, out) !== 0;
    const mine = k % cpus === cpu;
    if (mine && !isLru && missing === (has[k] === 1)) outcome.wrong++;
    if (missing) return;
    if (mine && has[k] === 0) outcome.wrong++;
    let sum = 0;
    for (let i = 0; i < VALUE_WORDS - 1; i++) sum = (sum + words[out / 4 + i]! * (i + 1)) >>> 0;
    if (words[out / 4] !== k || sum !== words[out / 4 + VALUE_WORDS - 1]) outcome.torn++;
  };
  for (let turn = 0; turn < operations; turn++) {
    const any = random() % keys;
    if (random() % 2 === 0) {
      setKey(any);
      if (isLru) exports.lru_hash_lookup(map, key);
      check(any);
      continue;
    }
    const k = any - (any % cpus) + cpu;
    if (k >= keys) continue;
    setKey(k);
    if (random() % 3 === 0) {
      const result = exports.map_delete(map, key);
      const evicted = isLru && result === -2;
      if (!evicted && result !== (has[k] === 1 ? 0 : -2)) outcome.errors++;
      has[k] = 0;
    } else {
      let sum = 0;
      for (let i = 0; i < VALUE_WORDS - 1; i++) {
        const word = i === 0 ? k : random();
        words[value / 4 + i] = word;
        sum = (sum + word * (i + 1)) >>> 0;
      }
      words[value / 4 + VALUE_WORDS - 1] = sum;
      if (exports.map_update(map, key, value, 0) !== 0) outcome.errors++;
      has[k] = 1;
    }
    check(k);
  }
  for (let k = cpu; k < keys; k += cpus) {
    setKey(k);
    check(k);
    outcome.present += has[k]!;
  }
  return outcome;
}

const WORKER = `
  const { parentPort, workerData: { wasm, memory, block, task, gate } } = require('node:worker_threads');
  const work = ${work.toString()};
  const global = (value) => new WebAssembly.Global({ value: 'i32' }, value);
  const words = new Int32Array(memory.buffer);
  const pause = (at, word) => void Atomics.wait(words, at >>> 2, word, 0.05);
  const wake = (at) => void Atomics.notify(words, at >>> 2);
  const env = { memory, cpu: global(task.cpu), block: global(block), pause, wake };
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), { env });
  parentPort.postMessage('ready');
  Atomics.wait(new Int32Array(memory.buffer), gate, 0);
  parentPort.postMessage(work(new Uint32Array(memory.buffer), exports, task));
`;

it.each<[string, 'HASH' | 'LRU_HASH', number, number]>([
  ['a roomy hash', 'HASH', 6000, 6000],
  ['few keys in short chains', 'HASH', 24, 24],
  ['an LRU with more keys than room', 'LRU_HASH', 1000, 3000],
  ['a tiny LRU', 'LRU_HASH', 12, 48],
])('%s keeps every element and every value whole under three CPUs', async (_, type, maxEntries, keys) => {
  const arena = Arena.create({ workers: WORKERS, mapsBytes: 4 << 20, ringsBytes: 0 });
  const maps = new ArenaMaps(arena);
  const map = maps.createMap({ ...SPEC, type, maxEntries });
  const taskOf = (cpu: number): Task => ({
    cpu,
    cpus: CPUS,
    map: map.info.descriptor,
    scratch: arena.block(cpu) + CPU_SCRATCH,
    keys,
    operations: 300_000,
    isLru: type === 'LRU_HASH',
  });
  const gate = (arena.block(0) + 8) / 4;
  const workers = Array.from({ length: WORKERS }, (_, cpu) => {
    const workerData = {
      wasm: runtimeWasm,
      memory: arena.memory,
      block: arena.block(cpu),
      task: taskOf(cpu),
      gate,
    };
    return new Worker(WORKER, { eval: true, workerData });
  });
  const next = (worker: Worker) =>
    new Promise<unknown>((resolve, reject) => worker.once('message', resolve).once('error', reject));
  await Promise.all(workers.map(next));
  const answers = workers.map(next);
  Atomics.store(arena.i32, gate, 1);
  Atomics.notify(arena.i32, gate);
  const exports = instantiateRuntime(arena.memory, WORKERS).exports;
  const outcomes = [
    work(arena.u32, exports, taskOf(WORKERS)),
    ...((await Promise.all(answers)) as Outcome[]),
  ];
  await Promise.all(workers.map((worker) => worker.terminate()));

  for (const outcome of outcomes) expect(outcome).toMatchObject({ torn: 0, wrong: 0, errors: 0 });
  const audit = auditHash(arena, map.info);
  expect(audit.faults).toEqual([]);
  if (type === 'HASH') expect(audit.linked).toBe(outcomes.reduce((sum, { present }) => sum + present, 0));
  let walked = 0;
  for (let key = map.nextKey(); key; key = map.nextKey(key)) walked++;
  expect(walked).toBe(audit.linked);
});
