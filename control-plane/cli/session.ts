import type { Backend__Output } from '../grpc/generated/waggle/v1/Backend.js';
import type { HealthCheck__Output } from '../grpc/generated/waggle/v1/HealthCheck.js';
import type { ListBackendsResponse__Output } from '../grpc/generated/waggle/v1/ListBackendsResponse.js';
import type { ListHealthChecksResponse__Output } from '../grpc/generated/waggle/v1/ListHealthChecksResponse.js';
import type { ListPoolsResponse__Output } from '../grpc/generated/waggle/v1/ListPoolsResponse.js';
import type { ListVipsResponse__Output } from '../grpc/generated/waggle/v1/ListVipsResponse.js';
import type { Pool__Output } from '../grpc/generated/waggle/v1/Pool.js';
import type { Vip__Output } from '../grpc/generated/waggle/v1/Vip.js';
import type { Client } from './client.js';
import { type ConnectionFlags, resolveConnection } from './connection.js';
import { type Column, isForPeople, type Output, structured, table, wantsColor } from './format.js';

/** Options that every command takes. */
export interface GlobalOptions extends ConnectionFlags {
  readonly output: Output;
}

/** Which resources of a list, and in what order; as the API has it. */
export interface ListQuery {
  readonly filter?: string | undefined;
  readonly orderBy?: string | undefined;
}

interface ListRequest {
  readonly filter: string;
  readonly orderBy: string;
  readonly pageSize: number;
  readonly pageToken: string;
}

const PAGE_SIZE = 1000;

/** One run of a command: the server, and how to print. */
export class Session {
  readonly client: Client;
  readonly output: Output;
  readonly isColored = wantsColor(process.stdout, process.env);

  constructor(client: Client, output: Output) {
    this.client = client;
    this.output = output;
  }

  /** Print data: for people by `asText`, or structured, as the user asked. */
  print(value: unknown, asText: () => string): void {
    console.log(isForPeople(this.output) ? asText() : structured(value, this.output));
  }

  /** Rows as a table, as wide as the user asked. */
  table<T>(columns: readonly Column<T>[], rows: readonly T[]): string {
    return table(columns, rows, this.isColored, this.output === 'wide');
  }

  /** All of a list, page by page. */
  async #all<Response extends { readonly nextPageToken: string }, Item>(
    query: ListQuery,
    page: (request: ListRequest) => Promise<Response>,
    itemsOf: (response: Response) => readonly Item[],
  ): Promise<Item[]> {
    const { allPages } = await import('./client.js');
    const { filter = '', orderBy = '' } = query;
    return allPages((pageToken) => page({ filter, orderBy, pageSize: PAGE_SIZE, pageToken }), itemsOf);
  }

  listVips(query: ListQuery = {}): Promise<Vip__Output[]> {
    const { client } = this;
    return this.#all(
      query,
      (request) =>
        client.ask<ListVipsResponse__Output>((options, done) => client.vips.ListVips(request, options, done)),
      ({ vips }) => vips,
    );
  }

  listPools(query: ListQuery = {}): Promise<Pool__Output[]> {
    const { client } = this;
    return this.#all(
      query,
      (request) =>
        client.ask<ListPoolsResponse__Output>((options, done) =>
          client.pools.ListPools(request, options, done),
        ),
      ({ pools }) => pools,
    );
  }

  /** @param parent pools/{pool}, or pools/- for all */
  listBackends(parent = 'pools/-', query: ListQuery = {}): Promise<Backend__Output[]> {
    const { client } = this;
    return this.#all(
      query,
      (request) =>
        client.ask<ListBackendsResponse__Output>((options, done) =>
          client.pools.ListBackends({ parent, ...request }, options, done),
        ),
      ({ backends }) => backends,
    );
  }

  listChecks(query: ListQuery = {}): Promise<HealthCheck__Output[]> {
    const { client } = this;
    return this.#all(
      query,
      (request) =>
        client.ask<ListHealthChecksResponse__Output>((options, done) =>
          client.checks.ListHealthChecks(request, options, done),
        ),
      ({ healthChecks }) => healthChecks,
    );
  }

  getVip(name: string): Promise<Vip__Output> {
    return this.client.ask<Vip__Output>((options, done) => this.client.vips.GetVip({ name }, options, done));
  }

  getPool(name: string): Promise<Pool__Output> {
    return this.client.ask<Pool__Output>((options, done) =>
      this.client.pools.GetPool({ name }, options, done),
    );
  }

  getBackend(name: string): Promise<Backend__Output> {
    return this.client.ask<Backend__Output>((options, done) =>
      this.client.pools.GetBackend({ name }, options, done),
    );
  }

  getCheck(name: string): Promise<HealthCheck__Output> {
    return this.client.ask<HealthCheck__Output>((options, done) =>
      this.client.checks.GetHealthCheck({ name }, options, done),
    );
  }
}

/**
 * Run a command in a session of its own.
 * @throws CliError: the connection's settings make no sense, the server refuses or is not there
 */
export async function withSession(
  options: GlobalOptions,
  run: (session: Session) => Promise<void>,
): Promise<void> {
  const connection = resolveConnection(options, process.env);
  // Only here: a command that asks no server starts faster without the library.
  const { Client } = await import('./client.js');
  const session = new Session(new Client(connection), options.output);
  try {
    await run(session);
  } finally {
    session.client.close();
  }
}
