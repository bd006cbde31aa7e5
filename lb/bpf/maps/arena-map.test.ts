import { describe, expect, it } from 'vitest';
import { missingRoot, noting } from '../../../test/support/capabilities.js';
import { KernelMaps } from '../../sys/bpf.js';
import { Arena } from '../memory/arena.js';
import { BPF_ANY, BPF_EXIST, BPF_NOEXIST, type BpfMap, ERRNO, type MapHost, type MapSpec } from './map.js';
import { ArenaMaps, MapError } from './registry.js';

const u32 = (value: number): Uint8Array => new Uint8Array(Uint32Array.of(value).buffer);
/** A value of that byte; what rounds a CPU's copy up to 8 bytes is not part of it. */
const filled = (map: BpfMap, byte: number): Uint8Array => {
  const { valueSize } = map.spec;
  const stride = map.valueBytes / map.cpus;
  return new Uint8Array(map.valueBytes).map((_, i) => (i % stride < valueSize ? byte : 0));
};
const first = (bytes: Uint8Array | undefined) => bytes?.[0];
const number = (bytes: Uint8Array | undefined) => bytes && new Uint32Array(bytes.slice().buffer)[0];

const ARRAY: MapSpec = { name: 'a', type: 'ARRAY', keySize: 4, valueSize: 8, maxEntries: 4, flags: 0 };
const SPECS = {
  array: ARRAY,
  percpu: { ...ARRAY, type: 'PERCPU_ARRAY' },
  hash: { ...ARRAY, type: 'HASH', maxEntries: 2 },
  lru: { ...ARRAY, type: 'LRU_HASH', maxEntries: 16 },
  percpuHash: { ...ARRAY, type: 'PERCPU_HASH', valueSize: 12, maxEntries: 2 },
  lruPercpu: { ...ARRAY, type: 'LRU_PERCPU_HASH', valueSize: 3, maxEntries: 16 },
  lruParts: { ...ARRAY, type: 'LRU_HASH', flags: 2, maxEntries: 64 },
  hashOuter: { ...ARRAY, type: 'HASH_OF_MAPS', valueSize: 4, maxEntries: 2, inner: ARRAY },
  outer: { ...ARRAY, type: 'ARRAY_OF_MAPS', valueSize: 4, inner: ARRAY },
} as const satisfies Record<string, MapSpec>;

/** One operation and what it gives; `key` and `byte` (a value of that byte throughout) as numbers. */
type Step =
  | { readonly do: 'update'; readonly key: number; readonly flags?: number; readonly gives: number }
  | { readonly do: 'delete'; readonly key: number; readonly gives: number }
  | { readonly do: 'lookup'; readonly key: number; readonly gives: boolean }
  | { readonly do: 'next'; readonly after?: number; readonly gives: number | undefined }
  | { readonly do: 'inner'; readonly key: number; readonly of: Partial<MapSpec>; readonly gives: number };

interface Rule {
  readonly rule: string;
  readonly map: keyof typeof SPECS;
  readonly steps: readonly Step[];
}

const { E2BIG, EEXIST, EINVAL, ENOENT } = ERRNO;

const ARRAY_RULES = (['array', 'percpu'] as const).flatMap((map): Rule[] => [
  {
    rule: 'every index below maxEntries is there, no other',
    map,
    steps: [
      { do: 'lookup', key: 0, gives: true },
      { do: 'lookup', key: 3, gives: true },
      { do: 'lookup', key: 4, gives: false },
      { do: 'lookup', key: 0xffffffff, gives: false },
    ],
  },
  {
    rule: 'flags are looked at first, then the index, then NOEXIST',
    map,
    steps: [
      { do: 'update', key: 0, flags: 3, gives: -EINVAL },
      { do: 'update', key: 9, flags: 3, gives: -EINVAL },
      { do: 'update', key: 0, flags: 8, gives: -EINVAL },
      { do: 'update', key: 4, flags: BPF_NOEXIST, gives: -E2BIG },
      { do: 'update', key: 4, gives: -E2BIG },
      { do: 'update', key: 0, flags: BPF_NOEXIST, gives: -EEXIST },
      { do: 'update', key: 0, flags: BPF_EXIST, gives: 0 },
      { do: 'update', key: 3, flags: BPF_ANY, gives: 0 },
    ],
  },
  {
    rule: 'nothing is deleted',
    map,
    steps: [
      { do: 'delete', key: 0, gives: -EINVAL },
      { do: 'delete', key: 9, gives: -EINVAL },
    ],
  },
  {
    rule: 'keys follow each other; a key that is not there is followed by the first',
    map,
    steps: [
      { do: 'next', gives: 0 },
      { do: 'next', after: 0, gives: 1 },
      { do: 'next', after: 3, gives: undefined },
      { do: 'next', after: 4, gives: 0 },
      { do: 'next', after: 0xffffffff, gives: 0 },
    ],
  },
]);

const HASHES = ['hash', 'lru', 'percpuHash', 'lruPercpu', 'lruParts'] as const;

const HASH_RULES = HASHES.flatMap((map): Rule[] => [
  {
    rule: 'NOEXIST makes, EXIST changes, ANY does either',
    map,
    steps: [
      { do: 'lookup', key: 1, gives: false },
      { do: 'update', key: 1, flags: BPF_EXIST, gives: -ENOENT },
      { do: 'update', key: 1, flags: BPF_NOEXIST, gives: 0 },
      { do: 'update', key: 1, flags: BPF_NOEXIST, gives: -EEXIST },
      { do: 'update', key: 1, flags: BPF_EXIST, gives: 0 },
      { do: 'update', key: 1, gives: 0 },
      { do: 'update', key: 2, gives: 0 },
      { do: 'lookup', key: 1, gives: true },
      { do: 'lookup', key: 2, gives: true },
    ],
  },
  {
    rule: 'unknown flags are refused',
    map,
    steps: [
      { do: 'update', key: 1, flags: 3, gives: -EINVAL },
      { do: 'update', key: 1, flags: 4, gives: -EINVAL },
      { do: 'update', key: 1, flags: 8, gives: -EINVAL },
    ],
  },
  {
    rule: 'a key is deleted once',
    map,
    steps: [
      { do: 'delete', key: 1, gives: -ENOENT },
      { do: 'update', key: 1, gives: 0 },
      { do: 'delete', key: 1, gives: 0 },
      { do: 'lookup', key: 1, gives: false },
      { do: 'delete', key: 1, gives: -ENOENT },
    ],
  },
  {
    rule: 'an empty map has no next key; a key that is not there is followed by the first',
    map,
    steps: [
      { do: 'next', gives: undefined },
      { do: 'next', after: 5, gives: undefined },
      { do: 'update', key: 1, gives: 0 },
      { do: 'next', gives: 1 },
      { do: 'next', after: 99, gives: 1 },
      { do: 'next', after: 1, gives: undefined },
    ],
  },
]);

const RULES: readonly Rule[] = [
  ...ARRAY_RULES,
  ...HASH_RULES,
  ...(['hash', 'percpuHash'] as const).map(
    (map): Rule => ({
      rule: 'a full hash refuses new keys, and takes them after a delete',
      map,
      steps: [
        { do: 'update', key: 1, gives: 0 },
        { do: 'update', key: 2, gives: 0 },
        { do: 'update', key: 3, gives: -E2BIG },
        { do: 'update', key: 3, flags: BPF_NOEXIST, gives: -E2BIG },
        { do: 'update', key: 3, flags: BPF_EXIST, gives: -ENOENT },
        { do: 'update', key: 2, flags: BPF_EXIST, gives: 0 },
        { do: 'update', key: 2, gives: 0 },
        { do: 'delete', key: 1, gives: 0 },
        { do: 'update', key: 3, gives: 0 },
        { do: 'lookup', key: 3, gives: true },
      ],
    }),
  ),
  {
    rule: 'keys are made, changed and deleted as in a hash',
    map: 'hashOuter',
    steps: [
      { do: 'lookup', key: 7, gives: false },
      { do: 'inner', key: 7, of: {}, gives: 0 },
      { do: 'lookup', key: 7, gives: true },
      { do: 'inner', key: 7, of: {}, gives: 0 },
      { do: 'inner', key: 8, of: {}, gives: 0 },
      { do: 'inner', key: 9, of: {}, gives: -E2BIG },
      { do: 'delete', key: 7, gives: 0 },
      { do: 'delete', key: 7, gives: -ENOENT },
      { do: 'next', gives: 8 },
      { do: 'next', after: 8, gives: undefined },
    ],
  },
  {
    rule: 'what is no map is refused before the flags are looked at',
    map: 'hashOuter',
    steps: [
      { do: 'inner', key: 0, of: { maxEntries: 5 }, gives: -EINVAL },
      { do: 'inner', key: 0, of: { type: 'HASH' }, gives: -EINVAL },
      { do: 'update', key: 0, flags: 3, gives: -ERRNO.EBADF },
      { do: 'update', key: 0, gives: -ERRNO.EBADF },
    ],
  },
  {
    rule: 'slots are empty until set; ends are told by the kernel’s errno',
    map: 'outer',
    steps: [
      { do: 'lookup', key: 0, gives: false },
      { do: 'inner', key: 0, of: {}, gives: 0 },
      { do: 'lookup', key: 0, gives: true },
      { do: 'lookup', key: 4, gives: false },
      { do: 'inner', key: 4, of: {}, gives: -E2BIG },
      { do: 'delete', key: 0, gives: 0 },
      { do: 'delete', key: 0, gives: -ENOENT },
      { do: 'delete', key: 4, gives: -E2BIG },
      { do: 'next', gives: 0 },
      { do: 'next', after: 3, gives: undefined },
    ],
  },
  {
    rule: 'only maps like the template stand in a slot',
    map: 'outer',
    steps: [
      { do: 'inner', key: 0, of: { maxEntries: 5 }, gives: -EINVAL },
      { do: 'inner', key: 0, of: { valueSize: 4 }, gives: -EINVAL },
      { do: 'inner', key: 0, of: { flags: 1024 }, gives: -EINVAL },
      { do: 'inner', key: 0, of: { type: 'HASH' }, gives: -EINVAL },
      { do: 'inner', key: 4, of: { type: 'HASH' }, gives: -E2BIG },
      { do: 'update', key: 0, flags: BPF_NOEXIST, gives: -EINVAL },
      { do: 'update', key: 4, gives: -E2BIG },
      { do: 'update', key: 0, gives: -ERRNO.EBADF },
    ],
  },
];

function perform(host: MapHost, map: BpfMap, step: Step): number | boolean | undefined {
  switch (step.do) {
    case 'update':
      return map.update(u32(step.key), filled(map, 0x77), step.flags);
    case 'delete':
      return map.delete(u32(step.key));
    case 'lookup':
      return map.lookup(u32(step.key)) !== undefined;
    case 'next':
      return number(map.nextKey(step.after === undefined ? undefined : u32(step.after)));
    case 'inner': {
      const inner = host.createMap({ ...ARRAY, ...step.of });
      const result = map.updateInner(u32(step.key), inner);
      inner.close();
      return result;
    }
  }
}

const arenaMaps = () => new ArenaMaps(Arena.create({ workers: 1, mapsBytes: 1 << 20, ringsBytes: 0 }));

describe.each<[string, () => MapHost, boolean]>([
  ['the arena', arenaMaps, false],
  ['the kernel', () => new KernelMaps(), missingRoot !== undefined],
])('rules in %s', (_, makeHost, skip) => {
  it.skipIf(skip).each(RULES)('$map: $rule', ({ map: name, steps }) => {
    const host = makeHost();
    const map = host.createMap(SPECS[name]);
    for (const [index, step] of steps.entries()) {
      expect(perform(host, map, step), `step ${index}: ${JSON.stringify(step)}`).toBe(step.gives);
    }
    map.close();
  });

  it.skipIf(skip).each(['array', 'percpu', ...HASHES] as const)('%s: a value is read as written', (name) => {
    const map = makeHost().createMap(SPECS[name]);
    const value = filled(map, 1).map((byte, i) => byte * (i + 1));
    expect(map.update(u32(1), value)).toBe(0);
    expect(map.lookup(u32(1))).toEqual(value);
    map.close();
  });

  it.skipIf(skip)('a frozen map keeps its first content', () => {
    const initial = Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8);
    const map = makeHost().createMap({ ...ARRAY, maxEntries: 1, initial, frozen: true });
    expect(map.update(u32(0), new Uint8Array(8))).toBe(-ERRNO.EPERM);
    expect(map.delete(u32(0))).toBe(-ERRNO.EPERM);
    expect(map.lookup(u32(0))).toEqual(initial);
    map.close();
  });

  it.skipIf(skip).each(HASHES)('%s: a value is given and deleted at once', (name) => {
    const map = makeHost().createMap(SPECS[name]);
    expect(map.lookupAndDelete(u32(1))).toBeUndefined();
    expect(map.update(u32(1), filled(map, 0))).toBe(0);
    expect(map.lookupAndDelete(u32(1))).toEqual(filled(map, 0));
    expect(map.lookup(u32(1))).toBeUndefined();
    expect(map.lookupAndDelete(u32(1))).toBeUndefined();
    map.close();
  });

  it.skipIf(skip).each(['array', 'percpu', 'outer', 'hashOuter'] as const)(
    '%s: nothing is given and deleted at once',
    (name) => {
      const map = makeHost().createMap(SPECS[name]);
      expect(map.lookupAndDelete(u32(1))).toBeUndefined();
      map.close();
    },
  );

  it.skipIf(skip).each(['array', 'hash'] as const)('%s: a batch is written whole', (name) => {
    const map = makeHost().createMap({ ...SPECS[name], maxEntries: 5000 });
    const keys = Uint32Array.from({ length: 5000 }, (_, i) => i);
    const values = BigUint64Array.from({ length: 5000 }, (_, i) => BigInt(i) * 0x0101_0101_0101n);
    expect(map.updateBatch(new Uint8Array(keys.buffer), new Uint8Array(values.buffer), 5000)).toBe(0);
    for (const i of [0, 1, 2047, 2048, 4999]) {
      expect(map.lookup(u32(i)), `key ${i}`).toEqual(new Uint8Array(values.slice(i, i + 1).buffer));
    }
    map.close();
  });

  it.skipIf(skip)('a batch stops at the first fault', () => {
    const map = makeHost().createMap(ARRAY);
    const keys = new Uint8Array(Uint32Array.of(2, 7, 3).buffer);
    expect(map.updateBatch(keys, new Uint8Array(24).fill(9), 3)).toBe(-E2BIG);
    expect(first(map.lookup(u32(2)))).toBe(9);
    expect(first(map.lookup(u32(3)))).toBe(0);
    map.close();
  });
});

describe('ArenaMap', () => {
  it('shows the number of the map in a slot, and takes it', () => {
    const maps = arenaMaps();
    const outer = maps.createMap(SPECS.outer);
    const inner = maps.createMap(ARRAY);
    expect(outer.update(u32(2), u32(inner.info.id))).toBe(0);
    expect(number(outer.lookup(u32(2)))).toBe(inner.info.id);
    expect(maps.get(inner.info.id)).toBe(inner);
  });

  it('describes the template of inner maps without a place', () => {
    const outer = arenaMaps().createMap({ ...SPECS.outer, inner: SPECS.lru });
    expect(outer.info.inner).toMatchObject({
      type: 'LRU_HASH',
      keySize: 4,
      maxEntries: 16,
      descriptor: 0,
      data: 0,
    });
  });

  it('writes a ring of 65,537 slots in under 2 ms', () => {
    const maps = new ArenaMaps(Arena.create({ workers: 1, mapsBytes: 4 << 20, ringsBytes: 0 }));
    const map = maps.createMap({ ...ARRAY, valueSize: 4, maxEntries: 65_537 * 4 });
    const keys = new Uint8Array(Uint32Array.from({ length: 65_537 }, (_, i) => 65_537 + i).buffer);
    const values = new Uint8Array(Uint32Array.from({ length: 65_537 }, (_, i) => i * 3).buffer);
    const times = Array.from({ length: 5 }, () => {
      const start = performance.now();
      expect(map.updateBatch(keys, values, 65_537)).toBe(0);
      return performance.now() - start;
    });
    expect(Math.min(...times)).toBeLessThan(2);
    expect(number(map.lookup(u32(2 * 65_537 - 1)))).toBe(65_536 * 3);
    expect(number(map.lookup(u32(2 * 65_537)))).toBe(0);
  });

  it.each<[string, (map: BpfMap) => unknown, string]>([
    ['a short key', (map) => map.lookup(new Uint8Array(3)), 'key'],
    ['a long value', (map) => map.update(u32(0), new Uint8Array(9)), 'value'],
    ['a short batch', (map) => map.updateBatch(new Uint8Array(8), new Uint8Array(8), 2), 'values'],
  ])('throws for %s', (_, run, argument) => {
    const map = arenaMaps().createMap(ARRAY);
    expect(() => run(map)).toThrow(
      expect.objectContaining({ fault: expect.objectContaining({ code: 'MAP_LENGTH', argument }) }),
    );
  });

  it('throws for a map of another arena', () => {
    const outer = arenaMaps().createMap(SPECS.outer);
    expect(() => outer.updateInner(u32(0), arenaMaps().createMap(ARRAY))).toThrow(MapError);
  });

  it('throws once it is closed, and closes twice', () => {
    const map = arenaMaps().createMap(ARRAY);
    map.close();
    map.close();
    expect(() => map.lookup(u32(0))).toThrow(expect.objectContaining({ code: 'MAP_CLOSED' }));
    expect(() => map.nextKey()).toThrow(expect.objectContaining({ code: 'MAP_CLOSED' }));
  });
});

describe('forEach visits what nextKey walks', () => {
  const places: readonly { place: string; host: () => MapHost; skip: boolean }[] = [
    {
      place: 'arena',
      host: () => new ArenaMaps(Arena.create({ workers: 2, mapsBytes: 1 << 20, ringsBytes: 0 })),
      skip: false,
    },
    {
      place: `kernel${noting(missingRoot)}`,
      host: () => new KernelMaps(),
      skip: missingRoot !== undefined,
    },
  ];
  for (const { place, host, skip } of places) {
    for (const name of ['array', 'percpu', ...HASHES] as const) {
      it.skipIf(skip)(`${name}, ${place}`, () => {
        const map = host().createMap(SPECS[name]);
        for (const key of [0, 1]) expect(map.update(u32(key), filled(map, 7 + key))).toBe(0);
        const walked: string[] = [];
        for (let key = map.nextKey(); key !== undefined; key = map.nextKey(key)) {
          walked.push(`${key}=${map.lookup(key)}`);
        }
        const visited: string[] = [];
        map.forEach((key, value) => void visited.push(`${key}=${value}`));
        expect(visited.sort()).toEqual(walked.sort());
        expect(visited).toContain(`${u32(1)}=${filled(map, 8)}`);
        const isArray = name === 'array' || name === 'percpu';
        expect(map.delete(u32(1)) === 0).toBe(!isArray);
        visited.length = 0;
        map.forEach((key) => void visited.push(String(number(key))));
        expect(visited.includes('1')).toBe(isArray);
        map.close();
      });
    }
  }
});
