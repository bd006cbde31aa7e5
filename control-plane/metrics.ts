import { createServer, type Server } from 'node:http';
import { collectDefaultMetrics, Histogram, Registry } from 'prom-client';
import type { ApiContext } from './grpc/context.js';
import { type ListenAddress, listenError } from './grpc/listen.js';
import type { ObserveRpc } from './grpc/unary.js';
import { balancerFamilies } from './metrics-balancer.js';
import { family } from './metrics-family.js';
import { connectionFamilies, trafficFamilies } from './metrics-traffic.js';
import { effectiveWeight } from './reconcile/image.js';
import { idOf } from './state/model.js';

/** Metrics as Prometheus reads them: counters and gauges are read from the tables when they are asked for. */
export interface Metrics {
  /** For each call of the API. */
  readonly observeRpc: ObserveRpc;
  /** The exposition format, of now. */
  text(): Promise<string>;
  readonly contentType: string;
}

/** Bounds of the buckets for API calls, seconds: a change of a large ring takes milliseconds. */
const RPC_BUCKETS_SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

function stateFamilies(registry: Registry, { reconciler, nextHop, version, startTimeMs }: ApiContext): void {
  const { store } = reconciler;
  family(
    registry,
    'gauge',
    {
      name: 'waggle_info',
      help: 'Always 1; the label is the version of the software.',
      labelNames: ['version'],
    },
    () => [[{ version }, 1]],
  );
  family(
    registry,
    'gauge',
    {
      name: 'waggle_start_time_seconds',
      help: 'When the datapath started, seconds since 1970.',
      labelNames: [],
    },
    () => [[{}, startTimeMs / 1000]],
  );
  family(
    registry,
    'gauge',
    { name: 'waggle_config_revision', help: 'Revision of the configuration.', labelNames: [] },
    () => [[{}, store.state.revision]],
  );
  family(
    registry,
    'gauge',
    {
      name: 'waggle_config_active_revision',
      help: 'Revision of the configuration that the datapath runs.',
      labelNames: [],
    },
    () => [[{}, reconciler.activeRevision]],
  );
  family(
    registry,
    'gauge',
    {
      name: 'waggle_backend_weight',
      help: 'Weight in force: 0 while draining, and while the next hop has not been found.',
      labelNames: ['pool', 'backend'],
    },
    function* () {
      for (const backend of store.state.backends.values()) {
        const { mac } = nextHop(backend.addressKey);
        yield [{ pool: idOf(backend.pool), backend: idOf(backend.name) }, effectiveWeight(backend, mac)];
      }
    },
  );
  family(
    registry,
    'gauge',
    {
      name: 'waggle_backend_ring_share_ratio',
      help: "Share of its pool's ring that a backend has, 0 to 1.",
      labelNames: ['pool', 'backend'],
    },
    function* () {
      for (const backend of store.state.backends.values()) {
        yield [{ pool: idOf(backend.pool), backend: idOf(backend.name) }, reconciler.tableShare(backend)];
      }
    },
  );
}

/** Families of a worker's counters; a name that is in none of them tells what became of frames. */
const WORKER_FAMILIES = [
  {
    name: 'waggle_worker_received_frames_total',
    help: 'Frames that a worker took from its ring.',
    counters: { received: {} },
  },
  {
    name: 'waggle_worker_taken_over_frames_total',
    help: 'Frames that a worker took from its inbox: other workers handed them to it.',
    counters: { taken_over: {} },
  },
  {
    name: 'waggle_worker_bytes_total',
    help: 'Bytes on the wire of frames received, transmitted, and redirected to another interface.',
    counters: {
      received_bytes: { direction: 'received' },
      transmitted_bytes: { direction: 'transmitted' },
      redirected_bytes: { direction: 'redirected' },
    },
  },
  {
    name: 'waggle_worker_mended_frames_total',
    help: 'Frames that were mended before the program saw them, and how.',
    counters: { checksum_filled: { mend: 'checksum_filled' }, vlan_restored: { mend: 'vlan_restored' } },
  },
  {
    name: 'waggle_worker_batches_total',
    help: 'Rounds of a worker that found at least one frame.',
    counters: { batches: {} },
  },
  {
    name: 'waggle_worker_wakeups_total',
    help: 'Times that a worker woke from waiting.',
    counters: { wakeups: {} },
  },
  {
    name: 'waggle_worker_program_runs_total',
    help: 'Times that a worker ran the program on a frame.',
    counters: { program_runs: {} },
  },
  {
    name: 'waggle_worker_program_seconds_total',
    help: 'Time of the batches that the program ran in, with what hands it the frames.',
    counters: { program_ns: {} },
    scale: 1e-9,
  },
] as const;

function workerFamilies(registry: Registry, { datapath }: ApiContext): void {
  const placed = new Set<string>(WORKER_FAMILIES.flatMap(({ counters }) => Object.keys(counters)));
  for (const row of WORKER_FAMILIES) {
    const { name, help, counters } = row;
    const scale = 'scale' in row ? row.scale : undefined;
    const byCounter: Readonly<Record<string, Readonly<Record<string, string>>>> = counters;
    const labelNames = [
      'worker',
      ...new Set(Object.values(byCounter).flatMap((labels) => Object.keys(labels))),
    ];
    family(registry, 'counter', { name, help, labelNames }, function* () {
      for (const worker of datapath.workers()) {
        const values: Readonly<Record<string, bigint>> = worker.counters;
        for (const [counter, labels] of Object.entries(byCounter)) {
          const value = values[counter] ?? 0n;
          yield [
            { worker: String(worker.index), ...labels },
            scale === undefined ? value : Number(value) * scale,
          ];
        }
      }
    });
  }
  family(
    registry,
    'counter',
    {
      name: 'waggle_worker_frames_total',
      help: 'What became of the frames that a worker received or took over.',
      labelNames: ['worker', 'outcome'],
    },
    function* () {
      for (const { index, counters } of datapath.workers()) {
        for (const [outcome, value] of Object.entries(counters)) {
          if (!placed.has(outcome)) yield [{ worker: String(index), outcome }, value];
        }
      }
    },
  );
  family(
    registry,
    'counter',
    {
      name: 'waggle_worker_restarts_total',
      help: 'Times that a worker thread was replaced.',
      labelNames: ['worker'],
    },
    () => datapath.workers().map(({ index, restarts }) => [{ worker: String(index) }, restarts] as const),
  );
  family(
    registry,
    'gauge',
    { name: 'waggle_worker_up', help: '1 while the worker runs.', labelNames: ['worker'] },
    () =>
      datapath
        .workers()
        .map(({ index, state }) => [{ worker: String(index) }, state === 'running' ? 1 : 0] as const),
  );
}

/** All metrics of the appliance. */
export function createMetrics(context: ApiContext): Metrics {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  const rpc = new Histogram({
    name: 'waggle_rpc_duration_seconds',
    help: 'Calls of the API: how long they took.',
    labelNames: ['method', 'status'],
    buckets: RPC_BUCKETS_SECONDS,
    registers: [registry],
  });
  for (const add of [trafficFamilies, connectionFamilies, balancerFamilies, stateFamilies, workerFamilies])
    add(registry, context);
  return {
    observeRpc: (method, status, seconds) => rpc.observe({ method, status }, seconds),
    contentType: registry.contentType,
    text: () => registry.metrics(),
  };
}

/** The HTTP server of the metrics: GET /metrics, and nothing else. */
export class MetricsServer {
  readonly #server: Server;
  /** Where it listens; the port is the real one where 0 was asked for. */
  readonly address: ListenAddress;

  private constructor(server: Server, address: ListenAddress) {
    this.#server = server;
    this.address = address;
  }

  /** @throws ListenError */
  static async start(listen: ListenAddress, metrics: Metrics): Promise<MetricsServer> {
    const server = createServer((request, response) => {
      if (request.url !== '/metrics' || request.method !== 'GET') {
        response.writeHead(404, { 'content-type': 'text/plain' }).end('only GET /metrics is served\n');
        return;
      }
      metrics.text().then(
        (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
        (error: unknown) =>
          response.writeHead(500, { 'content-type': 'text/plain' }).end(`${String(error)}\n`),
      );
    });
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(listenError(listen, error)));
      server.listen(
        listen.kind === 'unix' ? { path: listen.path } : { host: listen.host, port: listen.port },
        resolve,
      );
    });
    const bound = server.address();
    const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
    return new MetricsServer(server, listen.kind === 'tcp' ? { ...listen, port } : listen);
  }

  /** Close the listener and the connections. Idempotent. */
  async stop(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}
