import { describe, expect, it } from 'vitest';
import { compileTypes, missingClang } from '../../../test/support/clang.js';
import { caught } from '../../../test/support/objects.js';
import { Btf, BtfError, type BtfType, btfReader } from './btf.js';
import { type BtfValue, decodeValue, encodeValue, ValueError, valueCodec } from './values.js';

const SOURCE = `
typedef unsigned char u8; typedef unsigned int u32; typedef unsigned long long u64;
enum proto { TCP = 6, UDP = 17, ALSO_UDP = 17 };
enum side { LEFT = -1, RIGHT = 1 };
enum wide { WIDE = 0x100000000ULL, NARROW = 1 };
struct ints { signed char a; u8 b; short c; unsigned short d; int e; u32 f; long g; u64 h; __int128 i; _Bool j; };
struct kinds { float f; double d; enum proto p; enum side s; enum wide w; void *ptr; const volatile u32 q; };
struct arrays { char text[8]; u8 mac[6]; signed char sc[2]; u32 words[3]; struct { u8 x, y; } points[2]; char lines[2][4]; u8 none[0]; };
struct bits { u32 a:3; u32 b:17; int c:5; u64 d:40; _Bool e:1; enum proto f:5; enum side g:2; };
struct address { union { u32 v4; u32 v6[4]; }; union { u8 raw[2]; unsigned short port; } u; u8 family; };
struct vip { struct address from, to; };
u32 counter = 3; static volatile u64 seen; char label[4] = "abc";
u64 read_seen(void) { return seen; }
struct ints v1; struct kinds v2; struct arrays v3; struct bits v4; struct address v5; struct vip v6; u32 plain; u8 key[16];
`;

describe.skipIf(missingClang)(
  `values${missingClang === undefined ? '' : ` (skipped: ${missingClang})`}`,
  () => {
    const btf =
      missingClang === undefined
        ? compileTypes(SOURCE)
        : new Btf(new Uint8Array(0), [], btfReader(new Uint8Array(1)));
    const id = (name: string) =>
      (
        btf.find('struct', name) ??
        btf.find('enum', name) ??
        btf.find('enum64', name) ??
        btf.find('var', name)
      )?.id ?? -1;
    const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex');

    /** `full` is what is read where it differs from what was written. */
    interface Row {
      readonly rule: string;
      readonly type: string;
      readonly value: unknown;
      readonly hex: string;
      readonly full?: unknown;
    }
    const ROWS: readonly Row[] = [
      {
        rule: 'ints: signed and not, number up to 4 bytes, bigint beyond',
        type: 'ints',
        value: {
          a: -1,
          b: 255,
          c: -2,
          d: 65535,
          e: -3,
          f: 0xffff_fffe,
          g: -4n,
          h: 2n ** 64n - 1n,
          i: -5n,
          j: true,
        },
        hex: `ffff${'fe'}ff${'ffff'}0000${'fdffffff'}fefffffffcffffffffffffff${'ff'.repeat(8)}fb${'ff'.repeat(15)}01${'00'.repeat(15)}`,
      },
      {
        rule: 'fields that are missing, or undefined, are 0',
        type: 'ints',
        value: { f: 1, e: undefined },
        hex: `${'00'.repeat(12)}01${'00'.repeat(51)}`,
        full: { a: 0, b: 0, c: 0, d: 0, e: 0, f: 1, g: 0n, h: 0n, i: 0n, j: false },
      },
      {
        rule: 'floating point, enums by name, pointers',
        type: 'kinds',
        value: { f: 1.5, d: -2, p: 'TCP', s: 'LEFT', w: 'WIDE', ptr: 0x1234n, q: 7 },
        hex:
          '0000c03f0000000000000000000000c006000000ffffffff0000000001000000341200000000000007000000' +
          '00000000',
      },
      {
        rule: 'enums by number; of two names the first is read; a number without a name stays one',
        type: 'kinds',
        value: { p: 17, s: 5, w: 9n },
        hex: `${'00'.repeat(16)}1100000005000000${'0900000000000000'}${'00'.repeat(16)}`,
        full: { f: 0, d: 0, p: 'UDP', s: 5, w: 9n, ptr: 0n, q: 0 },
      },
      {
        rule: 'arrays: text, bytes, numbers, structs, text in arrays, none',
        type: 'arrays',
        value: {
          text: 'grüß',
          mac: Uint8Array.of(1, 2, 3, 4, 5, 6),
          sc: [-1, 2],
          words: [1, 2, 3],
          points: [
            { x: 1, y: 2 },
            { x: 3, y: 4 },
          ],
          lines: ['ab', 'abcd'],
          none: new Uint8Array(0),
        },
        hex:
          '6772c3bcc39f0000' +
          '010203040506' +
          'ff02' +
          '010000000200000003000000' +
          '01020304' +
          '6162000061626364',
      },
      {
        rule: 'arrays from lists, typed arrays and raw bytes',
        type: 'arrays',
        value: {
          text: Uint8Array.of(97, 0, 98, 0, 0, 0, 0, 0),
          mac: [6, 5, 4, 3, 2, 1],
          words: Uint32Array.of(9, 8, 7),
          points: Uint8Array.of(1, 1, 1, 1),
        },
        hex: `6100620000000000${'060504030201'}0000${'090000000800000007000000'}01010101${'00'.repeat(8)}`,
        full: {
          text: 'a',
          mac: Uint8Array.of(6, 5, 4, 3, 2, 1),
          sc: [0, 0],
          words: [9, 8, 7],
          points: [
            { x: 1, y: 1 },
            { x: 1, y: 1 },
          ],
          lines: ['', ''],
          none: new Uint8Array(0),
        },
      },
      {
        rule: 'bit fields, across bytes and signed',
        type: 'bits',
        value: { a: 5, b: 0x1_2345, c: -3, d: 0x12_3456_789an, e: true, f: 'UDP', g: 'LEFT' },
        hex: hex(
          packBits(
            [
              [5, 3],
              [0x12345, 17],
              [-3, 5],
              [0, 39],
              [0x12_3456_789a, 40],
              [1, 1],
              [17, 5],
              [-1, 2],
            ],
            16,
          ),
        ),
      },
      {
        rule: 'one member of a union; all are read',
        type: 'address',
        value: { v4: 0x0100_007f, u: { port: 0x5000 }, family: 2 },
        hex: `7f000001${'00'.repeat(12)}0050${'0200'}`,
        full: {
          v4: 0x0100_007f,
          v6: [0x0100_007f, 0, 0, 0],
          u: { raw: Uint8Array.of(0, 0x50), port: 0x5000 },
          family: 2,
        },
      },
      {
        rule: 'members of a union that agree',
        type: 'address',
        value: { v4: 1, v6: [1, 2, 3, 4], u: { port: 0x201, raw: [1, 2] } },
        hex: `01000000020000000300000004000000${'0102'}0000`,
        full: { v4: 1, v6: [1, 2, 3, 4], u: { port: 0x201, raw: Uint8Array.of(1, 2) }, family: 0 },
      },
      {
        rule: 'a struct as its bytes',
        type: 'address',
        value: new Uint8Array(20),
        hex: '00'.repeat(20),
        full: { v4: 0, v6: [0, 0, 0, 0], u: { raw: new Uint8Array(2), port: 0 }, family: 0 },
      },
      { rule: 'a plain int', type: 'plain', value: 7, hex: '07000000' },
      { rule: 'a plain int as a bigint', type: 'plain', value: 7n, hex: '07000000', full: 7 },
      { rule: 'plain bytes', type: 'key', value: new Uint8Array(16).fill(3), hex: '03'.repeat(16) },
    ];
    it.each(ROWS)('$rule', ({ type, value, hex: expected, full }) => {
      const bytes = encodeValue(btf, id(type), value);
      expect(hex(bytes)).toBe(expected);
      const read = decodeValue(btf, id(type), bytes);
      expect(read).toEqual(full ?? value);
      // What was read can be written again.
      if (full === undefined || type !== 'arrays')
        expect(hex(encodeValue(btf, id(type), read))).toBe(expected);
    });

    it('a data section is a struct of its variables', () => {
      const data = btf.find('datasec', '.data')?.id ?? -1;
      const bytes = encodeValue(btf, data, { counter: 5, label: 'xy' });
      expect(decodeValue(btf, data, bytes)).toEqual({ counter: 5, label: 'xy' });
    });

    it('writes into bytes that are given, and clears them', () => {
      const bytes = new Uint8Array(20).fill(0xff);
      expect(encodeValue(btf, id('address'), { family: 1 }, bytes)).toBe(bytes);
      expect(hex(bytes)).toBe(`${'00'.repeat(18)}0100`);
    });

    it.each<[rule: string, code: string, path: string, type: string, value: unknown]>([
      ['an unknown field', 'VALUE_FIELD', 'from.port', 'vip', { from: { port: 1 } }],
      ['a number out of range', 'VALUE_RANGE', 'b', 'ints', { b: 256 }],
      ['a negative number of an unsigned', 'VALUE_RANGE', 'f', 'ints', { f: -1 }],
      ['a u32 for an int', 'VALUE_RANGE', 'e', 'ints', { e: 0x8000_0000 }],
      ['65 bits', 'VALUE_RANGE', 'h', 'ints', { h: 2n ** 64n }],
      ['a bit field that is too large', 'VALUE_RANGE', 'a', 'bits', { a: 8 }],
      ['a signed bit field that is too small', 'VALUE_RANGE', 'c', 'bits', { c: -17 }],
      ['a boolean of 2', 'VALUE_RANGE', 'j', 'ints', { j: 2 }],
      ['a fraction', 'VALUE_TYPE', 'f', 'ints', { f: 1.5 }],
      ['text for a number', 'VALUE_TYPE', 'f', 'ints', { f: '1' }],
      ['null', 'VALUE_TYPE', 'f', 'ints', { f: null }],
      ['an array for a struct', 'VALUE_TYPE', 'from', 'vip', { from: [1] }],
      ['a number for a struct', 'VALUE_TYPE', 'to', 'vip', { to: 1 }],
      ['a bigint for floating point', 'VALUE_TYPE', 'd', 'kinds', { d: 1n }],
      ['an object for an array', 'VALUE_TYPE', 'words', 'arrays', { words: {} }],
      ['a constant that the enum does not have', 'VALUE_ENUM', 'p', 'kinds', { p: 'SCTP' }],
      ['text that is too long, in bytes', 'VALUE_LENGTH', 'text', 'arrays', { text: 'ßßßß!' }],
      ['too few bytes', 'VALUE_LENGTH', 'mac', 'arrays', { mac: new Uint8Array(5) }],
      ['too many elements', 'VALUE_LENGTH', 'words', 'arrays', { words: [1, 2, 3, 4] }],
      ['a byte of 256', 'VALUE_RANGE', 'mac[1]', 'arrays', { mac: [0, 256, 0, 0, 0, 0] }],
      ['an element deep inside', 'VALUE_RANGE', 'points[1].y', 'arrays', { points: [{}, { y: -1 }] }],
      ['raw bytes of the wrong length', 'VALUE_LENGTH', 'from', 'vip', { from: new Uint8Array(3) }],
      [
        'members of a union that contradict',
        'VALUE_UNION',
        'from.v4',
        'vip',
        { from: { v4: 1, v6: [2, 0, 0, 0] } },
      ],
    ])('%s: %s at %s', (_, code, path, type, value) => {
      const error = caught(() => encodeValue(btf, id(type), value));
      expect(error).toBeInstanceOf(ValueError);
      expect((error as ValueError).fault).toEqual({ code, path });
    });

    it('bytes of another length are not read', () => {
      expect((caught(() => decodeValue(btf, id('ints'), new Uint8Array(3))) as ValueError).code).toBe(
        'VALUE_LENGTH',
      );
      expect((caught(() => encodeValue(btf, id('ints'), {}, new Uint8Array(3))) as ValueError).code).toBe(
        'VALUE_LENGTH',
      );
    });

    it('void and functions have no values', () => {
      for (const type of [0, btf.find('func', 'read_seen')?.id ?? -1])
        expect((caught(() => valueCodec(btf, type)) as ValueError).code).toBe('VALUE_KIND');
    });
  },
);

/** Numbers of so many bits, one after another from the lowest bit on. */
function packBits(fields: readonly (readonly [value: number, bits: number])[], bytes: number): Uint8Array {
  let all = 0n;
  let at = 0n;
  for (const [value, bits] of fields) {
    all |= BigInt.asUintN(bits, BigInt(value)) << at;
    at += BigInt(bits);
  }
  return Uint8Array.from({ length: bytes }, (_, i) => Number((all >> BigInt(i * 8)) & 0xffn));
}

describe('values of damaged types', () => {
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
  const member = (name: string, type: number, bitOffset = 0, bitSize = 0) => ({
    name,
    type,
    bitOffset,
    bitSize,
  });
  const struct = (id: number, sizeBytes: number, members: ReturnType<typeof member>[]): BtfType => ({
    id,
    at: 24 + id,
    name: 's',
    kind: 'struct',
    sizeBytes,
    members,
  });
  const array = (id: number, type: number, count: number): BtfType => ({
    id,
    at: 24 + id,
    name: '',
    kind: 'array',
    type,
    indexType: 1,
    count,
  });
  it.each<[rule: string, code: string, last: number, types: BtfType[]]>([
    ['a member outside of its struct', 'BTF_SIZE', 2, [int, struct(2, 4, [member('a', 1, 16)])]],
    ['a member between bytes', 'BTF_SIZE', 2, [int, struct(2, 8, [member('a', 1, 3)])]],
    ['a struct that contains itself', 'BTF_DEPTH', 2, [int, struct(2, 4, [member('s', 2)])]],
    ['an anonymous struct that contains itself', 'BTF_DEPTH', 2, [int, struct(2, 4, [member('', 2)])]],
    ['an array of itself', 'BTF_DEPTH', 2, [int, array(2, 2, 2)]],
    ['an array of very many of nothing', 'BTF_SIZE', 3, [int, struct(2, 0, []), array(3, 2, 0xffff_ffff)]],
    [
      'structs that double on each level',
      'BTF_SIZE',
      42,
      [
        int,
        struct(2, 0, []),
        ...Array.from({ length: 40 }, (_, i) => struct(i + 3, 0, [member('a', i + 2), member('b', i + 2)])),
      ],
    ],
    [
      'a bit field of a struct',
      'VALUE_KIND',
      3,
      [int, struct(2, 4, [member('a', 1)]), struct(3, 4, [member('s', 2, 0, 4)])],
    ],
    ['an int of 3 bytes', 'VALUE_KIND', 1, [{ ...int, sizeBytes: 3, bits: 24 }]],
  ])('%s: %s', (_, code, last, types) => {
    const btf = new Btf(
      new Uint8Array(0),
      [{ id: 0, at: 0, name: '', kind: 'void' }, ...types],
      btfReader(new Uint8Array(1)),
    );
    const error = caught((): BtfValue => decodeValue(btf, last, new Uint8Array(8)));
    expect(error instanceof BtfError || error instanceof ValueError).toBe(true);
    expect((error as BtfError).code).toBe(code);
  });
});
