import { Server, ServerCredentials } from '@grpc/grpc-js';
import { ReflectionService } from '@grpc/reflection';
import { bpfHandlers } from './bpf.js';
import type { ApiContext } from './context.js';
import { diagnosticsHandlers } from './diagnostics.js';
import { formatListen, isLocal, type ListenAddress, listenError, restrictSocket } from './listen.js';
import { nodeHandlers } from './node.js';
import { poolHandlers } from './pools.js';
import { loadApi, loadDescriptors } from './proto.js';
import { statsHandlers } from './stats.js';
import type { ObserveRpc } from './unary.js';
import { vipHandlers } from './vips.js';

/** No request of this API is near it; it bounds what a client can make the server hold. */
const MAX_REQUEST_BYTES = 1024 * 1024;

export interface ApiServerOptions {
  readonly listen: ListenAddress;
  readonly context: ApiContext;
  readonly observe: ObserveRpc;
}

/** The gRPC server: the services of waggle.v1, and reflection. */
export class ApiServer {
  readonly #server: Server;
  /** Where it listens; the port is the real one where 0 was asked for. */
  readonly address: ListenAddress;

  private constructor(server: Server, address: ListenAddress) {
    this.#server = server;
    this.address = address;
  }

  /** @throws ListenError */
  static async start({ listen, context, observe }: ApiServerOptions): Promise<ApiServer> {
    const server = new Server({ 'grpc.max_receive_message_length': MAX_REQUEST_BYTES });
    const { v1 } = loadApi();
    const around = { log: context.log, observe };
    server.addService(v1.VipService.service, vipHandlers(context, around));
    server.addService(v1.PoolService.service, poolHandlers(context, around));
    server.addService(v1.StatsService.service, statsHandlers(context, around));
    server.addService(v1.NodeService.service, nodeHandlers(context, around));
    server.addService(v1.DiagnosticsService.service, diagnosticsHandlers(context, around));
    server.addService(v1.BpfService.service, bpfHandlers(context, around));
    new ReflectionService(loadDescriptors()).addToServer(server);
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync(formatListen(listen), ServerCredentials.createInsecure(), (error, bound) => {
        if (error) reject(listenError(listen, error));
        else resolve(bound);
      });
    });
    restrictSocket(listen);
    if (!isLocal(listen)) {
      context.log('warn', 'the API has no authentication, and other hosts can reach it', {
        listen: formatListen(listen),
      });
    }
    return new ApiServer(server, listen.kind === 'tcp' ? { ...listen, port } : listen);
  }

  /** Take no more calls, let running ones end, and cut them off after `graceMs`. Idempotent. */
  async stop(graceMs: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(() => {
        this.#server.forceShutdown();
        resolve();
      }, graceMs);
      this.#server.tryShutdown(() => {
        clearTimeout(timer);
        resolve();
      });
    });
  }
}
