import { randomBytes } from 'node:crypto';
import { networkInterfaces } from 'node:os';
import { performance } from 'node:perf_hooks';
import {
  type Adopted,
  type BalancerTables,
  type BpfInspector,
  type Datapath,
  type DatapathMode,
  type EventSource,
  type IpAddress,
  type Mac,
  parseIp,
} from '../lb/index.js';
import { CheckTunnels } from './check-tunnels.js';
import { Checking } from './checking.js';
import type { ApplianceSettings } from './config/index.js';
import { ConfigFile } from './config-file.js';
import { Drains } from './drains.js';
import type { ApiContext } from './grpc/context.js';
import type { ApiSecurity } from './grpc/exposure.js';
import type { ListenAddress } from './grpc/listen.js';
import { ApiServer } from './grpc/server.js';
import { Probes } from './health/prober.js';
import { SYSTEM_CLOCK } from './health/types.js';
import { HealthMemory } from './health-memory.js';
import type { LevelledLog } from './log.js';
import { createMetrics, MetricsServer } from './metrics.js';
import { Timings } from './metrics-timings.js';
import { Neighbours } from './neighbours.js';
import { type Log, Reconciler } from './reconcile/reconciler.js';
import { DEFAULT_LIMITS, type StateLimits } from './state/limits.js';
import { Store } from './state/store.js';
import { noteConfig } from './watch/config-events.js';
import { EventLog } from './watch/event-log.js';
import { noteNextHops } from './watch/next-hop-events.js';
import { PacketEvents } from './watch/packet-events.js';
import { WorkerEvents } from './watch/worker-events.js';

/** What the control plane needs of a datapath; it does not know which engine runs. */
export type ControlledDatapath = Pick<
  Datapath,
  | 'link'
  | 'protectVips'
  | 'unprotectVips'
  | 'resolveNextHop'
  | 'workers'
  | 'restartWorker'
  | 'swapProgram'
  | 'setOptions'
  | 'simulate'
> & {
  readonly mode: DatapathMode;
  readonly tables: BalancerTables;
  readonly inspector: BpfInspector;
  /** What another process wrote into the tables; undefined: they are empty. */
  readonly adopted?: Adopted | undefined;
  events(): EventSource;
};

/** A configuration file that the node follows. */
export interface FollowedFile {
  readonly path: string;
  /** As they are in force. */
  readonly settings: ApplianceSettings;
}

export interface ControlPlaneOptions {
  readonly datapath: ControlledDatapath;
  readonly listen: ListenAddress;
  /** Where metrics are served; undefined: nowhere. */
  readonly metrics?: ListenAddress | undefined;
  readonly version: string;
  /** Directory where the configuration is kept over restarts; undefined: in memory. */
  readonly state?: string | undefined;
  /** How much can be declared; unless given, what the tables have room for. */
  readonly limits?: StateLimits | undefined;
  readonly config?: FollowedFile | undefined;
  /** undefined: clear text, for this host alone. */
  readonly security?: ApiSecurity | undefined;
  readonly log: LevelledLog;
}

/** How long running calls may take when the server stops. */
const STOP_GRACE_MS = 2_000;

/** What a control plane is made of, in the order of its start; it is stopped the other way round. */
interface Parts {
  readonly api: ApiServer;
  readonly metrics: MetricsServer | undefined;
  readonly config: ConfigFile | undefined;
  readonly stop: (() => void | Promise<void>)[];
}

/** Store, reconciler, neighbours, health checks, API and metrics over a datapath that runs. */
export class ControlPlane {
  readonly #parts: Parts;
  #stopping: Promise<void> | undefined;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  /** Where the API listens. */
  get address(): ListenAddress {
    return this.#parts.api.address;
  }

  /** Where metrics are served. */
  get metricsAddress(): ListenAddress | undefined {
    return this.#parts.metrics?.address;
  }

  /** @throws ListenError, SecurityError, JournalError, ReconcileError, ConfigError; nothing is left running then */
  static async start(options: ControlPlaneOptions): Promise<ControlPlane> {
    const stop: Parts['stop'] = [];
    try {
      return new ControlPlane(await startParts(options, stop));
    } catch (error) {
      await stopAll(stop);
      throw error;
    }
  }

  /** Read certificates, access rules and the configuration file again; faults are logged, and what was in force goes on. */
  async reload(): Promise<void> {
    await this.reloadSecurity();
    await this.#parts.config?.reload();
  }

  /** Read certificates and access rules again; faults are logged. Resolves to whether they are good. */
  reloadSecurity(): Promise<boolean> {
    return this.#parts.api.reload();
  }

  /** Stop in reverse order. Idempotent. */
  stop(): Promise<void> {
    this.#stopping ??= stopAll(this.#parts.stop);
    return this.#stopping;
  }
}

async function stopAll(steps: Parts['stop']): Promise<void> {
  for (const step of steps.splice(0).reverse()) await step();
}

async function startParts(options: ControlPlaneOptions, stop: Parts['stop']): Promise<Parts> {
  const { datapath, log } = options;
  let server: ApiServer | undefined;
  const nowMs = () => performance.now();
  const events = new EventLog({ nowMs: () => Date.now() });
  const timings = new Timings();
  const store = await openStore(options, events);
  stop.push(() => store.close());
  const neighbours = new Neighbours({
    resolve: (address) => datapath.resolveNextHop(address),
    onChange: (keys) => {
      reconciler
        .refresh(keys)
        .catch((error: unknown) => log('error', 'next hops could not be written', { error }));
    },
    onTurn: noteNextHops({ events, state: () => store.state }),
    log,
    nowMs,
    remembered: adoptedNextHops(datapath.adopted),
  });
  const reconciler = new Reconciler({
    store,
    datapath,
    nextHops: neighbours,
    log,
    nowMs,
    observe: (phase, seconds, isDone) => {
      timings.reconcile(phase, seconds, isDone);
      if (phase === 'journal' && !isDone)
        events.emit({ type: 'state.fault', message: 'a change could not be written to the state directory' });
    },
  });
  stop.push(noteConfig(store, events));
  const health = await startHealth(options, reconciler, events, stop);
  const context: ApiContext = {
    reconciler,
    datapath,
    health,
    events,
    nextHop: (key) => neighbours.status(key),
    log,
    logLevel: log,
    version: options.version,
    startTimeMs: Date.now(),
  };
  health.monitor.on('probe', timings.probe);
  const registry = createMetrics(context, {
    timings,
    packets: datapath.events(),
    certificateExpiresMs: () => server?.certificateExpiresMs,
  });
  const metrics = options.metrics && (await MetricsServer.start(options.metrics, registry));
  if (metrics) stop.push(() => metrics.stop());
  // Before the API answers: it must not show what is not written yet.
  await reconciler.restore({ adopted: datapath.adopted });
  const config = options.config && new ConfigFile({ ...options.config, reconciler, events, log });
  await config?.apply();
  config?.watch();
  if (config) stop.push(() => config.stop());
  const drains = new Drains({
    reconciler,
    tables: datapath.tables,
    events,
    log,
    nowMs: () => Date.now(),
  });
  drains.start();
  stop.push(() => drains.stop());
  const packets = new PacketEvents({
    source: datapath.events(),
    tables: datapath.tables,
    reconciler,
    events,
    log,
  });
  packets.start();
  stop.push(() => packets.stop());
  const workers = new WorkerEvents({ workers: () => datapath.workers(), events });
  workers.start();
  stop.push(() => workers.stop());
  const { listen, security } = options;
  const api = await ApiServer.start({ listen, context, observe: registry.observeRpc, security });
  server = api;
  stop.push(() => api.stop(STOP_GRACE_MS));
  neighbours.start();
  stop.push(() => neighbours.stop());
  return { api, metrics, config, stop };
}

/** The health checks, begun: what they know of before is in force from the first write on. */
async function startHealth(
  { datapath, state, log }: ControlPlaneOptions,
  reconciler: Reconciler,
  events: EventLog,
  stop: Parts['stop'],
): Promise<Checking> {
  const tunnels = new CheckTunnels({
    link: datapath.link,
    linkAddresses: () => addressesOf(datapath.link.name),
    state: () => reconciler.store.state,
    log,
  });
  stop.push(() => tunnels.close());
  const probes = new Probes({ clock: SYSTEM_CLOCK, tunnel: tunnels });
  stop.push(() => probes.close());
  const memory = await HealthMemory.open(state, log);
  stop.push(() => memory.close());
  const checking = new Checking({
    reconciler,
    clock: SYSTEM_CLOCK,
    probe: probes.probe,
    seed: randomBytes(8).toString('hex'),
    memory,
    events,
    log,
    onTunnelled: (backends) => tunnels.keep(backends),
  });
  stop.push(() => checking.stop());
  await checking.start();
  return checking;
}

/** Addresses of an interface, without those that never leave the link. */
function addressesOf(name: string): IpAddress[] {
  const found = networkInterfaces()[name] ?? [];
  return found.filter(({ scopeid }) => !scopeid).map(({ address }) => parseIp(address));
}

/** The store, with what it found on the disk said. @throws JournalError */
async function openStore(
  { state: directory, limits, datapath, log }: ControlPlaneOptions,
  events: EventLog,
): Promise<Store> {
  const options = {
    nowMs: () => Date.now(),
    epoch: randomBytes(4).toString('hex'),
    limits: limits ?? limitsOf(datapath.tables),
  };
  if (directory === undefined) return new Store(options);
  const store = await Store.open(directory, options);
  sayRecovery(store, directory, log, events);
  return store;
}

function sayRecovery(store: Store, directory: string, log: Log, events: EventLog): void {
  const { revision, replayed, notes } = store.recovery ?? { revision: 0, replayed: 0, notes: [] };
  for (const { kind, ...note } of notes) {
    if (kind === 'damaged') {
      log('error', 'the state was damaged: what was good of it is used', note);
      events.emit({
        type: 'state.damaged',
        message: `${note.file} of the state directory is damaged: what was good of it is used`,
        attributes: Object.fromEntries(Object.entries(note).map(([name, value]) => [name, String(value)])),
      });
    } else log('info', 'a change that was being written is cut off', note);
  }
  log('info', 'the configuration is back', { directory, revision, replayed });
}

/** What tables have room for. */
function limitsOf({ limits: { vips, rings, reals } }: BalancerTables): StateLimits {
  return { ...DEFAULT_LIMITS, vips, rings, addresses: reals };
}

/** Ethernet addresses that packets go to now: a take-over must not stop them until the network has answered again. */
function adoptedNextHops(adopted: Adopted | undefined): ReadonlyMap<string, Mac> {
  const known = [...(adopted?.reals ?? [])].flatMap(([key, { mac }]) => (mac ? [[key, mac] as const] : []));
  return new Map(known);
}
