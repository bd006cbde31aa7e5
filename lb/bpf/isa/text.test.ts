import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import { anyInstruction } from '../../../test/support/instructions.js';
import { decodeProgram } from './codec.js';
import { formatInstruction, formatProgram } from './text.js';

const bytes = (hex: string) => Uint8Array.from(Buffer.from(hex.replaceAll(' ', ''), 'hex'));
const textOf = (hex: string) => formatInstruction(decodeProgram(bytes(hex))[0]!);

describe('formatInstruction writes what llvm-mc -disassemble writes', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['bf21080000000000', 'r1 = (s8)r2'],
    ['bc21080000000000', 'w1 = (s8)w2'],
    ['db210000f1000000', 'r0 = cmpxchg_64(r1 + 0, r0, r2)'],
    ['c3210000f1000000', 'w0 = cmpxchg32_32(r1 + 0, w0, w2)'],
    ['db21f8ff01000000', 'r2 = atomic_fetch_add((u64 *)(r1 - 8), r2)'],
    ['db21f8ffe1000000', 'r2 = xchg_64(r1 - 8, r2)'],
    ['c321f8ffe1000000', 'w2 = xchg32_32(r1 - 8, w2)'],
    ['c321f8ff41000000', 'w2 = atomic_fetch_or((u32 *)(r1 - 8), w2)'],
    ['c321f8ff40000000', 'lock *(u32 *)(r1 - 8) |= w2'],
    ['db21000000000000', 'lock *(u64 *)(r1 + 0) += r2'],
    ['7201000000000000', '*(u8 *)(r1 + 0) = 0'],
    ['72010000ffffffff', '*(u8 *)(r1 + 0) = -1'],
    ['9121000000000000', 'r1 = *(s8 *)(r2 + 0)'],
    ['2000000005000000', 'r0 = *(u32 *)skb[5]'],
    ['d701000010000000', 'r1 = bswap16 r1'],
    ['dc01000010000000', 'r1 = be16 r1'],
    ['d401000010000000', 'r1 = le16 r1'],
    ['8401000000000000', 'w1 = -w1'],
    ['8701000000000000', 'r1 = -r1'],
    ['b4010000ffffffff', 'w1 = -1'],
    ['3f21010000000000', 'r1 s/= r2'],
    ['3f21000000000000', 'r1 /= r2'],
    ['cf21000000000000', 'r1 s>>= r2'],
    ['0500feff00000000', 'goto -2'],
    ['4d21050000000000', 'if r1 & r2 goto +5'],
    ['66010500fbffffff', 'if w1 s> -5 goto +5'],
    ['8500000005000000', 'call 5'],
    ['9500000000000000', 'exit'],
  ];
  for (const [hex, text] of rows) it(text, () => expect(textOf(hex)).toBe(text));
});

describe('formatInstruction, where it is the kernel’s way or ours', () => {
  const rows: readonly (readonly [string, string, string])[] = [
    ['whole registers in a load', '6121040000000000', 'r1 = *(u32 *)(r2 + 4)'],
    ['whole registers in a store', '732a fcff 00000000', '*(u8 *)(r10 - 4) = r2'],
    ['LD_IND with its immediate', '48200000fbffffff', 'r0 = *(u16 *)skb[r2 - 5]'],
    ['64-bit immediates unsigned', '18010000ffffffff 00000000ffffffff', 'r1 = 0xffffffffffffffff ll'],
    ['maps by index', '1811000007000000 0000000000000000', 'r1 = map[7]'],
    ['values of maps', '1821000007000000 0000000010000000', 'r1 = map[7] value + 16'],
    ['functions by slot', '1841000007000000 0000000000000000', 'r1 = function 8'],
    ['variables by number', '1831000007000000 0000000000000000', 'r1 = variable 7'],
    ['local calls by distance', '8510000005000000', 'call +5'],
    ['load-acquire', 'd321080000010000', 'r1 = load_acquire((u8 *)(r2 + 8))'],
    ['store-release', 'db21080010010000', 'store_release((u64 *)(r1 + 8), r2)'],
  ];
  for (const [name, hex, text] of rows) it(name, () => expect(textOf(hex)).toBe(text));

  it('names helpers as it is told', () => {
    const call = decodeProgram(bytes('8500000001000000'))[0]!;
    expect(formatInstruction(call, { helper: (id) => `bpf_map_lookup_elem#${id}` })).toBe(
      'call bpf_map_lookup_elem#1',
    );
  });
});

it('is lossless: the text of any instruction assembles to it', () => {
  fc.assert(
    fc.property(anyInstruction, (instruction) => {
      expect(assemble(formatInstruction(instruction))).toEqual([instruction]);
    }),
    { numRuns: 1000 },
  );
});

it('formatProgram puts the slot before each line', () => {
  const code = bytes('1801000001000000 0000000000000000 9500000000000000');
  expect(formatProgram(decodeProgram(code))).toBe('     0: r1 = 0x1 ll\n     2: exit');
});
