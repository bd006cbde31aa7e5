import { describe, expect, it } from 'vitest';
import { caught } from '../../../test/support/objects.js';
import { Btf, type BtfType, btfReader } from './btf.js';
import type { CoreInfo } from './btf-ext.js';
import { CoreRelocator } from './core.js';
import { CORE_KINDS, CoreError } from './core-kinds.js';
import { essentialName } from './core-names.js';

// Records that no compiler writes: every one is refused in bounded time.

const place = { section: 'xdp', offset: 16 };
const member = (name: string, type: number, bitOffset = 0, bitSize = 0) => ({
  name,
  type,
  bitOffset,
  bitSize,
});
const at = 24;
const int: BtfType = {
  id: 1,
  at,
  name: 'int',
  kind: 'int',
  sizeBytes: 4,
  bits: 32,
  bitOffset: 0,
  encoding: 1,
};
const struct = (id: number, name: string, members: ReturnType<typeof member>[], sizeBytes = 8): BtfType => ({
  id,
  at,
  name,
  kind: 'struct',
  sizeBytes,
  members,
});

/** Types from id 1 on, with strings that hold `text` at offset 1. */
function types(text: string, ...list: readonly BtfType[]): Btf {
  const strings = new TextEncoder().encode(`\0${text}\0`);
  return new Btf(new Uint8Array(0), [{ id: 0, at: 0, name: '', kind: 'void' }, ...list], btfReader(strings));
}

function apply(btf: Btf, info: Partial<CoreInfo>, instruction = 'b700000000000000', target = btf) {
  const code = Uint8Array.from(Buffer.from(instruction, 'hex'));
  const record = { offset: 16, typeId: 2, access: 1, kind: 0, at: 0, ...info };
  return new CoreRelocator(btf, target).apply(record, new DataView(code.buffer), 0, place);
}

const S = struct(2, 's', [member('a', 1), member('b', 1, 32)]);

describe('a damaged record is refused', () => {
  const rows: readonly { rule: string; btf: Btf; info?: Partial<CoreInfo>; code: string }[] = [
    { rule: 'an unknown kind', btf: types('0', S), info: { kind: 13 }, code: 'CORE_RECORD' },
    { rule: 'a type that does not exist', btf: types('0', int), info: { typeId: 9 }, code: 'BTF_TYPE' },
    { rule: 'an access that is no numbers', btf: types('0:x', int, S), code: 'CORE_RECORD' },
    { rule: 'an empty access', btf: types('', int, S), code: 'CORE_RECORD' },
    { rule: 'more than 64 indices', btf: types(Array(65).fill('0').join(':'), int, S), code: 'CORE_RECORD' },
    { rule: 'a member that does not exist', btf: types('0:2', int, S), code: 'CORE_RECORD' },
    { rule: 'a step into an integer', btf: types('0:0:0', int, S), code: 'CORE_RECORD' },
    { rule: 'a field of a type kind', btf: types('0:1', int, S), info: { kind: 8 }, code: 'CORE_RECORD' },
    { rule: 'an enumerator of a struct', btf: types('0', int, S), info: { kind: 11 }, code: 'CORE_RECORD' },
    { rule: 'the sign of an element', btf: types('1', int, S), info: { kind: 3 }, code: 'CORE_FIELD' },
    {
      rule: 'an element too far away',
      btf: types('999999999', int, struct(2, 's', [], 1 << 20)),
      code: 'CORE_RECORD',
    },
    {
      rule: 'a bit field that no load holds',
      btf: types('0:0', int, struct(2, 's', [member('a', 1, 60, 32)])),
      info: { kind: 0 },
      code: 'CORE_FIELD',
    },
    {
      rule: 'a type without a name',
      btf: types('0:0', int, struct(2, '', [member('a', 1)])),
      code: 'CORE_RECORD',
    },
    {
      rule: 'a struct that contains itself many times',
      btf: types(
        '0',
        int,
        struct(
          2,
          's',
          Array.from({ length: 8 }, () => member('a', 2)),
        ),
      ),
      info: { kind: 12 },
      code: 'CORE_LIMIT',
    },
    {
      rule: 'an anonymous struct that contains itself many times',
      btf: types(
        '0:0',
        int,
        struct(2, 's', [member('wanted', 1)]),
        struct(3, 's', [member('', 3), member('', 3), member('', 3)]),
      ),
      code: 'CORE_LIMIT',
    },
  ];
  for (const { rule, btf, info = {}, code } of rows) {
    it(rule, () => {
      const start = performance.now();
      const error = caught(() => apply(btf, info));
      expect(error).toMatchObject({ fault: { code } });
      if (error instanceof CoreError) expect(error.fault).toMatchObject({ ...place, stage: 'core' });
      expect(performance.now() - start).toBeLessThan(1000);
    });
  }
});

describe('an instruction that does not fit is refused', () => {
  const rows: readonly (readonly [rule: string, instruction: string])[] = [
    ['one that holds another value', 'b700000005000000'],
    ['an operation on a register', 'bf21000000000000'],
    ['a load that holds another offset', '6121080000000000'],
    ['a jump', '0500000000000000'],
    ['a call', '8500000004000000'],
    ['half of a 64-bit immediate', '1800000004000000'],
    ['a 64-bit immediate of a map', '18110000040000000000000000000000'],
  ];
  for (const [rule, instruction] of rows) {
    it(rule, () => {
      const error = caught(() => apply(types('0:1', int, S), {}, instruction));
      expect(error).toMatchObject({ fault: { code: 'CORE_INSTRUCTION', ...place } });
    });
  }

  it('and one that fits is not', () => {
    expect(apply(types('0:1', int, S), {}, 'b700000004000000')).toBeUndefined();
    expect(apply(types('0:1', int, S), {}, '6121040000000000')).toBeUndefined();
  });
});

it('every kind has a row', () => expect(Object.keys(CORE_KINDS)).toHaveLength(13));

describe('names without flavours', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['task_struct', 'task_struct'],
    ['task_struct___old', 'task_struct'],
    ['a___b___c', 'a___b'],
    ['___a', '___a'],
    ['a___', 'a___'],
    ['a____b', 'a____b'],
    ['a__b', 'a__b'],
    ['', ''],
  ];
  for (const [name, essential] of rows) it(`'${name}'`, () => expect(essentialName(name)).toBe(essential));
});
