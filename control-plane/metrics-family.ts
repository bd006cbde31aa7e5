import { Counter, Gauge, type Registry } from 'prom-client';

/** Labels and value of one series. */
export type Row = readonly [labels: Readonly<Record<string, string>>, value: bigint | number];

/** A family whose series are exactly those that `rows` gives: a series goes when its resource does. */
export function family(
  registry: Registry,
  kind: 'counter' | 'gauge',
  spec: { readonly name: string; readonly help: string; readonly labelNames: readonly string[] },
  rows: () => Iterable<Row>,
): void {
  const options = { ...spec, labelNames: [...spec.labelNames], registers: [registry] };
  const fill = (metric: Counter | Gauge) => {
    metric.reset();
    for (const [labels, value] of rows()) metric.inc({ ...labels }, Number(value));
  };
  // prom-client calls collect with the metric as `this`, before it has a name here.
  if (kind === 'counter') {
    new Counter({
      ...options,
      collect() {
        fill(this);
      },
    });
  } else {
    new Gauge({
      ...options,
      collect() {
        fill(this);
      },
    });
  }
}
