import type { IpAddress, Mac } from '../net/address.js';
import type { Flow } from './connections.js';
import type { Prefix } from './routes.js';
import type { VipKey } from './vip-key.js';

/**
 * What the balancer's tables hold besides VIPs, backends and rings, as plain data. `real` is a row of `reals` everywhere.
 * Keys that are text tell the rows apart: each kind of content says by which text.
 */
export interface TableRows {
  readonly routerMac: Mac | undefined;
  readonly ownAddresses: ReadonlyMap<4 | 6, IpAddress>;
  /** Rows by server id. */
  readonly serverIds: ReadonlyMap<number, number>;
  /** By the client's prefix. */
  readonly sourceRoutes: ReadonlyMap<string, { readonly prefix: Prefix; readonly real: number }>;
  /** By the VIP and the row. */
  readonly downReals: ReadonlyMap<string, { readonly vip: VipKey; readonly real: number }>;
  /** Flows that are in every CPU's table, by the flow. */
  readonly globalFlows: ReadonlyMap<string, { readonly flow: Flow; readonly real: number }>;
  /** By the address. */
  readonly decapDestinations: ReadonlyMap<string, { readonly address: IpAddress; readonly egress: boolean }>;
  /** VIP whose new connections are counted by backend. */
  readonly watched: VipKey | undefined;
}
