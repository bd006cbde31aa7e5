import { describe, expect, it } from 'vitest';
import { BPF_NOEXIST, ERRNO, type MapSpec } from '../bpf/maps/map.js';
import { ArenaMaps } from '../bpf/maps/registry.js';
import { Arena } from '../bpf/memory/arena.js';
import { MirroredMap } from './mirrored-map.js';

const SPEC: MapSpec = { name: 'map', type: 'HASH', keySize: 1, valueSize: 1, maxEntries: 3, flags: 0 };
const bytes = (...values: number[]) => Uint8Array.from(values);

/** A map of three entries, and a copy with room for as many as are given. */
function bed(copyEntries = 3) {
  const host = new ArenaMaps(Arena.create({ workers: 1, mapsBytes: 2 ** 20, ringsBytes: 0 }));
  const map = host.createMap(SPEC);
  const copy = host.createMap({ ...SPEC, maxEntries: copyEntries });
  const content = (of: typeof map) => {
    const entries: [number, number][] = [];
    of.forEach((key, value) => void entries.push([key[0]!, value[0]!]));
    return entries.sort(([a], [b]) => a - b);
  };
  return { both: new MirroredMap(map, copy), contents: () => [content(map), content(copy)] };
}

describe('a mirrored map', () => {
  it('has what is written, changed and deleted in both', () => {
    const { both, contents } = bed();
    expect(both.update(bytes(1), bytes(10), BPF_NOEXIST)).toBe(0);
    expect(both.update(bytes(1), bytes(11))).toBe(0);
    expect(both.updateBatch(bytes(2, 3), bytes(20, 30), 2)).toBe(0);
    const all = [
      [1, 11],
      [2, 20],
      [3, 30],
    ];
    expect(contents()).toEqual([all, all]);
    expect(both.delete(bytes(2))).toBe(0);
    expect(both.lookupAndDelete(bytes(3))).toEqual(bytes(30));
    expect(contents()).toEqual([[[1, 11]], [[1, 11]]]);
    expect(both.deleteBatch(bytes(1), 1)).toBe(0);
    expect(contents()).toEqual([[], []]);
  });

  it('is read as the map is', () => {
    const { both } = bed();
    both.update(bytes(1), bytes(10));
    expect(both.lookup(bytes(1))).toEqual(bytes(10));
    expect(both.nextKey()).toEqual(bytes(1));
    expect(both.lookupBatch(8)).toMatchObject({ count: 1, keys: bytes(1), values: bytes(10) });
    expect([both.spec, both.cpus, both.valueBytes]).toEqual([SPEC, 1, 1]);
  });

  it('takes nothing that one of the two refuses', () => {
    const { both, contents } = bed(1);
    expect(both.update(bytes(1), bytes(10), BPF_NOEXIST)).toBe(0);
    expect(both.update(bytes(1), bytes(11), BPF_NOEXIST)).toBe(-ERRNO.EEXIST);
    expect(both.update(bytes(2), bytes(20), BPF_NOEXIST)).toBe(-ERRNO.E2BIG);
    expect(contents()).toEqual([[[1, 10]], [[1, 10]]]);
    expect(both.delete(bytes(9))).toBe(-ERRNO.ENOENT);
  });
});
