import { afterAll, describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { compileC, missingClang } from '../../../test/support/clang.js';
import { onOneCpu } from '../../../test/support/one-cpu.js';
import { Replay } from '../../engine/replay.js';
import { type KernelMap, KernelMaps, loadKernelProgram } from '../../sys/bpf.js';
import { createMaps } from '../object/create-maps.js';
import { loadObject } from '../object/load.js';
import type { ObjectSpec } from '../object/spec.js';
import type { BpfMap } from './map.js';

/** What the programs of all rows share; each leaves what it saw in `seen`. */
const PRELUDE = `
typedef unsigned int u32; typedef unsigned long long u64; typedef unsigned char u8;
struct xdp_md { u32 data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex; };
struct bpf_dynptr { u64 opaque[2]; } __attribute__((aligned(8)));
#define SEC(name) __attribute__((section(name), used))
#define __uint(name, value) int (*name)[value]
static long (*lookup)(void *map, const void *key) = (void *)1;
static long (*update)(void *map, const void *key, const void *value, u64 flags) = (void *)2;
static long (*delete)(void *map, const void *key) = (void *)3;
static long (*redirect)(u32 ifindex, u64 flags) = (void *)23;
static long (*perf_output)(void *ctx, void *map, u64 flags, void *data, u64 size) = (void *)25;
static long (*redirect_map)(void *map, u64 key, u64 flags) = (void *)51;
static long (*push)(void *map, const void *value, u64 flags) = (void *)87;
static long (*pop)(void *map, void *value) = (void *)88;
static long (*peek)(void *map, void *value) = (void *)89;
static long (*rb_output)(void *map, void *data, u64 size, u64 flags) = (void *)130;
static void *(*rb_reserve)(void *map, u64 size, u64 flags) = (void *)131;
static void (*rb_submit)(void *record, u64 flags) = (void *)132;
static void (*rb_discard)(void *record, u64 flags) = (void *)133;
static u64 (*rb_query)(void *map, u64 what) = (void *)134;
static long (*dyn_from_mem)(void *data, u32 size, u64 flags, struct bpf_dynptr *ptr) = (void *)197;
static long (*rb_reserve_dynptr)(void *map, u32 size, u64 flags, struct bpf_dynptr *ptr) = (void *)198;
static void (*rb_submit_dynptr)(struct bpf_dynptr *ptr, u64 flags) = (void *)199;
static void (*rb_discard_dynptr)(struct bpf_dynptr *ptr, u64 flags) = (void *)200;
static long (*dyn_read)(void *to, u32 size, const struct bpf_dynptr *ptr, u32 offset, u64 flags) = (void *)201;
static long (*dyn_write)(const struct bpf_dynptr *ptr, u32 offset, void *from, u32 size, u64 flags) = (void *)202;
static void *(*dyn_data)(const struct bpf_dynptr *ptr, u32 offset, u32 size) = (void *)203;
struct { __uint(type, 22); __uint(value_size, 8); __uint(max_entries, 2); } queue SEC(".maps");
struct { __uint(type, 23); __uint(value_size, 8); __uint(max_entries, 2); } stack SEC(".maps");
struct { __uint(type, 30); __uint(value_size, 8); __uint(max_entries, 100); __uint(map_extra, 3); } bloom SEC(".maps");
struct { __uint(type, 27); __uint(max_entries, 4096); } ring SEC(".maps");
struct { __uint(type, 4); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, 2); } events SEC(".maps");
struct { __uint(type, 14); __uint(key_size, 4); __uint(value_size, 8); __uint(max_entries, 4); } devices SEC(".maps");
struct { __uint(type, 25); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, 4); } device_hash SEC(".maps");
struct { __uint(type, 16); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, 4); } cpus SEC(".maps");
struct { __uint(type, 17); __uint(key_size, 4); __uint(value_size, 4); __uint(max_entries, 4); } sockets SEC(".maps");
struct { u64 seen[24]; char text[32]; } out;
#define seen out.seen
#define text out.text
char _license[] SEC("license") = "GPL";
`;

interface Row {
  readonly rule: string;
  /** Body of the program: what each \`seen\` is, by index. */
  readonly code: string;
  readonly seen: readonly (number | bigint)[];
  readonly verdict?: number;
  readonly prepare?: (maps: ReadonlyMap<string, BpfMap>) => void;
}

const E = { ENOENT: -2, E2BIG: -7, EFAULT: -14, EINVAL: -22, EAGAIN: -11 } as const;
const u32 = (...values: number[]) => new Uint8Array(Uint32Array.from(values).buffer);
const fill =
  (name: string, key: number, ...value: number[]) =>
  (maps: ReadonlyMap<string, BpfMap>) => {
    expect(maps.get(name)?.update(u32(key), u32(...value))).toBe(0);
  };

const QUEUES: readonly Row[] = (['queue', 'stack'] as const).map((map) => ({
  rule: `${map}: push, peek and pop`,
  code: `u64 v = 7;
    seen[0] = peek(&${map}, &v); seen[1] = v; v = 9; seen[2] = pop(&${map}, &v); seen[3] = v;
    v = 1; seen[4] = push(&${map}, &v, 0); v = 2; seen[5] = push(&${map}, &v, 0);
    v = 3; seen[6] = push(&${map}, &v, 0); seen[7] = push(&${map}, &v, 1);
    seen[8] = peek(&${map}, &v); seen[9] = v;
    v = 4; seen[10] = push(&${map}, &v, 2); seen[11] = push(&${map}, &v, 3);
    seen[12] = pop(&${map}, &v); seen[13] = v; seen[14] = pop(&${map}, &v); seen[15] = v;
    seen[16] = pop(&${map}, &v);`,
  seen: [
    ...[E.ENOENT, 0, E.ENOENT, 0, 0, 0, E.E2BIG, E.EINVAL, 0, map === 'queue' ? 1 : 2, 0, E.EINVAL],
    ...[0, map === 'queue' ? 2 : 4, 0, map === 'queue' ? 4 : 2, E.ENOENT],
  ],
}));

const RINGS: readonly Row[] = [
  {
    rule: 'ring buffer: positions, sizes, what does not fit',
    code: `u64 v = 7;
      seen[0] = rb_query(&ring, 0); seen[1] = rb_query(&ring, 1);
      seen[2] = rb_output(&ring, &v, 8, 0); seen[3] = rb_output(&ring, &v, 3, 1); seen[4] = rb_output(&ring, &v, 0, 0);
      seen[5] = rb_query(&ring, 0); seen[6] = rb_query(&ring, 2); seen[7] = rb_query(&ring, 3);
      seen[8] = rb_query(&ring, 4); seen[9] = rb_query(&ring, 99);
      seen[10] = rb_output(&ring, &v, 8, 4); seen[11] = rb_output(&ring, &v, 8, 8);
      void *r = rb_reserve(&ring, 4089, 0); seen[12] = r != 0; if (r) rb_discard(r, 0);
      r = rb_reserve(&ring, 16, 1); seen[13] = r != 0; if (r) rb_discard(r, 0);
      r = rb_reserve(&ring, 4032, 0); seen[14] = r != 0; if (r) rb_discard(r, 0);
      seen[15] = rb_query(&ring, 0);`,
    seen: [0, 4096, 0, 0, 0, 40, 0, 40, 0, 0, E.EINVAL, E.EINVAL, 0, 0, 1, 4080],
  },
  {
    rule: 'ring buffer: one byte less than the whole, in two records',
    code: `void *r = rb_reserve(&ring, 4088, 0); seen[0] = r != 0; if (r) rb_discard(r, 0);
      r = rb_reserve(&ring, 4080, 0); seen[1] = r != 0; if (r) rb_submit(r, 0);
      u64 v = 1; seen[2] = rb_output(&ring, &v, 0, 0); seen[3] = rb_query(&ring, 3);`,
    seen: [0, 1, E.EAGAIN, 4088],
  },
  {
    rule: 'ring buffer: a record is busy until it is given back',
    code: `u64 *r = rb_reserve(&ring, 8, 0); seen[0] = r != 0; if (!r) return 0; *r = 5;
      seen[1] = rb_query(&ring, 0); rb_submit(r, 1); r = rb_reserve(&ring, 8, 0); if (!r) return 0;
      rb_discard(r, 2); seen[2] = rb_query(&ring, 0); seen[3] = rb_query(&ring, 2);`,
    seen: [1, 16, 32, 0],
  },
];

const DYNPTRS: readonly Row[] = [
  {
    rule: 'dynptr of memory: reads and writes inside, and nowhere else',
    code: `struct bpf_dynptr d; u64 v = 0;
      seen[0] = dyn_from_mem(text, 32, 0, &d);
      v = 0x1122334455667788; seen[1] = dyn_write(&d, 24, &v, 8, 0);
      seen[2] = dyn_write(&d, 25, &v, 8, 0); seen[3] = dyn_write(&d, 33, &v, 0, 0); seen[4] = dyn_write(&d, 32, &v, 0, 0);
      seen[5] = dyn_write(&d, 0, &v, 8, 1);
      v = 0; seen[6] = dyn_read(&v, 4, &d, 26, 0); seen[7] = v;
      seen[8] = dyn_read(&v, 8, &d, 25, 0); seen[9] = dyn_read(&v, 4, &d, 0, 1); seen[10] = dyn_read(&v, 4, &d, 0xffffffff, 0);
      u8 *p = dyn_data(&d, 24, 8); seen[11] = p ? p[0] : 999; p = dyn_data(&d, 25, 8); seen[12] = p != 0;
      p = dyn_data(&d, 32, 0); seen[13] = p != 0;`,
    seen: [0, 0, E.E2BIG, E.E2BIG, 0, E.EINVAL, 0, 0x33445566, E.E2BIG, E.EINVAL, E.E2BIG, 0x88, 0, 1],
  },
  {
    rule: 'dynptr of memory: what is refused has nothing',
    code: `struct bpf_dynptr d, e; u64 v = 0;
      seen[0] = dyn_from_mem(text, 8, 1, &d); seen[1] = dyn_read(&v, 1, &d, 0, 0); seen[2] = dyn_write(&d, 0, &v, 1, 0);
      void *p = dyn_data(&d, 0, 1); seen[3] = p != 0; p = dyn_data(&d, 0, 0); seen[4] = p != 0;
      seen[5] = dyn_from_mem(text, 0, 0, &e); p = dyn_data(&e, 0, 0); seen[6] = p != 0; seen[7] = dyn_read(&v, 1, &e, 0, 0);`,
    seen: [E.EINVAL, E.EINVAL, E.EINVAL, 0, 0, 0, 1, E.E2BIG],
  },
  {
    rule: 'dynptr of a ring buffer: reserved, written, given back; nothing after a refusal',
    code: `struct bpf_dynptr d; u64 v = 0xabcdef; u32 size = 24;
      seen[0] = rb_reserve_dynptr(&ring, size, 0, &d);
      seen[1] = dyn_write(&d, 16, &v, 8, 0); seen[2] = dyn_write(&d, 17, &v, 8, 0);
      u64 *p = dyn_data(&d, 16, 8); seen[3] = p ? *p : 1; seen[4] = rb_query(&ring, 3);
      rb_submit_dynptr(&d, 0);
      seen[5] = rb_reserve_dynptr(&ring, 24, 2, &d); seen[6] = dyn_write(&d, 0, &v, 8, 0); rb_discard_dynptr(&d, 0);
      seen[7] = rb_reserve_dynptr(&ring, 1 << 24, 0, &d); rb_submit_dynptr(&d, 0);
      seen[8] = rb_reserve_dynptr(&ring, 5000, 0, &d); rb_submit_dynptr(&d, 0);
      seen[9] = rb_reserve_dynptr(&ring, 8, 0, &d); rb_discard_dynptr(&d, 0); seen[10] = rb_query(&ring, 3);`,
    seen: [0, 0, E.E2BIG, 0xabcdef, 32, E.EINVAL, E.EINVAL, E.E2BIG, E.EINVAL, 0, 48],
  },
];

const TARGETS: readonly Row[] = [
  {
    rule: 'redirect: no flags for XDP',
    code: 'seen[0] = redirect(1, 0); seen[1] = redirect(1, 1); seen[2] = redirect(0, 0);',
    seen: [4, 0, 4],
  },
  {
    rule: 'devices: a miss is what the flags say, and unknown flags abort',
    code: `seen[0] = redirect_map(&devices, 2, 0); seen[1] = redirect_map(&devices, 3, 0); seen[2] = redirect_map(&devices, 3, 2);
      seen[3] = redirect_map(&devices, 4, 3); seen[4] = redirect_map(&devices, 2, 3); seen[5] = redirect_map(&devices, 2, 4);
      seen[6] = redirect_map(&devices, 3, 8); seen[7] = redirect_map(&devices, 3, 16 | 1); seen[8] = redirect_map(&devices, 2, 24);
      seen[9] = redirect_map(&devices, 2, 32); seen[10] = redirect_map(&devices, (1ull << 32) + 2, 1);
      u32 key = 2; u32 *v = (void *)lookup(&devices, &key); seen[11] = v ? v[0] : 99; seen[12] = v ? v[1] : 99;
      key = 3; seen[13] = lookup(&devices, &key) != 0;`,
    seen: [4, 0, 2, 3, 4, 0, 4, 1, 4, 0, 4, 1, 0, 0],
    prepare: fill('devices', 2, 1, 0),
  },
  {
    rule: 'devices by hash',
    code: `seen[0] = redirect_map(&device_hash, 70000, 0); seen[1] = redirect_map(&device_hash, 3, 1); seen[2] = redirect_map(&device_hash, 3, 8);
      seen[3] = redirect_map(&device_hash, 70000, 4); u32 key = 70000; u32 *v = (void *)lookup(&device_hash, &key); seen[4] = v ? *v : 99;
      key = 3; seen[5] = lookup(&device_hash, &key) != 0;`,
    seen: [4, 1, 4, 0, 1, 0],
    prepare: fill('device_hash', 70000, 1),
  },
  {
    rule: 'CPUs: no flags but the action',
    code: `seen[0] = redirect_map(&cpus, 0, 0); seen[1] = redirect_map(&cpus, 1, 2); seen[2] = redirect_map(&cpus, 0, 8);
      seen[3] = redirect_map(&cpus, 1, 16); seen[4] = redirect_map(&cpus, 9, 1);`,
    seen: [4, 2, 0, 0, 1],
    prepare: fill('cpus', 0, 192),
  },
  {
    rule: 'sockets: nothing there',
    code: `u32 key = 1; seen[0] = redirect_map(&sockets, 1, 0); seen[1] = redirect_map(&sockets, 1, 2); seen[2] = redirect_map(&sockets, 1, 8);
      seen[3] = redirect_map(&sockets, 4, 3); seen[4] = lookup(&sockets, &key) != 0;`,
    seen: [0, 2, 0, 3, 0],
  },
];

const ROWS: readonly Row[] = [
  ...QUEUES,
  {
    rule: 'bloom filter: pushed is there',
    code: `u64 v = 5; seen[0] = peek(&bloom, &v); seen[1] = push(&bloom, &v, 0); seen[2] = peek(&bloom, &v);
      seen[3] = push(&bloom, &v, 1); seen[4] = push(&bloom, &v, 2); seen[5] = push(&bloom, &v, 4); v = 6; seen[6] = peek(&bloom, &v);`,
    seen: [E.ENOENT, 0, 0, E.EINVAL, E.EINVAL, E.EINVAL, E.ENOENT],
  },
  ...RINGS,
  ...DYNPTRS,
  {
    rule: 'perf events: the order of the refusals',
    code: `u64 v = 7; const u64 here = 0xffffffff;
      seen[0] = perf_output(ctx, &events, here, &v, 8); seen[1] = perf_output(ctx, &events, 0, &v, 8);
      seen[2] = perf_output(ctx, &events, 2, &v, 8); seen[3] = perf_output(ctx, &events, 1ull << 52, &v, 8);
      seen[4] = perf_output(ctx, &events, here | 60ull << 32, &v, 8); seen[5] = perf_output(ctx, &events, here | 61ull << 32, &v, 8);
      seen[6] = perf_output(ctx, &events, 2 | 61ull << 32, &v, 8);`,
    seen: [E.ENOENT, E.ENOENT, E.E2BIG, E.EINVAL, E.ENOENT, E.EFAULT, E.EFAULT],
  },
  ...TARGETS,
];

const source = (row: Row) =>
  `${PRELUDE}SEC("xdp") int program(struct xdp_md *ctx) { ${row.code} return ${row.verdict ?? 2}; }`;

interface Engine {
  readonly maps: ReadonlyMap<string, BpfMap>;
  run(frame: Uint8Array): number;
}

const cleanUps: (() => void)[] = [];
afterAll(() => {
  for (const cleanUp of cleanUps) cleanUp();
});

function kernel(object: ObjectSpec): Engine {
  const maps = createMaps<KernelMap>(object, new KernelMaps());
  const program = loadKernelProgram(object.programs[0]!, [...maps.values()], object.license);
  cleanUps.push(() => {
    program.close();
    for (const map of maps.values()) map.close();
  });
  return { maps, run: (frame) => onOneCpu(() => program.testRun(frame)).verdict };
}

function arena(object: ObjectSpec, engine: 'interpreter' | 'jit'): Engine {
  const replay = new Replay({ object, program: 'program', engine });
  return { maps: replay.maps, run: (frame) => replay.run(frame).verdict };
}

const ENGINES: readonly [name: string, make: (object: ObjectSpec) => Engine, missing: string | undefined][] =
  [
    ['interpreter', (object) => arena(object, 'interpreter'), missingClang],
    ['jit', (object) => arena(object, 'jit'), missingClang],
    ['kernel', kernel, missingClang ?? missingRoot],
  ];

describe.each(ENGINES)('helpers of maps on the %s', (_, make, missing) => {
  it.skipIf(missing !== undefined).each(ROWS)(
    `$rule${missing === undefined ? '' : ` (${missing})`}`,
    (row) => {
      const engine = make(loadObject(compileC(source(row))));
      row.prepare?.(engine.maps);
      expect(engine.run(new Uint8Array(60).fill(1))).toBe(row.verdict ?? 2);
      const seen = new BigInt64Array(engine.maps.get('.bss')!.lookup(u32(0))!.slice(0, 192).buffer);
      expect([...seen.slice(0, row.seen.length)].map(Number)).toEqual(row.seen);
    },
  );
});
