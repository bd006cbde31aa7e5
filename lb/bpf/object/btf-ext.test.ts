import { describe, expect, it } from 'vitest';
import { caught, editSection, testObject } from '../../../test/support/objects.js';
import { parseBtf } from './btf.js';
import { parseBtfExt } from './btf-ext.js';
import { parseElf } from './elf.js';

const object = testObject('programs');

function parse(bytes: Uint8Array) {
  const { sections } = parseElf(bytes);
  const data = (name: string) => sections.find((section) => section.name === name)?.data ?? new Uint8Array(0);
  return parseBtfExt(data('.BTF.ext'), parseBtf(data('.BTF')));
}

describe('parseBtfExt', () => {
  const ext = parse(object);

  it('gives functions by section, by rising offset in bytes', () => {
    expect([...ext.functions.keys()].sort()).toEqual(['.text', 'sensor', 'tc', 'xdp', 'xdp/named']);
    expect(ext.functions.get('xdp')?.map(({ offset }) => offset)).toEqual([0, 56]);
  });

  it('gives line and column of each record', () => {
    expect(ext.lines.get('tc')?.map(({ offset, line, column }) => [offset, line > 80, column])).toEqual([
      [0, true, 9],
      [24, true, 2],
    ]);
  });

  it('gives CO-RE records where there are some', () => {
    expect(ext.core.size).toBe(0);
    expect(parse(testObject('core')).core.get('tc')).toMatchObject([{ offset: 0, kind: 0 }]);
  });

  const rows: readonly { name: string; offset: number; bytes: readonly number[]; code: string }[] = [
    { name: 'another magic', offset: 0, bytes: [0], code: 'BTF_HEADER' },
    { name: 'another version', offset: 2, bytes: [9], code: 'BTF_HEADER' },
    { name: 'a short header', offset: 4, bytes: [20], code: 'BTF_HEADER' },
    { name: 'records past the end', offset: 14, bytes: [1], code: 'BTF_TRUNCATED' },
    { name: 'records of 0 bytes', offset: 32, bytes: [0, 0, 0, 0], code: 'BTF_EXT' },
    { name: 'records that are no multiple of 4', offset: 32, bytes: [9], code: 'BTF_EXT' },
    { name: 'more records than there is room for', offset: 42, bytes: [1], code: 'BTF_EXT' },
    { name: 'an offset inside an instruction', offset: 44, bytes: [4], code: 'BTF_EXT' },
  ];
  for (const { name, offset, bytes, code } of rows) {
    it(`refuses ${name}`, () => {
      const error = caught(() => parse(editSection(object, '.BTF.ext', offset, bytes)));
      expect(error).toMatchObject({ fault: { code, stage: 'btf', section: '.BTF.ext' } });
    });
  }
});
