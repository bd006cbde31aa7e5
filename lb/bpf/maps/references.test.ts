import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { KernelMaps, possibleCpus } from '../../sys/bpf.js';
import { Arena } from '../memory/arena.js';
import { BPF_EXIST, BPF_NOEXIST, type BpfMap, ERRNO, MAP_FLAGS, type MapHost, type MapSpec } from './map.js';
import { ArenaMaps } from './registry.js';

const { E2BIG, EBADF, EEXIST, EINVAL, ENOENT, ENOMEM } = ERRNO;
const ENODEV = 19;
const EOVERFLOW = 75;
/** No interface, no descriptor and no program has this number. */
const NONE = 0x7ffffff0;
const LOOPBACK = 1;
/** The arena of these tests has 2 CPUs: this one is beyond those of either host. */
const NO_CPU = missingRoot === undefined ? possibleCpus() : 2;

const SPEC = { name: 'r', keySize: 4, valueSize: 4, maxEntries: 4, flags: 0 } as const;
const SPECS = {
  programs: { ...SPEC, type: 'PROG_ARRAY' },
  events: { ...SPEC, type: 'PERF_EVENT_ARRAY' },
  sockets: { ...SPEC, type: 'XSKMAP' },
  devices: { ...SPEC, type: 'DEVMAP' },
  devicesAndPrograms: { ...SPEC, type: 'DEVMAP', valueSize: 8 },
  deviceHash: { ...SPEC, type: 'DEVMAP_HASH', maxEntries: 2, valueSize: 8 },
  cpus: { ...SPEC, type: 'CPUMAP', maxEntries: NO_CPU + 1 },
  cpusAndPrograms: { ...SPEC, type: 'CPUMAP', valueSize: 8, maxEntries: NO_CPU + 1 },
} as const satisfies Record<string, MapSpec>;

const words = (bytes: Uint8Array | undefined) => bytes && [...new Uint32Array(bytes.slice().buffer)];
const u32 = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);

type Step =
  | {
      readonly do: 'update';
      readonly key: number;
      /** Words; the second only counts where the value has one. */
      readonly value: readonly [number, number?];
      readonly flags?: number;
      readonly gives: number;
    }
  | { readonly do: 'delete'; readonly key: number; readonly gives: number }
  | { readonly do: 'lookup'; readonly key: number; readonly gives: readonly number[] | undefined }
  | { readonly do: 'next'; readonly after?: number; readonly gives: number | undefined };

interface Rule {
  readonly rule: string;
  readonly map: keyof typeof SPECS;
  readonly steps: readonly Step[];
}

const set = (key: number, value: readonly [number, number?], gives: number, flags = 0): Step => ({
  do: 'update',
  key,
  value,
  flags,
  gives,
});

const SLOTS = (['programs', 'events'] as const).map(
  (map): Rule => ({
    rule: 'flags, then the index, then what the value names; empty slots',
    map,
    steps: [
      set(0, [NONE], -EINVAL, BPF_NOEXIST),
      set(9, [NONE], -EINVAL, BPF_EXIST),
      set(4, [NONE], -E2BIG),
      set(0, [NONE], -EBADF),
      { do: 'lookup', key: 0, gives: undefined },
      { do: 'lookup', key: 4, gives: undefined },
      { do: 'delete', key: 0, gives: -ENOENT },
      { do: 'delete', key: 4, gives: -E2BIG },
      { do: 'next', gives: 0 },
      { do: 'next', after: 3, gives: undefined },
      { do: 'next', after: 4, gives: 0 },
    ],
  }),
);

const DEVICES = (['devices', 'devicesAndPrograms'] as const).flatMap((map): Rule[] => {
  const isWhole = map === 'devicesAndPrograms';
  const shown = (index: number) => (isWhole ? [index, 0] : [index]);
  return [
    {
      rule: 'flags, the index, NOEXIST, then the interface',
      map,
      steps: [
        set(0, [NONE, 0], -EINVAL, 3),
        set(4, [NONE, 0], -EINVAL, 4),
        set(4, [NONE, 0], -E2BIG, BPF_NOEXIST),
        set(0, [NONE, 0], -EEXIST, BPF_NOEXIST),
        set(0, [NONE, 0], -EINVAL),
        set(0, [LOOPBACK, NONE], isWhole ? -EINVAL : 0),
        set(0, [LOOPBACK, -1], 0, BPF_EXIST),
        { do: 'lookup', key: 0, gives: shown(LOOPBACK) },
        { do: 'lookup', key: 1, gives: undefined },
      ],
    },
    {
      rule: 'interface 0 empties an element; so does a delete, of an empty one too',
      map,
      steps: [
        set(0, [0, NONE], isWhole ? -EINVAL : 0),
        set(0, [LOOPBACK, 0], 0),
        set(0, [0, -1], 0),
        { do: 'lookup', key: 0, gives: undefined },
        set(1, [LOOPBACK, 0], 0),
        { do: 'delete', key: 1, gives: 0 },
        { do: 'delete', key: 1, gives: 0 },
        { do: 'delete', key: 4, gives: -EINVAL },
        { do: 'lookup', key: 1, gives: undefined },
        { do: 'next', after: 0, gives: 1 },
        { do: 'next', after: 3, gives: undefined },
      ],
    },
  ];
});

const CPUS = (['cpus', 'cpusAndPrograms'] as const).map((map): Rule => {
  const isWhole = map === 'cpusAndPrograms';
  return {
    rule: 'flags, the index, NOEXIST, the queue, the CPU, the program',
    map,
    steps: [
      set(0, [8, 0], -EINVAL, 3),
      set(NO_CPU + 1, [8, 0], -EINVAL, 8),
      set(NO_CPU + 1, [16385, 0], -E2BIG),
      set(0, [16385, 0], -EEXIST, BPF_NOEXIST),
      set(NO_CPU, [16385, 0], -EOVERFLOW),
      set(NO_CPU, [8, NONE], -ENODEV),
      set(NO_CPU, [0, 0], -ENODEV),
      set(0, [8, NONE], isWhole ? -ENOMEM : 0),
      set(0, [16384, -1], 0, BPF_EXIST),
      { do: 'lookup', key: 0, gives: isWhole ? [16384, 0] : [16384] },
      set(0, [0, NONE], 0),
      { do: 'lookup', key: 0, gives: undefined },
      { do: 'delete', key: 0, gives: 0 },
      { do: 'delete', key: NO_CPU, gives: 0 },
      { do: 'delete', key: NO_CPU + 1, gives: -EINVAL },
      { do: 'next', gives: 0 },
    ],
  };
});

const RULES: readonly Rule[] = [
  ...SLOTS,
  {
    rule: 'a socket that is none is refused before EXIST and NOEXIST are looked at',
    map: 'sockets',
    steps: [
      set(0, [NONE], -EINVAL, 3),
      set(4, [NONE], -E2BIG, BPF_NOEXIST),
      set(0, [NONE], -EBADF),
      set(0, [NONE], -EBADF, BPF_NOEXIST),
      set(0, [NONE], -EBADF, BPF_EXIST),
      { do: 'lookup', key: 0, gives: undefined },
      { do: 'delete', key: 0, gives: 0 },
      { do: 'delete', key: 4, gives: -EINVAL },
      { do: 'next', gives: 0 },
      { do: 'next', after: 3, gives: undefined },
    ],
  },
  ...DEVICES,
  {
    rule: 'flags and interface 0, NOEXIST, the interface, then the room; EXIST makes too',
    map: 'deviceHash',
    steps: [
      set(70, [LOOPBACK, 0], -EINVAL, 3),
      set(70, [0, 0], -EINVAL, BPF_NOEXIST),
      set(70, [NONE, 0], -EINVAL),
      set(70, [LOOPBACK, NONE], -EINVAL),
      set(70, [LOOPBACK, 0], 0, BPF_EXIST),
      set(70, [NONE, 0], -EEXIST, BPF_NOEXIST),
      set(70, [LOOPBACK, -1], 0),
      set(71, [LOOPBACK, 0], 0, BPF_NOEXIST),
      set(72, [NONE, 0], -EINVAL),
      set(72, [LOOPBACK, 0], -E2BIG),
      { do: 'lookup', key: 70, gives: [LOOPBACK, 0] },
      { do: 'delete', key: 70, gives: 0 },
      { do: 'delete', key: 70, gives: -ENOENT },
      { do: 'lookup', key: 70, gives: undefined },
      { do: 'next', gives: 71 },
      { do: 'next', after: 71, gives: undefined },
    ],
  },
  ...CPUS,
];

const arenaMaps = () =>
  new ArenaMaps(Arena.create({ workers: 1, mapsBytes: 1 << 20, ringsBytes: 0 }), {
    references: { isInterface: (index) => index === LOOPBACK, isSocket: (number) => number < 8 },
  });

function perform(map: BpfMap, step: Step): unknown {
  switch (step.do) {
    case 'update':
      return map.update(
        u32(step.key),
        u32(...step.value.map((word) => word ?? 0)).subarray(0, map.valueBytes),
        step.flags,
      );
    case 'delete':
      return map.delete(u32(step.key));
    case 'lookup':
      return words(map.lookup(u32(step.key)));
    case 'next':
      return words(map.nextKey(step.after === undefined ? undefined : u32(step.after)))?.[0];
  }
}

describe.each<[string, () => MapHost, boolean]>([
  ['the arena', arenaMaps, false],
  ['the kernel', () => new KernelMaps(), missingRoot !== undefined],
])('maps of references in %s', (_, makeHost, skip) => {
  it.skipIf(skip).each(RULES)('$map: $rule', ({ map: name, steps }) => {
    const map = makeHost().createMap(SPECS[name]);
    for (const [index, step] of steps.entries()) {
      expect(perform(map, step), `step ${index}: ${JSON.stringify(step)}`).toEqual(step.gives);
    }
    map.close();
  });

  it.skipIf(skip).each<[string, MapSpec['type'], Partial<MapSpec>]>([
    ['a key of 8 bytes', 'PROG_ARRAY', { keySize: 8 }],
    ['a value of 8 bytes', 'PROG_ARRAY', { valueSize: 8 }],
    ['a value of 8 bytes', 'XSKMAP', { valueSize: 8 }],
    ['a value of 12 bytes', 'DEVMAP', { valueSize: 12 }],
    ['a value of 12 bytes', 'DEVMAP_HASH', { valueSize: 12 }],
    ['a value of 12 bytes', 'CPUMAP', { valueSize: 12 }],
    ['a key of 8 bytes', 'DEVMAP_HASH', { keySize: 8 }],
    ['no entry', 'DEVMAP', { maxEntries: 0 }],
    ['too many entries', 'CPUMAP', { maxEntries: 1 << 20 }],
    ['too many entries', 'DEVMAP_HASH', { maxEntries: 0x80000001 }],
    ['BPF_F_NO_PREALLOC', 'DEVMAP_HASH', { flags: MAP_FLAGS.BPF_F_NO_PREALLOC }],
    ['BPF_F_RDONLY_PROG', 'DEVMAP', { flags: MAP_FLAGS.BPF_F_RDONLY_PROG }],
    ['BPF_F_RDONLY_PROG', 'PROG_ARRAY', { flags: MAP_FLAGS.BPF_F_RDONLY_PROG }],
    ['BPF_F_PRESERVE_ELEMS', 'PROG_ARRAY', { flags: MAP_FLAGS.BPF_F_PRESERVE_ELEMS }],
    ['BPF_F_RDONLY_PROG', 'CPUMAP', { flags: MAP_FLAGS.BPF_F_RDONLY_PROG }],
    ['map_extra', 'XSKMAP', { mapExtra: 1 }],
  ])('%s of a %s is refused', (_, type, difference) => {
    expect(() => makeHost().createMap({ ...SPEC, type, ...difference })).toThrow(/EINVAL|E2BIG/);
  });
});

describe.each<[string, () => MapHost, boolean]>([
  ['the arena', arenaMaps, false],
  ['the kernel', () => new KernelMaps(), missingRoot !== undefined],
])('an inner map of another size than its template, in %s', (_, makeHost, skip) => {
  const queue = { ...SPEC, keySize: 0, valueSize: 8 };
  it.skipIf(skip).each<[MapSpec, number]>([
    [SPECS.devices, 0],
    [SPECS.deviceHash, 0],
    [SPECS.sockets, -EINVAL],
    [SPECS.events, 0],
    [{ ...queue, type: 'QUEUE' }, 0],
    [{ ...queue, type: 'STACK' }, 0],
    [{ ...queue, type: 'BLOOM_FILTER' }, 0],
    [{ ...queue, type: 'RINGBUF', valueSize: 0, maxEntries: 4096 }, 0],
  ])('$type', (inner, gives) => {
    const host = makeHost();
    const outer = host.createMap({ ...SPEC, type: 'ARRAY_OF_MAPS', inner });
    const other = host.createMap({ ...inner, maxEntries: 2 * inner.maxEntries });
    const same = host.createMap(inner);
    expect(outer.updateInner(u32(0), other)).toBe(gives);
    expect(outer.updateInner(u32(1), same)).toBe(0);
    for (const map of [outer, other, same]) map.close();
  });

  it.skipIf(skip)('a PROG_ARRAY is no inner map', () => {
    expect(() => makeHost().createMap({ ...SPEC, type: 'ARRAY_OF_MAPS', inner: SPECS.programs })).toThrow(
      /524|ENOTSUPP/,
    );
  });
});

describe('programs by number', () => {
  it('a live one is stored, shown and deleted; one that is gone is refused', () => {
    const maps = arenaMaps();
    const map = maps.createMap(SPECS.programs);
    const [first, second] = [maps.programs.allocate('first'), maps.programs.allocate('second')];
    expect([first, second, maps.programs.nameOf(second)]).toEqual([1, 2, 'second']);
    expect(map.update(u32(3), u32(second))).toBe(0);
    expect(words(map.lookup(u32(3)))).toEqual([second]);
    expect(Atomics.load(maps.arena.u32, map.info.data / 4 + 3)).toBe(second);
    maps.programs.release(first);
    expect(map.update(u32(3), u32(first))).toBe(-EBADF);
    expect(words(map.lookup(u32(3)))).toEqual([second]);
    expect(map.delete(u32(3))).toBe(0);
    expect(map.lookup(u32(3))).toBeUndefined();
    // Not the number of the one that is gone: slots may still hold it.
    expect(maps.programs.allocate('third')).toBe(3);
  });

  it('a DEVMAP and a CPUMAP keep theirs with the target', () => {
    const maps = arenaMaps();
    const program = maps.programs.allocate('egress');
    const devices = maps.createMap(SPECS.devicesAndPrograms);
    expect(devices.update(u32(1), u32(LOOPBACK, program))).toBe(0);
    expect(words(devices.lookup(u32(1)))).toEqual([LOOPBACK, program]);
    const cpus = maps.createMap(SPECS.cpusAndPrograms);
    expect(cpus.update(u32(1), u32(64, program))).toBe(0);
    expect(words(cpus.lookup(u32(1)))).toEqual([64, program]);
  });

  it('a batch is checked one by one', () => {
    const maps = arenaMaps();
    const map = maps.createMap(SPECS.devices);
    expect(map.updateBatch(u32(0, 1, 2), u32(LOOPBACK, NONE, LOOPBACK), 3)).toBe(-EINVAL);
    expect(words(map.lookup(u32(0)))).toEqual([LOOPBACK]);
    expect(map.lookup(u32(2))).toBeUndefined();
  });
});

describe('sockets by number', () => {
  it('socket 0 is one; EXIST and NOEXIST as in a hash', () => {
    const map = arenaMaps().createMap(SPECS.sockets);
    expect(map.update(u32(1), u32(0), BPF_EXIST)).toBe(-ENOENT);
    expect(map.update(u32(1), u32(0), BPF_NOEXIST)).toBe(0);
    expect(map.update(u32(1), u32(5), BPF_NOEXIST)).toBe(-EEXIST);
    expect(map.update(u32(1), u32(0), BPF_NOEXIST)).toBe(0);
    expect(map.update(u32(1), u32(5), BPF_EXIST)).toBe(0);
    expect(map.update(u32(1), u32(9))).toBe(-EBADF);
  });
});
