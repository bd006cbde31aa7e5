import {
  type CallOptions,
  credentials,
  type requestCallback,
  type ServiceError,
  status,
} from '@grpc/grpc-js';
import type { BpfServiceClient } from '../grpc/generated/waggle/v1/BpfService.js';
import type { DiagnosticsServiceClient } from '../grpc/generated/waggle/v1/DiagnosticsService.js';
import type { NodeServiceClient } from '../grpc/generated/waggle/v1/NodeService.js';
import type { PoolServiceClient } from '../grpc/generated/waggle/v1/PoolService.js';
import type { StatsServiceClient } from '../grpc/generated/waggle/v1/StatsService.js';
import type { VipServiceClient } from '../grpc/generated/waggle/v1/VipService.js';
import { loadApi } from '../grpc/proto.js';
import { CliError, EXIT, oneLine } from './faults.js';

/** Far longer than any change takes; a server that does not answer by then is stuck. */
const DEADLINE_MS = 10_000;

/** The API of one server. */
export class Client {
  readonly vips: VipServiceClient;
  readonly pools: PoolServiceClient;
  readonly stats: StatsServiceClient;
  readonly nodes: NodeServiceClient;
  readonly diagnostics: DiagnosticsServiceClient;
  readonly bpf: BpfServiceClient;
  readonly #server: string;

  /** @param server HOST:PORT, [IPV6]:PORT or unix:PATH */
  constructor(server: string) {
    const { v1 } = loadApi();
    const plaintext = credentials.createInsecure();
    this.#server = server;
    this.vips = new v1.VipService(server, plaintext);
    this.pools = new v1.PoolService(server, plaintext);
    this.stats = new v1.StatsService(server, plaintext);
    this.nodes = new v1.NodeService(server, plaintext);
    this.diagnostics = new v1.DiagnosticsService(server, plaintext);
    this.bpf = new v1.BpfService(server, plaintext);
  }

  /**
   * Make one call.
   * @throws CliError: refused by the server, or not reached
   */
  ask<Response>(
    start: (options: CallOptions, done: requestCallback<Response>) => unknown,
  ): Promise<Response> {
    return new Promise((resolve, reject) => {
      start({ deadline: Date.now() + DEADLINE_MS }, (error, response) => {
        if (error) reject(this.#fault(error));
        else if (response === undefined)
          reject(new CliError(EXIT.refused, 'the server answered with nothing'));
        else resolve(response);
      });
    });
  }

  close(): void {
    const all = [this.vips, this.pools, this.stats, this.nodes, this.diagnostics, this.bpf];
    for (const client of all) client.close();
  }

  #fault(error: ServiceError): CliError {
    if (error.code === status.UNAVAILABLE) {
      const reason = /\b(E[A-Z]{4,})\b/.exec(error.details)?.[1];
      return new CliError(
        EXIT.unreachable,
        `cannot reach the server at ${this.#server}${reason ? ` (${reason})` : ''}: is "waggle up" running there? --server names another`,
      );
    }
    if (error.code === status.DEADLINE_EXCEEDED) {
      return new CliError(
        EXIT.unreachable,
        `the server at ${this.#server} did not answer within ${DEADLINE_MS / 1000} s`,
      );
    }
    return new CliError(EXIT.refused, oneLine(error.details || error.message));
  }
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
