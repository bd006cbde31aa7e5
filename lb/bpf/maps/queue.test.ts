import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { KernelMaps } from '../../sys/bpf.js';
import { Arena } from '../memory/arena.js';
import { QUEUE_LOCK } from '../memory/layout.js';
import { BPF_EXIST, BPF_NOEXIST, ERRNO, type MapHost, type MapSpec } from './map.js';
import { ArenaMaps } from './registry.js';

const NOTHING = new Uint8Array(0);
const { E2BIG, EBUSY, EINVAL } = ERRNO;
const SPEC = { name: 'q', keySize: 0, valueSize: 12, maxEntries: 2, flags: 0 } as const;

const valueWith = (byte: number) => new Uint8Array(SPEC.valueSize).fill(byte);

type Step =
  | { readonly do: 'push'; readonly byte: number; readonly flags?: number; readonly gives: number }
  | { readonly do: 'pop' | 'peek'; readonly gives: number | undefined }
  | { readonly do: 'delete'; readonly gives: number }
  | { readonly do: 'next' };

interface Rule {
  readonly rule: string;
  readonly map: 'QUEUE' | 'STACK';
  readonly steps: readonly Step[];
}

const BOTH = (['QUEUE', 'STACK'] as const).flatMap((map): Rule[] => [
  {
    rule: 'nothing is in a new one',
    map,
    steps: [
      { do: 'peek', gives: undefined },
      { do: 'pop', gives: undefined },
    ],
  },
  {
    rule: 'there are no keys: nothing is deleted or walked',
    map,
    steps: [
      { do: 'push', byte: 1, gives: 0 },
      { do: 'delete', gives: -EINVAL },
      { do: 'next' },
      { do: 'peek', gives: 1 },
    ],
  },
  {
    rule: 'a push takes no flag but BPF_EXIST',
    map,
    steps: [
      { do: 'push', byte: 1, flags: BPF_NOEXIST, gives: -EINVAL },
      { do: 'push', byte: 1, flags: 3, gives: -EINVAL },
      { do: 'push', byte: 1, flags: 4, gives: -EINVAL },
      { do: 'push', byte: 2, flags: BPF_EXIST, gives: 0 },
      { do: 'peek', gives: 2 },
    ],
  },
]);

const RULES: readonly Rule[] = [
  ...BOTH,
  {
    rule: 'first in, first out; full at maxEntries',
    map: 'QUEUE',
    steps: [
      { do: 'push', byte: 1, gives: 0 },
      { do: 'push', byte: 2, gives: 0 },
      { do: 'push', byte: 3, gives: -E2BIG },
      { do: 'peek', gives: 1 },
      { do: 'pop', gives: 1 },
      { do: 'push', byte: 3, gives: 0 },
      { do: 'pop', gives: 2 },
      { do: 'pop', gives: 3 },
      { do: 'pop', gives: undefined },
    ],
  },
  {
    rule: 'last in, first out; full at maxEntries',
    map: 'STACK',
    steps: [
      { do: 'push', byte: 1, gives: 0 },
      { do: 'push', byte: 2, gives: 0 },
      { do: 'push', byte: 3, gives: -E2BIG },
      { do: 'peek', gives: 2 },
      { do: 'pop', gives: 2 },
      { do: 'push', byte: 3, gives: 0 },
      { do: 'pop', gives: 3 },
      { do: 'pop', gives: 1 },
      { do: 'pop', gives: undefined },
    ],
  },
  ...(['QUEUE', 'STACK'] as const).map(
    (map): Rule => ({
      rule: 'BPF_EXIST drops the oldest of a full one',
      map,
      steps: [
        ...[1, 2, 3, 4, 5, 6, 7].map((byte) => ({ do: 'push', byte, flags: BPF_EXIST, gives: 0 }) as const),
        { do: 'pop', gives: map === 'QUEUE' ? 6 : 7 },
        { do: 'pop', gives: map === 'QUEUE' ? 7 : 6 },
        { do: 'pop', gives: undefined },
      ],
    }),
  ),
];

const arenaMaps = () => new ArenaMaps(Arena.create({ workers: 1, mapsBytes: 1 << 16, ringsBytes: 0 }));

describe.each<[string, () => MapHost, boolean]>([
  ['the arena', arenaMaps, false],
  ['the kernel', () => new KernelMaps(), missingRoot !== undefined],
])('rules in %s', (_, makeHost, skip) => {
  it.skipIf(skip).each(RULES)('$map: $rule', ({ map: type, steps }) => {
    const map = makeHost().createMap({ ...SPEC, type });
    for (const [index, step] of steps.entries()) {
      const what = `step ${index}: ${JSON.stringify(step)}`;
      if (step.do === 'push')
        expect(map.update(NOTHING, valueWith(step.byte), step.flags), what).toBe(step.gives);
      else if (step.do === 'delete') expect(map.delete(NOTHING), what).toBe(step.gives);
      else if (step.do === 'next') expect(map.nextKey(), what).toBeUndefined();
      else {
        const value = step.do === 'pop' ? map.lookupAndDelete(NOTHING) : map.lookup(NOTHING);
        expect(value, what).toEqual(step.gives === undefined ? undefined : valueWith(step.gives));
      }
    }
    map.close();
  });

  it.skipIf(skip).each<[string, Partial<MapSpec>]>([
    ['a key', { keySize: 4 }],
    ['no value', { valueSize: 0 }],
    ['no entry', { maxEntries: 0 }],
    ['a value of 8 MiB', { valueSize: 8 << 20 }],
    ['BPF_F_NO_PREALLOC', { flags: 1 }],
    ['BPF_F_ZERO_SEED', { flags: 64 }],
    ['both access flags', { flags: 128 | 256 }],
    ['map_extra', { mapExtra: 1 }],
  ])('%s is refused', (_, difference) => {
    for (const type of ['QUEUE', 'STACK'] as const) {
      expect(() => makeHost().createMap({ ...SPEC, type, ...difference })).toThrow(/EINVAL|E2BIG/);
    }
  });

  it.skipIf(skip)('a long run in and out keeps the order', () => {
    const map = makeHost().createMap({ ...SPEC, type: 'QUEUE', maxEntries: 5 });
    let [pushed, popped] = [0, 0];
    for (let turn = 0; turn < 200; turn++) {
      for (let i = 0; i <= turn % 4; i++) {
        if (map.update(NOTHING, valueWith(pushed & 255)) === 0) pushed++;
        else expect(pushed - popped).toBe(5);
      }
      for (let i = 0; i <= turn % 3; i++) {
        const value = map.lookupAndDelete(NOTHING);
        if (value === undefined) expect(pushed).toBe(popped);
        else expect(value).toEqual(valueWith(popped++ & 255));
      }
    }
    expect(popped).toBeGreaterThan(300);
    map.close();
  });
});

it('the lock of a CPU that died is opened, and nothing is lost', () => {
  const maps = arenaMaps();
  const map = maps.createMap({ ...SPEC, type: 'QUEUE' });
  expect(map.update(NOTHING, valueWith(7))).toBe(0);
  maps.arena.u32[(map.info.descriptor + QUEUE_LOCK) / 4] = 1;
  expect(map.update(NOTHING, valueWith(8))).toBe(-EBUSY);
  maps.recover(0);
  expect(map.update(NOTHING, valueWith(8))).toBe(0);
  expect(map.lookupAndDelete(NOTHING)).toEqual(valueWith(7));
  expect(map.lookupAndDelete(NOTHING)).toEqual(valueWith(8));
});
