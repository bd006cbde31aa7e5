import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { KernelMaps } from '../../sys/bpf.js';
import { Arena } from '../memory/arena.js';
import { type BpfMap, ERRNO, type MapHost, type MapSpec } from './map.js';
import { ArenaMaps } from './registry.js';

const HASH: MapSpec = { name: 'b', type: 'HASH', keySize: 8, valueSize: 8, maxEntries: 1000, flags: 0 };
const SPECS = {
  hash: HASH,
  lru: { ...HASH, type: 'LRU_HASH', maxEntries: 4000 },
  percpuHash: { ...HASH, type: 'PERCPU_HASH', valueSize: 12 },
  lruPercpu: { ...HASH, type: 'LRU_PERCPU_HASH', maxEntries: 4000 },
  trie: { ...HASH, type: 'LPM_TRIE', flags: 1 },
  devmapHash: { ...HASH, type: 'DEVMAP_HASH', keySize: 4, valueSize: 4 },
} as const satisfies Record<string, MapSpec>;
type Name = keyof typeof SPECS;
const NAMES = Object.keys(SPECS) as Name[];
const ENTRIES = 500;
/** The loopback interface, which is there everywhere. */
const IFINDEX = 1;

function keyOf(map: BpfMap, number: number): Uint8Array {
  const key = new Uint8Array(map.spec.keySize);
  const view = new DataView(key.buffer);
  if (map.spec.type !== 'LPM_TRIE') view.setUint32(0, number, true);
  else {
    view.setUint32(0, 32, true);
    view.setUint32(4, number);
  }
  return key;
}
function numberOf(map: BpfMap, key: Uint8Array): number {
  const view = new DataView(key.buffer, key.byteOffset);
  return map.spec.type === 'LPM_TRIE' ? view.getUint32(4) : view.getUint32(0, true);
}
function contentOf(map: BpfMap, number: number): Uint8Array {
  const { valueSize, type } = map.spec;
  const stride = map.valueBytes / map.cpus;
  if (type === 'DEVMAP_HASH') return Uint8Array.of(IFINDEX, 0, 0, 0);
  return new Uint8Array(map.valueBytes).map((_, i) => (i % stride < valueSize ? number + i : 0));
}

function filledMap(host: MapHost, name: Name): BpfMap {
  const map = host.createMap(SPECS[name]);
  for (let i = 0; i < ENTRIES; i++) expect(map.update(keyOf(map, i), contentOf(map, i))).toBe(0);
  return map;
}

describe.each<[string, () => MapHost, boolean]>([
  ['the arena', () => new ArenaMaps(Arena.create({ workers: 2, mapsBytes: 4 << 20, ringsBytes: 0 })), false],
  ['the kernel', () => new KernelMaps(), missingRoot !== undefined],
])('batches in %s', (_, makeHost, skip) => {
  it.skipIf(skip).each(NAMES)('%s: give every entry once', (name) => {
    const map = filledMap(makeHost(), name);
    for (const size of [1, 7, 64, ENTRIES, 4 * ENTRIES]) {
      const seen = new Map<number, Uint8Array>();
      let from: Uint8Array | undefined;
      do {
        const batch = map.lookupBatch(size, from);
        expect(batch.keys.length).toBe(batch.count * map.spec.keySize);
        expect(batch.values.length).toBe(batch.count * map.valueBytes);
        for (let i = 0; i < batch.count; i++) {
          const key = batch.keys.slice(i * map.spec.keySize, (i + 1) * map.spec.keySize);
          expect(seen.has(numberOf(map, key))).toBe(false);
          seen.set(numberOf(map, key), batch.values.slice(i * map.valueBytes, (i + 1) * map.valueBytes));
        }
        from = batch.next;
      } while (from !== undefined);
      expect(seen.size).toBe(ENTRIES);
      for (const [number, value] of seen) expect(value).toEqual(contentOf(map, number));
    }
    map.close();
  });

  it.skipIf(skip).each(NAMES)('%s: of an empty map is empty', (name) => {
    const map = makeHost().createMap(SPECS[name]);
    expect(map.lookupBatch(10)).toMatchObject({ count: 0, next: undefined });
    map.close();
  });

  it.skipIf(skip).each(NAMES)('%s: delete until the first key that is not there', (name) => {
    const map = filledMap(makeHost(), name);
    const keys = (...numbers: number[]) =>
      Uint8Array.from(numbers.flatMap((number) => [...keyOf(map, number)]));
    expect(map.deleteBatch(keys(1, 2, 3), 3)).toBe(0);
    expect(map.deleteBatch(keys(4, 2, 5), 3)).toBe(-ERRNO.ENOENT);
    const isThere = (number: number) => map.lookup(keyOf(map, number)) !== undefined;
    expect([0, 1, 2, 3, 4, 5].map(isThere)).toEqual([true, false, false, false, false, true]);
    expect(map.deleteBatch(keys(), 0)).toBe(0);
    map.close();
  });

  it.skipIf(skip)('array: gives every element', () => {
    const map = makeHost().createMap({ ...HASH, type: 'ARRAY', keySize: 4, maxEntries: 10 });
    const first = map.lookupBatch(6);
    const rest = map.lookupBatch(6, first.next);
    expect([...first.keys, ...rest.keys].filter((_, i) => i % 4 === 0)).toEqual([
      0, 1, 2, 3, 4, 5, 6, 7, 8, 9,
    ]);
    expect(rest).toMatchObject({ count: 4, next: undefined });
    expect(map.deleteBatch(new Uint8Array(4), 1)).toBe(-ERRNO.EINVAL);
    map.close();
  });
});
