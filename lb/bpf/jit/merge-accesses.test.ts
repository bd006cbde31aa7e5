import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import { interpret } from '../engine/interpreter.js';
import type { HelperUser } from '../helpers/prototypes.js';
import { instantiateRuntime } from '../maps/runtime.js';
import { Arena } from '../memory/arena.js';
import { analyse } from './analyse.js';
import { splitFunctions } from './cfg.js';
import { compileProgram, instantiateProgram } from './compile.js';
import { mergeAccesses } from './merge-accesses.js';

/** Loads and stores that are left: what, how long, and where behind the register. */
function accessesOf(text: string, type: HelperUser = 'xdp'): string[] {
  const functions = analyse(splitFunctions(assemble(text)), [], new Set(), type);
  const instructions = functions.flatMap((fn) =>
    mergeAccesses(fn).blocks.flatMap((block) => block.instructions),
  );
  return instructions.flatMap((each) => {
    if (each.kind === 'load') return [`load${each.bytes} r${each.src}+${each.off}`];
    if (each.kind === 'store')
      return [
        `store${each.bytes} r${each.dst}+${each.off}${each.src.kind === 'imm' ? ` = ${each.src.value}` : ''}`,
      ];
    return each.kind === 'swap' ? [`be${each.bits}`] : [];
  });
}

const u8 = (to: number, at: number, from = 1) => `r${to} = *(u8 *)(r${from} + ${at})`;
const put = (at: number, what: string | number, to = 1) => `*(u8 *)(r${to} + ${at}) = ${what}`;

/** r1, the context, becomes the pointer to the packet that it has. */
const PACKET = 'r1 = *(u32 *)(r1 + 0)';
/** r0 and r2 are two bytes of a number, to which r3 is added. */
const SUM = ['w2 <<= 8', 'w0 |= w2', 'r0 += r3'];

describe('mergeAccesses', () => {
  const rows: readonly (readonly [name: string, lines: readonly string[], left: readonly string[]])[] = [
    [
      'two bytes in the order of the machine',
      [u8(0, 5), u8(2, 6), 'w2 <<= 8', 'w0 |= w2', 'exit'],
      ['load2 r1+5'],
    ],
    [
      'two bytes in network order are as good as any',
      [u8(0, 5), u8(2, 6), 'w0 <<= 8', 'w0 |= w2', 'exit'],
      ['load1 r1+5', 'load1 r1+6'],
    ],
    [
      'four bytes in network order',
      [
        ...[u8(0, 5), u8(2, 6), u8(3, 7), u8(4, 8), 'w0 <<= 24', 'w2 <<= 16', 'w3 <<= 8'],
        ...['w0 |= w2', 'w3 |= w4', 'w0 |= w3', 'exit'],
      ],
      ['load4 r1+5', 'be32'],
    ],
    [
      'four, with the register of the address gone before the last',
      [
        u8(0, 3),
        'w0 <<= 24',
        u8(2, 2),
        'w2 <<= 16',
        'w0 |= w2',
        u8(2, 1),
        'w2 <<= 8',
        u8(1, 0),
        'w1 |= w2',
        'w0 += w1',
        'exit',
      ],
      ['load4 r1+0'],
    ],
    [
      'eight out of two halves, put together with other signs',
      [
        'r0 = *(u32 *)(r1 + 4)',
        'r0 <<= 32',
        'r2 = *(u16 *)(r1 + 2)',
        'r2 <<= 16',
        'r3 = *(u16 *)(r1 + 0)',
        'r2 ^= r3',
        'r0 += r2',
        'exit',
      ],
      ['load8 r1+0'],
    ],
    [
      'a byte that is used by itself too is loaded too',
      [
        ...[u8(0, 5), u8(2, 6), 'r3 = r2', 'w2 <<= 8', 'w0 |= w2'],
        ...['r2 = *(u16 *)(r1 + 7)', 'w2 <<= 16', 'w0 |= w2', 'r0 += r3', 'exit'],
      ],
      ['load4 r1+5', 'load1 r1+6'],
    ],
    [
      'where that makes no fewer, they stay',
      [u8(0, 5), u8(2, 6), 'r3 = r2', 'w2 <<= 8', 'w0 |= w2', 'r0 += r3', 'exit'],
      ['load1 r1+5', 'load1 r1+6'],
    ],
    [
      'addresses that constants tell to be neighbours',
      ['r4 = r1', 'r4 += 6', u8(0, 5), u8(2, 0, 4), 'w2 <<= 8', 'w0 |= w2', 'exit'],
      ['load2 r1+5'],
    ],
    [
      'three bytes are no load: two of them are',
      [u8(0, 5), u8(2, 6), 'w2 <<= 8', 'w0 |= w2', u8(2, 7), 'w2 <<= 16', 'w0 |= w2', 'exit'],
      ['load2 r1+5', 'load1 r1+7'],
    ],
    [
      'a store in between that may be to one of them',
      [u8(0, 5), 'r3 = *(u64 *)(r1 + 64)', put(0, 1, 3), u8(2, 6), 'w2 <<= 8', 'w0 |= w2', 'exit'],
      ['load1 r1+5', 'load8 r1+64', 'store1 r3+0 = 1', 'load1 r1+6'],
    ],
    [
      'a store in between that is to neither',
      [u8(0, 5), put(7, 1), u8(2, 6), 'w2 <<= 8', 'w0 |= w2', 'exit'],
      ['load2 r1+5', 'store1 r1+7 = 1'],
    ],
    [
      'a call in between',
      ['r6 = r1', u8(7, 5, 6), 'call 7', u8(2, 6, 6), 'w2 <<= 8', 'w7 |= w2', 'r0 = r7', 'exit'],
      ['load1 r6+5', 'load1 r6+6'],
    ],
    [
      'a branch in between',
      [u8(0, 5), 'if r0 == 0 goto +1', u8(0, 6), 'r2 = 0', 'w2 <<= 8', 'w0 |= w2', 'exit'],
      ['load1 r1+5', 'load1 r1+6'],
    ],
    [
      'a byte with its sign is another value above',
      ['r0 = *(s8 *)(r1 + 6)', 'r0 <<= 8', u8(2, 5), 'r0 |= r2', 'exit'],
      ['load1 r1+6', 'load1 r1+5'],
    ],
    [
      'its sign cut off, it is the byte',
      ['r0 = *(s8 *)(r1 + 6)', 'w0 <<= 8', 'w0 &= 0xff00', u8(2, 5), 'w0 |= w2', 'exit'],
      ['load2 r1+5'],
    ],
    [
      'the sign of a byte is not the byte behind it',
      ['r0 = *(s8 *)(r1 + 5)', 'r0 >>= 8', 'w0 &= 255', u8(2, 7), 'w2 <<= 8', 'w0 |= w2', 'exit'],
      ['load1 r1+5', 'load1 r1+7'],
    ],
    [
      'not shifted by whole bytes',
      [u8(0, 5), u8(2, 6), 'w2 <<= 7', 'w0 += w2', 'exit'],
      ['load1 r1+5', 'load1 r1+6'],
    ],
    [
      'constants',
      [put(5, 1), put(6, 2), put(4, 3), put(3, -1), 'r0 = 0', 'exit'],
      ['store4 r1+3 = 33620991'],
    ],
    [
      'constants that no immediate holds',
      ['*(u32 *)(r1 + 5) = 1', '*(u32 *)(r1 + 9) = 2', 'r0 = 0', 'exit'],
      ['store8 r1+5'],
    ],
    [
      'the bytes of a register',
      [put(5, 'r2'), 'r3 = r2', 'r3 >>= 8', put(6, 'r3'), 'r0 = 0', 'exit'],
      ['store2 r1+5'],
    ],
    [
      'the upper bytes of a register, in network order',
      [
        'r3 = r2',
        'r3 >>= 56',
        put(3, 'r3'),
        'r3 = r2',
        'r3 >>= 48',
        put(4, 'r3'),
        'r3 = r2',
        'r3 >>= 40',
        put(5, 'r3'),
        'r2 >>= 32',
        put(6, 'r2'),
        'r0 = 0',
        'exit',
      ],
      ['be32', 'store4 r1+3'],
    ],
    [
      'bytes that are copied',
      [u8(2, 8), put(0, 'r2'), u8(2, 9), put(1, 'r2'), 'r0 = 0', 'exit'],
      ['load2 r1+8', 'store2 r1+0'],
    ],
    [
      'bytes that are copied onto what is copied next',
      [u8(2, 1), put(0, 'r2'), u8(2, 0), put(1, 'r2'), 'r0 = 0', 'exit'],
      ['load1 r1+1', 'store1 r1+0', 'load1 r1+0', 'store1 r1+1'],
    ],
    [
      'a load in between that may see one of them',
      [put(5, 1), 'r0 = *(u32 *)(r2 + 0)', put(6, 2), 'exit'],
      ['store1 r1+5 = 1', 'load4 r2+0', 'store1 r1+6 = 2'],
    ],
    [
      'a store to another object in between keeps its place',
      [put(5, 1), 'r3 = *(u32 *)(r2 + 0)', put(0, 9, 3), put(6, 2), 'r0 = 0', 'exit'],
      ['store1 r1+5 = 1', 'load4 r2+0', 'store1 r3+0 = 9', 'store1 r1+6 = 2'],
    ],
    [
      'a store in between to the same object keeps its place too: other CPUs may see it',
      [put(5, 1), put(0, 9), put(6, 2), 'r0 = 0', 'exit'],
      ['store1 r1+5 = 1', 'store1 r1+0 = 9', 'store1 r1+6 = 2'],
    ],
    [
      'a load in between that other CPUs may have stored something for',
      [u8(0, 5), u8(3, 0), u8(2, 6), 'w2 <<= 8', 'w0 |= w2', 'r0 += r3', 'exit'],
      ['load1 r1+5', 'load1 r1+0', 'load1 r1+6'],
    ],
    [
      'no other CPU sees the packet',
      [PACKET, put(5, 1), put(0, 9), put(6, 2), u8(0, 8), u8(3, 0), u8(2, 9), ...SUM, 'exit'],
      ['load4 r1+0', 'store1 r1+0 = 9', 'store2 r1+5 = 513', 'load2 r1+8', 'load1 r1+0'],
    ],
    [
      'nor behind a number of bytes, in another register',
      [
        PACKET,
        'r4 = *(u8 *)(r1 + 20)',
        'r4 += r1',
        'r4 -= 3',
        'r6 = r4',
        put(5, 1, 6),
        put(0, 9, 6),
        put(6, 2, 6),
        'r0 = 0',
        'exit',
      ],
      ['load4 r1+0', 'load1 r1+20', 'store1 r6+0 = 9', 'store2 r6+5 = 513'],
    ],
    [
      'a length is no pointer into the packet: what it is added to is what it was',
      [
        'r2 = *(u32 *)(r1 + 4)',
        'r3 = *(u32 *)(r1 + 0)',
        'r2 -= r3',
        'r4 = *(u64 *)(r1 + 24)',
        'r4 += r2',
        put(5, 1, 4),
        put(0, 9, 4),
        put(6, 2, 4),
        'r0 = 0',
        'exit',
      ],
      ['load4 r1+4', 'load4 r1+0', 'load8 r1+24', 'store1 r4+5 = 1', 'store1 r4+0 = 9', 'store1 r4+6 = 2'],
    ],
    [
      'other fields of the context are no pointers',
      ['r1 = *(u32 *)(r1 + 12)', put(5, 1), put(0, 9), put(6, 2), 'r0 = 0', 'exit'],
      ['load4 r1+12', 'store1 r1+5 = 1', 'store1 r1+0 = 9', 'store1 r1+6 = 2'],
    ],
    [
      'the same byte twice: the last one is the last',
      [put(5, 1), put(6, 2), put(5, 3), 'r0 = 0', 'exit'],
      ['store2 r1+5 = 513', 'store1 r1+5 = 3'],
    ],
    [
      'the stack is left to its locals',
      [put(-8 + 16, 1).replace('r1 + 8', 'r10 - 8'), '*(u8 *)(r10 - 7) = 2', 'r0 = 0', 'exit'],
      ['store1 r10+-8 = 1', 'store1 r10+-7 = 2'],
    ],
    [
      'an atomic instruction in between',
      [put(5, 1), 'lock *(u64 *)(r1 + 64) += r2', put(6, 2), 'r0 = 0', 'exit'],
      ['store1 r1+5 = 1', 'store1 r1+6 = 2'],
    ],
  ];
  for (const [name, lines, left] of rows) it(name, () => expect(accessesOf(lines.join('\n'))).toEqual(left));

  it.each([
    ['xdp', 4, true],
    ['xdp', 8, true],
    ['xdp', 76, false],
    ['sched_cls', 76, true],
    ['sched_cls', 80, true],
    ['sched_cls', 140, true],
    ['sched_cls', 0, false],
  ] as const)('the context of %s has a pointer into the packet at %i: %s', (type, field, isPacket) => {
    const stores = [put(5, 1), put(0, 9), put(6, 2)];
    const left = accessesOf([`r1 = *(u32 *)(r1 + ${field})`, ...stores, 'r0 = 0', 'exit'].join('\n'), type);
    expect(left.length).toBe(isPacket ? 3 : 4);
  });

  it('what a function is called with is not the context', () => {
    const stores = [put(5, 1), put(0, 9), put(6, 2)];
    const text = ['call +1', 'exit', PACKET, ...stores, 'r0 = 0', 'exit'];
    expect(accessesOf(text.join('\n'))).toEqual([
      'load4 r1+0',
      'store1 r1+5 = 1',
      'store1 r1+0 = 9',
      'store1 r1+6 = 2',
    ]);
  });
});

it.each([2, 3, 4, 5, 6, 7, 8, 9, 12, 15])('nothing behind the last of %i bytes is touched', (count) => {
  const arena = Arena.create({ workers: 1, mapsBytes: 4096, ringsBytes: 4096 });
  const runtime = instantiateRuntime(arena.memory, 0);
  const copied = Array.from({ length: count }, (_, at) => [u8(2, at), put(at, 'r2', 3)]).flat();
  const summed = Array.from({ length: count }, (_, at) => [
    u8(2, at),
    `r2 <<= ${8 * (at % 4)}`,
    'r0 += r2',
  ]).flat();
  const whole = (from: number) => [u8(2, from), u8(4, from + 1), 'w4 <<= 8', 'w2 |= w4', 'r0 += r2'];
  const text = [
    'r3 = r2',
    'r0 = 0',
    ...summed,
    ...whole(count - 2),
    ...copied,
    ...[0, 1].map((at) => put(count - 2 + at, at)),
    'exit',
  ];
  const instructions = assemble(text.join('\n'));
  const { wasm } = compileProgram(instructions, []);
  const { u8: memory } = arena;
  // Past the end of the memory an access traps.
  const [from, to] = [memory.length - count, memory.length - 2 * count];
  const results = [
    instantiateProgram(new WebAssembly.Module(wasm), runtime),
    interpret(instructions, { runtime, maps: [] }),
  ].flatMap(({ call }) =>
    [
      [from, to],
      [to, from],
    ].map(([source = 0, target = 0]) => {
      for (let at = to; at < memory.length; at++) memory[at] = at * 7;
      const result = call(BigInt(source), BigInt(target));
      return `${result} ${Buffer.from(memory.subarray(to)).toString('hex')}`;
    }),
  );
  expect(results.slice(0, 2)).toEqual(results.slice(2));
});
