import { describe, expect, it } from 'vitest';
import { caught, testObject } from '../../../test/support/objects.js';
import { BTF_KINDS, BtfError, type BtfKind, parseBtf } from './btf.js';
import { loadObject } from './load.js';

interface RawType {
  readonly kind: BtfKind | number;
  readonly name?: string;
  readonly vlen?: number;
  readonly flag?: boolean;
  /** size or type */
  readonly word?: number;
  readonly tail?: readonly (number | string)[];
}

/** A .BTF section of the given types; strings of a tail become offsets. */
function section(types: readonly RawType[]): Uint8Array {
  let strings = '\0';
  const at = (name: string): number => {
    if (name === '') return 0;
    const offset = strings.length;
    strings += `${name}\0`;
    return offset;
  };
  const words = types.flatMap(({ kind, name = '', vlen = 0, flag = false, word = 0, tail = [] }) => {
    const code = typeof kind === 'number' ? kind : BTF_KINDS[kind];
    const info = (vlen | (code << 24) | (flag ? 0x8000_0000 : 0)) >>> 0;
    return [at(name), info, word, ...tail.map((item) => (typeof item === 'string' ? at(item) : item))];
  });
  const text = new TextEncoder().encode(strings);
  const bytes = new Uint8Array(24 + words.length * 4 + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, 0xeb9f, true);
  view.setUint8(2, 1);
  for (const [index, value] of [24, 0, words.length * 4, words.length * 4, text.length].entries())
    view.setUint32(4 + index * 4, value, true);
  for (const [index, value] of words.entries()) view.setUint32(24 + index * 4, value, true);
  bytes.set(text, 24 + words.length * 4);
  return bytes;
}

const int32: RawType = { kind: 'int', name: 'int', word: 4, tail: [(1 << 24) | 32] };

describe('parseBtf', () => {
  const rows: readonly { name: string; type: RawType; expected: object }[] = [
    {
      name: 'int: encoding, offset and bits',
      type: { kind: 'int', name: 'n', word: 8, tail: [(2 << 24) | (3 << 16) | 40] },
      expected: { sizeBytes: 8, bits: 40, bitOffset: 3, encoding: 2 },
    },
    { name: 'ptr', type: { kind: 'ptr', word: 1 }, expected: { type: 1 } },
    {
      name: 'array: type, index type, count',
      type: { kind: 'array', tail: [1, 2, 7] },
      expected: { type: 1, indexType: 2, count: 7 },
    },
    {
      name: 'struct: bit offsets',
      type: { kind: 'struct', name: 's', word: 8, vlen: 2, tail: ['a', 1, 0, 'b', 1, 32] },
      expected: {
        sizeBytes: 8,
        members: [
          { name: 'a', type: 1, bitOffset: 0, bitSize: 0 },
          { name: 'b', type: 1, bitOffset: 32, bitSize: 0 },
        ],
      },
    },
    {
      name: 'struct with kind_flag: bit field sizes',
      type: { kind: 'struct', word: 4, vlen: 1, flag: true, tail: ['f', 1, (3 << 24) | 5] },
      expected: { members: [{ name: 'f', type: 1, bitOffset: 5, bitSize: 3 }] },
    },
    {
      name: 'union',
      type: { kind: 'union', name: 'u', word: 4, vlen: 1, tail: ['a', 1, 0] },
      expected: { sizeBytes: 4, members: [{ name: 'a' }] },
    },
    {
      name: 'enum, unsigned',
      type: { kind: 'enum', name: 'e', word: 4, vlen: 1, tail: ['X', 0xffff_ffff] },
      expected: { signed: false, values: [{ name: 'X', value: 0xffff_ffffn }] },
    },
    {
      name: 'enum, signed',
      type: { kind: 'enum', word: 4, vlen: 1, flag: true, tail: ['X', 0xffff_ffff] },
      expected: { signed: true, values: [{ name: 'X', value: -1n }] },
    },
    { name: 'fwd of a union', type: { kind: 'fwd', name: 'f', flag: true }, expected: { of: 'union' } },
    { name: 'typedef', type: { kind: 'typedef', name: 't', word: 1 }, expected: { name: 't', type: 1 } },
    { name: 'volatile', type: { kind: 'volatile', word: 1 }, expected: { type: 1 } },
    { name: 'const', type: { kind: 'const', word: 1 }, expected: { type: 1 } },
    { name: 'restrict', type: { kind: 'restrict', word: 1 }, expected: { type: 1 } },
    {
      name: 'func: linkage in vlen',
      type: { kind: 'func', name: 'f', word: 1, vlen: 1 },
      expected: { type: 1, linkage: 1 },
    },
    {
      name: 'func-proto: result and parameters',
      type: { kind: 'func-proto', word: 1, vlen: 2, tail: ['a', 1, '', 0] },
      expected: {
        type: 1,
        params: [
          { name: 'a', type: 1 },
          { name: '', type: 0 },
        ],
      },
    },
    { name: 'var', type: { kind: 'var', name: 'v', word: 1, tail: [1] }, expected: { type: 1, linkage: 1 } },
    {
      name: 'datasec',
      type: { kind: 'datasec', name: '.d', word: 12, vlen: 1, tail: [1, 8, 4] },
      expected: { sizeBytes: 12, vars: [{ type: 1, offset: 8, sizeBytes: 4 }] },
    },
    { name: 'float', type: { kind: 'float', name: 'double', word: 8 }, expected: { sizeBytes: 8 } },
    {
      name: 'decl-tag of the type itself',
      type: { kind: 'decl-tag', name: 'tag', word: 1, tail: [0xffff_ffff] },
      expected: { type: 1, component: -1 },
    },
    { name: 'type-tag', type: { kind: 'type-tag', name: 'rcu', word: 1 }, expected: { type: 1 } },
    {
      name: 'enum64, signed',
      type: { kind: 'enum64', word: 8, vlen: 1, flag: true, tail: ['X', 0, 0x8000_0000] },
      expected: { values: [{ name: 'X', value: -(1n << 63n) }] },
    },
    {
      name: 'enum64, unsigned',
      type: { kind: 'enum64', word: 8, vlen: 1, tail: ['X', 1, 0x8000_0000] },
      expected: { values: [{ name: 'X', value: (1n << 63n) + 1n }] },
    },
  ];
  for (const { name, type, expected } of rows) {
    // A second type shows that the first one's length was right.
    it(name, () => {
      const { types } = parseBtf(section([type, int32]));
      expect(types[1]).toMatchObject({ id: 1, kind: type.kind, ...expected });
      expect(types[2]).toMatchObject({ id: 2, kind: 'int', name: 'int', bits: 32 });
    });
  }

  it('has a row for every kind', () => {
    expect(new Set(rows.map(({ type }) => type.kind))).toEqual(new Set(Object.keys(BTF_KINDS)));
  });
});

describe('parseBtf refuses', () => {
  const good = section([int32]);
  const edited = (offset: number, value: number): Uint8Array => {
    const copy = new Uint8Array(good);
    copy[offset] = value;
    return copy;
  };
  const rows: readonly { name: string; bytes: Uint8Array; fault: object }[] = [
    { name: 'another magic', bytes: edited(0, 0), fault: { code: 'BTF_HEADER', offset: 0 } },
    { name: 'another version', bytes: edited(2, 2), fault: { code: 'BTF_HEADER', offset: 2 } },
    { name: 'unknown flags', bytes: edited(3, 1), fault: { code: 'BTF_HEADER' } },
    { name: 'a short header', bytes: edited(4, 8), fault: { code: 'BTF_HEADER', offset: 4 } },
    { name: 'types past the end', bytes: edited(13, 1), fault: { code: 'BTF_TRUNCATED' } },
    { name: 'strings that do not begin with NUL', bytes: edited(40, 65), fault: { code: 'BTF_STRING' } },
    { name: 'a name past the strings', bytes: edited(25, 1), fault: { code: 'BTF_TRUNCATED' } },
    { name: 'kind 0', bytes: section([{ kind: 0 }]), fault: { code: 'BTF_KIND', offset: 24 } },
    { name: 'kind 20', bytes: section([int32, { kind: 20 }]), fault: { code: 'BTF_KIND', offset: 40 } },
    {
      name: 'members past the end',
      bytes: section([{ kind: 'struct', vlen: 2, tail: ['a', 1, 0] }]),
      fault: { code: 'BTF_TRUNCATED' },
    },
    {
      name: 'names that overlap a thousand times',
      bytes: section([
        { kind: 'int', name: 'x'.repeat(4000), word: 4, tail: [32] },
        {
          kind: 'struct',
          vlen: 1000,
          tail: Array.from({ length: 1000 }, (_, index) => [index + 1, 1, 0]).flat(),
        },
      ]),
      fault: { code: 'BTF_STRING' },
    },
  ];
  for (const { name, bytes, fault } of rows) {
    it(name, () => {
      expect(caught(() => parseBtf(bytes))).toMatchObject({ fault: { stage: 'btf', ...fault } });
    });
  }
});

describe('Btf', () => {
  const wrap = (kind: BtfKind, word: number): RawType => ({ kind, word });

  it('resolves through typedefs and qualifiers', () => {
    const btf = parseBtf(
      section([
        int32,
        wrap('const', 1),
        wrap('volatile', 2),
        wrap('typedef', 3),
        wrap('restrict', 4),
        wrap('type-tag', 5),
      ]),
    );
    expect(btf.resolve(6).kind).toBe('int');
  });

  it('multiplies nested arrays', () => {
    const btf = parseBtf(
      section([int32, { kind: 'array', tail: [1, 1, 3] }, { kind: 'array', tail: [2, 1, 5] }]),
    );
    expect(btf.sizeOf(3)).toBe(60);
  });

  const refused: readonly { name: string; types: readonly RawType[]; code: string }[] = [
    { name: 'a typedef of itself', types: [wrap('typedef', 1)], code: 'BTF_DEPTH' },
    { name: 'an array of itself', types: [{ kind: 'array', tail: [1, 1, 1] }], code: 'BTF_DEPTH' },
    { name: 'a type that does not exist', types: [wrap('const', 9)], code: 'BTF_TYPE' },
    { name: 'the size of void', types: [wrap('const', 0)], code: 'BTF_SIZE' },
    { name: 'the size of a function', types: [{ kind: 'func-proto' }], code: 'BTF_SIZE' },
    {
      name: 'more than 4 GiB',
      types: [{ kind: 'array', tail: [2, 2, 0x8000_0000] }, int32],
      code: 'BTF_SIZE',
    },
  ];
  for (const { name, types, code } of refused) {
    it(`refuses ${name}`, () => {
      const error = caught(() => parseBtf(section(types)).sizeOf(1));
      expect(error).toBeInstanceOf(BtfError);
      expect(error).toMatchObject({ code });
    });
  }
});

describe('Btf of an object', () => {
  const btf = loadObject(testObject('programs')).btf;
  if (btf === undefined) throw new Error('no BTF');

  it('gives size and fields of a struct, anonymous unions flattened, bit fields in bits', () => {
    const { sizeBytes, fields } = btf.structLayout('flow');
    expect(sizeBytes).toBe(12);
    expect(
      [...fields].map(([name, { offset, sizeBytes: bytes, bits }]) => [name, offset, bytes, bits]),
    ).toEqual([
      ['address', 0, 4, undefined],
      ['ports', 4, 4, undefined],
      ['port', 4, 4, undefined],
      ['protocol', 8, 1, undefined],
      ['kind', 9, 1, { offset: 72, size: 3 }],
      ['spare', 9, 1, { offset: 75, size: 5 }],
      ['pad', 10, 2, undefined],
    ]);
  });

  it('gives the fields of a nested anonymous struct in bounded time', () => {
    // 2^20 paths lead to one field: only a bounded walk ends.
    const levels = Array.from({ length: 20 }, (_, i): RawType => {
      return { kind: 'struct', name: `s${i}`, word: 4, vlen: 2, tail: ['', i + 2, 0, '', i + 2, 0] };
    });
    const last: RawType = { kind: 'struct', name: 'last', word: 4, vlen: 1, tail: ['x', 22, 0] };
    const deep = parseBtf(section([...levels, last, int32]));
    expect(caught(() => deep.structLayout('s0'))).toMatchObject({ code: 'BTF_DEPTH' });
  });

  it('gives the values of an enum by its tag or by one of its names', () => {
    const tail = ['PASS', 2, 'TX', 3];
    const enums = parseBtf(section([int32, { kind: 'enum', name: 'verdict', word: 4, vlen: 2, tail }]));
    const expected = new Map([
      ['PASS', 2n],
      ['TX', 3n],
    ]);
    expect(enums.enumValues('verdict')).toEqual(expected);
    expect(enums.enumValues('TX')).toEqual(expected);
    expect(caught(() => enums.enumValues('DROP'))).toMatchObject({ code: 'BTF_MISSING' });
  });

  it('says which name is missing', () => {
    expect(caught(() => btf.structLayout('nowhere'))).toMatchObject({ code: 'BTF_MISSING' });
  });

  it('has places and sizes of data sections as the kernel wants them: filled in, by rising offset', () => {
    const maps = btf.find('datasec', '.maps');
    expect([maps?.sizeBytes, maps?.vars.map(({ offset }) => offset)]).toEqual([112, [0, 32, 72]]);
    const rodata = btf.find('datasec', '.rodata');
    expect([rodata?.sizeBytes, rodata?.vars.map(({ offset, sizeBytes }) => [offset, sizeBytes])]).toEqual([
      12,
      [
        [0, 4],
        [4, 8],
      ],
    ]);
  });
});
