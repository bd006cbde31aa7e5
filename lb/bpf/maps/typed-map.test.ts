import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { compileC, missingClang } from '../../../test/support/clang.js';
import { caught } from '../../../test/support/objects.js';
import { KernelMaps } from '../../sys/bpf-map.js';
import { Arena } from '../memory/arena.js';
import { loadObject } from '../object/load.js';
import { ValueError } from '../object/values.js';
import type { MapHost, MapSpec } from './map.js';
import { ArenaMaps } from './registry.js';
import { TypedMap, TypedMapError } from './typed-map.js';

const SOURCE = `
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, val) int (*name)[val]
#define __type(name, val) typeof(val) *name
typedef unsigned int u32; typedef unsigned long long u64; typedef unsigned char u8;
enum state { UP = 1, DOWN = 2 };
struct flow { u32 saddr; unsigned short dport; };
struct count { u64 packets; enum state state; char name[8]; };
struct { __uint(type, 1); __uint(max_entries, 8); __type(key, struct flow); __type(value, struct count); } flows SEC(".maps");
struct { __uint(type, 2); __uint(max_entries, 3); __type(key, u32); __type(value, u64); } numbers SEC(".maps");
struct { __uint(type, 6); __uint(max_entries, 2); __type(key, u32); __type(value, u32); } copies SEC(".maps");
struct { __uint(type, 1); __uint(max_entries, 4); __uint(key_size, 8); __uint(value_size, 3); } untyped SEC(".maps");
struct { __uint(type, 12); __uint(max_entries, 2); __type(key, u32); __uint(value_size, 4);
  struct { __uint(type, 2); __uint(max_entries, 3); __type(key, u32); __type(value, u64); } *values[]; } outer SEC(".maps");
struct { __uint(type, 22); __uint(max_entries, 2); __type(value, struct flow); } queue SEC(".maps");
struct { __uint(type, 23); __uint(max_entries, 2); __type(value, u32); } stack SEC(".maps");
struct { __uint(type, 30); __uint(max_entries, 100); __type(value, struct flow); } bloom SEC(".maps");
u64 hits = 3; u8 mac[6];
SEC("xdp") int program(void *ctx) { hits++; return mac[0]; }
`;

interface Flow {
  readonly saddr: number;
  readonly dport: number;
}
interface Count {
  readonly packets: bigint;
  readonly state: 'UP' | 'DOWN' | number;
  readonly name: string;
}

const object = missingClang === undefined ? loadObject(compileC(SOURCE)) : undefined;
const HOSTS: readonly { place: string; missing: string | undefined; make: () => MapHost }[] = [
  {
    place: 'the arena',
    missing: missingClang,
    make: () => new ArenaMaps(Arena.create({ workers: 1, mapsBytes: 1 << 20, ringsBytes: 0 })),
  },
  { place: 'the kernel', missing: missingClang ?? missingRoot, make: () => new KernelMaps() },
];

describe.each(HOSTS)('typed maps in $place', ({ missing, make }) => {
  const title = (rule: string) => (missing === undefined ? rule : `${rule} (skipped: ${missing})`);
  const rule = (name: string, run: () => void) => it.skipIf(missing)(title(name), run);
  const open = <K, V>(name: string, host = make()): TypedMap<K, V> => {
    const spec = object?.maps.find((map) => map.name === name);
    if (spec === undefined) throw new Error(`no map ${name}`);
    return new TypedMap<K, V>(host.createMap(spec), { btf: object?.btf });
  };
  const code = (run: () => unknown) => {
    const error = caught(run);
    if (error instanceof TypedMapError) return error.fault.errno ?? error.code;
    return error instanceof ValueError ? `${error.code} ${error.fault.path}` : error;
  };
  const flow = (n: number): Flow => ({ saddr: n, dport: 80 });

  rule('structs as keys and values', () => {
    const map = open<Flow, Count>('flows');
    expect(map.get(flow(1))).toBeUndefined();
    map.set(flow(1), { packets: 7, state: 'UP', name: 'one' }).set({ saddr: 2 }, {});
    expect(map.get(flow(1))).toEqual({ packets: 7n, state: 'UP', name: 'one' });
    expect(map.get({ saddr: 2 })).toEqual({ packets: 0n, state: 0, name: '' });
    expect(map.has(flow(1))).toBe(true);
    expect(map.has(flow(9))).toBe(false);
    expect(map.size).toBe(2);
    expect(map.delete(flow(1))).toBe(true);
    expect(map.delete(flow(1))).toBe(false);
    expect([...map]).toEqual([
      [
        { saddr: 2, dport: 0 },
        { packets: 0n, state: 0, name: '' },
      ],
    ]);
  });

  rule('what must be there before', () => {
    const map = open<Flow, Count>('flows');
    expect(code(() => map.set(flow(1), {}, 'present'))).toBe('ENOENT');
    map.set(flow(1), {}, 'absent').set(flow(1), { packets: 2 }, 'present');
    expect(code(() => map.set(flow(1), {}, 'absent'))).toBe('EEXIST');
    expect(map.get(flow(1))?.packets).toBe(2n);
  });

  rule('what does not fit is named', () => {
    const map = open<Flow, Count>('flows');
    expect(code(() => map.get({ saddr: -1 }))).toBe('VALUE_RANGE saddr');
    expect(code(() => map.set(flow(1), { name: 'much too long' }))).toBe('VALUE_LENGTH name');
    const wrong: unknown = { port: 1 };
    expect(code(() => map.get(wrong as Flow))).toBe('VALUE_FIELD port');
  });

  rule('a full map says so', () => {
    const map = open<Flow, Count>('flows');
    for (let n = 0; n < 8; n++) map.set(flow(n), {});
    expect(code(() => map.set(flow(8), {}))).toBe('E2BIG');
  });

  rule('many at once, read in any order, taken out while they are walked', () => {
    const map = open<Flow, Count>('flows');
    map.setAll([1, 2, 3, 4, 5].map((n) => [flow(n), { packets: n }]));
    expect([...map.keys()].map(({ saddr }) => saddr).sort()).toEqual([1, 2, 3, 4, 5]);
    expect([...map.values()].map(({ packets }) => packets).sort()).toEqual([1n, 2n, 3n, 4n, 5n]);
    for (const [key, { packets }] of map) if (packets % 2n === 0n) map.delete(key);
    expect(map.size).toBe(3);
    expect(map.take(flow(1))?.packets).toBe(1n);
    expect(map.take(flow(1))).toBeUndefined();
    map.clear();
    expect([...map]).toEqual([]);
  });

  rule('an array has every element, and none can be deleted', () => {
    const map = open<number, bigint>('numbers');
    map.set(1, 5);
    expect([...map]).toEqual([
      [0, 0n],
      [1, 5n],
      [2, 0n],
    ]);
    expect(map.get(3)).toBeUndefined();
    expect(code(() => map.set(3, 1))).toBe('E2BIG');
    expect(code(() => map.delete(1))).toBe('EINVAL');
  });

  rule('a value for each CPU', () => {
    const map = open<number, readonly number[]>('copies');
    const { cpus } = map.map;
    expect(map.get(1)).toEqual(new Array(cpus).fill(0));
    const values = Array.from({ length: cpus }, (_, cpu) => cpu + 10);
    expect(map.set(1, values).get(1)).toEqual(values);
    map.setAll([[0, values]]);
    expect(map.get(0)).toEqual(values);
    expect(code(() => map.set(1, [...values, 1]))).toBe('MAP_CPUS');
  });

  rule('without types: a number, a bigint or bytes', () => {
    const map = open<bigint | number, Uint8Array | readonly number[]>('untyped');
    map.set(5n, Uint8Array.of(1, 2, 3)).set(6, [7, 8, 9]);
    expect([...map].sort()).toEqual([
      [5n, Uint8Array.of(1, 2, 3)],
      [6n, Uint8Array.of(7, 8, 9)],
    ]);
    expect(code(() => map.set(-1n, new Uint8Array(3)))).toBe('VALUE_RANGE ');
    expect(code(() => map.set(1n, new Uint8Array(2)))).toBe('VALUE_LENGTH ');
  });

  rule('a map in a map', () => {
    const host = make();
    const outer = open<number, number>('outer', host);
    const inner = open<number, bigint>('numbers', host);
    outer.set(1, inner);
    expect(outer.get(1)).toBeGreaterThan(0);
    expect(outer.get(0)).toBeUndefined();
    expect(outer.delete(1)).toBe(true);
    expect(outer.get(1)).toBeUndefined();
  });

  rule('queues and stacks: push, peek, pop', () => {
    const queue = open<never, Flow>('queue');
    expect(queue.peek()).toBeUndefined();
    queue.push(flow(1)).push(flow(2));
    expect(code(() => queue.push(flow(3)))).toBe('E2BIG');
    queue.push(flow(3), 'present');
    expect(queue.peek()).toEqual(flow(2));
    expect([queue.pop(), queue.pop(), queue.pop()]).toEqual([flow(2), flow(3), undefined]);
    const stack = open<never, number>('stack');
    expect([stack.push(1).push(2).pop(), stack.peek()]).toEqual([2, 1]);
  });

  rule('a bloom filter: push, contains', () => {
    const bloom = open<never, Flow>('bloom');
    bloom.push(flow(1)).push({ saddr: 2 });
    expect([flow(1), { saddr: 2 }].map((value) => bloom.contains(value))).toEqual([true, true]);
    const others = Array.from({ length: 100 }, (_, n) => bloom.contains(flow(n + 10)));
    expect(others.filter((found) => found).length).toBeLessThan(20);
  });

  rule('global variables, by name', () => {
    const map = open<number, { hits: bigint }>('.data');
    expect(map.get(0)).toEqual({ hits: 3n });
  });
});

it('a spec without types needs no BTF', () => {
  const spec: MapSpec = { name: 'm', type: 'HASH', keySize: 4, valueSize: 4, maxEntries: 2, flags: 0 };
  const host = new ArenaMaps(Arena.create({ workers: 1, mapsBytes: 1 << 20, ringsBytes: 0 }));
  const map = new TypedMap<number, number>(host.createMap(spec));
  expect(map.set(1, 2).get(1)).toBe(2);
});
