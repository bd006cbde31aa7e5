import { setMaxListeners } from 'node:events';
import { setImmediate as turn } from 'node:timers/promises';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { AuditLog } from '../security/audit.js';
import { SecurityFiles } from '../security/files.js';
import { CallLimiter, DEFAULT_LIMITS } from '../security/rate-limit.js';
import { backendHandlers } from './backends.js';
import { bpfHandlers } from './bpf.js';
import type { Surroundings } from './conduct.js';
import { configHandlers } from './config.js';
import type { ApiContext } from './context.js';
import { snapshotToProto } from './convert-snapshot.js';
import { ReloadableCredentials } from './credentials.js';
import { diagnosticsHandlers } from './diagnostics.js';
import { eventHandlers } from './events.js';
import { type ApiSecurity, checkExposure, transportOf } from './exposure.js';
import { flowHandlers } from './flows.js';
import { Gate } from './gate.js';
import type { ConfigServiceHandlers } from './generated/waggle/v1/ConfigService.js';
import type { DiagnosticsServiceHandlers } from './generated/waggle/v1/DiagnosticsService.js';
import type { NodeServiceHandlers } from './generated/waggle/v1/NodeService.js';
import type { PoolServiceHandlers } from './generated/waggle/v1/PoolService.js';
import type { StatsServiceHandlers } from './generated/waggle/v1/StatsService.js';
import type { VipServiceHandlers } from './generated/waggle/v1/VipService.js';
import { Health, loadHealth } from './health.js';
import { healthCheckHandlers } from './health-checks.js';
import { formatListen, type ListenAddress, listenError, restrictSocket } from './listen.js';
import { logLevelHandlers } from './log-level.js';
import { nodeHandlers } from './node.js';
import type { ObserveRpc } from './observe.js';
import { poolHandlers } from './pools.js';
import { loadApi, loadDescriptors } from './proto.js';
import { RequestIds } from './request-ids.js';
import { routingHandlers } from './routing.js';
import { statsHandlers } from './stats.js';
import { tableHandlers } from './table.js';
import { vipHandlers } from './vips.js';
import { watchBackendHandlers, watchVipHandlers } from './watch.js';
import { watchSnapshotHandlers } from './watch-snapshot.js';

/** Bounds what a client can make the server hold; the configuration of 10,000 VIPs and as many backends takes half. */
const MAX_REQUEST_BYTES = 16 * 1024 * 1024;
const MAX_RESPONSE_BYTES = 64 * 1024 * 1024;
/** Calls at the same time on one connection. */
const MAX_CALLS_OF_CONNECTION = 256;
/** A connection whose client is gone without a word is noticed after both. */
const KEEPALIVE_MS = 60_000;
const KEEPALIVE_TIMEOUT_MS = 20_000;

/** How often the callers of streams are looked at again: what they showed may have expired. */
const RECHECK_MS = 10_000;

/** How long calls may go on over connections that are renewed. */
const RENEWAL_MS = 5_000;

export interface ApiServerOptions {
  readonly listen: ListenAddress;
  readonly context: ApiContext;
  readonly observe: ObserveRpc;
  /** undefined: clear text, for this host alone. */
  readonly security?: ApiSecurity | undefined;
}

/** What a server is made of that has to be closed. */
interface Parts {
  readonly server: Server;
  readonly health: Health;
  readonly files: SecurityFiles;
  readonly audit: AuditLog;
  readonly stopping: AbortController;
}

/** The gRPC server: the services of waggle.v1, health and reflection, behind a gate. */
export class ApiServer {
  readonly #parts: Parts;
  /** Where it listens; the port is the real one where 0 was asked for. */
  readonly address: ListenAddress;

  private constructor(parts: Parts, address: ListenAddress) {
    this.#parts = parts;
    this.address = address;
  }

  /** @throws ListenError, SecurityError, ConfigError of the access file, AuditError */
  static async start({ listen, context, observe, security = {} }: ApiServerOptions): Promise<ApiServer> {
    const { log } = context;
    const files = await SecurityFiles.open({ ...security, log });
    let audit: AuditLog | undefined;
    try {
      checkExposure(listen, security, files.rules);
      audit = await AuditLog.open(security.audit, log);
      const gate = new Gate({
        transport: transportOf(listen, security),
        rules: () => files.rules,
        limiter: new CallLimiter(security.limits ?? DEFAULT_LIMITS, () => performance.now()),
        audit,
        observe,
        log,
        nowMs: () => Date.now(),
      });
      files.onChange(() => gate.recheck());
      const stopping = new AbortController();
      // Each open stream hears of it.
      setMaxListeners(0, stopping.signal);
      const around: Surroundings = { log, observe, gate, audit, stopping: stopping.signal };
      const server = new Server({
        'grpc.max_receive_message_length': MAX_REQUEST_BYTES,
        'grpc.max_send_message_length': MAX_RESPONSE_BYTES,
        'grpc.max_concurrent_streams': MAX_CALLS_OF_CONNECTION,
        'grpc.keepalive_time_ms': KEEPALIVE_MS,
        'grpc.keepalive_timeout_ms': KEEPALIVE_TIMEOUT_MS,
        interceptors: [gate.interceptor],
      });
      const health = addServices(server, context, around);
      const port = await bind(server, listen, credentialsOf(files));
      restrictSocket(listen);
      if (transportOf(listen, security) === 'plain') {
        log('warn', 'the API is in clear text, and other hosts can reach it: as --insecure asks', {
          listen: formatListen(listen),
        });
      }
      const address = listen.kind === 'tcp' ? { ...listen, port } : listen;
      renewConnections(server, address, files);
      const rechecks = setInterval(() => gate.recheck(), RECHECK_MS).unref();
      stopping.signal.addEventListener('abort', () => clearInterval(rechecks));
      return new ApiServer({ server, health, files, audit, stopping }, address);
    } catch (error) {
      files.close();
      await audit?.close();
      throw error;
    }
  }

  /** End of the certificate, milliseconds since 1970; undefined without TLS. */
  get certificateExpiresMs(): number | undefined {
    return this.#parts.files.tls?.expiresMs;
  }

  /** Read certificates and access rules again, as on SIGHUP; faults are logged. Resolves to whether they are good. */
  reload(): Promise<boolean> {
    return this.#parts.files.reload();
  }

  /**
   * Say that the server does not serve, end streams, take no more calls, let running ones end, and cut them off after
   * `graceMs`. Idempotent.
   */
  async stop(graceMs: number): Promise<void> {
    const { server, health, files, audit, stopping } = this.#parts;
    health.shutDown();
    // Those who watch the health are told before their streams end.
    await turn();
    stopping.abort();
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        server.forceShutdown();
        resolve();
      }, graceMs);
      server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
    files.close();
    await audit.close();
  }
}

function addServices(server: Server, context: ApiContext, around: Surroundings): Health {
  const { v1 } = loadApi();
  const requests = new RequestIds(() => performance.now());
  const { store } = context.reconciler;
  server.addService(v1.VipService.service, {
    ...vipHandlers(context, around, requests),
    ...watchVipHandlers(context, around),
  } satisfies VipServiceHandlers);
  server.addService(v1.PoolService.service, {
    ...poolHandlers(context, around, requests),
    ...backendHandlers(context, around, requests),
    ...watchBackendHandlers(context, around),
  } satisfies PoolServiceHandlers);
  server.addService(v1.HealthCheckService.service, healthCheckHandlers(context, around, requests));
  server.addService(v1.RoutingService.service, routingHandlers(context, around));
  server.addService(v1.ConfigService.service, {
    ...configHandlers(context, around, requests),
    ...watchSnapshotHandlers(context, around, (state) => snapshotToProto(state, store.etag)),
  } satisfies ConfigServiceHandlers);
  server.addService(v1.StatsService.service, {
    ...statsHandlers(context, around),
    ...flowHandlers(context, around),
    ...eventHandlers(context.events, around),
  } satisfies StatsServiceHandlers);
  server.addService(v1.NodeService.service, {
    ...nodeHandlers(context, around),
    ...logLevelHandlers(context.logLevel, context.events, around),
  } satisfies NodeServiceHandlers);
  server.addService(v1.DiagnosticsService.service, {
    ...diagnosticsHandlers(context, around),
    ...tableHandlers(context, around),
  } satisfies DiagnosticsServiceHandlers);
  server.addService(v1.BpfService.service, bpfHandlers(context, around));
  const descriptors = loadDescriptors();
  const services = Object.keys(descriptors).filter((name) => /^waggle\.v1\.\w+Service$/.test(name));
  const health = new Health(services, () =>
    context.datapath.workers().every(({ state }) => state === 'running'),
  );
  const { service, descriptors: healthDescriptors } = loadHealth();
  server.addService(service, health.handlers(around));
  new ReflectionService({ ...descriptors, ...healthDescriptors }).addToServer(server);
  return health;
}

function credentialsOf(files: SecurityFiles): ServerCredentials {
  const { tls } = files;
  if (tls === undefined) return ServerCredentials.createInsecure();
  // Where nobody has a token, strangers do not even get through the handshake.
  const needsCertificate = tls.clientCa !== undefined && files.rules.tokens.length === 0;
  const secure = new ReloadableCredentials(tls, needsCertificate);
  files.onChange(() => files.tls && secure.replace(files.tls));
  return secure;
}

/** Connections that were let in by an authority that is trusted no more end: their clients connect anew. */
function renewConnections(server: Server, address: ListenAddress, files: SecurityFiles): void {
  const authority = () => files.tls?.clientCa?.toString('latin1');
  let before = authority();
  files.onChange(() => {
    const now = authority();
    if (now !== before) server.drain(formatListen(address), RENEWAL_MS);
    before = now;
  });
}

function bind(server: Server, listen: ListenAddress, credentials: ServerCredentials): Promise<number> {
  // A Unix socket is never open to others, not even before its mode is set.
  const umask = listen.kind === 'unix' ? process.umask(0o077) : undefined;
  return new Promise((resolve, reject) => {
    server.bindAsync(formatListen(listen), credentials, (error, bound) => {
      if (umask !== undefined) process.umask(umask);
      if (error) reject(listenError(listen, error));
      else resolve(bound);
    });
  });
}
