import { describe, expect, it } from 'vitest';
import { assemble } from '../../../test/support/assembler.js';
import { missingRoot } from '../../../test/support/capabilities.js';
import { runHere, runInKernel, type Scenario } from '../../../test/support/control-bed.js';

/** Functions by name after the entry; `&name` in a text is the slot of one, for `function`. */
function program(entry: string, functions: Readonly<Record<string, string>>): string {
  const text = [entry, ...Object.entries(functions).map(([name, body]) => `${name}:\n${body}`)].join('\n');
  const slotOf = (name: string) => {
    const at = text.indexOf(`\n${name}:\n`);
    const before = assemble(
      text
        .slice(0, at)
        .replace(/&\w+/g, '0')
        .replace(/call [a-z]\w*/g, 'call +0'),
    );
    const last = before.at(-1)!;
    return last.slot + (last.kind === 'imm64' ? 2 : 1);
  };
  return text.replace(/&(\w+)/g, (_, name: string) => String(slotOf(name)));
}

/** bpf_loop of `rounds` with a frame address as context. */
const loop = (rounds: number | string, callback: string, context = -8, flags = 0) =>
  `r1 = ${rounds}\nr2 = function &${callback}\nr3 = r10\nr3 += ${context}\nr4 = ${flags}\ncall 181\n`;
const forEach = (map: number, callback: string, context = -8, flags = 0) =>
  `r1 = map[${map}]\nr2 = function &${callback}\nr3 = r10\nr3 += ${context}\nr4 = ${flags}\ncall 164\n`;
const CLEAR = '*(u64 *)(r10 - 8) = 0\n';
/** Adds the round's number to the u64 that the context points at. */
const SUM = 'r3 = *(u64 *)(r2 + 0)\nr3 += r1\n*(u64 *)(r2 + 0) = r3\nr0 = 0\nexit';
/** Adds the element's value to it. */
const SUM_VALUES =
  'r3 = *(u64 *)(r3 + 0)\nr5 = *(u64 *)(r4 + 0)\nr5 += r3\n*(u64 *)(r4 + 0) = r5\nr0 = 0\nexit';
const ARRAY = { type: 'ARRAY', keySize: 4, valueSize: 8, maxEntries: 5, flags: 0 } as const;

const rows: readonly (readonly [string, Scenario, object])[] = [
  [
    'bpf_loop: the callback gets the round and the context',
    {
      programs: {
        a: program(`${CLEAR}${loop(10, 'f')}r1 = *(u64 *)(r10 - 8)\nr0 *= 1000\nr0 += r1\nexit`, { f: SUM }),
      },
    },
    { r0: 10045 },
  ],
  [
    'bpf_loop: 1 stops it, and the round counts',
    {
      programs: {
        a: program(`${CLEAR}${loop(10, 'f')}exit`, {
          f: 'r0 = 0\nif r1 != 3 goto +1\nr0 = 1\nexit',
        }),
      },
    },
    { r0: 4 },
  ],
  ['bpf_loop: no round', { programs: { a: program(`${CLEAR}${loop(0, 'f')}exit`, { f: SUM }) } }, { r0: 0 }],
  [
    'bpf_loop: more than 2^23 rounds are refused',
    { programs: { a: program(`${CLEAR}${loop(0x800001, 'f')}exit`, { f: SUM }) } },
    { r0: -7 },
  ],
  [
    'bpf_loop: the number of rounds has 64 bits',
    {
      programs: {
        a: program(
          `${CLEAR}r1 = 0x700000003 ll\nr2 = function &f\nr3 = r10\nr3 += -8\nr4 = 0\ncall 181\nexit`,
          { f: SUM },
        ),
      },
    },
    { r0: -7 },
  ],
  [
    'bpf_loop: flags are refused',
    { programs: { a: program(`${CLEAR}${loop(1, 'f', -8, 1)}exit`, { f: SUM }) } },
    { r0: -22 },
  ],
  [
    'bpf_loop: a number of rounds, flags and a context that are not constants',
    {
      programs: {
        a: program(
          `r6 = *(u32 *)(r1 + 0)\nr7 = *(u32 *)(r1 + 4)\nr7 -= r6\nr7 &= 127\nr8 = r7\nr8 -= 64
           ${CLEAR}r1 = r7\nr2 = function &f\nr3 = r10\nr3 += -8\nr4 = r8\nr4 &= 1\ncall 181\nexit`,
          { f: SUM },
        ),
      },
    },
    { r0: 64 },
  ],
  [
    'bpf_loop: r6 to r9 are the caller’s again afterwards',
    {
      programs: {
        a: program(
          `r6 = 1\nr7 = 20\nr8 = 300\nr9 = 4000\n${CLEAR}${loop(3, 'f')}r0 += r6\nr0 += r7\nr0 += r8\nr0 += r9\nexit`,
          { f: 'r6 = 9\nr7 = 9\nr8 = 9\nr9 = 9\nr0 = 0\nexit' },
        ),
      },
    },
    { r0: 4324 },
  ],
  [
    'bpf_loop: a callback changes what the caller has in its frame',
    {
      programs: {
        a: program(`*(u64 *)(r10 - 8) = 5\n${loop(4, 'f')}r0 = *(u64 *)(r10 - 8)\nexit`, {
          f: 'r3 = *(u64 *)(r2 + 0)\nr3 += 1\n*(u64 *)(r2 + 0) = r3\nr0 = 0\nexit',
        }),
      },
    },
    { r0: 9 },
  ],
  [
    'bpf_loop: a callback changes what is beside its context',
    {
      programs: {
        a: program(
          `*(u64 *)(r10 - 8) = 5\n*(u64 *)(r10 - 16) = 7\n*(u64 *)(r10 - 24) = 9\n${loop(4, 'f', -16)}
           r0 = *(u64 *)(r10 - 8)\nr1 = *(u64 *)(r10 - 24)\nr0 *= 100\nr0 += r1\nexit`,
          { f: 'r3 = 1\n*(u64 *)(r2 + 8) = r3\n*(u64 *)(r2 - 8) = r1\nr0 = 0\nexit' },
        ),
      },
    },
    { r0: 103 },
  ],
  [
    'bpf_loop: a callback reads what the caller stored and never read itself',
    {
      programs: {
        a: program(`*(u64 *)(r10 - 16) = 7\n*(u64 *)(r10 - 8) = 0\n${loop(2, 'f')}exit`, {
          f: `r3 = *(u64 *)(r2 - 8)\nr1 = map[1] value + 16\nlock *(u64 *)(r1 + 0) += r3\nr0 = 0\nexit`,
        }),
      },
    },
    { r0: 2, counters: { 2: 14n } },
  ],
  [
    'bpf_loop: the context is a frame further up',
    {
      programs: {
        a: program('*(u64 *)(r10 - 8) = 0\nr1 = r10\nr1 += -8\ncall g\nr0 = *(u64 *)(r10 - 8)\nexit', {
          g: 'r3 = r1\nr1 = 5\nr2 = function &f\nr4 = 0\ncall 181\nexit',
          f: SUM,
        }),
      },
    },
    { r0: 10 },
  ],
  [
    'bpf_loop: loops in loops',
    {
      programs: {
        a: program(`${CLEAR}${loop(3, 'f')}r0 = *(u64 *)(r10 - 8)\nexit`, {
          f: `r6 = r2\n${CLEAR}${loop(4, 'g')}r1 = *(u64 *)(r10 - 8)\nr2 = *(u64 *)(r6 + 0)\nr2 += r1\nr2 += 100\n*(u64 *)(r6 + 0) = r2\nr0 = 0\nexit`,
          g: SUM,
        }),
      },
    },
    { r0: 318 },
  ],
  [
    'bpf_loop: a callback that is chosen when it runs',
    {
      programs: {
        a: program(
          `r6 = *(u32 *)(r1 + 16)\n${CLEAR}r2 = function &f\nif r6 == 0 goto +2\nr2 = function &g\nr1 = 4\nr3 = r10\nr3 += -8\nr4 = 0\ncall 181\nr0 = *(u64 *)(r10 - 8)\nexit`,
          { f: SUM, g: 'r0 = 1\nexit' },
        ),
      },
    },
    { r0: 6 },
  ],
  [
    'bpf_loop: a callback that went through the stack',
    {
      programs: {
        a: program(
          `r2 = function &f\n*(u64 *)(r10 - 16) = r2\n${CLEAR}r2 = *(u64 *)(r10 - 16)\nr1 = 4\nr3 = r10\nr3 += -8\nr4 = 0\ncall 181\nr0 = *(u64 *)(r10 - 8)\nexit`,
          { f: SUM },
        ),
      },
    },
    { r0: 6 },
  ],
  [
    'bpf_loop: NULL as context',
    {
      programs: {
        a: program('r1 = 4\nr2 = function &f\nr3 = 0\nr4 = 0\ncall 181\nexit', { f: 'r0 = 0\nexit' }),
      },
    },
    { r0: 4 },
  ],
  [
    'bpf_loop: a callback that calls',
    {
      programs: {
        a: program(`${CLEAR}${loop(5, 'f')}r0 = *(u64 *)(r10 - 8)\nexit`, {
          f: 'r6 = r2\ncall g\nr1 = *(u64 *)(r6 + 0)\nr1 += r0\n*(u64 *)(r6 + 0) = r1\nr0 = 0\nexit',
          g: 'r0 = r1\nr0 *= r1\nexit',
        }),
      },
    },
    { r0: 30 },
  ],
  [
    'bpf_for_each_map_elem: every element of an array, and their number',
    {
      programs: {
        a: program(`${CLEAR}${forEach(2, 'f')}r1 = *(u64 *)(r10 - 8)\nr0 *= 1000\nr0 += r1\nexit`, {
          f: SUM_VALUES,
        }),
      },
      maps: [ARRAY],
      values: [0, 1, 2, 3, 4].map((key) => [2, key, BigInt(key + 10)] as const),
    },
    { r0: 5060 },
  ],
  [
    'bpf_for_each_map_elem: the callback gets the map, the key and the value',
    {
      programs: {
        a: program(`${CLEAR}${forEach(2, 'f')}r0 = *(u64 *)(r10 - 8)\nexit`, {
          f: `r6 = r4\nr7 = *(u32 *)(r2 + 0)\nr8 = r3\ncall 1\nr1 = 0\nif r0 == 0 goto +5\nr1 = *(u64 *)(r0 + 0)\nr2 = *(u64 *)(r8 + 0)\nif r1 == r2 goto +1\nr7 = 1000\nr1 = r7\nr2 = *(u64 *)(r6 + 0)\nr2 += r1\n*(u64 *)(r6 + 0) = r2\nr0 = 0\nexit`,
        }),
      },
      maps: [ARRAY],
      values: [0, 1, 2, 3, 4].map((key) => [2, key, BigInt(key + 10)] as const),
    },
    { r0: 10 },
  ],
  [
    'bpf_for_each_map_elem: 1 stops it, and the element counts',
    {
      programs: {
        a: program(`${CLEAR}${forEach(2, 'f')}exit`, {
          f: 'r1 = *(u32 *)(r2 + 0)\nr0 = 0\nif r1 != 2 goto +1\nr0 = 1\nexit',
        }),
      },
      maps: [ARRAY],
    },
    { r0: 3 },
  ],
  [
    'bpf_for_each_map_elem: a value is changed in place',
    {
      programs: {
        a: program(`${CLEAR}${forEach(2, 'f')}${forEach(2, 'g')}r0 = *(u64 *)(r10 - 8)\nexit`, {
          f: 'r1 = 3\n*(u64 *)(r3 + 0) = r1\nr0 = 0\nexit',
          g: SUM_VALUES,
        }),
      },
      maps: [ARRAY],
    },
    { r0: 15 },
  ],
  [
    'bpf_for_each_map_elem: flags are refused',
    { programs: { a: program(`${CLEAR}${forEach(2, 'f', -8, 4)}exit`, { f: SUM_VALUES }) }, maps: [ARRAY] },
    { r0: -22 },
  ],
  [
    'bpf_for_each_map_elem: a walk in a walk, over the same map',
    {
      programs: {
        a: program(`${CLEAR}${forEach(2, 'f')}r0 = *(u64 *)(r10 - 8)\nexit`, {
          f: `r6 = r4\n${CLEAR}${forEach(2, 'g')}r1 = *(u64 *)(r10 - 8)\nr2 = *(u64 *)(r6 + 0)\nr2 += r1\n*(u64 *)(r6 + 0) = r2\nr0 = 0\nexit`,
          g: SUM_VALUES,
        }),
      },
      maps: [ARRAY],
      values: [0, 1, 2, 3, 4].map((key) => [2, key, BigInt(key)] as const),
    },
    { r0: 50 },
  ],
];

for (const engine of ['interpreter', 'jit'] as const) {
  describe(`callbacks: ${engine}`, () => {
    for (const [name, scenario, effect] of rows)
      it(name, () => expect(runHere(engine, scenario)).toMatchObject({ counters: {}, ...effect }));
  });
}

describe(`callbacks: the kernel${missingRoot === undefined ? '' : ` (${missingRoot})`}`, () => {
  for (const [name, scenario, effect] of rows)
    it.skipIf(missingRoot !== undefined)(name, () =>
      expect(runInKernel(scenario)).toMatchObject({ counters: {}, ...effect }),
    );
});
