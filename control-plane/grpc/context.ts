import type { BalancerTables, BpfInspector, Datapath, DatapathMode } from '../../lb/index.js';
import type { NextHopStatus } from '../neighbours.js';
import type { Log, Reconciler } from '../reconcile/reconciler.js';

/** What of the datapath the API shows and moves. */
export type ApiDatapath = Pick<
  Datapath,
  'link' | 'workers' | 'restartWorker' | 'swapProgram' | 'simulate'
> & {
  readonly mode: DatapathMode;
  readonly tables: BalancerTables;
  readonly inspector: BpfInspector;
};

/** What the handlers work on. */
export interface ApiContext {
  readonly reconciler: Reconciler;
  readonly datapath: ApiDatapath;
  /** Next hop towards a backend's address, by its key. */
  readonly nextHop: (key: string) => NextHopStatus;
  readonly log: Log;
  /** Version of the software. */
  readonly version: string;
  /** When the datapath started, milliseconds since 1970. */
  readonly startTimeMs: number;
}
