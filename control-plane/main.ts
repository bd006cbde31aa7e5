import { readFileSync } from 'node:fs';
import {
  Datapath,
  defaultPinDirectory,
  dropCapabilities,
  KernelDatapath,
  type MapSizes,
  RUN_CAPABILITIES,
} from '../lb/index.js';
import { ControlPlane, type FollowedFile } from './control.js';
import { type ApiSecurity, checkSecurity } from './grpc/exposure.js';
import { formatListen, type ListenAddress, probeListen } from './grpc/listen.js';
import type { LevelledLog } from './log.js';
import type { StateLimits } from './state/limits.js';

export interface ApplianceOptions {
  /** Interface that packets come in and leave by. */
  readonly interface: string;
  /** Where the program runs: in worker threads over packet sockets or AF_XDP sockets, or in the kernel. */
  readonly engine: Engine;
  /** Worker threads; the kernel has none. */
  readonly workers: number;
  /** Of xdp: where program and tables are kept for the next process; true: the place of the interface. */
  readonly pin?: string | boolean | undefined;
  /** Entries of each worker's connection table. */
  readonly connections: number;
  /** Entries of each worker's table of flows from outside; undefined: there are none. */
  readonly globalFlows?: number | undefined;
  /** Entries of the other tables. */
  readonly sizes: MapSizes;
  /** How much can be declared. */
  readonly limits: StateLimits;
  readonly listen: ListenAddress;
  /** Where metrics are served; undefined: nowhere. */
  readonly metrics?: ListenAddress | undefined;
  /** Directory where the configuration is kept over restarts; undefined: in memory. */
  readonly state?: string | undefined;
  /** Configuration file that is followed; undefined: none. */
  readonly config?: FollowedFile | undefined;
  readonly security: ApiSecurity;
  readonly log: LevelledLog;
}

/** Where the balancer's program can run. */
export const ENGINES = ['af_packet', 'af_xdp', 'xdp'] as const;
export type Engine = (typeof ENGINES)[number];

/** A load balancer that runs: datapath and control plane. */
export interface Appliance {
  readonly control: ControlPlane;
  /** Stop in the reverse order of the start. Idempotent. */
  stop(): Promise<void>;
}

/** Version of the package; package.json lies above control-plane/, in the sources and in dist/. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

function startDatapath(options: ApplianceOptions): Promise<Datapath | KernelDatapath> {
  const { engine, pin, log, sizes } = options;
  const common = {
    interface: options.interface,
    connectionTableEntries: options.connections,
    globalFlowEntries: options.globalFlows,
    sizes,
    // What an operator turns on later has room from the start.
    reservesOptions: true,
    log,
  };
  if (engine !== 'xdp') return Datapath.start({ ...common, engine, workers: options.workers });
  const directory = pin === true ? defaultPinDirectory(options.interface) : pin;
  return KernelDatapath.start({ ...common, ...(directory && { pin: directory }) });
}

/**
 * Start in order: addresses and security tried, datapath, control plane. What was started is stopped when a later part fails.
 * @throws CodedError with one clear line: of the datapath, ListenError, SecurityError and those of ControlPlane.start
 */
export async function startAppliance(options: ApplianceOptions): Promise<Appliance> {
  const { log, listen, metrics, security } = options;
  await probeListen(listen);
  if (metrics) await probeListen(metrics);
  await checkSecurity(listen, security, log);
  const datapath = await startDatapath(options);
  let control: ControlPlane;
  try {
    const { state, config, limits } = options;
    const version = packageVersion();
    control = await ControlPlane.start({
      datapath,
      listen,
      metrics,
      version,
      state,
      config,
      limits,
      security,
      log,
    });
  } catch (error) {
    await datapath.stop();
    throw error;
  }
  log('info', 'ready', {
    interface: options.interface,
    mode: datapath.mode,
    workers: datapath.workers().length,
    listen: formatListen(control.address),
    ...(control.metricsAddress && { metrics: formatListen(control.metricsAddress) }),
  });
  let stopping: Promise<void> | undefined;
  return {
    control,
    stop: () => {
      stopping ??= control.stop().finally(() => datapath.stop());
      return stopping;
    },
  };
}

/**
 * Run an appliance until SIGINT or SIGTERM; SIGHUP has files read again. A second signal to end ends the process at once.
 * From the start on the process has only the capabilities that it needs.
 * @throws as `startAppliance`, and what giving up capabilities throws
 */
export async function runAppliance(options: ApplianceOptions): Promise<void> {
  const { log } = options;
  const appliance = await startAppliance(options);
  try {
    const { dropped, kept } = dropCapabilities(RUN_CAPABILITIES);
    log('debug', 'capabilities are given up', { dropped: dropped.length, kept });
    process.on('SIGHUP', () => {
      log('info', 'files are read again', { signal: 'SIGHUP' });
      appliance.control
        .reload()
        .catch((error: unknown) => log('error', 'files could not be read', { error }));
    });
    const signal = await new Promise<NodeJS.Signals>((resolve) => {
      for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, resolve);
    });
    log('info', 'stopping', { signal });
  } finally {
    await appliance.stop();
  }
  log('info', 'stopped');
}
