import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { KernelMaps } from '../../sys/bpf.js';
import { Arena } from '../memory/arena.js';
import { ERRNO, type MapHost, type MapSpec } from './map.js';
import { ArenaMaps, mapBytes } from './registry.js';

const NOTHING = new Uint8Array(0);
const { EINVAL } = ERRNO;
const SPEC: MapSpec = {
  name: 'b',
  type: 'BLOOM_FILTER',
  keySize: 0,
  valueSize: 8,
  maxEntries: 1000,
  flags: 0,
};
const valueWith = (number: number) => new Uint8Array(BigUint64Array.of(BigInt(number)).buffer);

describe.each<[string, () => MapHost, boolean]>([
  ['the arena', () => new ArenaMaps(Arena.create({ workers: 1, mapsBytes: 1 << 18, ringsBytes: 0 })), false],
  ['the kernel', () => new KernelMaps(), missingRoot !== undefined],
])('in %s', (_, makeHost, skip) => {
  it.skipIf(skip)('what was pushed is there, what was not mostly is not', () => {
    const map = makeHost().createMap(SPEC);
    expect(map.contains(valueWith(1))).toBe(false);
    for (let i = 0; i < 1000; i++) expect(map.update(NOTHING, valueWith(i))).toBe(0);
    for (let i = 0; i < 1000; i++) expect(map.contains(valueWith(i)), `value ${i}`).toBe(true);
    let wrong = 0;
    for (let i = 1000; i < 11_000; i++) if (map.contains(valueWith(i))) wrong++;
    // 1000 values of 5 bits in 8192 bits: (1 − e^(−5000/8192))^5 = 1.95 %, 195 of 10,000; five deviations are 70.
    expect(wrong).toBeGreaterThan(100);
    expect(wrong).toBeLessThan(290);
    map.close();
  });

  it.skipIf(skip).each([1, 2, 7, 15])('%d hash functions: nothing is denied', (mapExtra) => {
    const map = makeHost().createMap({ ...SPEC, valueSize: 13, maxEntries: 300, mapExtra });
    const long = (i: number) => Uint8Array.from({ length: 13 }, (_, at) => (i * (at + 1)) & 255);
    for (let i = 0; i < 300; i++) expect(map.update(NOTHING, long(i * 7))).toBe(0);
    for (let i = 0; i < 300; i++) expect(map.contains(long(i * 7))).toBe(true);
    map.close();
  });

  it.skipIf(skip)('a push takes no flag; nothing is deleted, popped or walked', () => {
    const map = makeHost().createMap(SPEC);
    for (const flags of [1, 2, 3, 4]) expect(map.update(NOTHING, valueWith(5), flags)).toBe(-EINVAL);
    expect(map.contains(valueWith(5))).toBe(false);
    expect(map.delete(NOTHING)).toBe(-95);
    expect(map.lookupAndDelete(NOTHING)).toBeUndefined();
    expect(map.nextKey()).toBeUndefined();
    map.close();
  });

  it.skipIf(skip).each<[string, Partial<MapSpec>]>([
    ['a key', { keySize: 4 }],
    ['no value', { valueSize: 0 }],
    ['no entry', { maxEntries: 0 }],
    ['16 hash functions', { mapExtra: 16 }],
    ['BPF_F_NO_PREALLOC', { flags: 1 }],
    ['both access flags', { flags: 128 | 256 }],
    ['a value of 8 MiB', { valueSize: 8 << 20 }],
  ])('%s is refused', (_, difference) => {
    expect(() => makeHost().createMap({ ...SPEC, ...difference })).toThrow(/EINVAL|E2BIG/);
  });
});

// Entries * functions * 7/5 bits, rounded up to a power of two, at least 64 (kernel/bpf/bloom_filter.c).
it.each<[maxEntries: number, mapExtra: number | undefined, bits: number]>([
  [1, 1, 64],
  [1000, undefined, 8192],
  [1000, 15, 32768],
  [100_000, 5, 1 << 20],
])('%d entries of %s functions take %d bits', (maxEntries, mapExtra, bits) => {
  const small = mapBytes({ ...SPEC, maxEntries: 1 }, 2);
  const spec = { ...SPEC, maxEntries, ...(mapExtra === undefined ? {} : { mapExtra }) };
  expect(mapBytes(spec, 2) - small).toBe(bits / 8 - 64 < 0 ? 0 : Math.max(bits / 8, 64) - 64);
});
