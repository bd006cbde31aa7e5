import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import { missingRoot } from '../../../test/support/capabilities.js';
import { runHere, runInKernel, type Scenario } from '../../../test/support/control-bed.js';
import { Bed, u32 } from '../../../test/support/jit-bed.js';
import { TAIL_CALLS_MAX } from '../isa/builtins.js';
import { CPU_TAIL_CALLS_MISSED } from '../memory/layout.js';
import { interpret } from './interpreter.js';
import { ProgramTable, ProgramTableError } from './program-table.js';

/** r6 keeps the context. */
const KEEP = 'r6 = r1\n';
/** Tail call to a slot of map[0]; what follows is where it falls through to. */
const tail = (slot: number | string) => `r1 = r6\nr2 = map[0]\nr3 = ${slot}\ncall 12\n`;
/** Adds one to a counter; r6 to r9 stay. */
const count = (counter: number) =>
  `r1 = map[1] value + ${8 * counter}\nr2 = 1\nlock *(u64 *)(r1 + 0) += r2\n`;
const leave = (r0: number) => `r0 = ${r0}\nexit\n`;

const rows: readonly (readonly [string, Scenario, object])[] = [
  [
    'the target takes the place of the caller',
    { programs: { a: KEEP + tail(1) + leave(1), b: leave(7) }, slots: { 1: 'b' } },
    { r0: 7 },
  ],
  ['an empty slot falls through', { programs: { a: KEEP + tail(1) + leave(1) } }, { r0: 1 }],
  ['an index past the end falls through', { programs: { a: KEEP + tail(4) + leave(1) } }, { r0: 1 }],
  [
    'an index has 32 bits',
    {
      programs: { a: `${KEEP}r1 = r6\nr2 = map[0]\nr3 = 0x100000001 ll\ncall 12\n${leave(1)}`, b: leave(7) },
      slots: { 1: 'b' },
    },
    { r0: 7 },
  ],
  [
    'the target gets the context',
    {
      programs: {
        a: KEEP + tail(0) + leave(1),
        b: 'r2 = *(u32 *)(r1 + 0)\nr0 = *(u32 *)(r1 + 4)\nr0 -= r2\nexit',
      },
      slots: { 0: 'b' },
    },
    { r0: 64 },
  ],
  [
    'a program may make 33, and then falls through',
    { programs: { a: KEEP + count(0) + tail(0) + leave(3) }, slots: { 0: 'a' } },
    { r0: 3, counters: { 0: BigInt(TAIL_CALLS_MAX + 1) } },
  ],
  [
    'each run counts from 0: the limit is of a chain over several programs',
    {
      programs: { a: KEEP + count(0) + tail(1) + leave(3), b: KEEP + count(1) + tail(0) + leave(4) },
      slots: { 0: 'a', 1: 'b' },
    },
    { r0: 4, counters: { 0: 17n, 1: 17n } },
  ],
  [
    'from a callee: the target ends in its place, and its r0 is what the caller gets',
    {
      programs: {
        a: `${KEEP}r1 = r6\ncall f\nr0 += 100\nexit\nf:\n${KEEP}${tail(1)}${leave(1)}`,
        b: leave(7),
      },
      slots: { 1: 'b' },
    },
    { r0: 107 },
  ],
  [
    'from a callee: the caller keeps r6 to r9 and its frame',
    {
      programs: {
        a: `r6 = r1\nr7 = 70\nr8 = 800\nr9 = 9000
          *(u64 *)(r10 - 8) = 50000
          r1 = r6
          call f
          r0 += r7
          r0 += r8
          r0 += r9
          r1 = *(u64 *)(r10 - 8)
          r0 += r1
          exit
          f:
          ${KEEP}${tail(1)}${leave(1)}`,
        b: `r6 = 1\nr7 = 1\nr8 = 1\nr9 = 1\n*(u64 *)(r10 - 8) = 1\n${leave(7)}`,
      },
      slots: { 1: 'b' },
    },
    { r0: 59877 },
  ],
  [
    'from a callee of a callee',
    {
      programs: {
        a: `r1 = r1\ncall f\nr0 += 1000\nexit\nf:\ncall g\nr0 += 100\nexit\ng:\n${KEEP}${tail(1)}${leave(1)}`,
        b: `call h\nr0 += 10\nexit\nh:\n${leave(7)}`,
      },
      slots: { 1: 'b' },
    },
    { r0: 1117 },
  ],
  [
    'callees of one run share the count',
    {
      programs: {
        a: `r6 = r1\nr7 = 40\nagain:\nr1 = r6\ncall f\nr7 += -1\nif r7 != 0 goto again\n${leave(2)}f:\n${KEEP}${tail(1)}${leave(1)}`,
        b: count(0) + leave(0),
      },
      slots: { 1: 'b' },
    },
    { r0: 2, counters: { 0: BigInt(TAIL_CALLS_MAX) } },
  ],
  [
    'a call that falls through does not count',
    {
      programs: {
        a: `r6 = r1\nr7 = 40\nagain:\n${tail(2)}r7 += -1\nif r7 != 0 goto again\n${tail(1)}${leave(1)}`,
        b: leave(7),
      },
      slots: { 1: 'b' },
    },
    { r0: 7 },
  ],
  [
    'a TC program calls a TC program',
    {
      type: 'sched_cls',
      programs: { a: KEEP + tail(1) + leave(1), b: 'r0 = *(u32 *)(r1 + 0)\nexit' },
      slots: { 1: 'b' },
    },
    { r0: 64 },
  ],
  [
    'through a map that is chosen when it runs',
    {
      programs: {
        a: `r6 = r1\nr7 = *(u32 *)(r1 + 16)\nr1 = r6\nr3 = 1\nif r7 != 0 goto other\nr2 = map[0]\ngoto go\nother:\nr2 = map[0]\ngo:\ncall 12\n${leave(1)}`,
        b: leave(7),
      },
      slots: { 1: 'b' },
    },
    { r0: 7 },
  ],
];

const ENGINES = {
  interpreter: (scenario: Scenario) => runHere('interpreter', scenario),
  jit: (scenario: Scenario) => runHere('jit', scenario),
} as const;

for (const [engine, run] of Object.entries(ENGINES)) {
  describe(`tail calls: ${engine}`, () => {
    for (const [name, scenario, effect] of rows)
      it(name, () => expect(run(scenario)).toMatchObject({ counters: {}, ...effect }));
  });
}

describe(`tail calls: the kernel${missingRoot === undefined ? '' : ` (${missingRoot})`}`, () => {
  for (const [name, scenario, effect] of rows)
    it.skipIf(missingRoot !== undefined)(name, () =>
      expect(runInKernel(scenario)).toMatchObject({ counters: {}, ...effect }),
    );
});

describe('frames', () => {
  /** Each run takes a frame more for ever: a calls f, which tail-calls a; 7 frames deep at once. */
  const nested = (depth: number) => {
    const functions = Array.from({ length: depth }, (_, n) =>
      n + 1 < depth ? `f${n}:\ncall f${n + 1}\nr0 += 1\nexit\n` : `f${n}:\n${KEEP}${tail(0)}${leave(1)}`,
    );
    return `${KEEP}${count(0)}r1 = r6\ncall f0\nr0 += 1\nexit\n${functions.join('')}`;
  };
  for (const depth of [1, 3, 7]) {
    it(`a call falls through where the target would not find 8 frames: ${depth} frames apart`, () => {
      const scenario = { programs: { a: nested(depth) }, slots: { 0: 'a' } };
      const effect = runHere('interpreter', scenario);
      expect(runHere('jit', scenario)).toEqual(effect);
      // The first frame of the last program is the 41st at most.
      const calls = Math.min(TAIL_CALLS_MAX, Math.floor(40 / depth));
      expect(effect.counters[0]).toBe(BigInt(calls + 1));
    });
  }
});

describe('the table of programs', () => {
  const slots = { keySize: 4, valueSize: 4, maxEntries: 4, flags: 0, type: 'ARRAY' } as const;
  const text = KEEP + tail(0) + leave(1);
  const ready = (engine: 'jit' | 'interpreter', bed: Bed, source: string) =>
    engine === 'jit'
      ? bed.program(source)
      : interpret(assemble(source), { runtime: bed.runtimes[0]!, maps: bed.maps.map(({ info }) => info) });

  for (const engine of ['jit', 'interpreter'] as const) {
    it(`${engine}: a slot changes between two runs, and a number that is not known falls through and is counted`, () => {
      const bed = new Bed(slots);
      const { programs } = bed.runtimes[0]!;
      const caller = ready(engine, bed, text);
      const missed = () => bed.arena.u32[(bed.arena.block(0) + CPU_TAIL_CALLS_MISSED) / 4];
      expect(caller.run(0)).toBe(1);
      expect(missed()).toBe(0);
      for (const number of [3, 300]) {
        bed.maps[0]!.update(u32(0), u32(number));
        const before = missed()!;
        expect(caller.run(0)).toBe(1);
        expect(missed()).toBe(before + 1);
        programs.set(number, ready(engine, bed, leave(number + 1)));
        expect(caller.run(0)).toBe(number + 1);
        programs.set(number, ready(engine, bed, leave(number + 2)));
        expect(caller.run(0)).toBe(number + 2);
        expect(missed()).toBe(before + 1);
      }
      programs.clear(300);
      programs.clear(300);
      expect(caller.run(0)).toBe(1);
    });
  }

  it('holds programs of one engine', () => {
    const bed = new Bed(slots);
    const table = new ProgramTable();
    table.set(1, ready('jit', bed, text));
    table.set(2, ready('jit', bed, text));
    const interpreted = ready('interpreter', bed, text);
    expect(() => table.set(2, interpreted)).toThrow(ProgramTableError);
    table.clear(1);
    table.set(2, interpreted);
    expect(table.interpreted(2)).toBeDefined();
    expect(table.interpreted(1)).toBeUndefined();
  });

  for (const number of [0, -1, 1.5, 2 ** 31])
    it(`has no place ${number}`, () => {
      const table = new ProgramTable();
      const program = ready('jit', new Bed(slots), text);
      expect(() => table.set(number, program)).toThrow(
        expect.objectContaining({ fault: { code: 'PROGRAM_TABLE_NUMBER', number } }),
      );
    });
});
