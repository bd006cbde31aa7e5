import type { HealthView } from '../../control-plane/grpc/context.js';
import { createMetrics, type Metrics, type MetricsSources } from '../../control-plane/metrics.js';
import { Reconciler } from '../../control-plane/reconcile/reconciler.js';
import { Store } from '../../control-plane/state/store.js';
import { EventLog } from '../../control-plane/watch/event-log.js';
import { parseIp } from '../../lb/index.js';
import { MemoryDatapath, macOf } from './memory-datapath.js';
import { silentLog } from './silent-log.js';

/** No pool has health checks. */
const UNCHECKED: HealthView = {
  status: () => undefined,
  share: () => 100,
  mode: () => undefined,
  probe: async () => new Map(),
};

/** The next hop of every backend is known. */
export const resolvedHop = (key: string) =>
  ({ state: 'resolved', mac: macOf(parseIp(key)), reason: '' }) as const;

/** Metrics over a datapath in memory, and what they are of. */
export interface MetricsBed {
  readonly datapath: MemoryDatapath;
  readonly reconciler: Reconciler;
  readonly events: EventLog;
  readonly metrics: Metrics;
}

export function metricsBed(sources: MetricsSources = {}, health: Partial<HealthView> = {}): MetricsBed {
  const datapath = new MemoryDatapath();
  const reconciler = new Reconciler({
    store: new Store({ nowMs: () => 0, epoch: 'e' }),
    datapath,
    nextHops: {
      mac: (key) => resolvedHop(key).mac,
      watch: async () => undefined,
      forget: () => undefined,
    },
    log: () => undefined,
    nowMs: () => performance.now(),
    ...(sources.timings && { observe: sources.timings.reconcile }),
  });
  const events = new EventLog({ nowMs: () => 0 });
  const context = {
    reconciler,
    datapath,
    nextHop: resolvedHop,
    health: { ...UNCHECKED, ...health },
    events,
    log: () => undefined,
    logLevel: silentLog(),
    version: '1.2.3',
    startTimeMs: 5000,
  };
  return { datapath, reconciler, events, metrics: createMetrics(context, sources) };
}
