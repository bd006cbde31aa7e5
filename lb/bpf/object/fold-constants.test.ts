import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import { decodeProgram, encodeProgram } from '../isa/codec.js';
import type { MapSpec } from '../maps/map.js';
import { foldConstants } from './fold-constants.js';
import type { ProgramSpec } from './spec.js';

const programOf = (text: string): ProgramSpec => ({
  name: 'p',
  section: 'xdp',
  type: 'xdp',
  code: encodeProgram(assemble(text)),
  functions: [],
  lines: [],
});
const initial = Uint8Array.of(
  1,
  0,
  0xff,
  0xff,
  0xff,
  0xff,
  0xff,
  0x7f,
  7,
  0,
  0,
  0,
  0,
  0,
  0,
  0,
  0xff,
  0xff,
  0xff,
  0xff,
);
const rodata: MapSpec = {
  name: '.rodata',
  type: 'ARRAY',
  keySize: 4,
  valueSize: initial.length,
  maxEntries: 1,
  flags: 0,
  initial,
  frozen: true,
};
const data: MapSpec = { ...rodata, name: '.data', frozen: false };
const folded = (text: string) => decodeProgram(foldConstants(programOf(text), [rodata, data]).code);

describe('a constant of .rodata is in the code', () => {
  const rows: readonly (readonly [string, string, string])[] = [
    ['of one byte', 'r1 = map[0] value + 0\nr1 = *(u8 *)(r1 + 0)\nexit', 'w1 = 1\ngoto +0\ngoto +0\nexit'],
    ['of two', 'r2 = map[0] value + 2\nr2 = *(u16 *)(r2 + 0)\nexit', 'w2 = 65535\ngoto +0\ngoto +0\nexit'],
    [
      'of four',
      'r3 = map[0] value + 4\nr3 = *(u32 *)(r3 + 0)\nexit',
      'w3 = 0x7fffffff\ngoto +0\ngoto +0\nexit',
    ],
    ['of eight', 'r4 = map[0] value + 8\nr4 = *(u64 *)(r4 + 0)\nexit', 'w4 = 7\ngoto +0\ngoto +0\nexit'],
    ['at an offset', 'r4 = map[0] value + 4\nr4 = *(u64 *)(r4 + 4)\nexit', 'w4 = 7\ngoto +0\ngoto +0\nexit'],
  ];
  it.each(rows)('%s', (_, before, after) => expect(folded(before)).toEqual(assemble(after)));
});

describe('a load stays', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['of a map that can be written', 'r1 = map[1] value + 0\nr1 = *(u8 *)(r1 + 0)\nexit'],
    ['whose address is used again', 'r1 = map[0] value + 0\nr2 = *(u8 *)(r1 + 0)\nexit'],
    ['that is jumped to', 'r1 = map[0] value + 0\nload:\nr1 = *(u8 *)(r1 + 0)\nif r1 == 5 goto load\nexit'],
    ['of what has no room in an instruction', 'r1 = map[0] value + 16\nr1 = *(u32 *)(r1 + 0)\nexit'],
    ['with a sign', 'r1 = map[0] value + 2\nr1 = *(s16 *)(r1 + 0)\nexit'],
    ['that leaves the value', 'r1 = map[0] value + 18\nr1 = *(u32 *)(r1 + 0)\nexit'],
  ];
  it.each(rows)('%s', (_, text) => {
    const program = programOf(text);
    expect(foldConstants(program, [rodata, data])).toBe(program);
  });
});
