import * as fc from 'fast-check';
import { expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import { interpret } from '../engine/interpreter.js';
import { instantiateRuntime } from '../maps/runtime.js';
import { Arena } from '../memory/arena.js';
import { compileProgram, instantiateProgram } from './compile.js';

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
