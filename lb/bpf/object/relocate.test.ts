import { describe, expect, it } from 'vitest';
import { caught, editSection, testObject } from '../../../test/support/objects.js';
import { LinkError, loadObject } from './load.js';
import type { ObjectSpec, ProgramSpec } from './spec.js';

function program(spec: ObjectSpec, name: string): ProgramSpec {
  const found = spec.programs.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no program ${name}`);
  return found;
}

/** Slots as hex, `opcode+registers off imm` little endian as in the file. */
function slots(code: Uint8Array): string[] {
  return Buffer.from(code).toString('hex').match(/.{16}/g) ?? [];
}

describe('linking', () => {
  const spec = loadObject(testObject('programs'));

  it('lays reached functions behind the entry, and no others', () => {
    expect(program(spec, 'first').functions.map(({ name, start }) => [name, start])).toEqual([
      ['first', 0],
      ['classify', 7],
      ['count', 23],
    ]);
    expect(program(spec, 'second').functions.map(({ name }) => name)).toEqual(['second']);
  });

  it('makes calls relative to the slot that follows', () => {
    const code = slots(program(spec, 'first').code);
    expect(code[5]).toBe('8510000001000000'); // slot 5 → classify at 7
    expect(code[17]).toBe('8510000005000000'); // slot 17, in classify → count at 23
    const third = slots(program(spec, 'third').code);
    expect(third[0]).toBe('8510000005000000'); // the same function at another place: slot 0 → 6
    expect(third[16]).toBe('8510000005000000');
  });

  it('puts the index of the map in a map reference', () => {
    expect(spec.maps.map(({ name }) => name)).toEqual([
      'flows',
      'counters',
      'unused',
      '.rodata',
      '.data',
      '.bss',
    ]);
    expect(slots(program(spec, 'second').code).slice(8, 10)).toEqual([
      '1811000000000000',
      '0000000000000000',
    ]);
    expect(slots(program(spec, 'first').code).slice(27, 29)).toEqual([
      '1811000001000000',
      '0000000000000000',
    ]);
  });

  it('puts map and offset in a reference to data: a global symbol, and a section symbol with an addend', () => {
    expect(slots(program(spec, 'first').code).slice(0, 2)).toEqual(['1822000004000000', '0000000000000000']);
    expect(slots(program(spec, 'second').code).slice(17, 19)).toEqual([
      '1822000003000000',
      '0000000004000000',
    ]);
  });

  it('gives source lines by slot of the linked program', () => {
    const lines = program(spec, 'third').lines;
    expect(lines[0]).toMatchObject({
      slot: 0,
      file: './programs.bpf.c',
      text: 'return classify(ctx) == TX ? DROP : PASS;',
    });
    const inClassify = lines.find(({ slot }) => slot >= 6);
    expect(inClassify?.text).toBe('__u64 bytes = ctx->data_end - ctx->data;');
    const rising = lines.every(({ slot }, index) => index === 0 || slot > (lines[index - 1]?.slot ?? -1));
    expect(rising).toBe(true);
  });

  it('names the BTF function of each function', () => {
    const names = program(spec, 'first').functions.map(({ typeId }) => spec.btf?.type(typeId ?? 0));
    expect(names).toMatchObject([
      { kind: 'func', name: 'first' },
      { kind: 'func', name: 'classify' },
      { kind: 'func', name: 'count' },
    ]);
  });

  it('resolves the address of a function and a static function beside the entry', () => {
    const callback = loadObject(testObject('callback'));
    expect(callback.programs.map(({ name }) => name)).toEqual(['loops']);
    const loops = program(callback, 'loops');
    const starts = new Map(loops.functions.map(({ name, start }) => [name, start]));
    const view = new DataView(loops.code.buffer);
    const targets = slots(loops.code).flatMap((slot, index) => {
      const isReference = /^18[0-9]*4/.test(slot) || slot.startsWith('8510');
      return isReference ? [index + 1 + view.getInt32(index * 8 + 4, true)] : [];
    });
    expect(targets).toEqual([starts.get('step'), starts.get('local')]);
  });
});

/** Why the first program that cannot be linked is refused: thrown only when no other can be linked. */
function firstRefusal(bytes: Uint8Array): unknown {
  let spec: ObjectSpec | undefined;
  const error = caught(() => {
    spec = loadObject(bytes);
  });
  return error ?? spec?.refused?.[0]?.error;
}

describe('linking refuses', () => {
  it('one program and keeps the others', () => {
    const broken = editSection(testObject('programs'), 'sensor', 8, [0x18]);
    const spec = loadObject(broken);
    expect(spec.programs.map(({ name }) => name)).toEqual(['first', 'second', 'third', 'shaper']);
    expect(spec.refused).toMatchObject([{ name: 'other', section: 'sensor' }]);
    expect(caught(() => loadObject(broken, { programs: ['other'] }))).toBeInstanceOf(LinkError);
  });

  const programs = testObject('programs');
  const rows: readonly { name: string; bytes: Uint8Array; fault: object }[] = [
    {
      name: 'an extern function',
      bytes: testObject('extern'),
      fault: { code: 'LINK_EXTERN', section: 'xdp' },
    },
    {
      name: 'a call of a kernel function',
      bytes: editSection(programs, '.text', 22 * 8 + 1, [0x20]),
      fault: { code: 'LINK_KFUNC', offset: 176 },
    },
    {
      name: 'a call into the middle of a function',
      bytes: editSection(programs, '.text', 10 * 8 + 4, [6]),
      fault: { code: 'LINK_CALL', section: '.text', offset: 80 },
    },
    {
      name: 'a jump out of its function',
      bytes: editSection(programs, '.text', 13 * 8 + 2, [3]),
      fault: { code: 'LINK_JUMP', offset: 104 },
    },
    {
      name: 'a relocation of an addition',
      bytes: editSection(programs, '.relxdp', 0, [16]),
      fault: { code: 'LINK_RELOCATION', offset: 16 },
    },
    {
      name: 'two relocations of one place',
      bytes: editSection(programs, '.relxdp', 16, [0]),
      fault: { code: 'LINK_RELOCATION', offset: 0 },
    },
    {
      name: 'a relocation inside an instruction',
      bytes: editSection(programs, '.relxdp', 0, [4]),
      fault: { code: 'LINK_RELOCATION', offset: 4 },
    },
    {
      name: 'an unknown relocation type',
      bytes: editSection(programs, '.relxdp', 8, [9]),
      fault: { code: 'LINK_RELOCATION' },
    },
    {
      name: 'a map reference beside a map',
      bytes: editSection(programs, 'xdp', 15 * 8 + 4, [8]),
      fault: { code: 'LINK_SYMBOL', offset: 120 },
    },
    {
      name: 'a data reference past its section',
      bytes: editSection(programs, 'xdp', 24 * 8 + 4, [0xff]),
      fault: { code: 'LINK_SYMBOL', offset: 192 },
    },
    {
      name: 'a map reference without a relocation',
      bytes: editSection(editSection(programs, '.reltc', 0, [16]), 'tc', 1, [0x21]),
      fault: { code: 'LINK_RELOCATION', section: 'tc', offset: 0 },
    },
    {
      name: 'a 64-bit immediate at the end of its function',
      bytes: editSection(programs, 'sensor', 8, [0x18]),
      fault: { code: 'LINK_INSTRUCTION', section: 'sensor', offset: 8 },
    },
  ];
  for (const { name, bytes, fault } of rows) {
    it(name, () => {
      const error = firstRefusal(bytes);
      expect(error).toBeInstanceOf(LinkError);
      expect(error).toMatchObject({ fault: { stage: 'link', ...fault } });
    });
  }
});
