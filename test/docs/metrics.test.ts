import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { metricsBed } from '../support/metrics-bed.js';
import { selectorsOf } from '../support/promql.js';

const doc = (name: string) => fileURLToPath(new URL(`../../docs/${name}`, import.meta.url));
const read = (name: string) => readFileSync(doc(name), 'utf8');
const { metrics } = metricsBed();

/** Labels that Prometheus gives every series. */
const TARGET_LABELS = ['instance', 'job'];
/** Series that an expression may ask for, with their labels; histograms are three. */
const known = new Map<string, readonly string[]>([['up', TARGET_LABELS]]);
for (const { name, type, labelNames } of metrics.families) {
  const labels = [...labelNames, ...TARGET_LABELS];
  if (type !== 'histogram') known.set(name, labels);
  else for (const part of ['bucket', 'sum', 'count']) known.set(`${name}_${part}`, [...labels, 'le']);
}
const text = await metrics.text();
for (const [, name] of text.matchAll(/^# TYPE ((?:process|nodejs)_\S+) /gm))
  if (name !== undefined) known.set(name, TARGET_LABELS);

/** An expression that can be read, of metrics and labels that there are. */
function expectSound(expression: string): void {
  const selectors = selectorsOf(expression.replaceAll('"$job"', '"waggle"'));
  expect(selectors).not.toEqual([]);
  for (const { metric, labels } of selectors) {
    expect([expression, known.has(metric) ? metric : 'a metric that there is']).toEqual([expression, metric]);
    for (const label of labels) expect(known.get(metric)).toContain(label);
  }
}

it('every metric is in the table of docs/metrics.md, as it is', () => {
  const rows = [...metrics.families]
    .sort((a, b) => (a.name < b.name ? -1 : 1))
    .map(({ name, type, labelNames, help }) => {
      const labels = labelNames.map((label) => `\`${label}\``).join(', ');
      return `| \`${name}\` | ${type} | ${labels} | ${help.replaceAll('|', '\\|')} |`;
    });
  const table = ['| metric | type | labels | is |', '|---|---|---|---|', ...rows].join('\n');
  const page = read('metrics.md');
  const wanted = page.replace(
    /<!-- table -->\n.*<!-- end of table -->/s,
    () => `<!-- table -->\n${table}\n<!-- end of table -->`,
  );
  if (process.env.UPDATE === '1') writeFileSync(doc('metrics.md'), wanted);
  else expect(page).toBe(wanted);
});

describe('docs/alerts/waggle.yaml', () => {
  const Rules = z.strictObject({
    groups: z.array(
      z.strictObject({
        name: z.string(),
        rules: z.array(
          z.strictObject({
            alert: z.string().regex(/^Waggle[A-Z]\w+$/),
            expr: z.string(),
            for: z
              .string()
              .regex(/^\d+[smh]$/)
              .optional(),
            labels: z.strictObject({ severity: z.enum(['critical', 'warning']) }),
            annotations: z.strictObject({ summary: z.string().min(10), description: z.string().min(10) }),
          }),
        ),
      }),
    ),
  });
  const rules = Rules.parse(parse(read('alerts/waggle.yaml'))).groups.flatMap((group) => group.rules);

  it.each(rules)('$alert asks for what there is', ({ expr }) => expectSound(expr));

  it('names no rule twice', () => {
    const names = rules.map(({ alert }) => alert);
    expect(new Set(names).size).toBe(names.length);
  });

  it.each(rules)('$alert says what its series have', ({ expr, annotations }) => {
    const used = [...`${annotations.summary} ${annotations.description}`.matchAll(/\$labels\.(\w+)/g)];
    const grouped = /\bby \(([^)]*)\)/.exec(expr)?.[1]?.split(/,\s*/);
    const labels = grouped ?? selectorsOf(expr).flatMap(({ metric }) => known.get(metric) ?? []);
    for (const [, label] of used) expect(labels).toContain(label);
  });
});

describe('docs/grafana/waggle.json', () => {
  const Dashboard = z.looseObject({
    uid: z.literal('waggle'),
    annotations: z.object({ list: z.array(z.looseObject({ expr: z.string() })) }),
    templating: z.object({
      list: z.array(z.looseObject({ name: z.string(), definition: z.string().optional() })),
    }),
    panels: z.array(
      z.looseObject({
        id: z.number(),
        title: z.string(),
        type: z.enum(['row', 'stat', 'timeseries']),
        gridPos: z.object({ x: z.number(), y: z.number(), w: z.number(), h: z.number() }),
        targets: z.array(z.looseObject({ expr: z.string(), legendFormat: z.string() })).optional(),
      }),
    ),
  });
  const { panels, templating, annotations } = Dashboard.parse(JSON.parse(read('grafana/waggle.json')));
  const shown = panels.filter(({ type }) => type !== 'row');

  it.each(shown)('$title asks for what there is', ({ targets = [] }) => {
    expect(targets).not.toEqual([]);
    for (const { expr } of targets) expectSound(expr);
  });

  it('marks revisions, and its variables are labels that there are', () => {
    for (const { expr } of annotations.list) expectSound(expr);
    const queries = templating.list.flatMap(({ definition }) => definition ?? []);
    expect(queries).toHaveLength(4);
    for (const query of queries) {
      const [, series = '', label = ''] = /^label_values\((.+), (\w+)\)$/.exec(query) ?? [];
      expectSound(series);
      expect(known.get(selectorsOf(series)[0]?.metric ?? '')).toContain(label);
    }
  });

  it('panels lie side by side, within the page', () => {
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    const cells = new Set<string>();
    for (const { gridPos } of panels) {
      expect(gridPos.x + gridPos.w).toBeLessThanOrEqual(24);
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect(cells.has(`${x} ${y}`)).toBe(false);
          cells.add(`${x} ${y}`);
        }
    }
  });
});

describe('what reads the expressions refuses', () => {
  it.each([
    ['a parenthesis that is not closed', 'sum(up'],
    ['a rate of what is no range', 'rate(up)'],
    ['a range in a sum', 'sum(up[5m])'],
    ['a range as the result', 'up[5m]'],
    ['a function that is none', 'ratee(up[5m])'],
    ['two expressions', 'up up'],
    ['a matcher without a value', 'up{job=}'],
    ['an operator without a second operand', 'up >'],
  ])('%s', (_, expression) => {
    expect(() => selectorsOf(expression)).toThrow(SyntaxError);
  });
});
