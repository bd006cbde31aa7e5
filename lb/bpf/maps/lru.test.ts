import { describe, expect, it } from 'vitest';
import { Arena } from '../memory/arena.js';
import { auditHash } from './audit.js';
import { MAP_FLAGS, type MapSpec } from './map.js';
import { type ArenaMap, ArenaMaps } from './registry.js';
import { instantiateRuntime, type RuntimeExports } from './runtime.js';

const SPEC: MapSpec = { name: 'l', type: 'LRU_HASH', keySize: 4, valueSize: 8, maxEntries: 0, flags: 0 };

/** An LRU map, used from each CPU through offsets as programs do. */
class Bed {
  readonly arena = Arena.create({ workers: 3, mapsBytes: 32 << 20, ringsBytes: 0 });
  readonly map: ArenaMap;
  readonly cpus: readonly RuntimeExports[];
  readonly #scratch = this.arena.block(3) + 49_152;

  constructor(maxEntries: number, change: Partial<MapSpec> = {}) {
    const maps = new ArenaMaps(this.arena);
    this.map = maps.createMap({ ...SPEC, maxEntries, ...change });
    this.cpus = [0, 1, 2].map((cpu) => instantiateRuntime(this.arena.memory, cpu).exports);
  }

  insert(key: number, cpu = 0): number {
    this.arena.u32[this.#scratch / 4] = key;
    return this.cpus[cpu]!.map_update(this.map.info.descriptor, this.#scratch, this.#scratch, 0);
  }

  /** As a program: marks the key as used. */
  use(key: number, cpu = 0): boolean {
    this.arena.u32[this.#scratch / 4] = key;
    const { bpf_map_lookup_elem: lookup } = this.cpus[cpu]!;
    return lookup(BigInt(this.map.info.descriptor), BigInt(this.#scratch)) !== 0n;
  }

  /** As bpf(): marks nothing. */
  has(key: number): boolean {
    return this.map.lookup(new Uint8Array(Uint32Array.of(key).buffer)) !== undefined;
  }

  audit() {
    return auditHash(this.arena, this.map.info);
  }
}

describe.each(['LRU_HASH', 'LRU_PERCPU_HASH'] as const)('%s', (type) => {
  it.each([1, 2, 3, 7, 8, 64, 1000, 10_000])(
    'of %d holds all its entries, whoever writes the last',
    (entries) => {
      const bed = new Bed(entries, { type });
      for (let i = 0; i < entries; i++) expect(bed.insert(i, 0)).toBe(0);
      for (let i = 0; i < entries; i++) expect(bed.has(i), `key ${i}`).toBe(true);
      expect(bed.audit()).toMatchObject({ faults: [], linked: entries });
    },
  );

  it.each([1, 2, 3, 8, 100, 1000])('of %d takes any number of new keys from any CPU', (entries) => {
    const bed = new Bed(entries, { type });
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
    const bed = new Bed(1000, { type });
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
    const bed = new Bed(500, { type });
    for (let i = 0; i < 500; i++) {
      bed.insert(i);
      bed.use(i);
    }
    expect(bed.insert(9999)).toBe(0);
    expect(bed.has(9999)).toBe(true);
    expect(bed.audit()).toMatchObject({ faults: [], linked: 500 });
  });

  it('changes a key that is there without evicting another', () => {
    const bed = new Bed(100, { type });
    for (let i = 0; i < 100; i++) bed.insert(i);
    for (let turn = 0; turn < 1000; turn++) expect(bed.insert(turn % 100, turn % 3)).toBe(0);
    for (let i = 0; i < 100; i++) expect(bed.has(i)).toBe(true);
  });

  it('is not kept alive by bpf() lookups', () => {
    const bed = new Bed(1000, { type });
    for (let i = 0; i < 1000; i++) bed.insert(i);
    let next = 1000;
    for (let round = 0; round < 8; round++) {
      for (let i = 0; i < 100; i++) bed.has(i);
      for (let i = 0; i < 250; i++) bed.insert(next++);
    }
    expect(Array.from({ length: 100 }, (_, i) => bed.has(i))).not.toContain(true);
  });

  it('lets every CPU use what one of them deleted', () => {
    const bed = new Bed(1000, { type });
    for (let i = 0; i < 1000; i++) bed.insert(i, 0);
    for (let i = 0; i < 900; i++) expect(bed.map.delete(new Uint8Array(Uint32Array.of(i).buffer))).toBe(0);
    for (let i = 0; i < 850; i++) bed.insert(5000 + i, 1);
    for (let i = 900; i < 1000; i++) expect(bed.has(i), `key ${i}`).toBe(true);
    for (let i = 0; i < 850; i++) expect(bed.has(5000 + i)).toBe(true);
  });

  it('inserts into a full table in bounded time', () => {
    const bed = new Bed(100_000, { type });
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

describe('an LRU with BPF_F_NO_COMMON_LRU', () => {
  /** The arena has 4 CPUs: parts of a quarter. */
  const parts = (maxEntries: number, type: 'LRU_HASH' | 'LRU_PERCPU_HASH' = 'LRU_HASH') =>
    new Bed(maxEntries, { type, flags: MAP_FLAGS.BPF_F_NO_COMMON_LRU });

  it.each([1, 2, 3, 4, 5, 8, 100, 1000])('of %d takes any number of new keys from any CPU', (entries) => {
    for (const type of ['LRU_HASH', 'LRU_PERCPU_HASH'] as const) {
      const bed = parts(entries, type);
      for (let i = 0; i < entries * 5 + 200; i++) {
        expect(bed.insert(i, i % 3)).toBe(0);
        expect(bed.has(i), `key ${i}`).toBe(true);
      }
      const audit = bed.audit();
      expect(audit.faults).toEqual([]);
      expect(audit.linked).toBeLessThanOrEqual(Math.ceil(entries / 4) * 4);
    }
  });

  it('gives each CPU its part', () => {
    const bed = parts(400);
    for (let i = 0; i < 400; i++) bed.insert(i, 0);
    expect(bed.audit()).toMatchObject({ faults: [], linked: 100 });
    for (let i = 1000; i < 1400; i++) bed.insert(i, 1);
    expect(bed.audit()).toMatchObject({ faults: [], linked: 200 });
  });

  it('keeps what one CPU has from a flood of another', () => {
    const bed = parts(400);
    for (let i = 0; i < 90; i++) bed.insert(i, 0);
    for (let i = 1000; i < 10_000; i++) expect(bed.insert(i, 1)).toBe(0);
    for (let i = 0; i < 90; i++) expect(bed.has(i), `key ${i}`).toBe(true);
  });

  it('evicts what was not used, and keeps what was', () => {
    const bed = parts(4000);
    for (let i = 0; i < 1000; i++) bed.insert(i);
    let next = 1000;
    for (let round = 0; round < 20; round++) {
      for (let hot = 0; hot < 100; hot++) bed.use(hot * 10);
      for (let i = 0; i < 250; i++) bed.insert(next++);
    }
    const kept = Array.from({ length: 1000 }, (_, i) => bed.has(i));
    expect(kept.filter((has, i) => has && i % 10 === 0).length).toBe(100);
    expect(kept.filter((has, i) => has && i % 10 !== 0).length).toBe(0);
  });

  it('changes keys of other CPUs without evicting any', () => {
    const bed = parts(400);
    for (let i = 0; i < 300; i++) bed.insert(i, i % 3);
    for (let turn = 0; turn < 3000; turn++) expect(bed.insert(turn % 300, (turn + 1) % 3)).toBe(0);
    for (let i = 0; i < 300; i++) expect(bed.has(i), `key ${i}`).toBe(true);
    expect(bed.audit()).toMatchObject({ faults: [], linked: 300 });
  });

  it('gives what is deleted back to the CPU whose part it is in', () => {
    const bed = parts(400);
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 100; i++) bed.insert(round * 1000 + i, 0);
      for (let i = 0; i < 100; i++) {
        bed.map.delete(new Uint8Array(Uint32Array.of(round * 1000 + i).buffer));
      }
    }
    for (let i = 0; i < 92; i++) bed.insert(9000 + i, 0);
    for (let i = 0; i < 92; i++) expect(bed.has(9000 + i)).toBe(true);
    expect(bed.audit()).toMatchObject({ faults: [], linked: 92 });
  });
});
