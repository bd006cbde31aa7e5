import { describe, expect, it } from 'vitest';
import type { StatsSample__Output } from '../../grpc/generated/waggle/v1/StatsSample.js';
import { keysOf, pressKey, typeKey } from './keys.js';
import { HISTORY, TopModel } from './model.js';
import { type RateRow, type RateSample, ratesOf } from './rates.js';
import { sparkline } from './sparkline.js';
import { render, type Scene, sampleLines } from './view.js';

const row = (name: string, packets: number, more: Partial<RateRow> = {}): RateRow => ({
  name,
  packets,
  bits: packets * 1000,
  connections: packets / 10,
  drops: 0,
  flows: undefined,
  ...more,
});
const sampleOf = (vips: readonly RateRow[], backends: readonly RateRow[] = []): RateSample => ({
  timeMs: Date.UTC(2026, 0, 2, 3, 4, 5),
  seconds: 1,
  total: row('total', 60, { flows: 7 }),
  vips,
  backends,
  workers: { running: 2, all: 2 },
  missedSamples: 0,
});
const SCENE: Scene = {
  server: 'lb:9443',
  intervalMs: 1000,
  trouble: '',
  isTyping: false,
  isHelp: false,
  isColored: false,
};
const names = (model: TopModel) => model.rows().map(({ name }) => name);

describe('rates of a sample', () => {
  const zero = { packets: '0', tableMisses: '0', tcpSynMisses: '0', tcpOtherMisses: '0', trackedFlows: '0' };
  const sample: StatsSample__Output = {
    time: { seconds: '1000', nanos: 500_000_000 },
    period: { seconds: '0', nanos: 500_000_000 },
    vips: [
      {
        vip: 'vips/web',
        packets: '100',
        bytes: '6400',
        newConnections: '5',
        drops: { empty_ring: '3', no_real: '1' },
      },
    ],
    backends: [
      {
        backend: 'pools/web/backends/a',
        packets: '50',
        bytes: '3200',
        newConnections: '4',
        trackedFlows: '9',
      },
    ],
    workers: [],
    missedSamples: '2',
    connections: { ...zero, tableMisses: '30', tcpOtherMisses: '10', trackedFlows: '9' },
    drops: { fragment: '2' },
  };

  it('are a second’s, in bits', () => {
    const rates = ratesOf(sample);
    expect(rates?.vips).toEqual([
      { name: 'web', packets: 200, bits: 102_400, connections: 10, drops: 8, flows: undefined },
    ]);
    expect(rates?.timeMs).toBe(1_000_500);
    expect(rates?.missedSamples).toBe(2);
  });
  it('a backend has its own connections and flows', () =>
    expect(ratesOf(sample)?.backends[0]).toMatchObject({ name: 'web/a', connections: 8, flows: 9 }));
  it('the total is of all VIPs; drops are those without a VIP, too', () =>
    expect(ratesOf(sample)?.total).toMatchObject({ connections: 10, drops: 12, flows: 9 }));
  it('the first sample covers no time', () => expect(ratesOf({ ...sample, period: null })).toBeUndefined());
});

describe('the model', () => {
  const model = () => {
    const made = new TopModel();
    made.take(
      sampleOf([row('b', 5), row('a', 5), row('c10', 9), row('c9', 1)], [row('web/a', 3, { flows: 1 })]),
    );
    return made;
  };
  it('the most is on top, equal ones in the order of names', () =>
    expect(names(model())).toEqual(['c10', 'a', 'b', 'c9']));
  it('names sort as people count', () => {
    const top = model();
    top.sort = 'name';
    expect(names(top)).toEqual(['a', 'b', 'c9', 'c10']);
    top.isReversed = true;
    expect(names(top)).toEqual(['c10', 'c9', 'b', 'a']);
  });
  it('a filter is a part of the name, in any case', () => {
    const top = model();
    top.filter = 'C1';
    expect(names(top)).toEqual(['c10']);
  });
  it('a pause keeps the picture', () => {
    const top = model();
    top.isPaused = true;
    top.take(sampleOf([row('z', 1)]));
    expect(names(top)).toContain('a');
  });
  it('a trend has the last samples, and ends with its resource', () => {
    const top = model();
    for (let i = 0; i < HISTORY + 5; i++) top.take(sampleOf([row('a', i)]));
    expect(top.rows()[0]?.trend).toHaveLength(HISTORY);
    expect(top.rows()[0]?.trend.at(-1)).toBe(HISTORY + 4);
    top.take(sampleOf([row('b', 1)]));
    top.take(sampleOf([row('a', 7)]));
    expect(top.rows()[0]?.trend).toEqual([7]);
  });
  it('a view without the column is sorted by packets', () => {
    const top = model();
    top.sort = 'drops';
    top.show('backends');
    expect([top.sort, names(top)]).toEqual(['packets', ['web/a']]);
  });
});

describe('keys', () => {
  const rows: readonly [data: string, keys: string[]][] = [
    ['q', ['q']],
    ['\u001b[A\u001b[B', ['up', 'down']],
    ['\u001bOC', ['right']],
    ['\u001b[6~x', ['page-down', 'x']],
    ['\u001b[1;5C', []],
    ['\u001b', ['escape']],
    ['ab\r', ['a', 'b', 'enter']],
    ['\u0003', ['ctrl-c']],
  ];
  for (const [data, keys] of rows) it(JSON.stringify(data), () => expect(keysOf(data)).toEqual(keys));

  const presses: readonly [key: string, becomes: Partial<TopModel>, effect: string][] = [
    ['b', { view: 'backends' }, 'none'],
    ['tab', { view: 'backends' }, 'none'],
    ['t', { sort: 'bits' }, 'none'],
    ['right', { sort: 'bits' }, 'none'],
    ['left', { sort: 'name' }, 'none'],
    ['f', { sort: 'packets' }, 'none'],
    ['r', { isReversed: true }, 'none'],
    ['space', { isPaused: true }, 'none'],
    ['page-down', { offset: 10 }, 'none'],
    ['up', { offset: 0 }, 'none'],
    ['q', {}, 'quit'],
    ['ctrl-c', {}, 'quit'],
    ['ctrl-z', {}, 'suspend'],
    ['+', {}, 'faster'],
    ['-', {}, 'slower'],
    ['?', {}, 'help'],
    ['/', {}, 'type'],
  ];
  for (const [key, becomes, effect] of presses) {
    it(`${key}: ${effect} ${JSON.stringify(becomes)}`, () => {
      const model = new TopModel();
      expect(pressKey(model, key, 10)).toBe(effect);
      expect(model).toMatchObject(becomes);
    });
  }

  it('a filter is typed, mended, kept or dropped', () => {
    const model = new TopModel();
    for (const key of ['w', 'x', 'backspace', 'e', 'up']) expect(typeKey(model, key)).toBe(true);
    expect([typeKey(model, 'enter'), model.filter]).toEqual([false, 'we']);
    expect([typeKey(model, 'escape'), model.filter]).toEqual([false, '']);
  });
});

describe('the picture', () => {
  const many = Array.from({ length: 50 }, (_, i) => row(`vip-${i}`, i));
  const model = new TopModel();
  model.take(sampleOf(many, [row('web/a', 3, { flows: 1234 })]));

  for (const [columns, rows] of [
    [80, 24],
    [200, 60],
    [40, 10],
    [13, 6],
    [1, 1],
  ] as const) {
    it(`fills ${columns} × ${rows}, and is never wider`, () => {
      for (const isHelp of [false, true]) {
        const lines = render(model, { ...SCENE, isHelp }, { columns, rows });
        expect(lines).toHaveLength(rows);
        for (const line of lines) expect([...line].length).toBeLessThanOrEqual(columns);
      }
    });
  }

  it('shows totals, the sorted column, rows and keys', () => {
    const text = render(model, SCENE, { columns: 120, rows: 12 });
    expect(text[0]).toMatch(/^waggle top · lb:9443 · every 1 s · VIPs by packets · 03:04:05 UTC/);
    expect(text[1]).toMatch(/^packets\/s 60 +█ .*new\/s 6\.0 +█ +drops\/s 0 +flows 7 +workers 2\/2/);
    expect(text[3]).toMatch(/^VIP +PACKETS\/S▾ +BITS\/S +NEW\/S +DROPS\/S +PACKETS OVER TIME/);
    expect(text[4]).toMatch(/^vip-49 +49 +49 k +4\.9 +0 +█$/);
    expect(text.at(-1)).toMatch(/^q quit/);
  });

  it('scrolls no further than there are rows', () => {
    model.offset = 1000;
    const text = render(model, SCENE, { columns: 80, rows: 12 });
    expect(text.slice(4, -1).at(-1)).toMatch(/^vip-0 /);
    model.offset = 0;
  });

  it('backends have flows', () => {
    const backends = new TopModel();
    backends.show('backends');
    backends.take(sampleOf([], [row('web/a', 1, { flows: 1234 })]));
    expect(render(backends, SCENE, { columns: 80, rows: 10 })[4]).toMatch(
      /^web\/a +1\.0 +1\.0 k +0\.1 +1,234/,
    );
  });

  it('trouble, pause and filter are said', () => {
    const paused = new TopModel();
    paused.isPaused = true;
    paused.filter = 'we';
    const [head = ''] = render(paused, { ...SCENE, trouble: 'no answer' }, { columns: 120, rows: 5 });
    expect(head).toMatch(/filter "we" · PAUSED · no answer/);
    expect(
      render(paused, { ...SCENE, isTyping: true }, { columns: 80, rows: 5 })
        .at(-1)
        ?.trimEnd(),
    ).toBe('filter: we█');
  });

  it('without a terminal it is lines of name and numbers', () => {
    const few = new TopModel();
    few.take(sampleOf([row('web', 100)]));
    expect(sampleLines(few)).toEqual([
      '2026-01-02T03:04:05 total packets/s=60 bits/s=60000 new/s=6 drops/s=0',
      '2026-01-02T03:04:05 web packets/s=100 bits/s=100000 new/s=10 drops/s=0',
    ]);
  });
});

describe('sparklines', () => {
  const rows: readonly [values: number[], width: number, line: string][] = [
    [[], 4, '    '],
    [[0, 0], 2, '  '],
    [[0, 1, 2, 4, 8], 5, ' ▁▂▄█'],
    [[1, 1000], 4, '  ▁█'],
    [[9, 1, 2, 4], 3, '▂▄█'],
  ];
  for (const [values, width, line] of rows) {
    it(`${JSON.stringify(values)} in ${width}`, () => expect(sparkline(values, width)).toBe(line));
  }
});
