import { Counter, Gauge, type Registry } from 'prom-client';

/** Labels and value of one series. */
export type Row = readonly [labels: Readonly<Record<string, string>>, value: bigint | number];

export interface FamilySpec {
  readonly name: string;
  /** One sentence, for # HELP. */
  readonly help: string;
  readonly labelNames: readonly string[];
}

/** A family as Prometheus knows it. */
export interface Family extends FamilySpec {
  readonly type: 'counter' | 'gauge' | 'histogram';
}

/**
 * Series that one family may have: labels are names of the configuration and words of closed lists, and this is the bound where the
 * configuration is very large.
 */
const MAX_SERIES = 50_000;

/**
 * Families whose series are exactly those that their rows give when they are asked for: a series goes when its resource does.
 */
export class Families {
  readonly #registry: Registry;
  readonly #maxSeries: number;
  /** Series beyond the bound, by family, as of the last time that it was asked for. */
  readonly #omitted = new Map<string, number>();
  readonly #all: Family[] = [];

  constructor(registry: Registry, maxSeries = MAX_SERIES) {
    this.#registry = registry;
    this.#maxSeries = maxSeries;
  }

  /** Every family that was made here. */
  get all(): readonly Family[] {
    return this.#all;
  }

  counter(spec: FamilySpec, rows: () => Iterable<Row>): void {
    this.#all.push({ ...spec, type: 'counter' });
    const fill = (metric: Counter) => this.#fill(spec, metric, rows());
    new Counter({
      ...this.#options(spec),
      // The library calls it with the metric as `this`, before it has a name here.
      collect() {
        fill(this);
      },
    });
  }

  gauge(spec: FamilySpec, rows: () => Iterable<Row>): void {
    this.#all.push({ ...spec, type: 'gauge' });
    const fill = (metric: Gauge) => this.#fill(spec, metric, rows());
    new Gauge({
      ...this.#options(spec),
      collect() {
        fill(this);
      },
    });
  }

  /** Say what is left out; to be called last, since families are asked for in their order. */
  omitted(): void {
    this.gauge(
      {
        name: 'waggle_metrics_omitted_series',
        help: 'Series that a family leaves out because it has too many; only families that do.',
        labelNames: ['family'],
      },
      () => [...this.#omitted].map(([name, count]): Row => [{ family: name }, count]),
    );
  }

  #options({ labelNames, ...spec }: FamilySpec) {
    return { ...spec, labelNames: [...labelNames], registers: [this.#registry] };
  }

  #fill({ name, labelNames }: FamilySpec, metric: Counter | Gauge, rows: Iterable<Row>): void {
    metric.reset();
    let count = 0;
    for (const [labels, value] of rows) {
      if (++count <= this.#maxSeries) metric.inc({ ...labels }, Number(value));
    }
    // The library gives a family without labels a series of its own, which would say 0 of what there is not.
    if (count === 0 && labelNames.length === 0) metric.remove();
    if (count > this.#maxSeries) this.#omitted.set(name, count - this.#maxSeries);
    else this.#omitted.delete(name);
  }
}
