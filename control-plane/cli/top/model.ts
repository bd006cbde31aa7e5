import type { RateRow, RateSample, Rates } from './rates.js';

/** What rows can be sorted by, in the order of the columns. */
export const SORT_KEYS = ['name', 'packets', 'bits', 'connections', 'drops'] as const;
export const BACKEND_SORT_KEYS = ['name', 'packets', 'bits', 'connections', 'flows'] as const;
export type SortKey = (typeof SORT_KEYS)[number] | 'flows';

export const VIEWS = ['vips', 'backends'] as const;
export type View = (typeof VIEWS)[number];

/** Samples that a trend remembers. */
export const HISTORY = 60;

/** What of a row has a trend. */
const TRENDS = ['packets', 'bits', 'connections'] as const;
export type TrendKey = (typeof TRENDS)[number];
type Trends = Record<TrendKey, number[]>;

const noTrends = (): Trends => ({ packets: [], bits: [], connections: [] });

function remember(trends: Trends, rates: Rates): void {
  for (const key of TRENDS) {
    trends[key].push(rates[key] ?? 0);
    if (trends[key].length > HISTORY) trends[key].shift();
  }
}

/** A row as it is shown: what it does, and did. */
export interface ShownRow extends RateRow {
  readonly trend: readonly number[];
}

/** vip-9 before vip-10. Made once: comparing 10,000 names a second is then some hundredths of it. */
const BY_NAME = new Intl.Collator('en', { numeric: true });

/** What came from the server, and how the user looks at it. */
export class TopModel {
  view: View = 'vips';
  sort: SortKey = 'packets';
  isReversed = false;
  isPaused = false;
  filter = '';
  /** First row that is shown. */
  offset = 0;
  #sample: RateSample | undefined;
  #total = noTrends();
  readonly #trends: Record<View, Map<string, Trends>> = { vips: new Map(), backends: new Map() };

  /** The last sample; undefined before the first. */
  get sample(): RateSample | undefined {
    return this.#sample;
  }

  get sortKeys(): readonly SortKey[] {
    return this.view === 'vips' ? SORT_KEYS : BACKEND_SORT_KEYS;
  }

  /** Take a sample in; one that comes while paused is left out, and the picture stays as it is. */
  take(sample: RateSample): void {
    if (this.isPaused) return;
    this.#sample = sample;
    remember(this.#total, sample.total);
    for (const view of VIEWS) {
      const before = this.#trends[view];
      const seen = new Set<string>();
      for (const row of sample[view]) {
        seen.add(row.name);
        const trends = before.get(row.name) ?? noTrends();
        remember(trends, row);
        before.set(row.name, trends);
      }
      // What was deleted is not remembered: names come and go.
      for (const name of before.keys()) if (!seen.has(name)) before.delete(name);
    }
  }

  totalTrend(key: TrendKey): readonly number[] {
    return this.#total[key];
  }

  /** Rows of the view, those that the filter lets through, sorted. */
  rows(): ShownRow[] {
    const rows = (this.#sample?.[this.view] ?? []).filter(({ name }) =>
      name.toLowerCase().includes(this.filter.toLowerCase()),
    );
    const trends = this.#trends[this.view];
    return rows
      .sort((a, b) => this.#compare(a, b))
      .map((row) => ({ ...row, trend: trends.get(row.name)?.[this.trendKey] ?? [] }));
  }

  /** What the trends show: what is sorted by, where that has one. */
  get trendKey(): TrendKey {
    return TRENDS.find((key) => key === this.sort) ?? 'packets';
  }

  #compare(a: RateRow, b: RateRow): number {
    const direction = this.isReversed ? -1 : 1;
    if (this.sort === 'name') return BY_NAME.compare(a.name, b.name) * direction;
    // The most on top; equal ones stay in the order of their names, and so do not dance.
    return ((b[this.sort] ?? 0) - (a[this.sort] ?? 0)) * direction || BY_NAME.compare(a.name, b.name);
  }

  show(view: View): void {
    this.view = view;
    this.offset = 0;
    if (!this.sortKeys.includes(this.sort)) this.sort = 'packets';
  }

  /** The column beside, round the end. */
  moveSort(by: 1 | -1): void {
    const keys = this.sortKeys;
    const at = keys.indexOf(this.sort);
    this.sort = keys[(at + by + keys.length) % keys.length] ?? 'packets';
  }
}
