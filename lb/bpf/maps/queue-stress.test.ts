import { Worker } from 'node:worker_threads';
import { expect, it } from 'vitest';
import { Arena } from '../memory/arena.js';
import { CPU_SCRATCH } from '../memory/layout.js';
import type { MapSpec } from './map.js';
import { ArenaMaps } from './registry.js';
import { RingBufferReader } from './ring-buffer.js';
import { runtimeWasm } from './runtime-wasm.gen.js';

const WORKERS = 3;
const SPEC = { name: 's', keySize: 0, valueSize: 8, maxEntries: 64, flags: 0 } as const;

interface Task {
  readonly cpu: number;
  readonly map: number;
  readonly scratch: number;
  readonly count: number;
}
/** The part of the runtime that the producers use; descriptors and addresses are i64 for helpers. */
interface Exports {
  bpf_map_push_elem(map: bigint, value: bigint, flags: bigint): bigint;
  bpf_map_pop_elem(map: bigint, value: bigint): bigint;
  bpf_map_peek_elem(map: bigint, value: bigint): bigint;
  bpf_ringbuf_reserve(map: bigint, size: bigint, flags: bigint): bigint;
  bpf_ringbuf_submit(record: bigint, flags: bigint): bigint;
  bpf_ringbuf_discard(record: bigint, flags: bigint): bigint;
}
/** Runs in a worker, from its own text: it must not refer to anything outside. */
type Work = (words: Uint32Array, exports: Exports, task: Task) => unknown;

/** Push `count` numbered values of this CPU, popping some of anybody's between. */
const workOnQueue: Work = (words, exports, { cpu, map, scratch, count }) => {
  const [ring, value] = [BigInt(map), BigInt(scratch)];
  const popped: number[] = [];
  let torn = 0;
  const pop = () => {
    if (exports.bpf_map_pop_elem(ring, value) !== 0n) return;
    if (words[scratch / 4 + 1] !== (words[scratch / 4]! ^ 0x5a5a5a5a) >>> 0) torn++;
    popped.push(words[scratch / 4]!);
  };
  for (let i = 0; i < count; i++) {
    const number = cpu * 0x1000000 + i;
    for (;;) {
      words[scratch / 4] = number;
      words[scratch / 4 + 1] = number ^ 0x5a5a5a5a;
      if (exports.bpf_map_push_elem(ring, value, 0n) === 0n) break;
      pop();
    }
    if (i % 3 === 0) pop();
  }
  return { popped, torn };
};

/** Put `count` numbered records into a ring, of lengths that vary; every seventh is discarded. */
const workOnRing: Work = (words, exports, { cpu, map, count }) => {
  let refused = 0;
  let state = cpu + 1;
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    const length = 2 + ((state >>> 8) % 60);
    let record = 0;
    while (record === 0) {
      record = Number(exports.bpf_ringbuf_reserve(BigInt(map), BigInt(length * 4), 0n));
      if (record === 0) refused++;
    }
    const number = cpu * 0x1000000 + i;
    for (let at = 0; at < length; at++) words[record / 4 + at] = (number + at * 0x9e3779b1) >>> 0;
    if (i % 7 === 3) exports.bpf_ringbuf_discard(BigInt(record), 0n);
    else exports.bpf_ringbuf_submit(BigInt(record), 0n);
  }
  return { refused };
};

/**
 * CPUs 0 and 1 push into `count` filters of two words that lie end to end, each at the same time, and look at the end
 * what became of their values.
 */
const workOnBloom: Work = (words, exports, { cpu, map, scratch, count }) => {
  const STRIDE = 448;
  const VALUES = 4;
  if (cpu > 1) return { denied: 0 };
  const value = BigInt(scratch);
  // CPUs' blocks, and so their scratches, are 128 KiB apart.
  const own = scratch / 4 + 64;
  const other = own + (cpu === 0 ? 32768 : -32768);
  let denied = 0;
  for (let i = 0; i < count; i++) {
    Atomics.store(words, own, i + 1);
    while (Atomics.load(words, other) < i + 1);
    for (let v = 0; v < VALUES; v++) {
      words[scratch / 4] = v * 2 + cpu;
      exports.bpf_map_push_elem(BigInt(map + i * STRIDE), value, 0n);
    }
  }
  for (let i = 0; i < count; i++) {
    for (let v = 0; v < VALUES; v++) {
      words[scratch / 4] = v * 2 + cpu;
      if (exports.bpf_map_peek_elem(BigInt(map + i * STRIDE), value) !== 0n) denied++;
    }
  }
  return { denied };
};

const worker = (work: Work) => `
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

/** Runs `work` on three CPUs at once. */
class Bed {
  readonly arena = Arena.create({ workers: WORKERS, mapsBytes: 4 << 20, ringsBytes: 0 });
  readonly maps = new ArenaMaps(this.arena);

  async run<T>(work: Work, map: number, count: number): Promise<readonly T[]> {
    const gate = (this.arena.block(0) + 8) / 4;
    const workers = Array.from({ length: WORKERS }, (_, cpu) => {
      const block = this.arena.block(cpu);
      const task: Task = { cpu, map, scratch: block + CPU_SCRATCH, count };
      const workerData = { wasm: runtimeWasm, memory: this.arena.memory, block, task, gate };
      return new Worker(worker(work), { eval: true, workerData });
    });
    const next = (thread: Worker) =>
      new Promise<unknown>((resolve, reject) => thread.once('message', resolve).once('error', reject));
    await Promise.all(workers.map(next));
    const answers = workers.map(next);
    Atomics.store(this.arena.i32, gate, 1);
    Atomics.notify(this.arena.i32, gate);
    const results = (await Promise.all(answers)) as T[];
    await Promise.all(workers.map((thread) => thread.terminate()));
    return results;
  }
}

it.each(['QUEUE', 'STACK'] as const)('%s: nothing is lost, nothing comes twice', async (type) => {
  const COUNT = 30_000;
  const bed = new Bed();
  const map = bed.maps.createMap({ ...SPEC, type });
  const results = await bed.run<{ popped: number[]; torn: number }>(workOnQueue, map.info.descriptor, COUNT);
  const popped = results.flatMap((result) => result.popped);
  for (;;) {
    const value = map.lookupAndDelete(new Uint8Array(0));
    if (value === undefined) break;
    popped.push(new DataView(value.buffer).getUint32(0, true));
  }
  expect(results.map(({ torn }) => torn)).toEqual([0, 0, 0]);
  expect(popped).toHaveLength(WORKERS * COUNT);
  expect(new Set(popped).size).toBe(WORKERS * COUNT);
  if (type === 'STACK') return;
  // One CPU takes what another pushed in the order of the pushes.
  for (const result of results) {
    const last = [-1, -1, -1];
    for (const number of result.popped) {
      const [cpu, i] = [number >>> 24, number & 0xffffff];
      expect(i).toBeGreaterThan(last[cpu]!);
      last[cpu] = i;
    }
  }
});

it('RINGBUF: every record comes once, whole, and in the order of its CPU', async () => {
  const COUNT = 20_000;
  const bed = new Bed();
  const spec: MapSpec = { ...SPEC, type: 'RINGBUF', valueSize: 0, maxEntries: 8192 };
  const map = bed.maps.createMap(spec);
  const reader = new RingBufferReader(bed.maps, map);
  const next = [0, 0, 0];
  let [wrong, misplaced, count] = [0, 0, 0];
  const visit = (record: Uint8Array) => {
    const words = new Uint32Array(record.buffer, record.byteOffset, record.length / 4);
    const number = words[0]!;
    const [cpu, i] = [number >>> 24, number & 0xffffff];
    if (next[cpu]! % 7 === 3) next[cpu]!++;
    if (i !== next[cpu]!++) wrong++;
    for (let at = 0; at < words.length; at++) if (words[at] !== (number + at * 0x9e3779b1) >>> 0) wrong++;
    if (record.byteOffset % 8 !== 0) misplaced++;
  };
  let isDone = false;
  const running = bed.run(workOnRing, map.info.descriptor, COUNT).finally(() => {
    isDone = true;
  });
  while (!isDone) {
    await reader.wait(50);
    count += reader.consume(visit);
  }
  await running;
  count += reader.consume(visit);
  const discarded = Array.from({ length: COUNT }, (_, i) => i).filter((i) => i % 7 === 3).length;
  expect({ wrong, misplaced }).toEqual({ wrong: 0, misplaced: 0 });
  expect(count).toBe(WORKERS * (COUNT - discarded));
});

it('BLOOM_FILTER: no bit is lost where two CPUs set some in one word', async () => {
  const COUNT = 4000;
  const bed = new Bed();
  const spec: MapSpec = { ...SPEC, type: 'BLOOM_FILTER', valueSize: 4, maxEntries: 4, mapExtra: 2 };
  const places = Array.from({ length: COUNT }, () => bed.maps.createMap(spec).info.descriptor);
  expect(places.at(-1)).toBe(places[0]! + (COUNT - 1) * 448);
  const results = await bed.run<{ denied: number }>(workOnBloom, places[0]!, COUNT);
  expect(results.map(({ denied }) => denied)).toEqual([0, 0, 0]);
});
