import * as fc from 'fast-check';
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

/** Bytes behind r1 that programs work on; the pointer to them that programs load is behind. */
const AREA = 32;
const SAVED_POINTER = 48;
/** The context, from the area on. */
const CONTEXT = 64;
const AREA_START = 3;
const SCALARS = [2, 3, 4, 5] as const;
const scalar = fc.constantFrom(...SCALARS);
/**
 * r1 and r6 are told to be the same object; r7 is the same one too, and nothing tells it; r8 is on the stack, and r9,
 * of which nothing tells that it is not r1, is there too.
 */
const base = fc.constantFrom(
  { register: 1, moved: 0 },
  { register: 1, moved: 0 },
  { register: 6, moved: 7 },
  { register: 7, moved: 3 },
  { register: 8, moved: 0 },
  { register: 9, moved: 0 },
);
const bytes = fc.constantFrom(1, 1, 1, 1, 2, 4, 8);
const place = fc.tuple(base, bytes).chain(([{ register, moved }, size]) =>
  fc.integer({ min: 0, max: AREA - size }).map((at) => ({
    size,
    text: (distance = 0) => {
      const off = Math.min(at + distance, AREA - size) - moved;
      return `(r${register} ${off < 0 ? '-' : '+'} ${Math.abs(off)})`;
    },
  })),
);
const width = fc.constantFrom('r', 'w');

/** Puts bytes together, or takes a register apart, as compilers do: in any order, with other code in between. */
const assembled = (
  reverse: boolean,
  sign: string,
  letter: string,
  count: number,
  start: string[],
): string[] =>
  Array.from({ length: count }, (_, index) => {
    const shift = 8 * (reverse ? count - 1 - index : index);
    return [
      start[index]!,
      ...(shift > 0 ? [`${letter}3 <<= ${shift}`] : []),
      `${letter}2 ${sign} ${letter}3`,
    ];
  }).flat();

const plain: fc.Arbitrary<readonly string[]> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        fc.boolean(),
        fc.constantFrom('|=', '+=', '^='),
        width,
        fc.constantFrom(2, 3, 4, 8),
        place,
        fc.boolean(),
      )
      .map(([reverse, sign, letter, count, { text }, signed]) => [
        'r2 = 0',
        ...assembled(
          reverse,
          sign,
          letter,
          count,
          Array.from(
            { length: count },
            (_, at) => `r3 = *(${signed && at === 0 ? 's8' : 'u8'} *)${text(at)}`,
          ),
        ),
      ]),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(fc.boolean(), width, fc.constantFrom(2, 3, 4, 8), place, scalar)
      .map(([reverse, letter, count, { text }, of]) =>
        Array.from({ length: count }, (_, index) => {
          const shift = 8 * (reverse ? count - 1 - index : index);
          return [
            `r4 = r${of}`,
            ...(shift > 0 ? [`${letter}4 >>= ${shift}`] : []),
            `*(u8 *)${text(index)} = r4`,
          ];
        })
          .flat()
          .flatMap((each) => (of === 4 ? each.replaceAll('r4', 'r5').replaceAll('w4', 'w5') : each)),
      ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(place, place, fc.constantFrom(2, 4, 6, 8), fc.boolean())
      .map(([from, to, count, reverse]) =>
        Array.from({ length: count }, (_, index) => {
          const at = reverse ? count - 1 - index : index;
          return [`r4 = *(u8 *)${from.text(at)}`, `*(u8 *)${to.text(at)} = r4`];
        }).flat(),
      ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(place, fc.array(fc.integer({ min: -2, max: 300 }), { minLength: 2, maxLength: 8 }))
      .map(([{ text }, values]) => values.map((value, at) => `*(u8 *)${text(at)} = ${value}`)),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(scalar, place, fc.boolean())
      .map(([to, { size, text }, signed]) => [
        `r${to} = *(${signed && size < 8 ? 's' : 'u'}${8 * size} *)${text()}`,
      ]),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        place,
        fc.oneof(
          scalar.map((each) => `r${each}`),
          fc.integer({ min: -3, max: 0x7fffffff }).map(String),
        ),
      )
      .map(([{ size, text }, what]) => [`*(u${8 * size} *)${text()} = ${what}`]),
  },
  {
    weight: 4,
    arbitrary: fc
      .tuple(
        width,
        scalar,
        fc.constantFrom('+=', '-=', '|=', '&=', '^=', '=', '<<=', '>>=', 's>>='),
        fc.oneof(scalar, fc.constantFrom(0, 1, 7, 8, 16, 24, 32, 48, 255, 0xff00, -1)),
        fc.boolean(),
      )
      .map(([letter, to, sign, operand, isRegister]) => [
        isRegister && (SCALARS as readonly number[]).includes(operand)
          ? `${letter}${to} ${sign} ${letter}${operand}`
          : `${letter}${to} ${sign} ${sign.endsWith('>>=') || sign === '<<=' ? operand & 31 : operand}`,
      ]),
  },
  {
    weight: 2,
    arbitrary: fc
      .tuple(fc.constantFrom('be', 'le', 'bswap'), fc.constantFrom(16, 32, 64), scalar)
      .map(([op, bits, to]) => [`r${to} = ${op}${bits} r${to}`]),
  },
  { weight: 1, arbitrary: fc.tuple(scalar, scalar).map(([to, from]) => [`r${to} = (s8)r${from}`]) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(fc.integer({ min: 0, max: AREA / 8 - 1 }), scalar)
      .map(([word, of]) => [`lock *(u64 *)(r1 + ${8 * word}) += r${of}`]),
  },
  { weight: 1, arbitrary: scalar.map((each) => [`if r${each} s> 7 goto +0`]) },
);

/** A call, with the registers that it takes along as they were, but for r3 to r5. */
const call = fc.constant([
  '*(u64 *)(r10 - 72) = r2',
  'call 7',
  'r1 = *(u64 *)(r10 - 64)',
  ...SCALARS.map((to) => `r${to} = *(u64 *)(r10 - 72)`),
]);

/** One thing, or one in the midst of another. */
const line = fc.oneof(
  { weight: 9, arbitrary: plain },
  { weight: 1, arbitrary: call },
  {
    weight: 9,
    arbitrary: fc
      .tuple(plain, fc.oneof({ weight: 9, arbitrary: plain }, { weight: 1, arbitrary: call }), fc.nat(24))
      .map(([outer, inner, at]) => [
        ...outer.slice(0, at % outer.length),
        ...inner,
        ...outer.slice(at % outer.length),
      ]),
  },
);

const START = [
  '*(u64 *)(r10 - 64) = r1',
  'r6 = r1',
  'r6 += 7',
  `r7 = *(u64 *)(r1 + ${SAVED_POINTER})`,
  'r8 = r10',
  `r8 += -${AREA}`,
  'r9 = r1',
  'r2 = *(u8 *)(r1 + 0)',
  `if r2 != ${AREA_START} goto +1`,
  'r9 = r8',
  ...Array.from({ length: AREA / 8 }, (_, word) => `*(u64 *)(r10 - ${AREA - 8 * word}) = ${word * 77}`),
  ...SCALARS.map((each) => `r${each} = ${each * 0x1234567}`),
];
const END = [
  'r0 = 0',
  ...SCALARS.flatMap((each) => ['r0 *= 31', `r0 += r${each}`]),
  ...Array.from({ length: AREA }, (_, at) => [`r2 = *(u8 *)(r8 + ${at})`, 'r0 *= 31', 'r0 += r2']).flat(),
  'exit',
];

it('random loads and stores of neighbours, with what may come in between: the interpreter gives the same', () => {
  const arena = Arena.create({ workers: 1, mapsBytes: 4096, ringsBytes: 4096 });
  const runtime = instantiateRuntime(arena.memory, 0);
  const start = arena.rings.offset;
  const view = new DataView(arena.memory.buffer);
  view.setBigUint64(start + CONTEXT, BigInt(start), true);
  const area = new Uint8Array(arena.memory.buffer, start, AREA + 8);
  let fewer = 0;
  fc.assert(
    fc.property(fc.boolean(), fc.array(line, { minLength: 1, maxLength: 10 }), (isPacket, lines) => {
      const first = `r1 = *(${isPacket ? 'u32' : 'u64'} *)(r1 + 0)`;
      const instructions = assemble([first, ...START, ...lines.flat(), ...END].join('\n'));
      const run = (call: (r1: bigint, r2: bigint) => bigint) => {
        for (let at = 0; at < area.length; at++) area[at] = (at * 41 + AREA_START) & 0xff;
        view.setBigUint64(start + SAVED_POINTER, BigInt(start + 3), true);
        const result = BigInt.asUintN(64, call(BigInt(start + CONTEXT), 0n));
        return { result, area: Buffer.from(area).toString('hex') };
      };
      const { wasm } = compileProgram(instructions, []);
      const compiled = run(instantiateProgram(new WebAssembly.Module(wasm), runtime).call);
      expect(compiled).toEqual(run(interpret(instructions, { runtime, maps: [] }).call));
      const plain = compileProgram(instructions, [], { without: new Set(['merged-accesses']) });
      if (plain.wasm.length !== wasm.length) fewer += 1;
    }),
    { numRuns: 2000 },
  );
  // Programs that have nothing to merge would prove nothing.
  expect(fewer).toBeGreaterThan(1000);
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
