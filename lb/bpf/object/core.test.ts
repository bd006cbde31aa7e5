import { describe, expect, it } from 'vitest';
import { compileC, compileTypes, missingClang } from '../../../test/support/clang.js';
import { caught } from '../../../test/support/objects.js';
import { type LoadOptions, loadObject } from './load.js';
import { POISON_HELPER, type ProgramSpec } from './spec.js';

/** What the local side of every row needs: the builtins are clang's, the kinds are enum bpf_core_relo_kind's. */
const PRELUDE = `
typedef unsigned char u8; typedef unsigned short u16; typedef unsigned int u32; typedef unsigned long long u64;
#define SEC(name) __attribute__((section(name), used))
#define LOCAL __attribute__((preserve_access_index))
#define INFO(field, what) __builtin_preserve_field_info(field, what)
#define EXISTS(type) __builtin_preserve_type_info(*(type *)0, 0)
#define SIZE(type) __builtin_preserve_type_info(*(type *)0, 1)
#define MATCHES(type) __builtin_preserve_type_info(*(type *)0, 2)
#define LOCAL_ID(type) __builtin_btf_type_id(*(type *)0, 0)
#define TARGET_ID(type) __builtin_btf_type_id(*(type *)0, 1)
#define HAS_ENUM(type, value) __builtin_preserve_enum_value(*(type *)value, 0)
#define ENUM(type, value) __builtin_preserve_enum_value(*(type *)value, 1)
#define OFFSET 0
#define BYTES 1
#define THERE 2
#define SIGNED 3
#define LSHIFT 4
#define RSHIFT 5
`;

/** A program that returns one expression of local types. */
function program(types: string, expression: string, options: LoadOptions): ProgramSpec {
  const source = `${PRELUDE}${types}\nSEC("xdp") u64 f(void *ctx) { return ${expression}; }`;
  const found = loadObject(compileC(source), options).programs[0];
  if (found === undefined) throw new Error('no program');
  return found;
}

/** The constant that a program returns: `r0 = imm` and exit, or a 64-bit immediate. */
function returned({ code, poisoned }: ProgramSpec): bigint | 'poison' {
  const view = new DataView(code.buffer);
  const isPoisoned = view.getUint8(0) === 0x85 && view.getInt32(4, true) === POISON_HELPER;
  expect(isPoisoned).toBe((poisoned ?? []).some(({ slot }) => slot === 0));
  if (isPoisoned) return 'poison';
  const low = view.getUint32(4, true);
  if (view.getUint8(0) === 0x18) return BigInt(low) | (BigInt(view.getUint32(12, true)) << 32n);
  return BigInt(view.getInt32(4, true));
}

interface Row {
  readonly rule: string;
  readonly local: string;
  readonly target: string;
  readonly expression: string;
  readonly gives: bigint | 'poison' | string;
}

const OLD = 'struct s { u8 a; u32 b; struct { u16 deep; } in; u32 list[4]; } LOCAL;';
const keep = (name: string) => `${name} kept;`;

const rows: readonly Row[] = [
  {
    rule: 'byte offset by name',
    local: OLD,
    target: 'struct s { u64 z; u32 b; };',
    expression: 'INFO(((struct s *)0)->b, OFFSET)',
    gives: 8n,
  },
  {
    rule: 'byte size',
    local: OLD,
    target: 'struct s { u64 b; };',
    expression: 'INFO(((struct s *)0)->b, BYTES)',
    gives: 8n,
  },
  {
    rule: 'a field that exists',
    local: OLD,
    target: 'struct s { u64 b; };',
    expression: 'INFO(((struct s *)0)->b, THERE)',
    gives: 1n,
  },
  {
    rule: 'a field that does not',
    local: OLD,
    target: 'struct s { u64 c; };',
    expression: 'INFO(((struct s *)0)->b, THERE)',
    gives: 0n,
  },
  {
    rule: 'the offset of a field that does not',
    local: OLD,
    target: 'struct s { u64 c; };',
    expression: 'INFO(((struct s *)0)->b, OFFSET)',
    gives: 'poison',
  },
  {
    rule: 'a type that is not there',
    local: OLD,
    target: 'struct t { u64 c; };',
    expression: 'INFO(((struct s *)0)->b, THERE)',
    gives: 0n,
  },
  {
    rule: 'a field of another kind does not count',
    local: OLD,
    target: 'struct s { void *b; };',
    expression: 'INFO(((struct s *)0)->b, THERE)',
    gives: 0n,
  },
  {
    rule: 'signedness: unsigned',
    local: OLD,
    target: 'struct s { u8 b; };',
    expression: 'INFO(((struct s *)0)->b, SIGNED)',
    gives: 0n,
  },
  {
    rule: 'signedness: signed',
    local: OLD,
    target: 'struct s { short b; };',
    expression: 'INFO(((struct s *)0)->b, SIGNED)',
    gives: 1n,
  },
  {
    rule: 'a field that moved into an anonymous struct',
    local: OLD,
    target: 'struct s { u64 z; union { u64 y; struct { u32 x; u32 b; }; }; };',
    expression: 'INFO(((struct s *)0)->b, OFFSET)',
    gives: 12n,
  },
  {
    rule: 'a field that moved out of an anonymous struct',
    local: 'struct s { u64 z; struct { u32 x; u32 b; }; } LOCAL;',
    target: 'struct s { u16 x; u32 b; };',
    expression: 'INFO(((struct s *)0)->b, OFFSET)',
    gives: 4n,
  },
  {
    rule: 'a field of a field',
    local: OLD,
    target: 'struct s { struct { u64 z; u16 deep; } in; };',
    expression: 'INFO(((struct s *)0)->in.deep, OFFSET)',
    gives: 8n,
  },
  {
    rule: 'an element of an array',
    local: OLD,
    target: 'struct s { u32 z; u64 list[8]; };',
    expression: 'INFO(((struct s *)0)->list[3], OFFSET)',
    gives: 32n,
  },
  {
    rule: 'an element that the target has not',
    local: OLD,
    target: 'struct s { u32 list[3]; };',
    expression: 'INFO(((struct s *)0)->list[3], THERE)',
    gives: 0n,
  },
  {
    rule: 'an element of a flexible array',
    local: OLD,
    target: 'struct s { u64 z; u32 list[]; };',
    expression: 'INFO(((struct s *)0)->list[3], OFFSET)',
    gives: 20n,
  },
  {
    rule: 'an element behind the pointer',
    local: OLD,
    target: 'struct s { u64 a; u32 b; };',
    expression: 'INFO(((struct s *)0)[2].b, OFFSET)',
    gives: 40n,
  },
  {
    rule: 'flavours are left out of names',
    local: 'struct s___old { u32 b; } LOCAL;',
    target: 'struct s { u64 z; u32 b; };',
    expression: 'INFO(((struct s___old *)0)->b, OFFSET)',
    gives: 8n,
  },
  {
    rule: 'a name that only looks like a flavour',
    local: 'struct s____b { u32 b; } LOCAL;',
    target: 'struct s { u64 z; u32 b; };',
    expression: 'INFO(((struct s____b *)0)->b, THERE)',
    gives: 0n,
  },
  {
    rule: 'several types that agree',
    local: OLD,
    target: 'struct s { u64 z; u32 b; }; struct s___2 { u32 x, y; u32 b; };',
    expression: 'INFO(((struct s *)0)->b, OFFSET)',
    gives: 8n,
  },
  {
    rule: 'several types that differ',
    local: OLD,
    target: 'struct s { u64 z; u32 b; }; struct s___2 { u32 b; };',
    expression: 'INFO(((struct s *)0)->b, OFFSET)',
    gives: 'CORE_AMBIGUOUS',
  },
  {
    rule: 'a bit field: left shift',
    local: 'struct s { u32 f : 7; } LOCAL;',
    target: 'struct s { u32 x : 5, f : 7; };',
    expression: 'INFO(((struct s *)0)->f, LSHIFT)',
    gives: 52n,
  },
  {
    rule: 'a bit field: right shift',
    local: 'struct s { u32 f : 7; } LOCAL;',
    target: 'struct s { u32 x : 5, f : 9; };',
    expression: 'INFO(((struct s *)0)->f, RSHIFT)',
    gives: 55n,
  },
  {
    rule: 'a bit field: offset of the load',
    local: 'struct s { u32 f : 7; } LOCAL;',
    target: 'struct s { u64 z; u32 x : 5, f : 9; };',
    expression: 'INFO(((struct s *)0)->f, OFFSET)',
    gives: 8n,
  },
  {
    rule: 'a bit field that became a whole one',
    local: 'struct s { u32 f : 7; } LOCAL;',
    target: 'struct s { u64 z; u16 f; };',
    expression: 'INFO(((struct s *)0)->f, LSHIFT)',
    gives: 48n,
  },
  {
    rule: 'a type that exists',
    local: OLD,
    target: 'struct s { u64 other; };',
    expression: 'EXISTS(struct s)',
    gives: 1n,
  },
  {
    rule: 'a type of another kind does not',
    local: OLD,
    target: 'union s { u64 other; };',
    expression: 'EXISTS(struct s)',
    gives: 0n,
  },
  {
    rule: 'a typedef of another shape does not',
    local: 'typedef u32 *t;',
    target: 'typedef u32 t;',
    expression: 'EXISTS(t)',
    gives: 0n,
  },
  {
    rule: 'a typedef of a function',
    local: 'typedef int (*t)(u32, void *);',
    target: 'typedef int (*t)(u64, char *);',
    expression: 'EXISTS(t)',
    gives: 0n,
  },
  {
    rule: 'a typedef of a function that is called alike',
    local: 'typedef int (*t)(u32, u8 *);',
    target: 'typedef int (*t)(u64, char *);',
    expression: 'EXISTS(t)',
    gives: 1n,
  },
  {
    rule: 'size of a type',
    local: OLD,
    target: 'struct s { u64 other[3]; };',
    expression: 'SIZE(struct s)',
    gives: 24n,
  },
  {
    rule: 'size of a type that is not there',
    local: OLD,
    target: 'struct t { u64 other[3]; };',
    expression: 'SIZE(struct s)',
    gives: 0n,
  },
  {
    rule: 'a type matches: fields in another order, some more',
    local: 'struct s { u32 a; struct o *p; u8 list[2]; };',
    target: 'struct o; struct s { u64 z; u8 list[2]; struct o *p; u32 a; };',
    expression: 'MATCHES(struct s)',
    gives: 1n,
  },
  {
    rule: 'a type does not match: a field is missing',
    local: 'struct s { u32 a; u32 b; };',
    target: 'struct s { u32 a; u32 c; };',
    expression: 'MATCHES(struct s)',
    gives: 0n,
  },
  {
    rule: 'a type does not match: an integer of another size',
    local: 'struct s { u32 a; };',
    target: 'struct s { u64 a; };',
    expression: 'MATCHES(struct s)',
    gives: 0n,
  },
  {
    rule: 'a type does not match: an array of another length',
    local: 'struct s { u8 a[2]; };',
    target: 'struct s { u8 a[3]; };',
    expression: 'MATCHES(struct s)',
    gives: 0n,
  },
  {
    rule: 'a type does not match: a pointer to another struct',
    local: 'struct s { struct o *p; };',
    target: 'struct o2; struct s { struct o2 *p; };',
    expression: 'MATCHES(struct s)',
    gives: 0n,
  },
  {
    rule: 'an enum matches by its names',
    local: 'enum e { E_A, E_B };',
    target: 'enum e { E_Z, E_B, E_A };',
    expression: 'MATCHES(enum e)',
    gives: 1n,
  },
  {
    rule: 'an enumerator that exists',
    local: 'enum e { E_A = 1, E_B = 2 };',
    target: 'enum e { E_B = 9 };',
    expression: 'HAS_ENUM(enum e, E_B)',
    gives: 1n,
  },
  {
    rule: 'an enumerator that does not',
    local: 'enum e { E_A = 1, E_B = 2 };',
    target: 'enum e { E_B = 9 };',
    expression: 'HAS_ENUM(enum e, E_A)',
    gives: 0n,
  },
  {
    rule: 'value of an enumerator',
    local: 'enum e { E_A = 1, E_B = 2 };',
    target: 'enum e { E_B = 9 };',
    expression: 'ENUM(enum e, E_B)',
    gives: 9n,
  },
  {
    rule: 'value of an enumerator of 64 bits',
    local: 'enum e { E_A = 1, E_B = 2 };',
    target: 'enum e { E_B = 0x123456789abcdULL };',
    expression: 'ENUM(enum e, E_B)',
    gives: 0x123456789abcdn,
  },
  {
    rule: 'value of an enumerator that is not there',
    local: 'enum e { E_A = 1, E_B = 2 };',
    target: 'enum e { E_B = 9 };',
    expression: 'ENUM(enum e, E_A)',
    gives: 'poison',
  },
];

describe.skipIf(missingClang !== undefined)(
  `CO-RE relocations against given types${missingClang === undefined ? '' : ` (${missingClang})`}`,
  () => {
    for (const { rule, local, target, expression, gives } of rows) {
      it(rule, () => {
        // A pointer to each keeps the types in the BTF.
        const kept = [...target.matchAll(/\b(struct|union|enum) (\w+) \{/g)].map(([, kind, name]) =>
          keep(`${kind} ${name}`).replace('kept', `kept_${name}`),
        );
        const typedefs = [...target.matchAll(/typedef [^;]*?\(?\*?\b(t)\b/g)].map(() => 't kept_t;');
        const targetBtf = compileTypes(
          `${PRELUDE}${target.replace('list[];', 'list[0];')} ${kept.join(' ')} ${typedefs.join(' ')}`,
        );
        const run = () => returned(program(local, expression, { targetBtf }));
        if (typeof gives === 'string' && gives !== 'poison')
          expect(caught(run)).toMatchObject({ fault: { code: gives, stage: 'core', section: 'xdp' } });
        else expect(run()).toBe(gives);
      });
    }
  },
);

describe.skipIf(missingClang !== undefined)('what a relocation changes in an instruction', () => {
  const local = 'struct s { u32 b; u32 *p; int i; } LOCAL;';
  const load = (expression: string, target: string, more: LoadOptions = {}): ProgramSpec =>
    program(local, expression, { targetBtf: compileTypes(`${PRELUDE}${target} struct s kept;`), ...more });
  const instruction = ({ code }: ProgramSpec, slot = 0) =>
    Buffer.from(code.subarray(slot * 8, slot * 8 + 8)).toString('hex');

  it('the offset of a load', () => {
    expect(instruction(load('((struct s *)ctx)->b', 'struct s { u64 z[2]; u32 b; };'))).toBe(
      '6110100000000000',
    );
  });
  it('the size of a load of an unsigned number', () => {
    expect(instruction(load('((struct s *)ctx)->b', 'struct s { u64 z; u16 b; };'))).toBe('6910080000000000');
    expect(instruction(load('((struct s *)ctx)->b', 'struct s { u64 z; u64 b; };'))).toBe('7910080000000000');
  });
  it('a signed number of another size is poison', () => {
    const { poisoned } = load('((struct s *)ctx)->i', 'struct s { long i; };');
    expect(poisoned).toMatchObject([
      { slot: 0, why: 'byte offset of struct s.i (0:2): of 4 bytes here and 8 in the target' },
    ]);
  });
  it('both slots of a 64-bit immediate', () => {
    const { code, poisoned } = program('enum e { E_A = 1ULL << 40 };', 'ENUM(enum e, E_A)', {
      targetBtf: compileTypes('enum e { E_B } kept;'),
    });
    expect(poisoned?.map(({ slot }) => slot)).toEqual([0, 1]);
    expect(instruction({ code } as ProgramSpec, 1)).toBe(instruction({ code } as ProgramSpec, 0));
  });
  it('an offset that does not fit is refused', () => {
    expect(caught(() => load('((struct s *)ctx)->b', 'struct s { u8 z[40000]; u32 b; };'))).toMatchObject({
      fault: { code: 'CORE_INSTRUCTION' },
    });
  });
});

describe.skipIf(missingClang !== undefined)('without a target', () => {
  const one = (types: string, expression: string) => returned(program(types, expression, {}));

  it('types that the runtime does not know stay as they are', () => {
    expect(one('struct s { u64 a; u32 b; } LOCAL;', 'INFO(((struct s *)0)->b, OFFSET)')).toBe(8n);
    expect(
      one(
        'struct s___old { u64 a; u32 b; } LOCAL; struct s { u32 b; } LOCAL;',
        'INFO(((struct s___old *)0)->b, OFFSET)',
      ),
    ).toBe(8n);
  });
  it('contexts are the runtime’s', () => {
    expect(
      one(
        'struct xdp_md { u32 rx_queue_index; } LOCAL;',
        'INFO(((struct xdp_md *)0)->rx_queue_index, OFFSET)',
      ),
    ).toBe(16n);
    expect(
      one('struct xdp_md___new { u32 later; } LOCAL;', 'INFO(((struct xdp_md___new *)0)->later, THERE)'),
    ).toBe(0n);
    expect(
      one('struct __sk_buff { u32 gso_size; } LOCAL;', 'INFO(((struct __sk_buff *)0)->gso_size, OFFSET)'),
    ).toBe(176n);
  });
  it('helpers exist where they are offered', () => {
    const types =
      'enum bpf_func_id { BPF_FUNC_map_lookup_elem = 1, BPF_FUNC_probe_read = 4, BPF_FUNC_other = 9999 };';
    expect(one(types, 'HAS_ENUM(enum bpf_func_id, BPF_FUNC_map_lookup_elem)')).toBe(1n);
    expect(one(types, 'HAS_ENUM(enum bpf_func_id, BPF_FUNC_other)')).toBe(0n);
  });
  it('a local id is the object’s', () => {
    const spec = loadObject(
      compileC(`${PRELUDE}struct s { u32 b; }; SEC("xdp") u64 f(void *ctx) { return LOCAL_ID(struct s); }`),
    );
    const view = new DataView(spec.programs[0]?.code.buffer ?? new ArrayBuffer(8));
    expect(spec.btf?.type(view.getInt32(4, true))).toMatchObject({ kind: 'struct', name: 's' });
  });
});
