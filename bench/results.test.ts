import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Machine } from './machine.js';
import { plotOf } from './plot.js';
import {
  type Aim,
  type Comparison,
  figuresOf,
  formatRow,
  interleave,
  median,
  spreadPercent,
} from './report.js';
import { runDocument, writeRun } from './results.js';

const MACHINE: Machine = {
  cpu: 'A <fast> CPU',
  cores: 2,
  memoryBytes: 2 ** 34,
  model: undefined,
  kernel: '6.18.5',
  mitigations: {},
  node: '20.19.0',
  v8: '11.3',
  commit: 'abc1234',
};
const PLAN = { rounds: 3, systemRounds: 1, seconds: 1, isQuick: true };
const row = (aim?: Aim): Comparison => ({
  title: 'a hit & a miss',
  unit: 'ns',
  baseline: 'kernel',
  series: [
    { name: 'kernel', rounds: [100, 90, 110] },
    { name: 'ours', rounds: [40, 38, 42] },
  ],
  ...(aim && { aim }),
});
const SKIPPED = { title: '10,000,000 connections', skipped: 'needs 4 GiB' };
const run = (rows: readonly (Comparison | typeof SKIPPED)[]) =>
  runDocument(new Date(Date.UTC(2026, 0, 2, 3, 4, 5)), MACHINE, PLAN, [
    { subject: 'program', seconds: 2.5, rows },
  ]);

describe('figures of rounds', () => {
  it.each([
    ['of an odd number, the one in the middle', [3, 1, 2], 2],
    ['of an even number, between the two', [4, 1, 3, 2], 2.5],
    ['of one round, itself', [7], 7],
  ])('median: %s', (_, rounds, expected) => {
    expect(median(rounds)).toBe(expected);
  });

  it('spread: half of what lies between the quartiles, over the median', () => {
    expect(spreadPercent([90, 95, 100, 105, 110])).toBeCloseTo(5);
    expect(spreadPercent([7])).toBe(0);
    expect(spreadPercent([0, 0, 0])).toBe(0);
  });

  it.each<[string, Aim, boolean]>([
    ['a ratio that is not above its bound is met', { of: 'ratio', most: 0.4 }, true],
    ['a ratio above its bound is not', { of: 'ratio', most: 0.39 }, false],
    ['a ratio below the least is not', { of: 'ratio', least: 0.41 }, false],
    ['a median that is not above its bound is met', { of: 'median', most: 40 }, true],
    ['a median below the least is not', { of: 'median', least: 41 }, false],
  ])('aim: %s', (_, aim, met) => {
    expect(figuresOf(row(aim)).map((figure) => figure.met)).toEqual([undefined, met]);
  });

  it('an aim for a contender by name is for no other', () => {
    const figures = figuresOf(row({ of: 'ratio', series: ['kernel'], most: 1 }));
    expect(figures.map(({ met }) => met)).toEqual([true, undefined]);
  });

  it('a baseline that is no contender is an error', () => {
    expect(() => figuresOf({ ...row(), baseline: 'nobody' })).toThrow('nobody');
  });

  it('contenders take turns, each first in turn', async () => {
    const order: string[] = [];
    const contender = (name: string) => () => order.push(name);
    const series = await interleave({ a: contender('a'), b: contender('b') }, 2);
    expect(order).toEqual(['a', 'b', 'b', 'a']);
    expect(series).toEqual([
      { name: 'a', rounds: [1, 4] },
      { name: 'b', rounds: [2, 3] },
    ]);
  });
});

describe('a row as text', () => {
  it('has median, spread, range, ratio and whether the aim is met', () => {
    expect(formatRow(row({ of: 'ratio', most: 0.39 }))).toBe(
      [
        'a hit & a miss  (aim: ratio at most 0.39)',
        '          median ns  spread      range  / kernel      aim',
        '  kernel        100  ±5.0 %   90.0–110      1.00',
        '  ours         40.0  ±2.5 %  38.0–42.0      0.40  NOT MET',
      ].join('\n'),
    );
  });

  it('that was left out says why', () => {
    expect(formatRow(SKIPPED)).toContain('left out: needs 4 GiB');
  });
});

describe('a run as a document', () => {
  it('has every field of the schema', () => {
    expect(run([row({ of: 'ratio', most: 0.5 }), row(), SKIPPED])).toEqual({
      schema: 1,
      started: '2026-01-02T03:04:05.000Z',
      machine: MACHINE,
      plan: PLAN,
      subjects: [
        {
          subject: 'program',
          seconds: 2.5,
          rows: [
            {
              title: 'a hit & a miss',
              unit: 'ns',
              baseline: 'kernel',
              aim: { of: 'ratio', most: 0.5 },
              met: true,
              series: [
                {
                  name: 'kernel',
                  median: 100,
                  spreadPercent: 5,
                  min: 90,
                  max: 110,
                  ratio: 1,
                  rounds: [100, 90, 110],
                },
                {
                  name: 'ours',
                  median: 40,
                  spreadPercent: 2.5,
                  min: 38,
                  max: 42,
                  ratio: 0.4,
                  met: true,
                  rounds: [40, 38, 42],
                },
              ],
            },
            expect.objectContaining({ aim: null, met: null }),
            SKIPPED,
          ],
        },
      ],
    });
  });

  it('is written as JSON and as a plot, by day and commit', () => {
    const folder = mkdtempSync(join(tmpdir(), 'waggle-bench-'));
    try {
      const document = run([row()]);
      writeRun(join(folder, 'results'), document);
      expect(readdirSync(join(folder, 'results')).sort()).toEqual([
        '2026-01-02-abc1234.json',
        '2026-01-02-abc1234.svg',
      ]);
      const text = readFileSync(join(folder, 'results', '2026-01-02-abc1234.json'), 'utf8');
      expect(JSON.parse(text)).toEqual({
        ...document,
        machine: { ...MACHINE, model: undefined },
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('a run as a plot', () => {
  const bars = (svg: string) =>
    [...svg.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)" height="16" class="(\w+)"\/>/g)].map(
      ([, x, width, kind]) => ({ x: Number(x), width: Number(width), kind }),
    );
  const withRatio = (ratio: number, aim?: Aim): Comparison => ({
    ...row(aim),
    series: [
      { name: 'kernel', rounds: [1] },
      { name: 'ours', rounds: [ratio] },
    ],
  });

  it('half and twice the baseline are as far from it, on either side', () => {
    const [half, twice] = bars(plotOf(run([withRatio(0.5), withRatio(2)])));
    expect(half!.width).toBeCloseTo(twice!.width, 1);
    expect(half!.x + half!.width).toBeCloseTo(twice!.x, 1);
  });

  it('what is beyond the scale is cut at its end', () => {
    const [atEnd, beyond] = bars(plotOf(run([withRatio(16), withRatio(1000)])));
    expect(beyond).toEqual(atEnd);
  });

  it('an aim that is met, one that is not, and none have colours of their own', () => {
    const svg = plotOf(
      run([
        withRatio(0.4, { of: 'ratio', most: 0.5 }),
        withRatio(0.6, { of: 'ratio', most: 0.5 }),
        withRatio(1),
      ]),
    );
    expect(bars(svg).map(({ kind }) => kind)).toEqual(['met', 'missed', 'plain']);
    expect(svg.match(/class="aim"/g)).toHaveLength(2);
  });

  it('names are escaped, and what was left out is not drawn', () => {
    const svg = plotOf(run([row(), SKIPPED]));
    expect(svg).toContain('a hit &amp; a miss');
    expect(svg).toContain('A &lt;fast&gt; CPU');
    expect(svg).not.toContain(SKIPPED.title);
  });

  it('has colours for a light and for a dark ground', () => {
    expect(plotOf(run([row()]))).toContain('@media (prefers-color-scheme: dark)');
  });
});
