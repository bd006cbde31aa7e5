import { Worker } from 'node:worker_threads';
import { describe, expect, it } from 'vitest';
import { Arena } from '../memory/arena.js';
import {
  CPU_SCRATCH,
  NODE_NEXT_FREE,
  TRIE_ENTRIES,
  TRIE_FREE,
  TRIE_FREE_COUNT,
  TRIE_FREE_LAST,
  TRIE_LOCK,
  TRIE_ROOT,
  TRIE_STRIDE,
  TRIE_UNUSED,
} from '../memory/layout.js';
import { auditTrie } from './audit-trie.js';
import type { MapSpec } from './map.js';
import { type ArenaMap, ArenaMaps } from './registry.js';
import { runtimeWasm } from './runtime-wasm.gen.js';

const DEAD = 0;
const SPEC: MapSpec = { name: 't', type: 'LPM_TRIE', keySize: 8, valueSize: 8, maxEntries: 64, flags: 1 };
const ENTRIES = 20;

const keyOf = (number: number, bits = 32) => Uint8Array.of(bits, 0, 0, 0, 10, number & 7, number >> 3, 1);

/** A trie that has seen frees, in which CPU 0 then dies. */
class Scene {
  readonly arena = Arena.create({ workers: 1, mapsBytes: 1 << 20, ringsBytes: 0 });
  readonly maps = new ArenaMaps(this.arena);
  readonly map: ArenaMap = this.maps.createMap(SPEC);

  constructor() {
    for (let i = 0; i < 30; i++) expect(this.map.update(keyOf(i), new Uint8Array(8).fill(i))).toBe(0);
    for (let i = ENTRIES; i < 30; i++) expect(this.map.delete(keyOf(i))).toBe(0);
    this.set(TRIE_LOCK, DEAD + 1);
  }
  get(word: number): number {
    return this.arena.u32[(this.map.info.descriptor + word) / 4]!;
  }
  set(word: number, value: number): void {
    this.arena.u32[(this.map.info.descriptor + word) / 4] = value;
  }
}

const DEATHS: readonly {
  readonly at: string;
  readonly entries: number;
  readonly die: (scene: Scene) => void;
}[] = [
  { at: 'the lock alone', entries: ENTRIES, die: () => {} },
  {
    at: 'an insert: a node taken, the entry counted',
    entries: ENTRIES,
    die: (s) => {
      s.set(TRIE_UNUSED, s.get(TRIE_UNUSED) + s.get(TRIE_STRIDE));
      s.set(TRIE_ENTRIES, ENTRIES + 1);
    },
  },
  {
    at: 'a take: off the list, not off the count',
    entries: ENTRIES,
    die: (s) => s.set(TRIE_FREE, s.arena.u32[(s.get(TRIE_FREE) + NODE_NEXT_FREE) / 4]!),
  },
  {
    at: 'a free: the last says of it, the list does not count it',
    entries: ENTRIES,
    die: (s) => {
      const root = s.get(TRIE_ROOT);
      s.arena.u32[(s.get(TRIE_FREE_LAST) + NODE_NEXT_FREE) / 4] = root;
    },
  },
  {
    at: 'a delete of everything: unlinked, nothing freed',
    entries: 0,
    die: (s) => s.set(TRIE_ROOT, 0),
  },
  {
    at: 'a free: counted, and nowhere',
    entries: ENTRIES,
    die: (s) => s.set(TRIE_FREE_COUNT, s.get(TRIE_FREE_COUNT) + 1),
  },
];

describe('LPM_TRIE: a CPU that dies in', () => {
  it.each(DEATHS)('$at', ({ die, entries }) => {
    const scene = new Scene();
    die(scene);
    scene.maps.recover(DEAD);
    expect(auditTrie(scene.arena, scene.map.info)).toMatchObject({ faults: [], entries });
    for (let i = 0; i < entries; i++) expect(scene.map.lookup(keyOf(i))?.[0]).toBe(i);
    for (let i = entries; i < 64; i++) expect(scene.map.update(keyOf(i), new Uint8Array(8))).toBe(0);
    expect(auditTrie(scene.arena, scene.map.info)).toMatchObject({ faults: [], entries: 64 });
  });

  it('another CPU: its lock stays', () => {
    const scene = new Scene();
    scene.maps.recover(1);
    expect(scene.get(TRIE_LOCK)).toBe(DEAD + 1);
  });
});

/** Updates and deletes prefixes for ever; big values, so that it spends its life inside operations. */
const VICTIM = `
  const { parentPort, workerData: { wasm, memory, cpu, block, map, scratch } } = require('node:worker_threads');
  const global = (value) => new WebAssembly.Global({ value: 'i32' }, value);
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(wasm), {
    env: { memory, cpu: global(cpu), block: global(block), pause: () => {}, wake: () => {} },
  });
  const words = new Uint32Array(memory.buffer);
  parentPort.postMessage('ready');
  for (let i = 0; ; i++) {
    words[scratch / 4] = 8 + i % 25;
    words[scratch / 4 + 1] = Math.imul(i % 60, 0x9e3779b1);
    if (i % 3) exports.map_update(map, scratch, scratch, 0);
    else exports.map_delete(map, scratch);
  }
`;

it('LPM_TRIE: a worker that is terminated leaves a map that is whole after recovery', async () => {
  const arena = Arena.create({ workers: 1, mapsBytes: 8 << 20, ringsBytes: 0 });
  const maps = new ArenaMaps(arena);
  const map = maps.createMap({ ...SPEC, valueSize: 8192 });
  let deathsInside = 0;
  for (let round = 0; round < 12; round++) {
    const worker = new Worker(VICTIM, {
      eval: true,
      workerData: {
        wasm: runtimeWasm,
        memory: arena.memory,
        cpu: DEAD,
        block: arena.block(DEAD),
        map: map.info.descriptor,
        scratch: arena.block(DEAD) + CPU_SCRATCH,
      },
    });
    await new Promise((resolve) => worker.once('message', resolve));
    await new Promise((resolve) => setTimeout(resolve, 1 + round));
    await worker.terminate();
    if (auditTrie(arena, map.info).faults.length > 0) deathsInside++;
    maps.recover(DEAD);
    expect(auditTrie(arena, map.info).faults).toEqual([]);
    for (let key = map.nextKey(); key; key = map.nextKey()) expect(map.delete(key)).toBe(0);
    for (let i = 0; i < 64; i++) expect(map.update(keyOf(i), new Uint8Array(8192))).toBe(0);
    for (let i = 0; i < 64; i++) expect(map.delete(keyOf(i))).toBe(0);
    expect(auditTrie(arena, map.info)).toMatchObject({ faults: [], entries: 0 });
  }
  // Otherwise the test shows nothing.
  expect(deathsInside).toBeGreaterThan(0);
});
