import { afterAll, describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { compileC, missingClang } from '../../../test/support/clang.js';
import { onOneCpu } from '../../../test/support/one-cpu.js';
import { Replay } from '../../engine/replay.js';
import { type KernelMap, KernelMaps, loadKernelProgram } from '../../sys/bpf.js';
import { createMaps } from '../object/create-maps.js';
import { loadObject } from '../object/load.js';
import type { ObjectSpec } from '../object/spec.js';
import type { BpfMap, MapHost } from './map.js';

/** What the programs of all rows share; each leaves what it saw in `seen`. */
const PRELUDE = `
typedef unsigned int u32; typedef unsigned long long u64; typedef unsigned char u8;
struct xdp_md { u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };
struct bpf_spin_lock { u32 val; };
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
#define __type(name, value) typeof(value) *name
#define __array(name, value) typeof(value) *name[]
static void *(*lookup)(void *map, const void *key) = (void *)1;
static long (*update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*delete)(void *map, const void *key) = (void *)3;
static u32 (*cpu)(void) = (void *)8;
static void (*lock)(struct bpf_spin_lock *lock) = (void *)93;
static void (*unlock)(struct bpf_spin_lock *lock) = (void *)94;
static long (*for_each)(void *map, void *callback, void *context, u64 flags) = (void *)164;
static void *(*lookup_percpu)(void *map, const void *key, u32 cpu) = (void *)195;
struct prefix { u32 bits; u8 data[4]; };
struct locked { u32 before; struct bpf_spin_lock lock; u64 count; };
struct inner { __uint(type, 2); __uint(max_entries, 2); __type(key, u32); __type(value, u64); };
struct { __uint(type, 5); __uint(max_entries, 4); __type(key, u32); __type(value, u64); } percpu_hash SEC(".maps");
struct { __uint(type, 10); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } lru_percpu_hash SEC(".maps");
struct { __uint(type, 6); __uint(max_entries, 4); __type(key, u32); __type(value, u64); } percpu_array SEC(".maps");
struct { __uint(type, 11); __uint(max_entries, 3); __uint(map_flags, 1); __type(key, struct prefix); __type(value, u64); } trie SEC(".maps");
struct { __uint(type, 13); __uint(max_entries, 4); __type(key, u64); __array(values, struct inner); } outer SEC(".maps");
struct { __uint(type, 1); __uint(max_entries, 8); __type(key, u32); __type(value, struct locked); } hash SEC(".maps");
struct { __uint(type, 2); __uint(max_entries, 2); __type(key, u32); __type(value, struct locked); } array SEC(".maps");
struct { __uint(type, 9); __uint(max_entries, 64); __type(key, u32); __type(value, u64); } lru SEC(".maps");
u64 seen[24];
char _license[] SEC("license") = "GPL";
struct tally { u64 count, keys, values, stop; } tally;
static long add(void *map, u32 *key, u64 *value, void *context) {
  tally.count++; tally.keys += *key; tally.values += *value;
  return tally.count == tally.stop;
}
static long erase(void *map, u32 *key, u64 *value, void *context) {
  u32 k = *key; tally.count += delete(map, &k) == 0; return 0;
}
#define VALUE(pointer) ({ u64 *p = (pointer); p ? *p : -1ull; })
`;

interface Row {
  readonly rule: string;
  /** Body of the program: what each `seen` is, by index. */
  readonly code: string;
  readonly seen: readonly number[];
  readonly prepare?: (maps: ReadonlyMap<string, BpfMap>, host: MapHost) => void;
}

const E = { ENOENT: -2, EBUSY: -16, EEXIST: -17, EINVAL: -22, ENOSPC: -28 } as const;
const NONE = -1;
const u32 = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const u64 = (...values: number[]) => new Uint8Array(BigUint64Array.from(values.map(BigInt)).buffer);

const PER_CPU: readonly Row[] = (['percpu_hash', 'lru_percpu_hash'] as const).flatMap((map): Row[] => [
  {
    rule: `${map}: update, lookup, delete`,
    code: `u32 k = 1, none = 2; u64 v = 7;
      seen[0] = update(&${map}, &k, &v, 2); seen[1] = update(&${map}, &k, &v, 1); seen[2] = update(&${map}, &k, &v, 1);
      v = 8; seen[3] = update(&${map}, &k, &v, 2); seen[4] = VALUE(lookup(&${map}, &k));
      v = 9; seen[5] = update(&${map}, &k, &v, 0); seen[6] = VALUE(lookup(&${map}, &k));
      seen[7] = update(&${map}, &k, &v, 3); seen[8] = update(&${map}, &k, &v, 4); seen[9] = update(&${map}, &k, &v, 8);
      seen[10] = VALUE(lookup(&${map}, &none)); seen[11] = delete(&${map}, &none);
      seen[12] = delete(&${map}, &k); seen[13] = delete(&${map}, &k); seen[14] = VALUE(lookup(&${map}, &k));`,
    seen: [
      ...[E.ENOENT, 0, E.EEXIST, 0, 8, 0, 9, E.EINVAL, E.EINVAL, E.EINVAL],
      ...[NONE, E.ENOENT, 0, E.ENOENT, NONE],
    ],
  },
  {
    rule: `${map}: a program makes its copy, and zeros for the others`,
    code: `u32 k = 1, none = 2, here = cpu(), there = !here; u64 v = 7;
      seen[0] = update(&${map}, &k, &v, 0);
      seen[1] = VALUE(lookup_percpu(&${map}, &k, here)); seen[2] = VALUE(lookup_percpu(&${map}, &k, there));
      u64 *p = lookup(&${map}, &k); if (p) *p = 70;
      seen[3] = VALUE(lookup_percpu(&${map}, &k, here)); seen[4] = VALUE(lookup_percpu(&${map}, &k, there));
      p = lookup_percpu(&${map}, &k, there); if (p) *p = 71;
      v = 72; seen[5] = update(&${map}, &k, &v, 0);
      seen[6] = VALUE(lookup_percpu(&${map}, &k, here)); seen[7] = VALUE(lookup_percpu(&${map}, &k, there));
      seen[8] = VALUE(lookup_percpu(&${map}, &k, 1000)); seen[9] = VALUE(lookup_percpu(&${map}, &none, here));`,
    seen: [0, 7, 0, 70, 0, 0, 72, 71, NONE, NONE],
  },
]);

const ROWS: readonly Row[] = [
  ...PER_CPU,
  {
    rule: 'percpu_array: the copy of another CPU',
    code: `u32 k = 1, none = 4, here = cpu(), there = !here; u64 v = 7;
      seen[0] = update(&percpu_array, &k, &v, 0);
      seen[1] = VALUE(lookup_percpu(&percpu_array, &k, here)); seen[2] = VALUE(lookup_percpu(&percpu_array, &k, there));
      seen[3] = VALUE(lookup_percpu(&percpu_array, &k, 1000)); seen[4] = VALUE(lookup_percpu(&percpu_array, &none, here));`,
    seen: [0, 7, 0, NONE, NONE],
  },
  {
    rule: 'trie: update, lookup, delete',
    code: `struct prefix a = {8, {10}}, b = {16, {10, 1}}, c = {24, {10, 1, 2}}, d = {32, {10, 1, 2, 3}}, e = {33, {10}};
      u64 v = 1; seen[0] = update(&trie, &a, &v, 2); seen[1] = update(&trie, &a, &v, 1);
      v = 2; seen[2] = update(&trie, &b, &v, 0); v = 3; seen[3] = update(&trie, &c, &v, 0); v = 4; seen[4] = update(&trie, &d, &v, 0);
      seen[5] = VALUE(lookup(&trie, &d)); seen[6] = VALUE(lookup(&trie, &b));
      d.data[2] = 9; seen[7] = VALUE(lookup(&trie, &d)); d.data[1] = 9; seen[8] = VALUE(lookup(&trie, &d));
      d.data[0] = 9; seen[9] = VALUE(lookup(&trie, &d)); seen[10] = VALUE(lookup(&trie, &e));
      seen[11] = update(&trie, &e, &v, 0); seen[12] = update(&trie, &a, &v, 3); seen[13] = update(&trie, &a, &v, 4);
      seen[14] = delete(&trie, &b); seen[15] = delete(&trie, &b); seen[16] = delete(&trie, &e);
      seen[17] = VALUE(lookup(&trie, &b));`,
    seen: [
      ...[E.ENOENT, 0, 0, 0, E.ENOSPC, 3, 2, 2, 1, NONE, NONE],
      ...[E.EINVAL, E.EINVAL, E.EINVAL, 0, E.ENOENT, E.EINVAL, 1],
    ],
  },
  {
    rule: 'hash of maps: the inner map of a key, and what is in it',
    prepare: (maps, host) => {
      const inner = host.createMap(maps.get('outer')!.spec.inner!);
      expect(inner.update(u32(1), u64(77))).toBe(0);
      expect(maps.get('outer')!.updateInner(u64(5), inner)).toBe(0);
      inner.close();
    },
    code: `u64 five = 5, six = 6; u32 one = 1, zero = 0, two = 2;
      void *inner = lookup(&outer, &six); seen[0] = inner != 0;
      inner = lookup(&outer, &five); seen[1] = inner != 0;
      if (inner) {
        seen[2] = VALUE(lookup(inner, &one)); seen[3] = VALUE(lookup(inner, &zero)); seen[4] = VALUE(lookup(inner, &two));
        u64 v = 78; seen[5] = update(inner, &one, &v, 0); seen[6] = VALUE(lookup(inner, &one));
      }`,
    seen: [0, 1, 77, 0, NONE, 0, 78],
  },
  ...(['hash', 'array'] as const).map(
    (map): Row => ({
      rule: `${map}: a value under its lock`,
      code: `u32 k = 1; struct locked v = { .before = 3, .count = 4 };
      seen[0] = update(&${map}, &k, &v, 0);
      struct locked *p = lookup(&${map}, &k);
      if (p) { lock(&p->lock); p->count += 10; p->before++; unlock(&p->lock); seen[1] = p->count; seen[2] = p->before; }
      v.count = 50; seen[3] = update(&${map}, &k, &v, 4); if (p) { seen[4] = p->count; seen[5] = p->before; }
      seen[6] = update(&${map}, &k, &v, 5); seen[7] = update(&${map}, &k, &v, 6); seen[8] = update(&${map}, &k, &v, 7);
      seen[9] = update(&lru, &k, &v, 4); seen[10] = update(&percpu_array, &k, &v, 4);
      k = 9; seen[11] = update(&${map}, &k, &v, 6);`,
      seen: [
        ...[0, 14, 4, 0, 50, 3, E.EEXIST, 0, E.EINVAL, E.EINVAL, E.EINVAL],
        map === 'hash' ? E.ENOENT : -7,
      ],
    }),
  ),
  ...(['percpu_hash', 'lru_percpu_hash', 'lru', 'percpu_array'] as const).map((map): Row => {
    const isArray = map === 'percpu_array';
    return {
      rule: `${map}: for each element`,
      code: `u32 k = 1; u64 v = 10; update(&${map}, &k, &v, 0); k = 2; v = 20; update(&${map}, &k, &v, 0);
      k = 3; v = 30; update(&${map}, &k, &v, 0);
      seen[0] = for_each(&${map}, add, 0, 0); seen[1] = tally.count; seen[2] = tally.keys; seen[3] = tally.values;
      tally.count = 0; tally.stop = 1; seen[4] = for_each(&${map}, add, 0, 0); seen[5] = tally.count;
      seen[6] = for_each(&${map}, add, 0, 1);
      tally.count = 0; seen[7] = for_each(&${map}, erase, 0, 0); seen[8] = tally.count;
      tally.stop = 0; seen[9] = for_each(&${map}, add, 0, 0);`,
      seen: [isArray ? 4 : 3, isArray ? 4 : 3, 6, 60, 1, 1, E.EINVAL, ...(isArray ? [4, 0, 4] : [3, 3, 0])],
    };
  }),
];

const source = (row: Row) => `${PRELUDE}SEC("xdp") int program(struct xdp_md *ctx) { ${row.code} return 2; }`;

interface Engine {
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly host: MapHost;
  run(frame: Uint8Array): number;
}

const cleanUps: (() => void)[] = [];
afterAll(() => {
  for (const cleanUp of cleanUps) cleanUp();
});

function kernel(object: ObjectSpec): Engine {
  const host = new KernelMaps();
  const maps = createMaps<KernelMap>(object, host);
  const program = loadKernelProgram(object.programs[0]!, [...maps.values()], object.license, object.btf);
  cleanUps.push(() => {
    program.close();
    for (const map of maps.values()) map.close();
  });
  return { maps, host, run: (frame) => onOneCpu(() => program.testRun(frame)).verdict };
}

function arena(object: ObjectSpec, engine: 'interpreter' | 'jit'): Engine {
  const replay = new Replay({ object, program: 'program', engine });
  return { maps: replay.maps, host: replay.host, run: (frame) => replay.run(frame).verdict };
}

const ENGINES: readonly [name: string, make: (object: ObjectSpec) => Engine, missing: string | undefined][] =
  [
    ['interpreter', (object) => arena(object, 'interpreter'), missingClang],
    ['jit', (object) => arena(object, 'jit'), missingClang],
    ['kernel', kernel, missingClang ?? missingRoot],
  ];

describe.each(ENGINES)('elements of maps on the %s', (_, make, missing) => {
  it.skipIf(missing !== undefined).each(ROWS)(
    `$rule${missing === undefined ? '' : ` (${missing})`}`,
    (row) => {
      const engine = make(loadObject(compileC(source(row))));
      row.prepare?.(engine.maps, engine.host);
      expect(engine.run(new Uint8Array(60).fill(1))).toBe(2);
      const bss = engine.maps.get('.bss')!.lookup(u32(0))!;
      const seen = new BigInt64Array(bss.slice(0, 24 * 8).buffer);
      expect([...seen.slice(0, row.seen.length)].map(Number)).toEqual(row.seen);
    },
  );
});
