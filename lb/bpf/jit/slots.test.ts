import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import { interpret } from '../engine/interpreter.js';
import { instantiateRuntime } from '../maps/runtime.js';
import { Arena } from '../memory/arena.js';
import { type AnalysedFunction, analyse } from './analyse.js';
import { splitFunctions } from './cfg.js';
import { compileProgram, instantiateProgram } from './compile.js';
import { planSlots } from './slots.js';

const planOf = (text: string) => {
  const [fn] = analyse(splitFunctions(assemble(text)), []) as [AnalysedFunction, ...AnalysedFunction[]];
  const { needed, deadStores } = planSlots(fn, () => undefined);
  return { needed: [...needed].sort(), dead: [...deadStores].map(({ slot }) => slot) };
};

describe('planSlots', () => {
  const rows: readonly [string, string, ReturnType<typeof planOf>][] = [
    [
      'a store that is only loaded needs no memory',
      '*(u64 *)(r10 - 8) = r1\nr0 = *(u64 *)(r10 - 8)\nexit',
      { needed: ['-8:8'], dead: [0] },
    ],
    [
      'a constant needs no local either',
      '*(u64 *)(r10 - 8) = 5\nr0 = *(u64 *)(r10 - 8)\nexit',
      { needed: [], dead: [0] },
    ],
    ['a store that nobody loads', '*(u64 *)(r10 - 8) = r1\nr0 = 0\nexit', { needed: [], dead: [0] }],
    [
      'a load that no local serves keeps the stores that it may see, and no others',
      `r2 = *(u64 *)(r1 + 0)
       *(u64 *)(r10 - 8) = r2
       *(u64 *)(r10 - 16) = r2
       if r2 == 0 goto load
       *(u32 *)(r10 - 8) = r2
       load:
       r0 = *(u64 *)(r10 - 8)
       exit`,
      { needed: [], dead: [2] },
    ],
    [
      'a pointer that is spilled and loaded again is in sight',
      `*(u64 *)(r10 - 8) = 1
       *(u64 *)(r10 - 16) = r10
       r1 = *(u64 *)(r10 - 16)
       r0 = *(u64 *)(r1 - 8)
       exit`,
      { needed: ['-16:8'], dead: [0, 1] },
    ],
    [
      'one that only one way holds is not',
      `*(u64 *)(r10 - 8) = 1
       *(u64 *)(r10 - 16) = 2
       if r1 == 0 goto load
       *(u64 *)(r10 - 16) = r10
       load:
       r1 = *(u64 *)(r10 - 16)
       r0 = *(u64 *)(r1 - 8)
       exit`,
      { needed: ['-16:8'], dead: [] },
    ],
    [
      'nor is one that a callee may read',
      `*(u64 *)(r10 - 8) = 1
       *(u64 *)(r10 - 16) = r10
       r1 = r10
       r1 += -16
       call read
       exit
       read:
       r0 = *(u64 *)(r1 + 0)
       exit`,
      { needed: [], dead: [] },
    ],
    [
      'what a narrow store leaves of a wide one is used',
      `*(u64 *)(r10 - 8) = r1
       *(u16 *)(r10 - 6) = r2
       r0 = *(u32 *)(r10 - 4)
       r1 = *(u16 *)(r10 - 8)
       r0 += r1
       exit`,
      { needed: ['-8:8'], dead: [0, 1] },
    ],
    [
      'what a callee reads stays in memory',
      '*(u64 *)(r10 - 8) = r1\n*(u64 *)(r10 - 16) = r1\nr1 = r10\nr1 += -8\ncall read\nexit\nread:\nr0 = *(u64 *)(r1 + 0)\nexit',
      { needed: [], dead: [1] },
    ],
    [
      'a pointer out of sight keeps every store',
      '*(u64 *)(r10 - 8) = 1\n*(u64 *)(r1 + 0) = r10\nr0 = *(u64 *)(r10 - 8)\nexit',
      { needed: [], dead: [] },
    ],
  ];
  for (const [name, text, plan] of rows) it(name, () => expect(planOf(text)).toEqual(plan));
});

/** Random code on 32 bytes of stack: stores and loads of every width, direct and not, branches and calls. */
const FRAME = 32;
const register = fc.integer({ min: 6, max: 9 });
const bytes = fc.constantFrom(1, 2, 4, 8);
const place = bytes.chain((size) => fc.tuple(fc.constant(size), fc.integer({ min: size, max: FRAME })));
const value = fc.oneof(
  register.map((each) => `r${each}`),
  fc.integer({ min: -3, max: 0x7fffffff }).map(String),
);
type Line = (label: () => string) => string;
const line: fc.Arbitrary<Line> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(place, value).map(
      ([[size, at], what]): Line =>
        () =>
          `*(u${size * 8} *)(r10 - ${at}) = ${what}`,
    ),
  },
  {
    weight: 6,
    arbitrary: fc.tuple(register, place, fc.boolean()).map(
      ([to, [size, at], signed]): Line =>
        () =>
          `r${to} = *(${signed && size < 8 ? 's' : 'u'}${size * 8} *)(r10 - ${at})`,
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(register, value).map(
      ([to, what]): Line =>
        () =>
          `r${to} += ${what}`,
    ),
  },
  {
    weight: 3,
    arbitrary: fc.tuple(register, fc.integer({ min: 0, max: 5 })).map(
      ([of, skip]): Line =>
        (label) =>
          `r1 = r${of}\nr1 &= 1\nif r1 == 0 goto ${label()}_${skip}`,
    ),
  },
  {
    weight: 2,
    arbitrary: fc.tuple(place, value, fc.integer({ min: -16, max: 16 })).map(
      ([[size, at], what, off]): Line =>
        () =>
          `r2 = r10\nr2 += ${-at - off}\n*(u${size * 8} *)(r2 ${off < 0 ? '-' : '+'} ${Math.abs(off)}) = ${what}`,
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(register, fc.integer({ min: 9, max: FRAME }), fc.constantFrom('write', 'read')).map(
      ([of, at, callee]): Line =>
        () =>
          `r1 = r10\nr1 += ${-at}\nr2 = r${of}\ncall ${callee}\nr${of} = r0`,
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(register, fc.integer({ min: 8, max: FRAME })).map(
      ([of, at]): Line =>
        () =>
          `lock *(u64 *)(r10 - ${(at + 7) & ~7}) += r${of}`,
    ),
  },
);

/** A branch may skip up to five of the lines that follow. */
function textOf(lines: readonly Line[], start: readonly string[] = []): string {
  const code: string[] = [...start];
  for (let at = -FRAME; at < 0; at += 8) code.push(`*(u64 *)(r10 - ${-at}) = ${at}`);
  for (const each of [6, 7, 8, 9]) code.push(`r${each} = ${each * 1001}`);
  const ends: string[][] = Array.from({ length: lines.length + 1 }, () => []);
  const body = lines.map((each, index) =>
    each(() => 'l').replace(/goto l_(\d)/, (_, skip: string) => {
      ends[Math.min(index + 1 + Number(skip), lines.length)]!.push(
        `from_${String.fromCharCode(97 + (index % 26))}${index}`,
      );
      return `goto from_${String.fromCharCode(97 + (index % 26))}${index}`;
    }),
  );
  for (const [index, text] of body.entries()) code.push(...ends[index]!.map((label) => `${label}:`), text);
  code.push(...ends[lines.length]!.map((label) => `${label}:`));
  code.push('r0 = r6');
  for (const each of [7, 8, 9]) code.push('r0 *= 31', `r0 += r${each}`);
  for (let at = FRAME; at > 0; at--) code.push(`r1 = *(u8 *)(r10 - ${at})`, 'r0 *= 31', 'r0 += r1');
  code.push('exit', 'write:', '*(u32 *)(r1 + 1) = r2', 'r0 = r2', 'exit');
  code.push('read:', 'r0 = *(u64 *)(r1 + 1)', 'exit');
  code.push('poke:', 'r1 = *(u64 *)(r1 + 0)', '*(u32 *)(r1 + 0) = r2', 'r0 = r2', 'exit');
  // What a program does not call is no function of it.
  const end = code.indexOf('write:');
  const main = code.slice(0, end);
  const callees = code.slice(end);
  return [...main, ...callees].join('\n');
}

it('random use of the frame: the interpreter gives the same', () => {
  const arena = Arena.create({ workers: 1, mapsBytes: 4096, ringsBytes: 0 });
  const runtime = instantiateRuntime(arena.memory, 0);
  let escaped = 0;
  fc.assert(
    fc.property(fc.array(line, { minLength: 5, maxLength: 40 }), (lines) => {
      const instructions = assemble(textOf(lines));
      const { wasm } = compileProgram(instructions, []);
      const compiled = instantiateProgram(new WebAssembly.Module(wasm), runtime).call(0n, 0n);
      const interpreted = interpret(instructions, { runtime, maps: [] }).call(0n, 0n);
      expect(BigInt.asUintN(64, compiled)).toBe(BigInt.asUintN(64, interpreted));
      if (analyse(splitFunctions(instructions), [])[0]!.isEscaped) escaped += 1;
    }),
    { numRuns: 1500 },
  );
  // None of it hides a pointer: it is the tracking that is tested.
  expect(escaped).toBe(0);
});

/** Two pointers to the frame are spilled below it: changed, used, used by callees, or one of them on one way alone. */
const spill = fc.constantFrom(FRAME + 8, FRAME + 16);
const pointerLine: fc.Arbitrary<Line> = fc.oneof(
  { weight: 3, arbitrary: line },
  {
    weight: 1,
    arbitrary: fc.tuple(spill, fc.integer({ min: 8, max: FRAME })).map(
      ([at, to]): Line =>
        () =>
          `r1 = r10\nr1 += ${-to}\n*(u64 *)(r10 - ${at}) = r1`,
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(spill, bytes, register).map(
      ([at, size, of]): Line =>
        () =>
          `r1 = *(u64 *)(r10 - ${at})\n*(u${size * 8} *)(r1 + 0) = r${of}`,
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(spill, bytes, register).map(
      ([at, size, to]): Line =>
        () =>
          `r1 = *(u64 *)(r10 - ${at})\nr${to} = *(u${size * 8} *)(r1 + 0)`,
    ),
  },
  {
    weight: 1,
    arbitrary: fc.tuple(spill, register, fc.boolean()).map(
      ([at, of, isDirect]): Line =>
        () => {
          const pass = isDirect ? `r1 = *(u64 *)(r10 - ${at})` : `r1 = r10\nr1 += ${-at}`;
          return `${pass}\nr2 = r${of}\ncall ${isDirect ? 'write' : 'poke'}\nr${of} = r0`;
        },
    ),
  },
);

it('random use of spilled pointers: the interpreter gives the same', () => {
  const arena = Arena.create({ workers: 1, mapsBytes: 4096, ringsBytes: 0 });
  const runtime = instantiateRuntime(arena.memory, 0);
  const start = [8, 16].flatMap((at) => ['r1 = r10', `r1 += ${-at}`, `*(u64 *)(r10 - ${FRAME + at}) = r1`]);
  const ways = { inSight: 0, escaped: 0 };
  fc.assert(
    fc.property(fc.array(pointerLine, { minLength: 5, maxLength: 30 }), (lines) => {
      const instructions = assemble(textOf(lines, start));
      const { wasm } = compileProgram(instructions, []);
      const compiled = instantiateProgram(new WebAssembly.Module(wasm), runtime).call(0n, 0n);
      const interpreted = interpret(instructions, { runtime, maps: [] }).call(0n, 0n);
      expect(BigInt.asUintN(64, compiled)).toBe(BigInt.asUintN(64, interpreted));
      ways[analyse(splitFunctions(instructions), [])[0]!.isEscaped ? 'escaped' : 'inSight'] += 1;
    }),
    { numRuns: 3000 },
  );
  expect(Math.min(ways.inSight, ways.escaped)).toBeGreaterThan(100);
});
