import { randomBytes } from 'node:crypto';
import { performance } from 'node:perf_hooks';
import type { BalancerTables, BpfInspector, Datapath, DatapathMode } from '../lb/index.js';
import type { ApiContext } from './grpc/context.js';
import type { ListenAddress } from './grpc/listen.js';
import { ApiServer } from './grpc/server.js';
import { createMetrics, MetricsServer } from './metrics.js';
import { Neighbours } from './neighbours.js';
import { type Log, Reconciler } from './reconcile/reconciler.js';
import { Store } from './state/store.js';

/** What the control plane needs of a datapath; it does not know which engine runs. */
export type ControlledDatapath = Pick<
  Datapath,
  | 'link'
  | 'protectVip'
  | 'unprotectVip'
  | 'resolveNextHop'
  | 'workers'
  | 'restartWorker'
  | 'swapProgram'
  | 'simulate'
> & {
  readonly mode: DatapathMode;
  readonly tables: BalancerTables;
  readonly inspector: BpfInspector;
};

export interface ControlPlaneOptions {
  readonly datapath: ControlledDatapath;
  readonly listen: ListenAddress;
  /** Where metrics are served; undefined: nowhere. */
  readonly metrics?: ListenAddress | undefined;
  readonly version: string;
  /** Directory where the configuration is kept over restarts; undefined: in memory. */
  readonly state?: string | undefined;
  readonly log: Log;
}

/** How long running calls may take when the server stops. */
const STOP_GRACE_MS = 2_000;

/** Store, reconciler, neighbours, API and metrics over a datapath that runs. */
export class ControlPlane {
  readonly #neighbours: Neighbours;
  readonly #api: ApiServer;
  readonly #metrics: MetricsServer | undefined;
  readonly #store: Store;

  private constructor(
    neighbours: Neighbours,
    api: ApiServer,
    metrics: MetricsServer | undefined,
    store: Store,
  ) {
    this.#neighbours = neighbours;
    this.#api = api;
    this.#metrics = metrics;
    this.#store = store;
  }

  /** Where the API listens. */
  get address(): ListenAddress {
    return this.#api.address;
  }

  /** Where metrics are served. */
  get metricsAddress(): ListenAddress | undefined {
    return this.#metrics?.address;
  }

  /** @throws ListenError, JournalError, ReconcileError; nothing is left running then */
  static async start({
    datapath,
    listen,
    metrics,
    version,
    state,
    log,
  }: ControlPlaneOptions): Promise<ControlPlane> {
    const nowMs = () => performance.now();
    const neighbours = new Neighbours({
      resolve: (address) => datapath.resolveNextHop(address),
      onChange: () => {
        reconciler
          .refresh()
          .catch((error: unknown) => log('error', 'next hops could not be written', { error }));
      },
      log,
      nowMs,
    });
    const store = await openStore(state, log);
    const reconciler = new Reconciler({ store, datapath, nextHops: neighbours, log, nowMs });
    const context: ApiContext = {
      reconciler,
      datapath,
      nextHop: (key) => neighbours.status(key),
      log,
      version,
      startTimeMs: Date.now(),
    };
    const registry = createMetrics(context);
    let metricsServer: MetricsServer | undefined;
    try {
      metricsServer = metrics && (await MetricsServer.start(metrics, registry));
      // Before the API answers: it must not show what is not written yet.
      await reconciler.restore();
      const api = await ApiServer.start({ listen, context, observe: registry.observeRpc });
      neighbours.start();
      return new ControlPlane(neighbours, api, metricsServer, store);
    } catch (error) {
      await metricsServer?.stop();
      await store.close();
      throw error;
    }
  }

  /** Stop in reverse order. Idempotent. */
  async stop(): Promise<void> {
    this.#neighbours.stop();
    await this.#api.stop(STOP_GRACE_MS);
    await this.#store.close();
    await this.#metrics?.stop();
  }
}

/** The store, with what it found on the disk said. @throws JournalError */
async function openStore(directory: string | undefined, log: Log): Promise<Store> {
  const options = { nowMs: () => Date.now(), epoch: randomBytes(4).toString('hex') };
  if (directory === undefined) return new Store(options);
  const store = await Store.open(directory, options);
  const { revision, replayed, notes } = store.recovery ?? { revision: 0, replayed: 0, notes: [] };
  for (const { kind, ...note } of notes) {
    if (kind === 'damaged') log('error', 'the state was damaged: what was good of it is used', note);
    else log('info', 'a change that was being written is cut off', note);
  }
  log('info', 'the configuration is back', { directory, revision, replayed });
  return store;
}
