import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { BpfError, KernelMaps } from '../../sys/bpf.js';
import { Arena } from '../memory/arena.js';
import { ERRNO, MAP_FLAGS, type MapSpec } from './map.js';
import { MapError, mapBytes } from './plan.js';
import { ArenaMaps } from './registry.js';

const ARRAY: MapSpec = { name: 'a', type: 'ARRAY', keySize: 4, valueSize: 8, maxEntries: 4, flags: 0 };
const PERCPU: MapSpec = { ...ARRAY, type: 'PERCPU_ARRAY' };
const HASH: MapSpec = { ...ARRAY, type: 'HASH' };
const LRU: MapSpec = { ...ARRAY, type: 'LRU_HASH' };
const PERCPU_HASH: MapSpec = { ...ARRAY, type: 'PERCPU_HASH' };
const LRU_PERCPU: MapSpec = { ...ARRAY, type: 'LRU_PERCPU_HASH' };
const LPM: MapSpec = { ...ARRAY, type: 'LPM_TRIE', keySize: 8, flags: 1 };
const HASH_OUTER: MapSpec = { ...ARRAY, type: 'HASH_OF_MAPS', keySize: 6, valueSize: 4, inner: HASH };
const OUTER: MapSpec = { ...ARRAY, type: 'ARRAY_OF_MAPS', valueSize: 4, inner: ARRAY };

const MIB = 2 ** 20;
const RDONLY_AND_WRONLY_PROG = 0x180;

interface Refusal {
  readonly rule: string;
  readonly spec: MapSpec;
  readonly field: string;
  readonly errno: 'EINVAL' | 'E2BIG' | 'ENOTSUPP' | 'EOPNOTSUPP' | 'EACCES';
}

const REFUSED: readonly Refusal[] = [
  { rule: 'no entry', spec: { ...ARRAY, maxEntries: 0 }, field: 'maxEntries', errno: 'EINVAL' },
  { rule: 'array: key of 8', spec: { ...ARRAY, keySize: 8 }, field: 'keySize', errno: 'EINVAL' },
  { rule: 'array: no value', spec: { ...ARRAY, valueSize: 0 }, field: 'valueSize', errno: 'EINVAL' },
  {
    rule: 'array: value of 2 GiB',
    spec: { ...ARRAY, valueSize: 2 ** 31 },
    field: 'valueSize',
    errno: 'E2BIG',
  },
  { rule: 'array: NO_PREALLOC', spec: { ...ARRAY, flags: 1 }, field: 'flags', errno: 'EINVAL' },
  { rule: 'array: NO_COMMON_LRU', spec: { ...ARRAY, flags: 2 }, field: 'flags', errno: 'EINVAL' },
  {
    rule: 'array: two modes',
    spec: { ...ARRAY, flags: RDONLY_AND_WRONLY_PROG },
    field: 'flags',
    errno: 'EINVAL',
  },
  {
    rule: 'per CPU: value over 32 KiB',
    spec: { ...PERCPU, valueSize: 32_769 },
    field: 'valueSize',
    errno: 'E2BIG',
  },
  { rule: 'per CPU: MMAPABLE', spec: { ...PERCPU, flags: 1024 }, field: 'flags', errno: 'EINVAL' },
  { rule: 'per CPU: INNER_MAP', spec: { ...PERCPU, flags: 4096 }, field: 'flags', errno: 'EINVAL' },
  { rule: 'hash: no key', spec: { ...HASH, keySize: 0 }, field: 'keySize', errno: 'EINVAL' },
  { rule: 'hash: no value', spec: { ...HASH, valueSize: 0 }, field: 'valueSize', errno: 'EINVAL' },
  { rule: 'hash: no entry', spec: { ...HASH, maxEntries: 0 }, field: 'maxEntries', errno: 'EINVAL' },
  {
    rule: 'hash: over 4 MiB',
    spec: { ...HASH, valueSize: 4 * MIB - 52 },
    field: 'valueSize',
    errno: 'E2BIG',
  },
  { rule: 'hash: NO_COMMON_LRU', spec: { ...HASH, flags: 2 }, field: 'flags', errno: 'EINVAL' },
  { rule: 'hash: MMAPABLE', spec: { ...HASH, flags: 1024 }, field: 'flags', errno: 'EINVAL' },
  {
    rule: 'hash: two modes',
    spec: { ...HASH, flags: RDONLY_AND_WRONLY_PROG },
    field: 'flags',
    errno: 'EINVAL',
  },
  { rule: 'LRU: NO_PREALLOC', spec: { ...LRU, flags: 1 }, field: 'flags', errno: 'ENOTSUPP' },
  {
    rule: 'LRU: NO_COMMON_LRU on a NUMA node',
    spec: { ...LRU, flags: 6 },
    field: 'flags',
    errno: 'EINVAL',
  },
  {
    rule: 'hash per CPU: value over 32 KiB',
    spec: { ...PERCPU_HASH, valueSize: 32_769 },
    field: 'valueSize',
    errno: 'E2BIG',
  },
  { rule: 'hash per CPU: NUMA node', spec: { ...PERCPU_HASH, flags: 4 }, field: 'flags', errno: 'EINVAL' },
  {
    rule: 'hash per CPU: NO_COMMON_LRU',
    spec: { ...PERCPU_HASH, flags: 2 },
    field: 'flags',
    errno: 'EINVAL',
  },
  { rule: 'hash per CPU: no key', spec: { ...PERCPU_HASH, keySize: 0 }, field: 'keySize', errno: 'EINVAL' },
  {
    rule: 'LRU per CPU: NO_PREALLOC',
    spec: { ...LRU_PERCPU, flags: 1 },
    field: 'flags',
    errno: 'ENOTSUPP',
  },
  { rule: 'LRU per CPU: NUMA node', spec: { ...LRU_PERCPU, flags: 4 }, field: 'flags', errno: 'EINVAL' },
  { rule: 'trie: preallocated', spec: { ...LPM, flags: 0 }, field: 'flags', errno: 'EINVAL' },
  { rule: 'trie: ZERO_SEED', spec: { ...LPM, flags: 65 }, field: 'flags', errno: 'EINVAL' },
  { rule: 'trie: no prefix', spec: { ...LPM, keySize: 4 }, field: 'keySize', errno: 'EINVAL' },
  { rule: 'trie: prefix of 257', spec: { ...LPM, keySize: 261 }, field: 'keySize', errno: 'EINVAL' },
  { rule: 'trie: no value', spec: { ...LPM, valueSize: 0 }, field: 'valueSize', errno: 'EINVAL' },
  {
    rule: 'trie: value over 4 MiB',
    spec: { ...LPM, valueSize: 4 * MIB - 279 },
    field: 'valueSize',
    errno: 'EINVAL',
  },
  {
    rule: 'hash of maps: value of 8',
    spec: { ...HASH_OUTER, valueSize: 8 },
    field: 'valueSize',
    errno: 'EINVAL',
  },
  { rule: 'hash of maps: no key', spec: { ...HASH_OUTER, keySize: 0 }, field: 'keySize', errno: 'EINVAL' },
  {
    rule: 'hash of maps: inside an outer',
    spec: { ...HASH_OUTER, inner: HASH_OUTER },
    field: 'inner',
    errno: 'EINVAL',
  },
  { rule: 'lock: in an LRU', spec: { ...LRU, lockOffset: 0 }, field: 'lockOffset', errno: 'EOPNOTSUPP' },
  {
    rule: 'lock: in a value a CPU',
    spec: { ...PERCPU, lockOffset: 0 },
    field: 'lockOffset',
    errno: 'EOPNOTSUPP',
  },
  { rule: 'lock: in a trie', spec: { ...LPM, lockOffset: 0 }, field: 'lockOffset', errno: 'EOPNOTSUPP' },
  {
    rule: 'lock: where programs only read',
    spec: { ...HASH, flags: 128, lockOffset: 4 },
    field: 'lockOffset',
    errno: 'EACCES',
  },
  { rule: 'outer: value of 8', spec: { ...OUTER, valueSize: 8 }, field: 'valueSize', errno: 'EINVAL' },
  { rule: 'outer: key of 8', spec: { ...OUTER, keySize: 8 }, field: 'keySize', errno: 'EINVAL' },
  { rule: 'outer: MMAPABLE', spec: { ...OUTER, flags: 1024 }, field: 'flags', errno: 'EINVAL' },
  { rule: 'outer: RDONLY_PROG', spec: { ...OUTER, flags: 128 }, field: 'flags', errno: 'EINVAL' },
  { rule: 'outer: inside an outer', spec: { ...OUTER, inner: OUTER }, field: 'inner', errno: 'EINVAL' },
];

const TAKEN: readonly { readonly rule: string; readonly spec: MapSpec }[] = [
  { rule: 'array: MMAPABLE', spec: { ...ARRAY, flags: 1024 } },
  { rule: 'array: RDONLY_PROG', spec: { ...ARRAY, flags: 128 } },
  { rule: 'array: INNER_MAP', spec: { ...ARRAY, flags: 4096 } },
  { rule: 'per CPU: value of 32 KiB', spec: { ...PERCPU, valueSize: 32_768, maxEntries: 1 } },
  { rule: 'hash: key of 600', spec: { ...HASH, keySize: 600 } },
  { rule: 'hash: just under 4 MiB', spec: { ...HASH, maxEntries: 1, valueSize: 4 * MIB - 53 } },
  { rule: 'hash: NO_PREALLOC', spec: { ...HASH, flags: 1 } },
  { rule: 'hash: ZERO_SEED', spec: { ...HASH, flags: 64 } },
  { rule: 'LRU: NO_COMMON_LRU', spec: { ...LRU, flags: 2 } },
  { rule: 'LRU: NUMA node', spec: { ...LRU, flags: 4 } },
  { rule: 'hash per CPU: NO_PREALLOC', spec: { ...PERCPU_HASH, flags: 1 } },
  { rule: 'hash per CPU: value of 32 KiB', spec: { ...PERCPU_HASH, valueSize: 32_768, maxEntries: 1 } },
  { rule: 'LRU per CPU: NO_COMMON_LRU', spec: { ...LRU_PERCPU, flags: 2 } },
  { rule: 'trie', spec: LPM },
  { rule: 'trie: prefix of a byte', spec: { ...LPM, keySize: 5 } },
  { rule: 'trie: prefix of 256', spec: { ...LPM, keySize: 260 } },
  { rule: 'trie: RDONLY_PROG', spec: { ...LPM, flags: 129 } },
  { rule: 'trie: just under 4 MiB', spec: { ...LPM, valueSize: 4 * MIB - 280 } },
  { rule: 'hash of maps', spec: HASH_OUTER },
  { rule: 'hash of maps: NO_PREALLOC', spec: { ...HASH_OUTER, flags: 1 } },
  { rule: 'lock: first in a value', spec: { ...HASH, lockOffset: 0 } },
  { rule: 'lock: last in a value', spec: { ...ARRAY, lockOffset: 4 } },
  { rule: 'outer', spec: OUTER },
];

function faultOf(run: () => unknown): MapError['fault'] | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof MapError) return error.fault;
    throw error;
  }
  return undefined;
}

function kernelErrno(spec: MapSpec): string | undefined {
  try {
    new KernelMaps().createMap(spec).close();
  } catch (error) {
    if (error instanceof BpfError && error.fault.code === 'BPF_CALL') return error.fault.errno;
    throw error;
  }
  return undefined;
}

describe('planMap', () => {
  it.each(REFUSED)('refuses $rule', ({ spec, field, errno }) => {
    expect(faultOf(() => mapBytes(spec, 2))).toMatchObject({ code: 'MAP_SPEC', map: 'a', field, errno });
  });

  it.each(TAKEN)('takes $rule', ({ spec }) => {
    expect(mapBytes(spec, 2)).toBeGreaterThan(0);
  });

  it.skipIf(missingRoot).each(REFUSED)('the kernel refuses $rule too', ({ spec, errno }) => {
    expect(kernelErrno(spec)).toBe(errno);
  });

  it.skipIf(missingRoot).each(TAKEN)('the kernel takes $rule too', ({ spec }) => {
    expect(kernelErrno(spec)).toBeUndefined();
  });

  it.each<[string, MapSpec, string]>([
    ['a type that the arena has not', { ...HASH, type: 'SOCKMAP' }, 'type'],
    ['a map-in-map without a template', { ...ARRAY, type: 'ARRAY_OF_MAPS', valueSize: 4 }, 'inner'],
    ['a size that is no u32', { ...ARRAY, valueSize: 2 ** 33 }, 'valueSize'],
    ['entries that are no integer', { ...ARRAY, maxEntries: 1.5 }, 'maxEntries'],
    ['more than an arena holds', { ...ARRAY, maxEntries: 2 ** 30 }, 'maxEntries'],
    ['content for several elements', { ...ARRAY, initial: new Uint8Array(8) }, 'initial'],
    ['content beyond the value', { ...ARRAY, maxEntries: 1, initial: new Uint8Array(9) }, 'initial'],
  ])('refuses %s', (_, spec, field) => {
    expect(faultOf(() => mapBytes(spec, 2))).toMatchObject({ code: 'MAP_SPEC', field });
  });

  it('counts 10 million connections of 40-byte keys to under 1 GiB', () => {
    expect(mapBytes({ ...LRU, keySize: 40, valueSize: 16, maxEntries: 10e6 }, 9)).toBeLessThan(2 ** 30);
  });
});

it('the maps region of an arena has one registry', () => {
  const arena = Arena.create({ workers: 1, mapsBytes: 4096, ringsBytes: 0 });
  new ArenaMaps(arena);
  expect(faultOf(() => new ArenaMaps(arena))).toEqual({ code: 'MAP_REGION_TAKEN' });
});

describe('room in the arena', () => {
  const specs = [ARRAY, PERCPU, HASH, LRU, PERCPU_HASH, LRU_PERCPU, LPM, HASH_OUTER, OUTER];
  const need = specs.reduce((sum, spec) => sum + mapBytes(spec, 3), 0);

  it('is enough where it is the sum of mapBytes', () => {
    const maps = new ArenaMaps(Arena.create({ workers: 2, mapsBytes: need, ringsBytes: 0 }));
    for (const spec of specs) maps.createMap(spec);
    expect(maps.all.map(({ info }) => info.type)).toEqual(specs.map(({ type }) => type));
  });

  it('ends with an error that says how much is missing', () => {
    const maps = new ArenaMaps(Arena.create({ workers: 2, mapsBytes: 4096, ringsBytes: 0 }));
    const fault = faultOf(() => maps.createMap({ ...ARRAY, maxEntries: 1000 }));
    const needBytes = mapBytes({ ...ARRAY, maxEntries: 1000 }, 3);
    expect(fault).toEqual({ code: 'MAP_NO_ROOM', map: 'a', needBytes, freeBytes: 4096 });
  });

  it('is used again after close, and is zero then', () => {
    const maps = new ArenaMaps(Arena.create({ workers: 2, mapsBytes: need, ringsBytes: 0 }));
    const key = new Uint8Array(4);
    for (let round = 0; round < 3; round++) {
      const all = specs.map((spec) => maps.createMap(spec));
      const array = all[0]!;
      expect(array.lookup(key)).toEqual(new Uint8Array(8));
      expect(array.update(key, new Uint8Array(8).fill(7))).toBe(0);
      for (const map of all) map.close();
      expect(maps.all).toEqual([]);
    }
  });

  it.each([
    ['an array of another size is refused', 0, -ERRNO.EINVAL],
    ['an array of another size fits where BPF_F_INNER_MAP says so', MAP_FLAGS.BPF_F_INNER_MAP, 0],
  ])('%s', (_, flags, result) => {
    const maps = new ArenaMaps(Arena.create({ workers: 2, mapsBytes: need, ringsBytes: 0 }));
    const inner = { ...ARRAY, flags };
    const outer = maps.createMap({ ...OUTER, inner });
    const other = maps.createMap({ ...inner, maxEntries: inner.maxEntries + 1 });
    expect(outer.updateInner(new Uint8Array(4), other)).toBe(result);
  });

  it('of a map in a slot is kept until the slot is empty', () => {
    const maps = new ArenaMaps(Arena.create({ workers: 2, mapsBytes: need, ringsBytes: 0 }));
    const outer = maps.createMap(OUTER);
    const inner = maps.createMap(ARRAY);
    const key = new Uint8Array(4);
    expect(outer.updateInner(key, inner)).toBe(0);
    inner.close();
    expect(maps.get(inner.info.id)).toBe(inner);
    expect(outer.delete(key)).toBe(0);
    expect(maps.get(inner.info.id)).toBeUndefined();
  });
});
