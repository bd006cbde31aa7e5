import { describe, expect, it } from 'vitest';
import { Arena } from '../memory/arena.js';
import { auditHash } from './audit.js';
import type { MapSpec } from './map.js';
import { type ArenaMap, ArenaMaps } from './registry.js';
import { instantiateRuntime, type RuntimeExports } from './runtime.js';

const SPEC: MapSpec = { name: 'l', type: 'LRU_HASH', keySize: 4, valueSize: 8, maxEntries: 0, flags: 0 };

/** An LRU map, used from each CPU through offsets as programs do. */
class Bed {
  readonly arena = Arena.create({ workers: 3, mapsBytes: 32 << 20, ringsBytes: 0 });
  readonly map: ArenaMap;
  readonly cpus: readonly RuntimeExports[];
  readonly #scratch = this.arena.block(3) + 49_152;

  constructor(maxEntries: number) {
    const maps = new ArenaMaps(this.arena);
    this.map = maps.createMap({ ...SPEC, maxEntries });
    this.cpus = [0, 1, 2].map((cpu) => instantiateRuntime(this.arena.memory, cpu).exports);
  }

  insert(key: number, cpu = 0): number {
    this.arena.u32[this.#scratch / 4] = key;
    return this.cpus[cpu]!.map_update(this.map.info.descriptor, this.#scratch, this.#scratch, 0);
  }

  /** As a program: marks the key as used. */
  use(key: number, cpu = 0): boolean {
    this.arena.u32[this.#scratch / 4] = key;
    return this.cpus[cpu]!.lru_hash_lookup(this.map.info.descriptor, this.#scratch) !== 0;
  }

  /** As bpf(): marks nothing. */
  has(key: number): boolean {
    return this.map.lookup(new Uint8Array(Uint32Array.of(key).buffer)) !== undefined;
  }

  audit() {
    return auditHash(this.arena, this.map.info);
  }
}

describe('LRU_HASH', () => {
  it.each([1, 2, 3, 7, 8, 64, 1000, 10_000])(
    'of %d holds all its entries, whoever writes the last',
    (entries) => {
      const bed = new Bed(entries);
      for (let i = 0; i < entries; i++) expect(bed.insert(i, 0)).toBe(0);
      for (let i = 0; i < entries; i++) expect(bed.has(i), `key ${i}`).toBe(true);
      expect(bed.audit()).toMatchObject({ faults: [], linked: entries });
    },
  );

  it.each([1, 2, 3, 8, 100, 1000])('of %d takes any number of new keys from any CPU', (entries) => {
    const bed = new Bed(entries);
    for (let i = 0; i < entries * 5 + 200; i++) {
      expect(bed.insert(i, i % 3)).toBe(0);
      expect(bed.use(i, (i + 1) % 3), `key ${i}`).toBe(true);
    }
    const audit = bed.audit();
    expect(audit.faults).toEqual([]);
    expect(audit.linked).toBeLessThanOrEqual(entries);
    // What lies unused is at most a chunk of each CPU that does not insert.
    expect(audit.linked).toBeGreaterThanOrEqual(Math.floor(entries * 0.85));
  });

  it('evicts what was not used since the last round, and keeps what was', () => {
    const bed = new Bed(1000);
    for (let i = 0; i < 1000; i++) bed.insert(i);
    let next = 1000;
    // A flood of new keys, five times the table; the hot tenth is used once in each half of a round.
    for (let round = 0; round < 20; round++) {
      for (let hot = 0; hot < 100; hot++) bed.use(hot * 10);
      for (let i = 0; i < 250; i++) bed.insert(next++);
    }
    const kept = Array.from({ length: 1000 }, (_, i) => bed.has(i));
    expect(kept.filter((has, i) => has && i % 10 === 0).length).toBe(100);
    expect(kept.filter((has, i) => has && i % 10 !== 0).length).toBe(0);
  });

  it('evicts a used element where all are used', () => {
    const bed = new Bed(500);
    for (let i = 0; i < 500; i++) {
      bed.insert(i);
      bed.use(i);
    }
    expect(bed.insert(9999)).toBe(0);
    expect(bed.has(9999)).toBe(true);
    expect(bed.audit()).toMatchObject({ faults: [], linked: 500 });
  });

  it('changes a key that is there without evicting another', () => {
    const bed = new Bed(100);
    for (let i = 0; i < 100; i++) bed.insert(i);
    for (let turn = 0; turn < 1000; turn++) expect(bed.insert(turn % 100, turn % 3)).toBe(0);
    for (let i = 0; i < 100; i++) expect(bed.has(i)).toBe(true);
  });

  it('is not kept alive by bpf() lookups', () => {
    const bed = new Bed(1000);
    for (let i = 0; i < 1000; i++) bed.insert(i);
    let next = 1000;
    for (let round = 0; round < 8; round++) {
      for (let i = 0; i < 100; i++) bed.has(i);
      for (let i = 0; i < 250; i++) bed.insert(next++);
    }
    expect(Array.from({ length: 100 }, (_, i) => bed.has(i))).not.toContain(true);
  });

  it('lets every CPU use what one of them deleted', () => {
    const bed = new Bed(1000);
    for (let i = 0; i < 1000; i++) bed.insert(i, 0);
    for (let i = 0; i < 900; i++) expect(bed.map.delete(new Uint8Array(Uint32Array.of(i).buffer))).toBe(0);
    for (let i = 0; i < 850; i++) bed.insert(5000 + i, 1);
    for (let i = 900; i < 1000; i++) expect(bed.has(i), `key ${i}`).toBe(true);
    for (let i = 0; i < 850; i++) expect(bed.has(5000 + i)).toBe(true);
  });

  it('inserts into a full table in bounded time', () => {
    const bed = new Bed(100_000);
    for (let i = 0; i < 100_000; i++) {
      bed.insert(i);
      bed.use(i);
    }
    const times = Array.from({ length: 2000 }, (_, i) => {
      const start = performance.now();
      expect(bed.insert(1e6 + i)).toBe(0);
      return performance.now() - start;
    }).sort((a, b) => a - b);
    // A sweep over the whole table would take over a millisecond; a turn looks at 256 elements.
    expect(times[1000]!).toBeLessThan(0.1);
  });
});
