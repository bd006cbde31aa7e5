import type { Backend__Output } from '../grpc/generated/waggle/v1/Backend.js';
import type { ListBackendsResponse__Output } from '../grpc/generated/waggle/v1/ListBackendsResponse.js';
import type { ListPoolsResponse__Output } from '../grpc/generated/waggle/v1/ListPoolsResponse.js';
import type { ListVipsResponse__Output } from '../grpc/generated/waggle/v1/ListVipsResponse.js';
import type { Pool__Output } from '../grpc/generated/waggle/v1/Pool.js';
import type { Vip__Output } from '../grpc/generated/waggle/v1/Vip.js';
import { allPages, Client } from './client.js';
import { type Output, structured, wantsColor } from './format.js';

/** Options that every command takes. */
export interface GlobalOptions {
  readonly server: string;
  readonly output: Output;
}

const PAGE_SIZE = 1000;

/** One run of a command: the server, and how to print. */
export class Session {
  readonly client: Client;
  readonly output: Output;
  readonly isColored = wantsColor(process.stdout, process.env);

  constructor({ server, output }: GlobalOptions) {
    this.client = new Client(server);
    this.output = output;
  }

  /** Print data: as a table by `asTable`, or structured, as the user asked. */
  print(value: unknown, asTable: () => string): void {
    console.log(this.output === 'table' ? asTable() : structured(value, this.output));
  }

  listVips(): Promise<Vip__Output[]> {
    const { client } = this;
    return allPages(
      (pageToken) =>
        client.ask<ListVipsResponse__Output>((options, done) =>
          client.vips.ListVips({ pageSize: PAGE_SIZE, pageToken }, options, done),
        ),
      ({ vips }) => vips,
    );
  }

  listPools(): Promise<Pool__Output[]> {
    const { client } = this;
    return allPages(
      (pageToken) =>
        client.ask<ListPoolsResponse__Output>((options, done) =>
          client.pools.ListPools({ pageSize: PAGE_SIZE, pageToken }, options, done),
        ),
      ({ pools }) => pools,
    );
  }

  /** @param parent pools/{pool}, or pools/- for all */
  listBackends(parent = 'pools/-'): Promise<Backend__Output[]> {
    const { client } = this;
    return allPages(
      (pageToken) =>
        client.ask<ListBackendsResponse__Output>((options, done) =>
          client.pools.ListBackends({ parent, pageSize: PAGE_SIZE, pageToken }, options, done),
        ),
      ({ backends }) => backends,
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
}

/** Run a command in a session of its own. */
export async function withSession(
  options: GlobalOptions,
  run: (session: Session) => Promise<void>,
): Promise<void> {
  const session = new Session(options);
  try {
    await run(session);
  } finally {
    session.client.close();
  }
}
