import { describe, expect, it } from 'vitest';
import { Arena } from '../memory/arena.js';
import { CPU_CURSORS, CPU_SCRATCH, CURSOR_BYTES, CURSOR_KEY, CURSOR_VALUE } from '../memory/layout.js';
import type { MapSpec } from './map.js';
import { type ArenaMap, ArenaMaps } from './registry.js';
import { instantiateRuntime } from './runtime.js';
import { EOPNOTSUPP } from './uapi.js';

const SPEC: MapSpec = { name: 'i', type: 'HASH', keySize: 4, valueSize: 8, maxEntries: 100, flags: 0 };
const HASHES = ['HASH', 'LRU_HASH', 'PERCPU_HASH', 'LRU_PERCPU_HASH'] as const;
/** CPU of the program that walks. */
const CPU = 1;

/** A map, and a program's side of it: keys are numbers, and so are the values' first words. */
class Bed {
  readonly arena = Arena.create({ workers: 2, mapsBytes: 1 << 20, ringsBytes: 0 });
  readonly map: ArenaMap;
  readonly #exports = instantiateRuntime(this.arena.memory, CPU).exports;
  readonly #scratch = this.arena.block(CPU) + CPU_SCRATCH;

  constructor(change: Partial<MapSpec>) {
    this.map = new ArenaMaps(this.arena).createMap({ ...SPEC, ...change });
  }

  update(key: number, value: number): bigint {
    this.arena.u32.set([key, 0, value, 0], this.#scratch / 4);
    const [map, at] = [BigInt(this.map.info.descriptor), BigInt(this.#scratch)];
    return this.#exports.bpf_map_update_elem(map, at, at + 8n, 0n);
  }

  delete(key: number): bigint {
    this.arena.u32[this.#scratch / 4] = key;
    return this.#exports.bpf_map_delete_elem(BigInt(this.map.info.descriptor), BigInt(this.#scratch));
  }

  /** As bpf_for_each_map_elem: every key and value, until `visit` gives false. */
  walk(visit: (key: number, value: number) => boolean | undefined): number {
    const cursor = this.arena.block(CPU) + CPU_CURSORS;
    this.arena.u8.fill(0, cursor, cursor + CURSOR_BYTES);
    const word = (at: number) => this.arena.u32[at / 4]!;
    for (;;) {
      const result = this.#exports.map_iterate(this.map.info.descriptor, cursor);
      if (result !== 1) return result;
      if (visit(word(word(cursor + CURSOR_KEY)), word(word(cursor + CURSOR_VALUE))) === false) return 1;
    }
  }
}

describe('map_iterate', () => {
  it.each(HASHES)('%s: every element once, and its value', (type) => {
    const bed = new Bed({ type });
    for (let key = 0; key < 60; key++) expect(bed.update(key, key * 3)).toBe(0n);
    const seen: [number, number][] = [];
    expect(bed.walk((key, value) => void seen.push([key, value]))).toBe(0);
    expect(seen.sort(([a], [b]) => a - b)).toEqual(Array.from({ length: 60 }, (_, key) => [key, key * 3]));
  });

  it.each(['ARRAY', 'PERCPU_ARRAY'] as const)('%s: every index in order, and its value', (type) => {
    const bed = new Bed({ type, maxEntries: 5 });
    for (let key = 0; key < 5; key++) expect(bed.update(key, key + 7)).toBe(0n);
    const seen: [number, number][] = [];
    expect(bed.walk((key, value) => void seen.push([key, value]))).toBe(0);
    expect(seen).toEqual([0, 1, 2, 3, 4].map((key) => [key, key + 7]));
  });

  it.each(HASHES)('%s: nothing of an empty map', (type) => {
    expect(new Bed({ type }).walk(() => expect.unreachable())).toBe(0);
  });

  it.each(['HASH', 'LRU_HASH'] as const)('%s: an element that the callback writes comes once', (type) => {
    const bed = new Bed({ type });
    for (let key = 0; key < 60; key++) bed.update(key, 1);
    const seen: number[] = [];
    bed.walk((key) => {
      seen.push(key);
      expect(bed.update(key, 2)).toBe(0n);
      return true;
    });
    expect(seen.length).toBe(60);
    expect(new Set(seen).size).toBe(60);
    bed.walk((_, value) => void expect(value).toBe(2));
  });

  it.each(HASHES)('%s: the callback may delete what it is shown', (type) => {
    const bed = new Bed({ type });
    for (let key = 0; key < 60; key++) bed.update(key, 1);
    let count = 0;
    bed.walk((key) => {
      count++;
      expect(bed.delete(key)).toBe(0n);
      return true;
    });
    expect(count).toBe(60);
    expect(bed.map.nextKey()).toBeUndefined();
  });

  it.each(HASHES)('%s: ends, whatever the callback does to the map', (type) => {
    const bed = new Bed({ type });
    for (let key = 0; key < 30; key++) bed.update(key, 1);
    let count = 0;
    let next = 1000;
    bed.walk((key) => {
      bed.delete(key);
      for (let i = 0; i < 12; i++) bed.update(next++ % 40, 1);
      for (let i = 0; i < 12; i++) bed.delete((key + i) % 40);
      return ++count < 10_000;
    });
    expect(count).toBeLessThan(10_000);
  });

  it.each(['LPM_TRIE', 'QUEUE', 'HASH_OF_MAPS', 'ARRAY_OF_MAPS', 'RINGBUF'] as const)(
    '%s: has no walk, as in the kernel',
    (type) => {
      const shape = {
        LPM_TRIE: { keySize: 8, flags: 1 },
        QUEUE: { keySize: 0 },
        RINGBUF: { keySize: 0, valueSize: 0, maxEntries: 4096 },
        HASH_OF_MAPS: { valueSize: 4, inner: SPEC },
        ARRAY_OF_MAPS: { valueSize: 4, inner: SPEC },
      }[type];
      expect(new Bed({ type, ...shape }).walk(() => expect.unreachable())).toBe(-EOPNOTSUPP);
    },
  );
});
