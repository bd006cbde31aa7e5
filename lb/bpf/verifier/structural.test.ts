import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import type { Instruction } from '../isa/instruction.js';
import { checkStructure, MAX_FRAMES, StructureError } from './structural.js';

function faultOf(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    if (error instanceof StructureError) return error.fault;
    throw error;
  }
  return undefined;
}
const check = (text: string) => faultOf(() => checkStructure(assemble(text)));

/** A chain of functions, each calling the next. */
const chain = (frames: number) =>
  Array.from({ length: frames }, (_, n) => `f${n}:\n${n + 1 < frames ? `call f${n + 1}\n` : ''}exit`).join(
    '\n',
  );

describe('accepts', () => {
  const rows: readonly (readonly [string, string])[] = [
    ['a program that exits', 'exit'],
    ['a program that ends in a jump back', 'again:\nif r1 == 0 goto over\nexit\nover:\nr1 = 1\ngoto again'],
    ['a jump to its last instruction', 'if r1 == 0 goto +1\nr0 = 1\nexit'],
    ['a jump over LD_IMM64', 'if r1 == 0 goto +2\nr0 = 0x1 ll\nexit'],
    ['local calls', 'call f\nexit\nf:\nr0 = 1\nexit'],
    ['a function behind the one it calls', 'call b\nexit\na:\nr0 = 1\nexit\nb:\ncall a\nexit'],
    ['the address of a function', 'r1 = function 3\nexit\nr0 = 0\nexit'],
    ['a helper that is known', 'call 5\nexit'],
    ['r10 as a source', 'r1 = r10\n*(u64 *)(r10 - 8) = r10\nlock *(u64 *)(r1 - 8) += r10\nexit'],
    [`${MAX_FRAMES} frames`, chain(MAX_FRAMES)],
    ['two calls of one depth', 'call f\ncall f\ncall g\nexit\nf:\ncall g\nexit\ng:\nexit'],
    ['code that nothing reaches', 'exit\nr0 = 1\nexit'],
  ];
  for (const [name, text] of rows) it(name, () => expect(check(text)).toBeUndefined());
});

describe('refuses', () => {
  const jump = (slot: number, target: number) => ({ code: 'STRUCTURE_JUMP', slot, target });
  const rows: readonly (readonly [string, string, unknown])[] = [
    ['no program', '', { code: 'STRUCTURE_EMPTY' }],
    ['control past the end', 'r0 = 1', { code: 'STRUCTURE_FALL_THROUGH', slot: 0 }],
    ['control past the end after LD_IMM64', 'r0 = 0x1 ll', { code: 'STRUCTURE_FALL_THROUGH', slot: 0 }],
    ['a branch at the end', 'r0 = 1\nif r0 == 1 goto -2', { code: 'STRUCTURE_FALL_THROUGH', slot: 1 }],
    ['a call at the end', 'exit\ncall -2', { code: 'STRUCTURE_FALL_THROUGH', slot: 1 }],
    [
      'control from one function into the next',
      'call f\nr0 = 1\nf:\nexit',
      { code: 'STRUCTURE_FALL_THROUGH', slot: 1 },
    ],
    ['a jump one past the end', 'goto +1\nexit', jump(0, 2)],
    ['a jump before the start', 'goto -2\nexit', jump(0, -1)],
    ['a branch past the end', 'if r1 == 0 goto +1\nexit', jump(0, 2)],
    ['a jump into LD_IMM64', 'if r1 == 0 goto +1\nr0 = 0x1 ll\nexit', jump(0, 2)],
    ['a jump into another function', 'call f\nif r0 == 0 goto f\nexit\nf:\nexit', jump(1, 3)],
    ['a jump back into another function', 'call f\nexit\nf:\nif r0 == 0 goto -2\nexit', jump(2, 1)],
    ['a call past the end', 'call +1\nexit', { code: 'STRUCTURE_FUNCTION', slot: 0, target: 2 }],
    ['a call before the start', 'call -2\nexit', { code: 'STRUCTURE_FUNCTION', slot: 0, target: -1 }],
    [
      'a call into the middle of LD_IMM64',
      'call +1\nr0 = 0x1 ll\nexit',
      { code: 'STRUCTURE_FUNCTION', slot: 0, target: 2 },
    ],
    [
      'the address of a function that is not there',
      'r1 = function 9\nexit',
      { code: 'STRUCTURE_FUNCTION', slot: 0, target: 9 },
    ],
    ['a helper that is not known', 'call 4242\nexit', { code: 'STRUCTURE_HELPER', slot: 0, helper: 4242 }],
    [
      'recursion',
      'call f\nexit\nf:\ncall f\nexit',
      { code: 'STRUCTURE_CALL_DEPTH', slot: 2, frames: MAX_FRAMES },
    ],
    [
      'recursion of two',
      'call f\nexit\nf:\ncall g\nexit\ng:\ncall f\nexit',
      { code: 'STRUCTURE_CALL_DEPTH', slot: 2, frames: MAX_FRAMES },
    ],
    [
      `${MAX_FRAMES + 1} frames`,
      chain(MAX_FRAMES + 1),
      { code: 'STRUCTURE_CALL_DEPTH', slot: 14, frames: MAX_FRAMES },
    ],
  ];
  for (const [name, text, fault] of rows) {
    it(name, () => expect(check(text)).toEqual(fault));
  }

  it('a chain that is too long only from a second caller on', () => {
    // g's own chain is known to be 7 long when the deeper way to it is met.
    const tail = Array.from({ length: 6 }, (_, n) => `t${n}:\n${n < 5 ? `call t${n + 1}\n` : ''}exit`).join(
      '\n',
    );
    expect(check(`call g\ncall f\nexit\nf:\ncall g\nexit\ng:\ncall t0\nexit\n${tail}`)).toEqual({
      code: 'STRUCTURE_CALL_DEPTH',
      slot: 3,
      frames: MAX_FRAMES,
    });
  });
});

describe('the frame pointer', () => {
  const writes = [
    'r10 = 1',
    'r10 += 1',
    'r10 = -r10',
    'r10 = (s8)r1',
    'r10 = be16 r10',
    'r10 = 0x1 ll',
    'r10 = *(u64 *)(r1 + 0)',
    'r10 = load_acquire((u64 *)(r1 + 0))',
    'r10 = atomic_fetch_add((u64 *)(r1 + 0), r10)',
    'r10 = xchg_64(r1 + 0, r10)',
  ];
  for (const text of writes) {
    it(`is not to be written: ${text}`, () =>
      expect(check(`${text}\nexit`)).toEqual({ code: 'STRUCTURE_FRAME_POINTER', slot: 0 }));
  }
});

it('refuses slots that do not follow each other', () => {
  const program: Instruction[] = [
    { slot: 0, kind: 'neg', width: 64, dst: 1 },
    { slot: 2, kind: 'exit' },
  ];
  expect(faultOf(() => checkStructure(program))).toEqual({ code: 'STRUCTURE_HOLE', slot: 2, expected: 1 });
});

it('takes the helpers that it is given', () => {
  const program = assemble('call 4242\nexit');
  expect(faultOf(() => checkStructure(program, (id) => id === 4242))).toBeUndefined();
  expect(faultOf(() => checkStructure(assemble('call 5\nexit'), () => false))).toEqual({
    code: 'STRUCTURE_HELPER',
    slot: 0,
    helper: 5,
  });
});
