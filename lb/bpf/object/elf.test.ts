import { describe, expect, it } from 'vitest';
import { editBytes, testObject } from '../../../test/support/objects.js';
import { ElfError, parseElf, SHF_EXECINSTR, STT_FUNC } from './elf.js';

const object = testObject('programs');
const view = new DataView(object.buffer);
const sectionTable = Number(view.getBigUint64(40, true));

/** Offset in the file of a field of a section's header. */
function header(section: string, field: number): number {
  const index = parseElf(object).sections.find(({ name }) => name === section)?.index ?? -1;
  return sectionTable + index * 64 + field;
}

function fault(bytes: Uint8Array): ElfError['fault'] {
  try {
    const elf = parseElf(bytes);
    for (const section of elf.sections) elf.relocations(section);
  } catch (error) {
    if (error instanceof ElfError) return error.fault;
    throw error;
  }
  throw new Error('was accepted');
}

describe('parseElf', () => {
  const elf = parseElf(object);

  it('finds sections by name with flags and content', () => {
    const xdp = elf.sections.find(({ name }) => name === 'xdp');
    expect(xdp).toMatchObject({ flags: 2 | SHF_EXECINSTR, sizeBytes: 232 });
    expect(xdp?.data.length).toBe(232);
  });

  it('gives .bss a size and no content', () => {
    const bss = elf.sections.find(({ name }) => name === '.bss');
    expect([bss?.sizeBytes, bss?.data.length]).toEqual([4, 0]);
  });

  it('reads symbols with section, offset and length', () => {
    const second = elf.symbols.find(({ name }) => name === 'second');
    expect(second).toMatchObject({ type: STT_FUNC, value: 56, sizeBytes: 176 });
    expect(elf.sections[second?.section ?? 0]?.name).toBe('xdp');
  });

  it('gives relocations of a section by rising offset', () => {
    const xdp = elf.sections.find(({ name }) => name === 'xdp');
    const names =
      xdp === undefined ? [] : elf.relocations(xdp).map(({ offset, symbol }) => [offset, symbol.name]);
    expect(names).toEqual([
      [0, 'seen'],
      [40, 'classify'],
      [120, 'flows'],
      [192, ''],
    ]);
  });
});

describe('parseElf refuses', () => {
  const rows: readonly {
    name: string;
    bytes: Uint8Array;
    code: string;
    section?: string;
    offset?: number;
  }[] = [
    { name: 'an empty file', bytes: new Uint8Array(0), code: 'ELF_TRUNCATED', offset: 0 },
    { name: 'a file of a bare magic', bytes: object.subarray(0, 4), code: 'ELF_TRUNCATED' },
    { name: 'another magic', bytes: editBytes(object, { 0: 0 }), code: 'ELF_MAGIC' },
    { name: 'a 32-bit class', bytes: editBytes(object, { 4: 1 }), code: 'ELF_CLASS', offset: 4 },
    { name: 'big endian', bytes: editBytes(object, { 5: 2 }), code: 'ELF_CLASS' },
    { name: 'another version', bytes: editBytes(object, { 6: 9 }), code: 'ELF_HEADER' },
    { name: 'an executable', bytes: editBytes(object, { 16: 2 }), code: 'ELF_TYPE' },
    { name: 'x86-64', bytes: editBytes(object, { 18: 62 }), code: 'ELF_MACHINE', offset: 18 },
    {
      name: 'section headers of another size',
      bytes: editBytes(object, { 58: 63 }),
      code: 'ELF_HEADER',
      offset: 58,
    },
    { name: 'no sections', bytes: editBytes(object, { 60: 0 }), code: 'ELF_HEADER' },
    {
      name: 'names in a section that is not there',
      bytes: editBytes(object, { 62: 200 }),
      code: 'ELF_HEADER',
    },
    { name: 'names in a section of code', bytes: editBytes(object, { 62: 2 }), code: 'ELF_SECTION' },
    { name: 'a section table past the end', bytes: editBytes(object, { 42: 0xff }), code: 'ELF_TRUNCATED' },
    {
      name: 'a section past the end',
      bytes: editBytes(object, { [header('xdp', 26)]: 0xff }),
      code: 'ELF_TRUNCATED',
    },
    {
      name: 'a section of 2^63 bytes',
      bytes: editBytes(object, { [header('xdp', 39)]: 0x80 }),
      code: 'ELF_TRUNCATED',
    },
    {
      name: 'a name past the end of the names',
      bytes: editBytes(object, { [header('xdp', 2)]: 1 }),
      code: 'ELF_TRUNCATED',
      section: '.shstrtab',
    },
    {
      name: 'symbols of another size',
      bytes: editBytes(object, { [header('.symtab', 56)]: 23 }),
      code: 'ELF_SYMBOL',
      section: '.symtab',
    },
    {
      name: 'symbol names that are no strings',
      bytes: editBytes(object, { [header('.symtab', 40)]: 2 }),
      code: 'ELF_SECTION',
      section: '.symtab',
    },
    {
      name: 'relocations of another size',
      bytes: editBytes(object, { [header('.relxdp', 56)]: 8 }),
      code: 'ELF_RELOCATION',
      section: '.relxdp',
    },
    {
      name: 'relocations with addends',
      bytes: editBytes(object, { [header('.relxdp', 4)]: 4 }),
      code: 'ELF_RELOCATION',
      section: '.relxdp',
    },
    {
      name: 'two tables for one section',
      bytes: editBytes(object, { [header('.relxdp', 44)]: 2 }),
      code: 'ELF_RELOCATION',
      section: '.relxdp',
    },
    {
      name: 'a compressed section',
      bytes: editBytes(object, { [header('xdp', 9)]: 8 }),
      code: 'ELF_SECTION',
      section: 'xdp',
    },
  ];
  for (const { name, bytes, ...expected } of rows) {
    it(name, () => expect(fault(bytes)).toMatchObject({ stage: 'elf', ...expected }));
  }
});
