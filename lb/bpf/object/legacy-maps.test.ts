import { describe, expect, it } from 'vitest';
import { compileC, missingClang } from '../../../test/support/clang.js';
import { caught } from '../../../test/support/objects.js';
import type { MapSpec } from '../maps/map.js';
import { loadObject } from './load.js';

const PRELUDE = `
#define SEC(name) __attribute__((section(name), used))
static void *(*const lookup)(void *, const void *) = (void *)1;
`;
const LIBBPF = 'struct bpf_map_def { unsigned type, key_size, value_size, max_entries, map_flags; };';
const IPROUTE2 =
  'struct bpf_elf_map { unsigned type, size_key, size_value, max_elem, flags, id, pinning, inner_id, inner_idx; };';
const use = (map: string) =>
  `SEC("xdp") int uses(void *ctx) { int key = 0; return lookup(&${map}, &key) ? 1 : 2; }`;

interface Row {
  readonly rule: string;
  readonly source: string;
  readonly flags?: readonly string[];
  readonly maps: readonly Partial<MapSpec>[];
}

const rows: readonly Row[] = [
  {
    rule: 'five words, by symbol, in the order of their places',
    source: `${LIBBPF} SEC("maps") struct bpf_map_def one = { 1, 4, 8, 16, 1 }, two = { 2, 4, 4, 2 }; ${use('two')}`,
    maps: [
      { name: 'one', type: 'HASH', keySize: 4, valueSize: 8, maxEntries: 16, flags: 1 },
      { name: 'two', type: 'ARRAY', keySize: 4, valueSize: 4, maxEntries: 2, flags: 0 },
    ],
  },
  {
    rule: 'without debug information',
    source: `${LIBBPF} SEC("maps") struct bpf_map_def one = { 6, 4, 8, 16 }; ${use('one')}`,
    flags: ['-g0', '-O2'],
    maps: [{ name: 'one', type: 'PERCPU_ARRAY' }],
  },
  {
    rule: 'a static definition',
    source: `${LIBBPF} SEC("maps") static struct bpf_map_def one = { 1, 4, 8, 16 }, two = { 1, 4, 8, 32 }; ${use('two')}`,
    maps: [{ name: 'one' }, { name: 'two', maxEntries: 32 }],
  },
  {
    rule: 'types that BPF_ANNOTATE_KV_PAIR names',
    source: `${LIBBPF} SEC("maps") struct bpf_map_def one = { 1, 4, 8, 16 };
      struct ____btf_map_one { int key; long value; };
      SEC(".maps.one") struct ____btf_map_one ____btf_map_one = {}; ${use('one')}`,
    maps: [{ name: 'one', keyTypeId: expect.any(Number), valueTypeId: expect.any(Number) }],
  },
  {
    rule: 'iproute2: pinning, and a map in a map by ids',
    source: `${IPROUTE2}
      SEC("maps") struct bpf_elf_map outer = { .type = 12, .size_key = 4, .max_elem = 3, .inner_id = 7, .pinning = 2, .inner_idx = -1 };
      SEC("maps") struct bpf_elf_map inner = { .type = 2, .size_key = 4, .size_value = 8, .max_elem = 1, .id = 7, .inner_idx = 2 };
      ${use('outer')}`,
    maps: [
      { name: 'inner', type: 'ARRAY' },
      {
        name: 'outer',
        type: 'ARRAY_OF_MAPS',
        valueSize: 4,
        pinned: true,
        inner: expect.objectContaining({ name: 'inner', valueSize: 8 }),
        slots: [{ index: 2, map: 'inner' }],
      },
    ],
  },
  {
    rule: 'iproute2: programs in sections of id and slot',
    source: `${IPROUTE2}
      SEC("maps") struct bpf_elf_map jumps = { .type = 3, .size_key = 4, .size_value = 4, .max_elem = 3, .id = 5 };
      SEC("5/1") int first(void *ctx) { return 1; }
      SEC("0x5/2") int second(void *ctx) { return 1; }
      SEC("6/2") int other(void *ctx) { return 1; }
      ${use('jumps')}`,
    maps: [
      {
        name: 'jumps',
        type: 'PROG_ARRAY',
        programs: [
          { index: 1, program: 'first' },
          { index: 2, program: 'second' },
        ],
      },
    ],
  },
  {
    rule: 'seven words',
    source: `struct bpf_map_def { unsigned type, key_size, value_size, max_entries, map_flags, id, numa_node; };
      SEC("maps") struct bpf_map_def one = { 1, 4, 8, 16, 4, 3, 1 }, two = { 1, 4, 4, 8 }; ${use('two')}`,
    maps: [
      { name: 'one', flags: 4 },
      { name: 'two', maxEntries: 8 },
    ],
  },
  {
    rule: 'gobpf: a section for each map, a path behind the words',
    source: `struct bpf_map_def { unsigned type, key_size, value_size, max_entries, map_flags, pinning; char namespace[256]; };
      SEC("maps/one") struct bpf_map_def one = { 1, 4, 8, 16, 0, 1, "x" }; ${use('one')}`,
    maps: [{ name: 'one', type: 'HASH', pinned: true }],
  },
  {
    rule: 'beside maps of BTF',
    source: `${LIBBPF} SEC("maps") struct bpf_map_def one = { 1, 4, 8, 16 };
      struct { int (*type)[2]; int (*max_entries)[1]; int *key; long *value; } modern SEC(".maps"); ${use('modern')}`,
    maps: [{ name: 'modern' }, { name: 'one' }],
  },
];

const note = missingClang === undefined ? '' : ` (${missingClang})`;
describe.skipIf(missingClang !== undefined)(`legacy maps${note}`, () => {
  for (const { rule, source, flags, maps } of rows) {
    it(rule, () => {
      const spec = loadObject(compileC(PRELUDE + source, flags));
      expect(spec.maps).toHaveLength(maps.length);
      const byName = new Map(spec.maps.map((map) => [map.name, map]));
      for (const map of maps) expect(byName.get(map.name ?? '')).toMatchObject(map);
      // The program names the map by its index.
      const used = /lookup\(&(\w+)/.exec(source)?.[1];
      const { code } = spec.programs.find(({ name }) => name === 'uses')!;
      const at = code.findIndex((byte, index) => index % 8 === 0 && byte === 0x18);
      expect([code[at + 1]! >> 4, spec.maps[code[at + 4]!]?.name]).toEqual([1, used]);
    });
  }

  const refused: readonly { rule: string; source: string; code: string }[] = [
    {
      rule: 'a definition that is too short',
      source: 'struct d { int a, b; }; SEC("maps") struct d one = { 1, 4 };',
      code: 'MAP_DEF_LEGACY',
    },
    {
      rule: 'words behind the known ones',
      source: 'struct d { int a, b, c, d, e, f; }; SEC("maps") struct d one = { 1, 4, 4, 4, 0, 9 };',
      code: 'MAP_DEF_LEGACY',
    },
    {
      rule: 'a type that does not exist',
      source: `${LIBBPF} SEC("maps") struct bpf_map_def one = { 999, 4, 8, 16 };`,
      code: 'MAP_DEF_TYPE',
    },
  ];
  for (const { rule, source, code } of refused) {
    it(`refuses ${rule}`, () => {
      const error = caught(() => loadObject(compileC(PRELUDE + source)));
      expect(error).toMatchObject({ fault: { code, stage: 'maps', section: 'maps' } });
    });
  }
});
