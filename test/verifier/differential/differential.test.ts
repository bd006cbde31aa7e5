import { writeFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { Random } from '../../conformance/generate.js';
import { missingRoot, noting } from '../../support/capabilities.js';
import { generateArithmetic } from './arithmetic.js';
import { generateCalls } from './calls.js';
import { generateChecks } from './checks.js';
import { KernelJudge } from './kernel.js';
import { generateLoops } from './loops.js';
import { cellOf, describeDisagreement, judgeHere, Matrix, shrinkCandidate } from './matrix.js';
import { mutate } from './mutate.js';
import { programPool } from './pool.js';
import { type Candidate, candidateOf, listing } from './scene.js';
import { findUnsafe } from './soundness.js';
import { generateSpills } from './spills.js';

/** The job runs 10,000 and more: `npm run differential`. */
const PROGRAMS = Number(process.env.WAGGLE_DIFFERENTIAL ?? 400);
/** WAGGLE_SEED repeats a run. */
const seed = Number(process.env.WAGGLE_SEED ?? Date.now() % 2 ** 31);
/** File that takes one shrunk example of each kind of difference, those of messages and counts too. */
const report = process.env.WAGGLE_DIFFERENCES;
const RUNS = 6;
const TIMEOUT_MS = 60_000 + PROGRAMS * 400;
/** Of generated programs the kernel may accept so many that are refused here. */
const KERNEL_ONLY_SHARE = 0.01;
/** Each generator is to make both kinds. */
const MIN_ACCEPTED_SHARE = 0.1;
const MAX_ACCEPTED_SHARE = 0.9;
const MIN_FOR_SHARE = 50;

/** Why a program that is accepted here may be refused by the kernel, by the kernel's message. */
const EXPLAINED: readonly { readonly message: RegExp; readonly why: string }[] = [
  {
    message: /^verifier bug: No program to jit at insn/,
    why: 'the kernel says itself that it is its own defect: after dead code is removed, its JIT misses the callback',
  },
];

type Generator = (random: Random) => Candidate;

const generated = (name: string, generate: (random: Random) => string): Generator => {
  return (random) => candidateOf(name, generate(random));
};

function generators(judge: KernelJudge | undefined): Readonly<Record<string, Generator>> {
  const pool = programPool().filter(({ scene }) => judge === undefined || judge.canJudge(scene));
  return {
    mutated: (random) => mutate(random.pick(pool), random),
    arithmetic: generated('arithmetic', generateArithmetic),
    checks: generated('checks', generateChecks),
    spills: generated('spills', generateSpills),
    loops: generated('loops', generateLoops),
    calls: generated('calls', generateCalls),
  };
}

describe(`random programs near the edge, WAGGLE_SEED=${seed}`, () => {
  const judge = missingRoot === undefined ? new KernelJudge() : undefined;
  const all = Object.entries(generators(judge));
  const only = process.env.WAGGLE_GENERATOR;
  const chosen = only === undefined ? all : all.filter(([name]) => name === only);
  afterAll(() => judge?.close());

  it.skipIf(judge === undefined)(
    `${PROGRAMS} of them: judged as by the kernel, and safe where accepted${noting(missingRoot)}`,
    { timeout: TIMEOUT_MS },
    () => {
      if (judge === undefined) return;
      const matrix = new Matrix();
      const unsafe: string[] = [];
      for (let index = 0; index < PROGRAMS; index++) {
        const random = new Random(seed + index);
        const [name, generate] = chosen[index % chosen.length]!;
        const candidate = generate(random);
        const here = judgeHere(candidate);
        matrix.add(name, candidate, here, judge.judge(candidate));
        const fault = here.accepted ? findUnsafe(candidate, random, RUNS) : undefined;
        if (fault !== undefined) unsafe.push(`WAGGLE_SEED=${seed + index} ${fault}\n${listing(candidate)}`);
      }
      console.log(matrix.text());
      if (report !== undefined) writeFileSync(report, differences(matrix, judge, unsafe));
      expect(unsafe, unsafe.slice(0, 3).join('\n')).toEqual([]);
      const shrunk = matrix.disagreements
        .filter(({ kernel }) => !EXPLAINED.some(({ message }) => message.test(kernel.message)))
        .slice(0, 5)
        .map((each) => describeDisagreement(shrinkCandidate(each, judge)))
        .join('\n\n');
      const weOnly = matrix.disagreements.filter(
        ({ cell, kernel }) =>
          cell === 'we only' && !EXPLAINED.some(({ message }) => message.test(kernel.message)),
      );
      expect(weOnly.length, shrunk).toBe(0);
      expect(matrix.cells['kernel only'], shrunk).toBeLessThanOrEqual(PROGRAMS * KERNEL_ONLY_SHARE);
      for (const [name, { both, neither }] of matrix.byGenerator) {
        if (both + neither < MIN_FOR_SHARE) continue;
        const share = both / (both + neither);
        expect(share, name).toBeGreaterThan(MIN_ACCEPTED_SHARE);
        expect(share, name).toBeLessThan(MAX_ACCEPTED_SHARE);
      }
    },
  );

  it.skipIf(judge === undefined)(
    `the programs that others are made from: judged as by the kernel${noting(missingRoot)}`,
    { timeout: TIMEOUT_MS },
    () => {
      if (judge === undefined) return;
      const matrix = new Matrix();
      for (const candidate of programPool(Number.POSITIVE_INFINITY)) {
        if (!judge.canJudge(candidate.scene)) continue;
        matrix.add('whole', candidate, judgeHere(candidate), judge.judge(candidate));
      }
      console.log(matrix.text());
      if (report !== undefined) writeFileSync(`${report}.whole`, differences(matrix, judge, []));
      expect(matrix.disagreements.map(describeDisagreement).join('\n\n')).toBe('');
      expect(matrix.sameMessage).toBe(matrix.cells.neither);
      expect(matrix.cells.both).toBeGreaterThan(matrix.cells.neither);
    },
  );

  it('a seed gives one program', () => {
    for (const [, generate] of all) {
      expect(generate(new Random(seed)).code).toEqual(generate(new Random(seed)).code);
    }
  });

  it('a verdict has one of four places', () => {
    const [yes, no] = [true, false].map((accepted) => ({ accepted, message: '', processed: 0, log: '' }));
    expect(cellOf(yes!, no!)).toBe('we only');
    expect(cellOf(no!, yes!)).toBe('kernel only');
  });
});

/** One shrunk example of each kind, the most frequent first. */
function differences(matrix: Matrix, judge: KernelJudge, unsafe: readonly string[]): string {
  const kinds = [...matrix.kinds].toSorted(([, a], [, b]) => b.count - a.count);
  return [
    matrix.text(),
    ...unsafe.map((each) => `UNSAFE ${each}`),
    ...kinds.map(
      ([kind, { count, example }]) =>
        `${count} of ${kind}\n${describeDisagreement(shrinkCandidate(example, judge))}`,
    ),
  ].join('\n\n');
}
