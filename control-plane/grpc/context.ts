import type { BalancerTables, BpfInspector, Datapath, DatapathMode } from '../../lb/index.js';
import type { PoolUse } from '../health/pool-health.js';
import type { ProbeResult, TargetStatus } from '../health/types.js';
import type { LevelledLog } from '../log.js';
import type { NextHopStatus } from '../neighbours.js';
import type { Log, Reconciler } from '../reconcile/reconciler.js';
import type { EventLog } from '../watch/event-log.js';

/** What of the datapath the API shows and moves. */
export type ApiDatapath = Pick<
  Datapath,
  'link' | 'workers' | 'restartWorker' | 'swapProgram' | 'simulate'
> & {
  readonly mode: DatapathMode;
  readonly tables: BalancerTables;
  readonly inspector: BpfInspector;
};

/** What the health checks say. */
export interface HealthView {
  /** How a backend stands, by name; undefined: it is not checked. */
  status(backend: string): TargetStatus | undefined;
  /** Percent of its weight that a backend gets; 100 where it is not checked. */
  share(backend: string): number;
  /** Who of a pool is used, by its name; undefined: it has no checks. */
  mode(pool: string): PoolUse['mode'] | undefined;
  /** Probe a backend once with each of its checks, by their ids. @throws MonitorError where it is not checked */
  probe(backend: string): Promise<ReadonlyMap<string, ProbeResult>>;
}

/** What the handlers work on. */
export interface ApiContext {
  readonly reconciler: Reconciler;
  readonly datapath: ApiDatapath;
  readonly health: HealthView;
  readonly events: EventLog;
  /** Next hop towards a backend's address, by its key. */
  readonly nextHop: (key: string) => NextHopStatus;
  readonly log: Log;
  readonly logLevel: Pick<LevelledLog, 'level' | 'setLevel'>;
  /** Version of the software. */
  readonly version: string;
  /** When the datapath started, milliseconds since 1970. */
  readonly startTimeMs: number;
}
