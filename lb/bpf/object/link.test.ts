import { describe, expect, it } from 'vitest';
import { missingRoot } from '../../../test/support/capabilities.js';
import { compileC, missingClang } from '../../../test/support/clang.js';
import { caught } from '../../../test/support/objects.js';
import { KernelMaps, loadKernelProgram } from '../../sys/bpf.js';
import { createMaps } from './create-maps.js';
import { loadObject } from './load.js';
import { POISON_HELPER } from './spec.js';

const PRELUDE = `
#define SEC(name) __attribute__((section(name), used))
#define NOINLINE __attribute__((noinline))
#define WEAK __attribute__((weak))
#define KSYM __attribute__((section(".ksyms")))
#define uint(name, value) int (*name)[value]
`;
const note = (missing: string | undefined) => (missing === undefined ? '' : ` (${missing})`);

/** Everything that linking resolves, in one result: 0x1234 + what data and functions add. */
const MIXED = `
static long (*const loop)(unsigned n, void *fn, void *ctx, unsigned long flags) = (void *)181;
static const int table[4] = { 1, 2, 3, 4 };
const char text[] = "abcdef";
int counted = 100;
static int hidden = 1000;
int zeroed;
static NOINLINE int twice(int n) { return n + table[n & 3] + hidden; }
NOINLINE int global(int n) { zeroed += 1; return twice(n) + counted; }
static int step(unsigned index, void *ctx) { *(int *)ctx += index + table[index & 3]; return 0; }
static NOINLINE int strings(int n) { const char *s = n & 1 ? "odd string" : text; return s[n & 3]; }
SEC("xdp/beside") int beside(void *ctx) { return global(2); }
SEC("xdp") int mixed(void *ctx) {
  int sum = 0;
  LOOP
  return global(1) + sum + strings(3) + strings(2) + zeroed;
}
`;
// 1: (1 + 2 + 1000) + 100; loop: 0+1+2+3 + 10 = 16; 's'[3] of "odd string" is ' ', text[2] is 'c'; zeroed is 1.
const MIXED_RESULT = 1003 + 100 + 32 + 99 + 1;
const LOOP_RESULT = 16;

describe.skipIf(missingClang !== undefined || missingRoot !== undefined)(
  `the kernel runs what was linked${note(missingClang ?? missingRoot)}`,
  () => {
    const run = (source: string, flags: readonly string[], program: string): number => {
      const object = loadObject(compileC(PRELUDE + source, flags));
      expect(object.refused).toBeUndefined();
      const maps = createMaps(object, new KernelMaps());
      const spec = object.programs.find(({ name }) => name === program)!;
      // At -O0 clang leaves out the names of parameters, which the kernel wants.
      const types = flags.includes('-O0') ? undefined : object.btf;
      const loaded = loadKernelProgram(spec, [...maps.values()], 'GPL', types);
      const { verdict } = loaded.testRun(new Uint8Array(64));
      loaded.close();
      for (const map of maps.values()) map.close();
      return verdict;
    };
    const withLoop = MIXED.replace('LOOP', 'loop(4, step, &sum, 0);');
    const without = MIXED.replace('LOOP', '');
    for (const optimise of ['-O1', '-O2', '-Os']) {
      for (const cpu of ['v1', 'v2', 'v3', 'v4']) {
        for (const debug of ['-g', '-g0']) {
          it(`${optimise} -mcpu=${cpu} ${debug}`, () => {
            const flags = [optimise, `-mcpu=${cpu}`, debug];
            expect(run(without, flags, 'mixed')).toBe(MIXED_RESULT);
            // bpf_loop wants BTF of the callback, which -g0 has not.
            if (debug === '-g') expect(run(withLoop, flags, 'mixed')).toBe(MIXED_RESULT + LOOP_RESULT);
          });
        }
      }
    }

    it('-O0', () => expect(run(without, ['-O0'], 'mixed')).toBe(MIXED_RESULT));
    it('-ffunction-sections', () =>
      expect(run(withLoop, ['-O2', '-ffunction-sections'], 'mixed')).toBe(MIXED_RESULT + LOOP_RESULT));
    it('-fcommon', () =>
      expect(run(withLoop, ['-O2', '-fcommon'], 'mixed')).toBe(MIXED_RESULT + LOOP_RESULT));
  },
);

describe.skipIf(missingClang !== undefined)(`which functions are programs${note(missingClang)}`, () => {
  const rows: readonly {
    rule: string;
    source: string;
    flags?: readonly string[];
    programs: readonly string[];
  }[] = [
    {
      rule: 'global functions outside .text',
      source:
        'NOINLINE int sub(int n) { return n; } SEC("xdp") int a(void *c) { return sub(1); } SEC("tc") int b(void *c) { return 0; }',
      programs: ['a', 'b'],
    },
    {
      rule: 'the first function of a section that has only static ones',
      source:
        'SEC("classifier") static int a(void *c) { return 1; } SEC("classifier") static int b(void *c) { return 2; }',
      programs: ['a'],
    },
    {
      rule: 'functions of .text where there are no others',
      source: 'int a(void *c) { return 1; } int b(void *c) { return 2; }',
      programs: ['a', 'b'],
    },
    {
      rule: 'every global name of one function',
      source: 'SEC("xdp") int a(void *c) { return 1; } int b(void *c) __attribute__((alias("a")));',
      programs: ['a', 'b'],
    },
    {
      rule: 'a section that no symbol names',
      source: '__asm__(".section xdp,\\"ax\\",@progbits\\n r0 = 2\\n exit\\n");',
      programs: ['xdp'],
    },
    {
      rule: 'a symbol without type and size: up to the end',
      source: '__asm__(".section xdp,\\"ax\\",@progbits\\n.globl f\\nf:\\n r0 = 2\\n exit\\n");',
      programs: ['f'],
    },
  ];
  for (const { rule, source, flags, programs } of rows) {
    it(rule, () => {
      const spec = loadObject(compileC(PRELUDE + source, flags));
      expect(spec.programs.map(({ name }) => name)).toEqual(programs);
      expect(spec.refused).toBeUndefined();
    });
  }
});

describe.skipIf(missingClang !== undefined)(
  `symbols that an object does not define${note(missingClang)}`,
  () => {
    const load = (source: string) => loadObject(compileC(PRELUDE + source));

    it('a weak kernel variable is 0', () => {
      const spec = load(
        'extern const int some_symbol KSYM WEAK; SEC("xdp") int f(void *c) { return &some_symbol ? 1 : 2; }',
      );
      const wide = Buffer.from(spec.programs[0]!.code).toString('hex').match(/.{16}/g) ?? [];
      const at = wide.findIndex((slot) => slot.startsWith('18'));
      expect(wide.slice(at, at + 2)).toEqual(['1801000000000000', '0000000000000000']);
    });

    it('a weak kernel function is poison', () => {
      const spec = load(
        'extern int bpf_some_function(void) KSYM WEAK; SEC("xdp") int f(void *c) { return bpf_some_function ? bpf_some_function() : 2; }',
      );
      const { poisoned, code } = spec.programs[0]!;
      expect(poisoned).toHaveLength(1);
      expect(poisoned?.[0]?.why).toBe('kernel function bpf_some_function is not offered');
      const at = (poisoned?.[0]?.slot ?? 0) * 8;
      const view = new DataView(code.buffer);
      expect([view.getUint16(at, true), view.getInt32(at + 4, true)]).toEqual([0x85, POISON_HELPER]);
    });

    const refused: readonly { rule: string; source: string; code: string; message: string }[] = [
      {
        rule: 'a kernel function',
        source:
          'extern int bpf_some_function(void) KSYM; SEC("xdp") int f(void *c) { return bpf_some_function(); }',
        code: 'LINK_KFUNC',
        message: 'kernel function bpf_some_function is not offered',
      },
      {
        rule: 'a kernel variable',
        source: 'extern const int some_symbol KSYM; SEC("xdp") int f(void *c) { return some_symbol; }',
        code: 'LINK_EXTERN',
        message: 'kernel symbol some_symbol is not offered',
      },
      {
        rule: 'a function of another object',
        source: 'extern int elsewhere(void); SEC("xdp") int f(void *c) { return elsewhere(); }',
        code: 'LINK_EXTERN',
        message: 'function elsewhere is defined nowhere',
      },
      {
        rule: 'data in a section of its own',
        source: 'SEC("custom") int own; SEC("xdp") int f(void *c) { return own; }',
        code: 'LINK_SYMBOL',
        message: 'custom+0 is neither a map, data nor a function',
      },
    ];
    for (const { rule, source, code, message } of refused) {
      it(`refuses ${rule} by name`, () => {
        const error = caught(() => load(source));
        expect(error).toMatchObject({ fault: { code, stage: 'link', section: 'xdp' } });
        expect(String(error)).toContain(message);
      });
    }
  },
);

describe.skipIf(missingClang !== undefined)(`values of maps${note(missingClang)}`, () => {
  it('programs of a PROG_ARRAY by name, static ones too', () => {
    const spec = loadObject(
      compileC(
        `${PRELUDE} int a(void *c); static int b(void *c);
         struct { uint(type, 3); uint(max_entries, 4); uint(key_size, 4); int (*values[])(void *); }
         jumps SEC(".maps") = { .values = { [1] = a, [3] = b } };
         SEC("xdp/a") int a(void *c) { return 1; } SEC("xdp/b") static int b(void *c) { return 2; }`,
      ),
    );
    expect(spec.maps[0]).toMatchObject({
      type: 'PROG_ARRAY',
      valueSize: 4,
      programs: [
        { index: 1, program: 'a' },
        { index: 3, program: 'b' },
      ],
    });
  });

  it('a static map in a map', () => {
    const spec = loadObject(
      compileC(
        `${PRELUDE} struct inner { uint(type, 2); uint(max_entries, 1); int *key; int *value; };
         static struct inner zero SEC(".maps"), one SEC(".maps");
         struct { uint(type, 12); uint(max_entries, 4); int *key; struct inner *values[]; }
         outer SEC(".maps") = { .values = { [2] = &one } };
         SEC("xdp") int f(void *c) { return zero.key ? 1 : one.key ? 3 : 2; }`,
      ),
    );
    expect(spec.maps.find(({ name }) => name === 'outer')?.slots).toEqual([{ index: 2, map: 'one' }]);
  });

  it('map_extra, the lock and other special fields of a value', () => {
    const spec = loadObject(
      compileC(
        `${PRELUDE} struct bpf_spin_lock { unsigned val; }; struct bpf_timer { unsigned long a[2]; };
         struct value { int n; struct { struct bpf_spin_lock lock; } in; struct bpf_timer timer;
           struct some __attribute__((btf_type_tag("kptr"))) *kept; };
         struct { uint(type, 1); uint(max_entries, 1); uint(numa_node, 0); int *key; struct value *value; } a SEC(".maps");
         struct { uint(type, 30); uint(max_entries, 1); uint(map_extra, 3); int *value; } b SEC(".maps");
         struct { uint(type, 24); uint(map_flags, 1); int *key; int *value; } c SEC(".maps");
         SEC("xdp") int f(void *c) { return 2; }`,
      ),
    );
    const map = (wanted: string) => spec.maps.find(({ name }) => name === wanted);
    expect(map('a')).toMatchObject({
      lockOffset: 4,
      numaNode: 0,
      specialFields: [
        { type: 'bpf_timer', offset: 8 },
        { type: 'kptr', offset: 24 },
      ],
    });
    expect(map('b')).toMatchObject({ type: 'BLOOM_FILTER', mapExtra: 3 });
    expect(map('c')).toMatchObject({ type: 'SK_STORAGE' });
  });
});
