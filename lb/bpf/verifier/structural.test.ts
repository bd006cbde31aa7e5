import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import type { HelperPrototype } from '../helpers/prototypes.js';
import type { Instruction } from '../isa/instruction.js';
import { POISON_HELPER } from '../isa/opcodes.js';
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

/** The same, every second one by its address. */
const chainOfCallbacks = (frames: number) => {
  // A call takes a slot, an address two, and each function ends in one more.
  const starts = [0];
  for (let n = 0; n < frames; n++) starts.push(starts[n]! + (n % 2 === 0 ? 3 : 2));
  return Array.from({ length: frames }, (_, n) => {
    const next = n % 2 === 0 ? `r1 = function ${starts[n + 1]}` : `call f${n + 1}`;
    return `f${n}:\n${n + 1 < frames ? next : ''}\nexit`;
  }).join('\n');
};

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
    ['callbacks and calls down to the last frame', chainOfCallbacks(MAX_FRAMES)],
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

  it('one frame more, of a callback', () => {
    expect(check(chainOfCallbacks(MAX_FRAMES + 1))).toEqual({
      code: 'STRUCTURE_CALL_DEPTH',
      slot: 18,
      frames: MAX_FRAMES,
    });
  });

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

describe('what is not offered', () => {
  const helper = (id: number): HelperPrototype | undefined =>
    (
      [
        { id: 1, name: 'bpf_one', args: [], result: 'integer', users: ['xdp'] },
        { id: 2, name: 'bpf_two', args: [], result: 'integer', users: [], notOffered: 'of the kernel alone' },
      ] satisfies HelperPrototype[]
    ).find((row) => row.id === id);
  const maps = [{ constants: Uint8Array.of(0, 0, 0, 0, 1, 0, 0, 0) }];
  const poisoned = [{ slot: 0, why: 'no field of this name' }];
  const refuse = (text: string, programType?: string) =>
    faultOf(() =>
      checkStructure(assemble(text), {
        helper,
        maps,
        poisoned,
        ...(programType === undefined ? {} : { programType }),
      }),
    );
  const unknown = (slot: number) => ({ code: 'STRUCTURE_HELPER', slot, helper: 3 });
  const poison = (slot: number) => ({ code: 'STRUCTURE_POISON', slot });
  const rows: readonly (readonly [string, string, string | undefined, unknown])[] = [
    ['a helper that is known', 'call 1\nexit', 'xdp', undefined],
    ['a helper that is not known', 'call 3\nexit', undefined, unknown(0)],
    [
      'a helper that is not offered',
      'call 2\nexit',
      'xdp',
      { code: 'STRUCTURE_HELPER_NOT_OFFERED', slot: 0, helper: 'bpf_two' },
    ],
    [
      'a helper of another type',
      'call 1\nexit',
      'sched_cls',
      { code: 'STRUCTURE_HELPER_TYPE', slot: 0, helper: 'bpf_one', programType: 'sched_cls' },
    ],
    ['poison', `call ${POISON_HELPER}\nexit`, 'xdp', poison(0)],
    [
      'LD_ABS in XDP',
      'r0 = *(u8 *)skb[0]\nexit',
      'xdp',
      { code: 'STRUCTURE_PACKET_LOAD', slot: 0, programType: 'xdp' },
    ],
    [
      'LD_IND in a program of no type',
      'r0 = *(u8 *)skb[r1 + 0]\nexit',
      undefined,
      { code: 'STRUCTURE_PACKET_LOAD', slot: 0, programType: undefined },
    ],
    ['LD_ABS in TC', 'r0 = *(u8 *)skb[0]\nexit', 'sched_cls', undefined],
    ['LD_ABS in an action', 'r0 = *(u8 *)skb[0]\nexit', 'sched_act', undefined],
    ['dead: behind the end', 'exit\ncall 3\nexit', 'xdp', undefined],
    ['dead: a branch on constants', 'r1 = 0\nif r1 == 0 goto over\ncall 3\nover:\nexit', 'xdp', undefined],
    [
      'not dead: a branch on what is not known',
      'if r1 == 0 goto over\ncall 3\nover:\nexit',
      'xdp',
      unknown(1),
    ],
    [
      'not dead: a constant on one way only',
      'r2 = 0\nif r1 == 0 goto both\nr2 = 1\nboth:\nif r2 == 0 goto over\ncall 3\nover:\nexit',
      'xdp',
      unknown(4),
    ],
    [
      'not dead: a call forgets r0 to r5',
      'r2 = 0\ncall 1\nif r2 == 0 goto over\ncall 3\nover:\nexit',
      'xdp',
      unknown(3),
    ],
    ['dead: a call keeps r6', 'r6 = 0\ncall 1\nif r6 == 0 goto over\ncall 3\nover:\nexit', 'xdp', undefined],
    [
      'dead: a frozen map says so',
      'r1 = map[0] value + 0\nr1 = *(u32 *)(r1 + 0)\nif r1 == 0 goto over\ncall 3\nover:\nexit',
      'xdp',
      undefined,
    ],
    [
      'not dead: a frozen map says so',
      'r1 = map[0] value + 0\nr1 = *(u8 *)(r1 + 4)\nif r1 == 0 goto over\ncall 3\nover:\nexit',
      'xdp',
      unknown(4),
    ],
    ['dead: a function that only dead code calls', 'exit\ncall f\nexit\nf:\ncall 3\nexit', 'xdp', undefined],
    ['not dead: a function that is called', 'call f\nexit\nf:\ncall 3\nexit', 'xdp', unknown(2)],
    ['not dead: a callback', 'r1 = function 3\nexit\ncall 3\nexit', 'xdp', unknown(3)],
    [
      'not dead: the second round of a loop',
      'r1 = 0\nagain:\nif r1 == 1 goto out\nr1 = 1\ngoto again\nout:\ncall 3\nexit',
      'xdp',
      unknown(4),
    ],
  ];
  for (const [name, text, type, fault] of rows) it(name, () => expect(refuse(text, type)).toEqual(fault));

  it('of the kernel’s own table', () => {
    expect(check('call 4\nexit')).toMatchObject({
      code: 'STRUCTURE_HELPER_NOT_OFFERED',
      helper: 'bpf_probe_read',
    });
    expect(check('call 9999\nexit')).toMatchObject({ code: 'STRUCTURE_HELPER', helper: 9999 });
    expect(() => checkStructure(assemble('call 9999\nexit'))).toThrow('helper 9999 is not known');
  });

  it('the message says why a relocation found nothing', () => {
    const program = assemble(`call ${POISON_HELPER}\nexit`);
    expect(() => checkStructure(program, { poisoned })).toThrow('no field of this name');
  });
});
