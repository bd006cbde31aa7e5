/** Figures of one contender, one a round; rounds of all contenders are interleaved, so drift hits all alike. */
export interface Series {
  readonly name: string;
  readonly rounds: readonly number[];
}

/** What a figure is meant to be: the ratio to the baseline, or the median in the row's unit. */
export type Aim = {
  readonly of: 'ratio' | 'median';
  /** Contenders that it is for: all but the baseline unless given. */
  readonly series?: readonly string[];
} & ({ readonly most: number } | { readonly least: number });

export interface Comparison {
  readonly title: string;
  readonly unit: string;
  /** What a ratio is taken against: the name of one of the series. */
  readonly baseline: string;
  readonly series: readonly Series[];
  readonly aim?: Aim;
}

/** A row that this machine, or `--quick`, could not have, and why. */
export interface Skipped {
  readonly title: string;
  readonly skipped: string;
}

export type Row = Comparison | Skipped;

/** How much of everything is measured. */
export interface Plan {
  /** Rounds of each contender inside one process. */
  readonly rounds: number;
  /** Rounds of each contender that is processes and namespaces: those take seconds each. */
  readonly systemRounds: number;
  /** Of traffic, in each of those rounds. */
  readonly seconds: number;
  readonly isQuick: boolean;
}

/** One contender of a row, digested. */
export interface Figure {
  readonly name: string;
  readonly median: number;
  readonly spreadPercent: number;
  readonly min: number;
  readonly max: number;
  /** Of the medians, to the baseline's; no number (null in JSON) where that is 0. */
  readonly ratio: number;
  /** Undefined where the aim is not for this one. */
  readonly met?: boolean;
}

export function median(values: readonly number[]): number {
  return quantile(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}

/** Between the two nearest of `sorted`, in proportion. */
function quantile(sorted: readonly number[], share: number): number {
  const at = (sorted.length - 1) * share;
  const low = Math.floor(at);
  const under = sorted[low] ?? Number.NaN;
  return under + ((sorted[low + 1] ?? under) - under) * (at - low);
}

/** Half the distance between the quartiles over the median, percent: how much the rounds differ. */
export function spreadPercent(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const apart = quantile(sorted, 0.75) - quantile(sorted, 0.25);
  return apart === 0 ? 0 : (apart / 2 / quantile(sorted, 0.5)) * 100;
}

/** The row's contenders with what is said of them. @throws Error for a baseline that is no contender */
export function figuresOf({ title, baseline, series, aim }: Comparison): Figure[] {
  const base = series.find(({ name }) => name === baseline);
  if (base === undefined) throw new Error(`${title}: no contender is called ${baseline}, the baseline`);
  const of = median(base.rounds);
  return series.map(({ name, rounds }) => {
    const middle = median(rounds);
    const figure = {
      name,
      median: middle,
      spreadPercent: spreadPercent(rounds),
      min: Math.min(...rounds),
      max: Math.max(...rounds),
      ratio: middle / of,
    };
    const isMeant = aim !== undefined && (aim.series?.includes(name) ?? name !== baseline);
    return isMeant ? { ...figure, met: isMet(aim, figure) } : figure;
  });
}

function isMet(aim: Aim, figure: Pick<Figure, 'ratio' | 'median'>): boolean {
  const value = figure[aim.of];
  return 'most' in aim ? value <= aim.most : value >= aim.least;
}

/** The aim in words, with the unit where it is not of a ratio. */
export function formatAim(aim: Aim, unit: string): string {
  const bound = 'most' in aim ? `at most ${aim.most}` : `at least ${aim.least}`;
  return aim.of === 'ratio' ? `ratio ${bound}` : `${bound} ${unit}`;
}

export const formatFigure = (value: number): string =>
  value >= 1000
    ? Math.round(value).toLocaleString('en-US')
    : value >= 100
      ? value.toFixed(0)
      : value >= 1
        ? value.toFixed(1)
        : value.toPrecision(2);

const VERDICTS = { true: 'met', false: 'NOT MET' } as const;

/** One row as aligned lines: median, spread, range, the ratio to the baseline, and whether the aim is met. */
export function formatRow(row: Row): string {
  if ('skipped' in row) return `${row.title}\n  left out: ${row.skipped}`;
  const { title, unit, baseline, aim } = row;
  const head = ['', `median ${unit}`, 'spread', 'range', `/ ${baseline}`, ...(aim ? ['aim'] : [])];
  const lines = figuresOf(row).map((figure) => [
    figure.name,
    formatFigure(figure.median),
    `±${figure.spreadPercent.toFixed(1)} %`,
    `${formatFigure(figure.min)}–${formatFigure(figure.max)}`,
    figure.ratio.toFixed(2),
    ...(aim ? [figure.met === undefined ? '' : VERDICTS[`${figure.met}`]] : []),
  ]);
  const widths = head.map((_, column) => Math.max(...[head, ...lines].map((line) => line[column]!.length)));
  const format = (line: readonly string[]) =>
    `  ${line.map((cell, column) => (column === 0 ? cell.padEnd(widths[column]!) : cell.padStart(widths[column]!))).join('  ')}`.trimEnd();
  return [aim ? `${title}  (aim: ${formatAim(aim, unit)})` : title, format(head), ...lines.map(format)].join(
    '\n',
  );
}

/** Each contender once a round, in an order that turns round by round. */
export function turns<T>(contenders: readonly T[], rounds: number): T[] {
  return Array.from({ length: rounds }, (_, round) =>
    contenders.map((_contender, i) => contenders[(i + round) % contenders.length]!),
  ).flat();
}

/** Run each contender once a round, in an order that turns round by round. */
export async function interleave(
  contenders: Readonly<Record<string, () => number | Promise<number>>>,
  rounds: number,
): Promise<Series[]> {
  const names = Object.keys(contenders);
  const figures = new Map<string, number[]>(names.map((name) => [name, []]));
  for (const name of turns(names, rounds)) figures.get(name)!.push(await contenders[name]!());
  return names.map((name) => ({ name, rounds: figures.get(name)! }));
}
