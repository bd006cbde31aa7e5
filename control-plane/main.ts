import { readFileSync } from 'node:fs';
import { Datapath, KernelDatapath } from '../lb/index.js';
import { ControlPlane } from './control.js';
import { formatListen, type ListenAddress, probeListen } from './grpc/listen.js';
import type { Log } from './reconcile/reconciler.js';

export interface ApplianceOptions {
  /** Interface that packets come in and leave by. */
  readonly interface: string;
  /** Where the program runs: in worker threads over packet sockets, or in the kernel. */
  readonly engine: Engine;
  /** Worker threads; the kernel has none. */
  readonly workers: number;
  /** Entries of each worker's connection table. */
  readonly connections: number;
  readonly listen: ListenAddress;
  /** Where metrics are served; undefined: nowhere. */
  readonly metrics?: ListenAddress | undefined;
  /** Directory where the configuration is kept over restarts; undefined: in memory. */
  readonly state?: string | undefined;
  readonly log: Log;
}

/** Where the balancer's program can run. */
export const ENGINES = ['af_packet', 'xdp'] as const;
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

/**
 * Start in order: addresses tried, datapath, control plane. What was started is stopped when a later part fails.
 * @throws CodedError with one clear line: of the datapath, ListenError
 */
export async function startAppliance(options: ApplianceOptions): Promise<Appliance> {
  const { log, listen, metrics, state } = options;
  await probeListen(listen);
  if (metrics) await probeListen(metrics);
  const common = { interface: options.interface, connectionTableEntries: options.connections, log };
  const datapath =
    options.engine === 'xdp'
      ? await KernelDatapath.start(common)
      : await Datapath.start({ ...common, workers: options.workers });
  let control: ControlPlane;
  try {
    control = await ControlPlane.start({ datapath, listen, metrics, version: packageVersion(), state, log });
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
 * Run an appliance until SIGINT or SIGTERM. A second signal ends the process at once.
 * @throws as `startAppliance`
 */
export async function runAppliance(options: ApplianceOptions): Promise<void> {
  const appliance = await startAppliance(options);
  const signal = await new Promise<NodeJS.Signals>((resolve) => {
    for (const name of ['SIGINT', 'SIGTERM'] as const) process.once(name, resolve);
  });
  options.log('info', 'stopping', { signal });
  await appliance.stop();
  options.log('info', 'stopped');
}
