import { describe, expect, it } from 'vitest';
import { Arena, ArenaError, type ArenaOptions } from './arena.js';
import { CPU_BLOCK_BYTES, CPU_BLOCKS_OFFSET, CPU_PRANDOM, DIRECTORY_OFFSET } from './layout.js';

const SMALL: ArenaOptions = { workers: 2, mapsBytes: 10_000, ringsBytes: 100 };

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof ArenaError) return error.code;
    throw error;
  }
  return undefined;
}

describe('Arena.create', () => {
  it('lays the regions out behind each other, page aligned', () => {
    const arena = Arena.create(SMALL);
    expect(arena.cpus).toBe(3);
    expect(arena.controlCpu).toBe(2);
    expect(arena.block(0)).toBe(CPU_BLOCKS_OFFSET);
    expect(arena.block(2)).toBe(CPU_BLOCKS_OFFSET + 2 * CPU_BLOCK_BYTES);
    expect(arena.maps).toEqual({ offset: CPU_BLOCKS_OFFSET + 3 * CPU_BLOCK_BYTES, bytes: 12_288 });
    expect(arena.rings).toEqual({ offset: arena.maps.offset + 12_288, bytes: 4096 });
    expect(arena.u8.length).toBeGreaterThanOrEqual(arena.rings.offset + arena.rings.bytes);
  });

  it('has no region of rings where none are asked for', () => {
    expect(Arena.create({ ...SMALL, ringsBytes: 0 }).rings.bytes).toBe(0);
  });

  it('gives each CPU a pseudo-random state of its own that is not 0', () => {
    let next = 0n;
    const arena = Arena.create({ ...SMALL, randomU64: () => next++ * 16n });
    const states = [0, 1, 2].map((cpu) => arena.u64[(arena.block(cpu) + CPU_PRANDOM) / 8]);
    expect(states).toEqual([1n, 17n, 33n]);
  });

  it.each<[string, Partial<ArenaOptions>, string]>([
    ['no worker', { workers: 0 }, 'ARENA_WORKERS'],
    ['half a worker', { workers: 1.5 }, 'ARENA_WORKERS'],
    ['more workers than a lock word can name', { workers: 254 }, 'ARENA_WORKERS'],
    ['a negative region', { mapsBytes: -1 }, 'ARENA_REGION'],
    ['a region that is no number', { ringsBytes: Number.NaN }, 'ARENA_REGION'],
    ['maps over 4 GiB', { mapsBytes: 2 ** 32 }, 'ARENA_TOO_LARGE'],
    ['maps and rings together over 4 GiB', { mapsBytes: 2 ** 31, ringsBytes: 2 ** 31 }, 'ARENA_TOO_LARGE'],
  ])('refuses %s', (_, change, code) => {
    expect(codeOf(() => Arena.create({ ...SMALL, ...change }))).toBe(code);
  });

  it('reaches the last byte of 4 GiB', () => {
    const fixed = CPU_BLOCKS_OFFSET + 2 * CPU_BLOCK_BYTES;
    const arena = Arena.create({ workers: 1, mapsBytes: 2 ** 32 - fixed - 4096, ringsBytes: 4096 });
    arena.u8[2 ** 32 - 1] = 7;
    expect(arena.u8[arena.rings.offset + arena.rings.bytes - 1]).toBe(7);
  });

  it.each([-1, 3, 0.5])('has no block of CPU %d', (cpu) => {
    expect(codeOf(() => Arena.create(SMALL).block(cpu))).toBe('ARENA_CPU');
  });
});

describe('Arena.attach', () => {
  it('reads the layout that create wrote', () => {
    const created = Arena.create(SMALL);
    const attached = Arena.attach(created.memory);
    expect(attached.cpus).toBe(created.cpus);
    expect(attached.maps).toEqual(created.maps);
    expect(attached.rings).toEqual(created.rings);
    created.u32[attached.maps.offset / 4] = 99;
    expect(attached.u32[attached.maps.offset / 4]).toBe(99);
  });

  it.each<[string, () => WebAssembly.Memory, string]>([
    ['memory that is not shared', () => new WebAssembly.Memory({ initial: 8 }), 'ARENA_NOT_SHARED'],
    [
      'memory without a directory',
      () => new WebAssembly.Memory({ initial: 8, maximum: 8, shared: true }),
      'ARENA_MAGIC',
    ],
    [
      'memory too small for a directory',
      () => new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true }),
      'ARENA_MAGIC',
    ],
    [
      'an arena of another layout',
      () => {
        const { memory, u32 } = Arena.create(SMALL);
        u32[DIRECTORY_OFFSET / 4 + 1] = 77;
        return memory;
      },
      'ARENA_MAGIC',
    ],
  ])('refuses %s', (_, memory, code) => {
    expect(codeOf(() => Arena.attach(memory()))).toBe(code);
  });
});
