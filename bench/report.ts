import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** Figures of one contender, one a round; rounds of all contenders are interleaved, so drift hits all alike. */
export interface Series {
  readonly name: string;
  readonly rounds: readonly number[];
}

export interface Comparison {
  readonly title: string;
  readonly unit: string;
  /** What a ratio is taken against: the name of one of the series. */
  readonly baseline: string;
  readonly series: readonly Series[];
  /** What the ratio of ours to the baseline is meant to be, for the reader. */
  readonly aim?: string;
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

/** Half the distance between the quartiles over the median, percent: how much the rounds differ. */
export function spreadPercent(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = (share: number) => sorted[Math.round((sorted.length - 1) * share)]!;
  return ((at(0.75) - at(0.25)) / 2 / median(values)) * 100;
}

const figure = (value: number) =>
  value >= 1000
    ? Math.round(value).toLocaleString('en-US')
    : value >= 100
      ? value.toFixed(0)
      : value.toFixed(1);

/** One comparison as aligned lines: median, spread, range, and the ratio to the baseline. */
export function formatComparison({ title, unit, baseline, series, aim }: Comparison): string {
  const base = series.find(({ name }) => name === baseline);
  const rows = series.map(({ name, rounds }) => [
    name,
    figure(median(rounds)),
    `±${spreadPercent(rounds).toFixed(1)} %`,
    `${figure(Math.min(...rounds))}–${figure(Math.max(...rounds))}`,
    base ? (median(rounds) / median(base.rounds)).toFixed(2) : '–',
  ]);
  const head = ['', `median ${unit}`, 'spread', 'range', `/ ${baseline}`];
  const widths = head.map((cell, column) => Math.max(cell.length, ...rows.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    `  ${row.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  ')}`;
  return [`${title}${aim ? `  (aim: ${aim})` : ''}`, line(head), ...rows.map(line)].join('\n');
}

/** What the figures were taken on: without it they mean nothing. */
export function machine(): string {
  const cpu = /model name\s*:\s*(.*)/.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? process.arch;
  const kernel = execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim();
  let commit = 'no commit';
  try {
    commit = execFileSync('git', ['describe', '--always', '--dirty'], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    // An installed package has no repository; the figures are still worth printing.
  }
  return `Node ${process.versions.node}, V8 ${process.versions.v8}, Linux ${kernel}, ${cpu}, ${commit}`;
}

/** Run each contender once a round, in an order that turns round by round. */
export async function interleave(
  contenders: Readonly<Record<string, () => number | Promise<number>>>,
  rounds: number,
): Promise<Series[]> {
  const names = Object.keys(contenders);
  const figures = new Map<string, number[]>(names.map((name) => [name, []]));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round) % names.length]!;
      figures.get(name)!.push(await contenders[name]!());
    }
  }
  return names.map((name) => ({ name, rounds: figures.get(name)! }));
}
