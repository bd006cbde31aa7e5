import { createServer, type Server } from 'node:http';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { collectDefaultMetrics, Registry } from 'prom-client';
import type { EventSource } from '../lb/index.js';
import type { ApiContext } from './grpc/context.js';
import { type ListenAddress, listenError } from './grpc/listen.js';
import type { ObserveRpc } from './grpc/observe.js';
import { balancerFamilies } from './metrics-balancer.js';
import { Families, type Family, type Row } from './metrics-family.js';
import { backendFamilies, nodeFamilies, poolFamilies } from './metrics-state.js';
import { Sweep } from './metrics-sweep.js';
import { Timings } from './metrics-timings.js';
import { connectionFamilies, trafficFamilies, vipFamilies } from './metrics-traffic.js';
import { workerFamilies } from './metrics-worker.js';
import { EVENT_TYPE_NAMES } from './watch/event-types.js';

/** Metrics as Prometheus reads them: counters and gauges are read from the tables when they are asked for. */
export interface Metrics {
  /** For each call of the API. */
  readonly observeRpc: ObserveRpc;
  /** The exposition format, of now. */
  text(): Promise<string>;
  readonly contentType: string;
  /** The families of its own; what the runtime says of the process is there too. */
  readonly families: readonly Family[];
}

/** What is measured besides what the handlers work on. */
export interface MetricsSources {
  /** Told of how long things take by whoever does them. */
  readonly timings?: Timings;
  /** Packets that the program reports. */
  readonly packets?: Pick<EventSource, 'counters'>;
  /** End of the API's certificate, milliseconds since 1970; undefined where it has none. */
  readonly certificateExpiresMs?: () => number | undefined;
}

function eventFamilies(families: Families, { events }: ApiContext, { packets }: MetricsSources): void {
  families.counter(
    {
      name: 'waggle_events_total',
      help: 'Events of WatchEvents, by type.',
      labelNames: ['type'],
    },
    () => EVENT_TYPE_NAMES.map((type): Row => [{ type }, events.counts.get(type) ?? 0]),
  );
  families.counter(
    {
      name: 'waggle_packet_events_total',
      help: 'Packets that the program reported: read, malformed, or lost because the ring was full.',
      labelNames: ['result'],
    },
    () => {
      if (packets === undefined) return [];
      const { read, malformed, lost } = packets.counters;
      return Object.entries({ read, malformed, lost }).map(([result, count]): Row => [{ result }, count]);
    },
  );
}

function securityFamilies(families: Families, { certificateExpiresMs }: MetricsSources): void {
  families.gauge(
    {
      name: 'waggle_tls_certificate_expiry_timestamp_seconds',
      help: "When the API's certificate expires, seconds since 1970; without TLS there is no series.",
      labelNames: [],
    },
    () => {
      const expiresMs = certificateExpiresMs?.();
      return expiresMs === undefined ? [] : [[{}, expiresMs / 1000]];
    },
  );
}

/** Gauges of the library that are named as counters; each has a twin by type. */
const MISNAMED = [
  'nodejs_active_handles_total',
  'nodejs_active_requests_total',
  'nodejs_active_resources_total',
];

/**
 * How often the library looks whether the event loop is late, ms. Its delays are from one look to the next, so that this
 * is the least of them; at its own 10 ms the looking is most of what an idle appliance does.
 */
const EVENT_LOOP_LOOK_MS = 100;

/** All metrics of the appliance. */
export function createMetrics(context: ApiContext, sources: MetricsSources = {}): Metrics {
  const { timings = new Timings() } = sources;
  const registry = new Registry();
  collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: EVENT_LOOP_LOOK_MS });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  timings.register(registry);
  const families = new Families(registry);
  const sweep = new Sweep(context);
  trafficFamilies(families, sweep);
  vipFamilies(families, sweep);
  connectionFamilies(families, sweep, context.datapath.tables);
  balancerFamilies(families, context);
  nodeFamilies(families, context);
  backendFamilies(families, context);
  poolFamilies(families, context);
  workerFamilies(families, context);
  eventFamilies(families, context, sources);
  securityFamilies(families, sources);
  families.omitted();
  return {
    observeRpc: timings.rpc,
    contentType: registry.contentType,
    families: [...timings.all, ...families.all],
    text: async () => {
      await sweep.take();
      const texts: string[] = [];
      for (const { name } of registry.getMetricsAsArray()) {
        texts.push(await registry.getSingleMetricAsString(name));
        // A family may have ten thousand series: others have their turn in between.
        await nextTurn();
      }
      return `${texts.join('\n\n')}\n`;
    },
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
