import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { compileTypes, missingClang } from '../../../test/support/clang.js';
import { caught } from '../../../test/support/objects.js';
import { Btf, BtfError, type BtfType, btfReader, parseBtf } from './btf.js';
import { formatC, formatCDeclaration } from './btf-c.js';

const KERNEL_TYPES = '/sys/kernel/btf/vmlinux';
const missingKernel = existsSync(KERNEL_TYPES) ? missingClang : `needs ${KERNEL_TYPES}`;
const note = (missing: string | undefined) => (missing === undefined ? '' : ` (skipped: ${missing})`);

type Composite = Extract<BtfType, { kind: 'struct' | 'union' }>;
const named = (btf: Btf): Composite[] =>
  btf.types.flatMap((type) =>
    (type.kind === 'struct' || type.kind === 'union') && type.name !== '' ? [type] : [],
  );

interface Place {
  readonly name: string;
  readonly bit: number;
  readonly bits: number;
  readonly isBitField: boolean;
}
/** Each member's name and place, those of anonymous members among them; padding that formatC put in is none. */
function places(btf: Btf, { members }: Composite, base = 0): Place[] {
  return members.flatMap(({ name, type, bitOffset, bitSize }): Place[] => {
    const inner = btf.resolve(type);
    const bit = base + bitOffset;
    if (name === '' && (inner.kind === 'struct' || inner.kind === 'union')) return places(btf, inner, bit);
    if (name.startsWith('__pad_')) return [];
    return [{ name, bit, bits: bitSize || btf.sizeOf(type) * 8, isBitField: bitSize > 0 }];
  });
}

/** Structs and unions by their C name; of types of one name, the first keeps it. */
function byName(btf: Btf): Map<string, Composite> {
  const enums = new Set(btf.types.map((type) => (type.kind === 'enum' ? type.name : '')));
  const own = named(btf).filter(({ name }) => !enums.has(name));
  return new Map(own.map((type) => [`${type.kind} ${type.name}`, type] as const).reverse());
}

/** Compile what was written and compare every struct (of `names`) with the one that it was written from. */
function expectSameShapes(original: Btf, text: string, names = [...byName(original).keys()]): void {
  // A variable of each type makes clang describe it in full.
  const uses = names.map((type, index) => `${type} use_${index};`);
  const compiled = compileTypes(`${text}\n${uses.join('\n')}\n`, ['-w']);
  const [want, got] = [original, compiled].map((btf) => {
    const types = byName(btf);
    return names.map((name) => {
      const type = types.get(name);
      return { name, size: type?.sizeBytes, places: type === undefined ? [] : places(btf, type) };
    });
  });
  expect(names.length).toBeGreaterThan(0);
  expect(got).toEqual(want);
}

/** A row: C whose types, written out, are compiled again. `lines` must stand in what is written. */
interface Row {
  readonly rule: string;
  readonly source: string;
  readonly lines?: readonly string[];
}
const ROWS: readonly Row[] = [
  {
    rule: 'a struct after what it holds, a pointer before what it points at',
    source: 'struct a { struct b *b; }; struct b { struct a a; }; struct b x;',
    lines: ['struct a {\n\tstruct b *b;\n};', 'struct b {\n\tstruct a a;\n};'],
  },
  {
    rule: 'a tag first seen in a prototype is declared before',
    source: 'struct a { int (*f)(struct b *, const char *); }; struct b { int n; }; struct a x; struct b y;',
    lines: ['struct b;\n\nstruct a {\n\tint (*f)(struct b *, const char *);\n};'],
  },
  {
    rule: 'anonymous structs and unions stand inside, with and without a name',
    source: 'struct a { union { int i; struct { char c, d; } in; }; struct { long l; } s[2]; }; struct a x;',
    lines: [
      '\tunion {\n\t\tint i;\n\t\tstruct {\n\t\t\tchar c;\n\t\t\tchar d;\n\t\t} in;\n\t};',
      '\t} s[2];',
    ],
  },
  {
    rule: 'bit fields, and the room between them',
    source:
      'struct a { unsigned a:3, :5, b:9; int :0; unsigned long long c:33; _Bool d:1; unsigned e:20; char f; }; struct a x;',
    lines: ['\tunsigned int a : 3;', '\tunsigned int : 5;', '\tunsigned int b : 9;', '\t_Bool d : 1;'],
  },
  {
    rule: 'a packed struct, also with bit fields across a unit',
    source:
      'struct p { char c; long l; short s; } __attribute__((packed)); struct q { unsigned a:20, b:20, c:7; } __attribute__((packed)); struct h { char c; struct p p; struct q q; }; struct h x;',
    lines: ['\tshort s;\n} __attribute__((packed));', '\tunsigned int b : 20;'],
  },
  {
    rule: 'alignment, of a member and of a struct',
    source:
      'struct a { int i; int j __attribute__((aligned(64))); }; struct b { char c[3]; } __attribute__((aligned(16))); struct c { char c; struct a a; struct b b; }; struct c x;',
    lines: ['\tint j __attribute__((aligned(64)));', '} __attribute__((aligned(16)));'],
  },
  {
    rule: 'room that is no alignment is padding',
    source: 'struct a { char c; int :24; int :32; int i; int :32; short s; int :16; }; struct a x;',
    lines: ['__pad_'],
  },
  {
    rule: 'enums: of 4 and 8 bytes, negative, in a bit field, without a name',
    source:
      'enum e { A = -5, B = 7 }; enum big { C = 0xffffffffffffffffULL, D = 1 }; enum tiny { T = 3 } __attribute__((packed)); struct a { enum e e; enum big b; enum tiny t; enum { X, Y } n; enum e f:4; }; struct a x;',
    lines: ['\tA = -5,', '\tC = 18446744073709551615ULL,', '\tenum {\n\t\tX = 0,\n\t\tY = 1,\n\t} n;'],
  },
  {
    rule: 'declarators: pointers to arrays and functions, arrays of pointers, qualifiers',
    source:
      'struct a { int (*pa)[3]; int *ap[3]; const int *const cp; volatile int *vp; char *__restrict rp; int (*(*ff)(void))(int, ...); int m[2][3]; void (*t[4])(void); }; struct a x = {.cp = 0};',
    lines: [
      '\tint (*pa)[3];',
      '\tint *ap[3];',
      '\tconst int *const cp;',
      '\tvolatile int *vp;',
      '\tchar *__restrict rp;',
      '\tint (*(*ff)(void))(int, ...);',
      '\tint m[2][3];',
      '\tvoid (*t[4])(void);',
    ],
  },
  {
    rule: 'typedefs, of what has no name too, and in a circle over a tag',
    source:
      'typedef struct { int n; } counter_t; typedef struct node node_t; typedef int (*walk_t)(node_t *); struct node { node_t *next; walk_t walk; counter_t c; }; node_t x;',
    lines: [
      'typedef struct {\n\tint n;\n} counter_t;',
      'typedef struct node node_t;',
      'typedef int (*walk_t)(node_t *);',
    ],
  },
  {
    rule: 'a union as large as its largest, an empty struct, an array of none',
    source: 'struct e {}; struct a { union u { char c[5]; int i; } u; struct e e; int tail[]; }; struct a x;',
    lines: ['struct e {};', '\tint tail[0];'],
  },
  {
    rule: 'wide ints and floating point',
    source: 'struct a { __int128 s; unsigned __int128 u; float f; double d; _Bool b; }; struct a x;',
    lines: ['\t__int128 s;', '\tunsigned __int128 u;', '\tfloat f;', '\tdouble d;'],
  },
];

describe.skipIf(missingClang)(`formatC${note(missingClang)}`, () => {
  it.each(ROWS)('$rule', ({ source, lines = [] }) => {
    const btf = compileTypes(source);
    const text = formatC(btf);
    for (const line of lines) expect(text).toContain(line);
    expectSameShapes(btf, text);
  });

  const PLACES = 'struct in { int n; }; struct out { struct in in; }; struct other { int m; }; ';
  it('writes what was asked for, and what that needs', () => {
    const btf = compileTypes(`${PLACES} struct out x; struct other y;`);
    const id = btf.find('struct', 'out')?.id ?? 0;
    expect(formatC(btf, [id])).toBe('struct in {\n\tint n;\n};\n\nstruct out {\n\tstruct in in;\n};\n\n');
  });

  it('writes functions and variables that were asked for', () => {
    const btf = compileTypes(`${PLACES} struct other y[2]; int f(const struct in *in) { return in->n; }`);
    const ids = [btf.find('func', 'f')?.id ?? 0, btf.find('datasec', '.bss')?.id ?? 0];
    expect(formatC(btf, ids)).toBe(
      'struct in;\n\nextern int f(const struct in *in);\nstruct other {\n\tint m;\n};\n\nextern struct other y[2];\n',
    );
  });

  it('writes one declaration', () => {
    const btf = compileTypes('int (*table[3])(const char *, unsigned long);');
    const id = btf.find('var', 'table')?.type ?? 0;
    expect(formatCDeclaration(btf, id, 'f')).toBe('int (*f[3])(const char *, unsigned long)');
  });
});

it.skipIf(missingKernel)(
  `every struct of the running kernel keeps its size and places${note(missingKernel)}`,
  { timeout: 120_000 },
  () => {
    const btf = parseBtf(new Uint8Array(readFileSync(KERNEL_TYPES)));
    const text = formatC(btf);
    const asserts: string[] = [];
    const withBits: string[] = [];
    for (const [name, type] of byName(btf)) {
      asserts.push(`_Static_assert(sizeof(${name}) == ${type.sizeBytes}, "");`);
      const fields = places(btf, type);
      for (const { name: field, bit } of fields.filter(({ isBitField }) => !isBitField))
        asserts.push(`_Static_assert(__builtin_offsetof(${name}, ${field}) == ${bit / 8}, "");`);
      if (fields.some(({ isBitField }) => isBitField)) withBits.push(name);
    }
    expect(asserts.length).toBeGreaterThan(50_000);
    compileTypes(`${text}\n${asserts.join('\n')}\nint one;\n`, ['-w']);
    // clang's time for types with debug information grows with their square: bit fields, of which C has no offset.
    expectSameShapes(btf, text, withBits.slice(0, 300));
  },
);

describe('formatC of types that no compiler writes', () => {
  const int: BtfType = {
    id: 1,
    at: 24,
    name: 'int',
    kind: 'int',
    sizeBytes: 4,
    bits: 32,
    bitOffset: 0,
    encoding: 1,
  };
  const member = (name: string, type: number, bitOffset = 0) => ({ name, type, bitOffset, bitSize: 0 });
  const struct = (
    id: number,
    name: string,
    sizeBytes: number,
    members: ReturnType<typeof member>[],
  ): BtfType => ({
    id,
    at: 24 + id,
    name,
    kind: 'struct',
    sizeBytes,
    members,
  });
  const types = (...list: BtfType[]): Btf =>
    new Btf(
      new Uint8Array(0),
      [{ id: 0, at: 0, name: '', kind: 'void' }, ...list],
      btfReader(new Uint8Array(1)),
    );

  it.each<[string, string, BtfType[]]>([
    ['a struct that contains itself', 'BTF_DEPTH', [int, struct(2, 's', 4, [member('s', 2)])]],
    ['a pointer to itself', 'BTF_DEPTH', [int, { id: 2, at: 30, name: '', kind: 'ptr', type: 2 }]],
    [
      'a typedef of a pointer to itself',
      'BTF_DEPTH',
      [
        int,
        { id: 2, at: 30, name: 't', kind: 'typedef', type: 3 },
        { id: 3, at: 40, name: '', kind: 'ptr', type: 2 },
      ],
    ],
    ['members that overlap', 'BTF_SIZE', [int, struct(2, 's', 8, [member('a', 1), member('b', 1, 16)])]],
    ['a member outside', 'BTF_SIZE', [int, struct(2, 's', 4, [member('a', 1), member('b', 1, 32)])]],
    ['a type that is not there', 'BTF_TYPE', [int, struct(2, 's', 4, [member('a', 9)])]],
    [
      'anonymous structs that double on each level',
      'BTF_DEPTH',
      [
        int,
        struct(2, '', 0, []),
        ...Array.from({ length: 40 }, (_, i) =>
          struct(i + 3, i === 39 ? 's' : '', 0, [member('a', i + 2), member('b', i + 2)]),
        ),
      ],
    ],
  ])('%s is refused', (_, code, list) => {
    const error = caught(() => formatC(types(...list)));
    expect(error).toBeInstanceOf(BtfError);
    expect((error as BtfError).code).toBe(code);
  });

  it('a name that is none in C is made one, a name that is taken is numbered', () => {
    const text = formatC(
      types(int, struct(2, 'a', 4, [member('int', 1)]), struct(3, 'a', 4, [member('x.y', 1)]), {
        id: 4,
        at: 50,
        name: 'union',
        kind: 'union',
        sizeBytes: 4,
        members: [member('n', 1)],
      }),
    );
    expect(text).toBe(
      'struct a {\n\tint int_;\n};\n\nstruct a___2 {\n\tint x_y;\n};\n\nunion union_ {\n\tint n;\n};\n\n',
    );
  });
});
