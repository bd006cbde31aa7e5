import { describe, expect, it } from 'vitest';
import { Arena } from '../memory/arena.js';
import { CPU_SCRATCH } from '../memory/layout.js';
import { auditHash } from './audit.js';
import { BPF_EXIST, BPF_NOEXIST, ERRNO, type MapSpec } from './map.js';
import { type ArenaMap, ArenaMaps } from './registry.js';
import { instantiateRuntime, type RuntimeExports } from './runtime.js';

const WORKERS = 2;
const CPUS = WORKERS + 1;
const SPEC: MapSpec = { name: 'p', type: 'PERCPU_HASH', keySize: 4, valueSize: 4, maxEntries: 50, flags: 0 };
const TYPES = ['PERCPU_HASH', 'LRU_PERCPU_HASH'] as const;

const u32 = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);
/** The copies in what bpf() gives. */
const copies = (value: Uint8Array | undefined) =>
  value && [...new BigUint64Array(value.slice().buffer)].map((word) => Number(word & 0xffff_ffffn));

/** Programs of each CPU at one map. */
class Bed {
  readonly arena = Arena.create({ workers: WORKERS, mapsBytes: 4 << 20, ringsBytes: 0 });
  readonly map: ArenaMap;
  readonly #cpus: readonly RuntimeExports[];

  constructor(change: Partial<MapSpec>) {
    this.map = new ArenaMaps(this.arena).createMap({ ...SPEC, ...change });
    this.#cpus = Array.from({ length: CPUS }, (_, cpu) => instantiateRuntime(this.arena.memory, cpu).exports);
  }

  update(cpu: number, key: number, value: number, flags = 0): number {
    const at = this.#stage(cpu, key, value);
    return Number(this.#cpus[cpu]!.bpf_map_update_elem(this.#pointer, at, at + 8n, BigInt(flags)));
  }

  delete(cpu: number, key: number): number {
    return Number(this.#cpus[cpu]!.bpf_map_delete_elem(this.#pointer, this.#stage(cpu, key, 0)));
  }

  /** Address of the CPU's copy, or 0. */
  lookup(cpu: number, key: number): number {
    return Number(this.#cpus[cpu]!.bpf_map_lookup_elem(this.#pointer, this.#stage(cpu, key, 0)));
  }

  /** Address of another CPU's copy, or 0. */
  lookupOf(cpu: number, key: number, owner: number): number {
    const helpers = this.#cpus[cpu] as unknown as Record<string, (...registers: bigint[]) => bigint>;
    const at = this.#stage(cpu, key, 0);
    return Number(helpers.bpf_map_lookup_percpu_elem!(this.#pointer, at, BigInt(owner)));
  }

  get #pointer(): bigint {
    return BigInt(this.map.info.descriptor);
  }

  #stage(cpu: number, key: number, value: number): bigint {
    const at = this.arena.block(cpu) + CPU_SCRATCH;
    this.arena.u32.set([key, 0, value, 0], at / 4);
    return BigInt(at);
  }
}

describe.each(TYPES)('%s', (type) => {
  it('a program makes an element with its copy, and zeros for the others', () => {
    const bed = new Bed({ type });
    // The element is used again: what was in its copies is gone.
    expect(bed.map.update(u32(9), new Uint8Array(CPUS * 8).fill(0xff))).toBe(0);
    for (let turn = 0; turn < 40; turn++) {
      expect(bed.update(turn % CPUS, 1, 100 + turn)).toBe(0);
      const want = [0, 0, 0];
      want[turn % CPUS] = 100 + turn;
      expect(copies(bed.map.lookup(u32(1)))).toEqual(want);
      expect(bed.delete(0, 1)).toBe(0);
    }
  });

  it('a program writes its copy in place', () => {
    const bed = new Bed({ type });
    const first = bed.update(0, 1, 10);
    const at = bed.lookup(0, 1);
    expect(first).toBe(0);
    expect(bed.update(1, 1, 11, BPF_EXIST)).toBe(0);
    expect(bed.update(0, 1, 12)).toBe(0);
    expect(bed.update(2, 1, 13, BPF_NOEXIST)).toBe(-ERRNO.EEXIST);
    expect(bed.lookup(0, 1)).toBe(at);
    expect(copies(bed.map.lookup(u32(1)))).toEqual([12, 11, 0]);
  });

  it('bpf() writes all copies, in place too', () => {
    const bed = new Bed({ type });
    expect(bed.map.update(u32(1), u32(1, 0, 2, 0, 3, 0))).toBe(0);
    const at = bed.lookup(1, 1);
    expect(bed.arena.u32[at / 4]).toBe(2);
    expect(bed.map.update(u32(1), u32(4, 0, 5, 0, 6, 0))).toBe(0);
    expect(bed.lookup(1, 1)).toBe(at);
    expect([0, 1, 2].map((cpu) => bed.arena.u32[bed.lookup(cpu, 1) / 4])).toEqual([4, 5, 6]);
  });

  it('copies of two CPUs are not in one cache line', () => {
    const bed = new Bed({ type });
    for (let key = 0; key < 8; key++) bed.update(0, key, key);
    const lines = [0, 1, 2].map(
      (cpu) => new Set([0, 1, 2, 3, 4, 5, 6, 7].map((key) => bed.lookup(cpu, key) >>> 6)),
    );
    for (const line of lines[0]!) expect(lines[1]!.has(line) || lines[2]!.has(line)).toBe(false);
  });

  it('bpf_map_lookup_percpu_elem gives the copy of any CPU that is there', () => {
    const bed = new Bed({ type });
    bed.map.update(u32(1), u32(1, 0, 2, 0, 3, 0));
    for (let owner = 0; owner < CPUS; owner++) {
      expect(bed.lookupOf(0, 1, owner)).toBe(bed.lookup(owner, 1));
      expect(bed.arena.u32[bed.lookupOf(2, 1, owner) / 4]).toBe(owner + 1);
    }
    expect(bed.lookupOf(0, 1, CPUS)).toBe(0);
    expect(bed.lookupOf(0, 1, 0xffffffff)).toBe(0);
    expect(bed.lookupOf(0, 2, 0)).toBe(0);
  });

  it('counts what all CPUs count', () => {
    const bed = new Bed({ type });
    for (let turn = 0; turn < 3000; turn++) {
      const cpu = turn % CPUS;
      const at = bed.lookup(cpu, turn % 7);
      if (at === 0) expect(bed.update(cpu, turn % 7, 1, BPF_NOEXIST)).toBe(0);
      else bed.arena.u32[at / 4]!++;
    }
    let sum = 0;
    bed.map.forEach((_, value) => {
      for (const copy of copies(value)!) sum += copy;
    });
    expect(sum).toBe(3000);
    expect(auditHash(bed.arena, bed.map.info)).toMatchObject({ faults: [], linked: 7 });
  });
});

describe('bpf_map_lookup_percpu_elem', () => {
  it('of a PERCPU_ARRAY gives the copy of any CPU', () => {
    const bed = new Bed({ type: 'PERCPU_ARRAY' });
    bed.map.update(u32(1), u32(1, 0, 2, 0, 3, 0));
    expect([0, 1, 2].map((owner) => bed.arena.u32[bed.lookupOf(0, 1, owner) / 4])).toEqual([1, 2, 3]);
    expect(bed.lookupOf(0, 1, CPUS)).toBe(0);
    expect(bed.lookupOf(0, 50, 0)).toBe(0);
  });

  it.each(['HASH', 'ARRAY', 'LRU_HASH'] as const)('of a %s gives nothing', (type) => {
    const bed = new Bed({ type });
    bed.map.update(u32(1), u32(1));
    expect(bed.lookupOf(0, 1, 0)).toBe(0);
  });
});

it('PERCPU_HASH: a full map refuses, whoever asks, until an element is deleted', () => {
  const bed = new Bed({ maxEntries: 10 });
  for (let key = 0; key < 10; key++) expect(bed.update(key % CPUS, key, 1)).toBe(0);
  for (let cpu = 0; cpu < CPUS; cpu++) expect(bed.update(cpu, 10, 1)).toBe(-ERRNO.E2BIG);
  expect(bed.delete(0, 3)).toBe(0);
  expect(bed.update(2, 10, 1)).toBe(0);
  expect(auditHash(bed.arena, bed.map.info)).toMatchObject({ faults: [], linked: 10 });
});
