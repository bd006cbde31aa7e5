import {
  type CallOptions,
  type ChannelCredentials,
  type ClientOptions,
  type ClientReadableStream,
  credentials,
  InterceptingCall,
  type Interceptor,
  type requestCallback,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import { decodeStatus, STATUS_DETAILS_KEY } from '../grpc/details.js';
import type { BpfServiceClient } from '../grpc/generated/waggle/v1/BpfService.js';
import type { ConfigServiceClient } from '../grpc/generated/waggle/v1/ConfigService.js';
import type { DiagnosticsServiceClient } from '../grpc/generated/waggle/v1/DiagnosticsService.js';
import type { HealthCheckServiceClient } from '../grpc/generated/waggle/v1/HealthCheckService.js';
import type { NodeServiceClient } from '../grpc/generated/waggle/v1/NodeService.js';
import type { PoolServiceClient } from '../grpc/generated/waggle/v1/PoolService.js';
import type { RoutingServiceClient } from '../grpc/generated/waggle/v1/RoutingService.js';
import type { StatsServiceClient } from '../grpc/generated/waggle/v1/StatsService.js';
import type { VipServiceClient } from '../grpc/generated/waggle/v1/VipService.js';
import { loadApi } from '../grpc/proto.js';
import type { Connection } from './connection.js';
import { CliError, EXIT, oneLine } from './faults.js';

/** Far longer than any change takes; a server that does not answer by then is stuck. */
const DEADLINE_MS = 10_000;
/** 10,000 VIPs and 10,000 backends are some 5 MB, more than the library lets through by itself. */
const MAX_MESSAGE_BYTES = 64 * 1024 * 1024;

function credentialsOf({ tls }: Connection): ChannelCredentials {
  if (tls === undefined) return credentials.createInsecure();
  const { ca, identity } = tls;
  return credentials.createSsl(ca ?? null, identity?.key ?? null, identity?.cert ?? null);
}

/** Shows the token with every call. */
const showToken =
  (token: string): Interceptor =>
  (options, nextCall) =>
    new InterceptingCall(nextCall(options), {
      start(metadata, listener, next) {
        metadata.set('authorization', `Bearer ${token}`);
        next(metadata, listener);
      },
    });

/** What breaks TLS, in the library's words, and what a user can do. */
const TLS_ADVICE: readonly (readonly [RegExp, string])[] = [
  [
    /self.signed|unable to (get|verify).*certificate|UNABLE_TO_/i,
    'its certificate is not signed by an authority that is trusted here: give --ca',
  ],
  [/altnames|Hostname\/IP does not match/i, 'its certificate is for another name: give --server-name'],
  [/certificate has expired|CERT_HAS_EXPIRED/i, 'its certificate has expired'],
  [/wrong version number|packet length too long/i, 'it does not speak TLS: leave --tls, --ca and --cert out'],
  [
    /certificate required|alert (number )?116|bad certificate/i,
    'it asks for a certificate: give --cert and --key',
  ],
];

/** The API of one server. */
export class Client {
  readonly vips: VipServiceClient;
  readonly pools: PoolServiceClient;
  readonly checks: HealthCheckServiceClient;
  readonly routing: RoutingServiceClient;
  readonly config: ConfigServiceClient;
  readonly stats: StatsServiceClient;
  readonly nodes: NodeServiceClient;
  readonly diagnostics: DiagnosticsServiceClient;
  readonly bpf: BpfServiceClient;
  readonly server: string;

  constructor(connection: Connection) {
    const { v1 } = loadApi();
    const { server, tls, token } = connection;
    const channel = credentialsOf(connection);
    const options: ClientOptions = {
      'grpc.max_receive_message_length': MAX_MESSAGE_BYTES,
      'grpc.max_send_message_length': MAX_MESSAGE_BYTES,
      ...(tls?.serverName !== undefined && {
        'grpc.ssl_target_name_override': tls.serverName,
        'grpc.default_authority': tls.serverName,
      }),
      ...(token !== undefined && { interceptors: [showToken(token)] }),
    };
    this.server = server;
    this.vips = new v1.VipService(server, channel, options);
    this.pools = new v1.PoolService(server, channel, options);
    this.checks = new v1.HealthCheckService(server, channel, options);
    this.routing = new v1.RoutingService(server, channel, options);
    this.config = new v1.ConfigService(server, channel, options);
    this.stats = new v1.StatsService(server, channel, options);
    this.nodes = new v1.NodeService(server, channel, options);
    this.diagnostics = new v1.DiagnosticsService(server, channel, options);
    this.bpf = new v1.BpfService(server, channel, options);
  }

  /**
   * Make one call.
   * @throws CliError: refused by the server, or not reached
   */
  ask<Response>(
    start: (options: CallOptions, done: requestCallback<Response>) => unknown,
    deadlineMs = DEADLINE_MS,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      start({ deadline: Date.now() + deadlineMs }, (error, response) => {
        if (error) reject(this.#fault(error, deadlineMs));
        else if (response === undefined)
          reject(new CliError(EXIT.refused, 'the server answered with nothing'));
        else resolve(response);
      });
    });
  }

  /**
   * Messages of a stream as they come, until the server ends it or the caller stops.
   * @param signal ends it as well
   * @throws CliError as `ask` does
   */
  async *stream<Message>(
    start: (options: CallOptions) => ClientReadableStream<Message>,
    signal?: AbortSignal,
  ): AsyncGenerator<Message, void, undefined> {
    const call = start({});
    const cancel = () => call.cancel();
    signal?.addEventListener('abort', cancel, { once: true });
    if (signal?.aborted) cancel();
    try {
      for await (const message of call) yield message as Message;
    } catch (error) {
      if (signal?.aborted) return;
      if (error instanceof Error && 'code' in error && 'details' in error && 'metadata' in error)
        throw this.#fault(error as ServiceError, 0);
      throw error;
    } finally {
      signal?.removeEventListener('abort', cancel);
      // After the end it does nothing; before it, a server that is left alone would go on sending.
      call.cancel();
    }
  }

  close(): void {
    const { vips, pools, checks, routing, config, stats, nodes, diagnostics, bpf } = this;
    for (const client of [vips, pools, checks, routing, config, stats, nodes, diagnostics, bpf])
      client.close();
  }

  #fault(error: ServiceError, deadlineMs: number): CliError {
    const reason = reasonOfRefusal(error);
    const { code, details } = error;
    // Without details of ours it was the library that gave up, not the server that refused.
    if (code === status.UNAVAILABLE && reason === undefined) return this.#unreachable(details);
    if (code === status.DEADLINE_EXCEEDED && reason === undefined) {
      return new CliError(
        EXIT.unreachable,
        `the server at ${this.server} did not answer within ${deadlineMs / 1000} s`,
      );
    }
    if (code === status.UNIMPLEMENTED && reason === undefined)
      return new CliError(
        EXIT.refused,
        `the server at ${this.server} is of another version and cannot do this`,
      );
    return new CliError(EXIT.refused, oneLine(details || error.message), reason ?? status[code]);
  }

  #unreachable(details: string): CliError {
    const advice = TLS_ADVICE.find(([pattern]) => pattern.test(details))?.[1];
    if (advice !== undefined)
      return new CliError(EXIT.unreachable, `cannot talk to the server at ${this.server}: ${advice}`);
    const errno = /\b(E[A-Z]{4,})\b/.exec(details)?.[1];
    return new CliError(
      EXIT.unreachable,
      `cannot reach the server at ${this.server}${errno ? ` (${errno})` : ''}: is "waggle up" running there? --server names another`,
    );
  }
}

/** What the server's details say that a refusal is for; undefined where it has none. */
function reasonOfRefusal({ code, metadata }: ServiceError): string | undefined {
  const packed = metadata?.get(STATUS_DETAILS_KEY)[0];
  if (!(packed instanceof Uint8Array)) return undefined;
  const info = decodeStatus(packed).details.find(({ type }) => type === 'ErrorInfo');
  return typeof info?.reason === 'string' && info.reason !== '' ? info.reason : status[code];
}

/** Page after page of a list. */
export async function allPages<Response extends { readonly nextPageToken: string }, Item>(
  page: (pageToken: string) => Promise<Response>,
  itemsOf: (response: Response) => readonly Item[],
): Promise<Item[]> {
  const items: Item[] = [];
  let token = '';
  do {
    const response = await page(token);
    items.push(...itemsOf(response));
    token = response.nextPageToken;
  } while (token !== '');
  return items;
}
