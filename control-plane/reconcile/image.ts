import {
  type Flow,
  formatIp,
  formatVip,
  type IpAddress,
  type Mac,
  type Prefix,
  VIP_FLAGS,
  type VipKey,
} from '../../lb/index.js';
import {
  type Backend,
  backendRows,
  backendsOf,
  type DesiredState,
  type RingAlgorithm,
  ringKey,
  ringsInUse,
  type Vip,
} from '../state/model.js';

/** A backend in a ring. */
export interface RingMember {
  /** Row in `reals`. */
  readonly index: number;
  readonly address: IpAddress;
  /** At least 1. */
  readonly weight: number;
}

/** A backend's row. */
export interface RealImage {
  readonly address: IpAddress;
  /** undefined: the router's. */
  readonly mac: Mac | undefined;
  readonly isLocal: boolean;
}

/** A ring without members is empty, which is not the same as no ring. */
export interface RingImage {
  readonly members: readonly RingMember[];
  readonly algorithm: RingAlgorithm;
}

export interface VipImage {
  readonly key: VipKey;
  readonly number: number;
  readonly ring: number;
  /** Bits of VIP_FLAGS. */
  readonly flags: number;
}

/** What the datapath's tables hold, or are to hold; plain data. `real` is a row of `reals` everywhere. */
export interface TableImage {
  readonly routerMac: Mac | undefined;
  readonly ownAddresses: ReadonlyMap<4 | 6, IpAddress>;
  readonly reals: ReadonlyMap<number, RealImage>;
  /** By number. */
  readonly rings: ReadonlyMap<number, RingImage>;
  /** By resource name. */
  readonly vips: ReadonlyMap<string, VipImage>;
  /** Rows by server id. */
  readonly serverIds: ReadonlyMap<number, number>;
  /** By prefix. */
  readonly sourceRoutes: ReadonlyMap<string, { readonly prefix: Prefix; readonly real: number }>;
  /** By VIP and row. */
  readonly downReals: ReadonlyMap<string, { readonly vip: VipKey; readonly real: number }>;
  /** By flow. */
  readonly globalFlows: ReadonlyMap<string, { readonly flow: Flow; readonly real: number }>;
  /** By address. */
  readonly decapDestinations: ReadonlyMap<string, { readonly address: IpAddress; readonly egress: boolean }>;
  /** VIP whose new connections are counted by backend. */
  readonly watched: VipKey | undefined;
}

export const EMPTY_IMAGE: TableImage = {
  routerMac: undefined,
  ownAddresses: new Map(),
  reals: new Map(),
  rings: new Map(),
  vips: new Map(),
  serverIds: new Map(),
  sourceRoutes: new Map(),
  downReals: new Map(),
  globalFlows: new Map(),
  decapDestinations: new Map(),
  watched: undefined,
};

/** Where things of the desired state are in the tables. */
export interface Placement {
  /** Row of a backend's address. */
  real(key: string): number;
  /** Number of a ring, by its key (ringKey). */
  ring(key: string): number;
  /** Number of a VIP. */
  vip(name: string): number;
  /** Ethernet address towards a backend's address; undefined where none was ever known. */
  mac(key: string): Mac | undefined;
}

/**
 * The weight that a backend has in its ring; `mac` is that of its next hop, its own, the router's or one that was found.
 * Without a next hop it is 0: frames to it could not be addressed, and a new connection sent there would hang
 * while other backends could have served it. A next hop that was found once stays in use when it is no longer
 * confirmed: an entry that ages out of the neighbour table must not move connections.
 */
export function effectiveWeight(backend: Backend, mac: Mac | undefined): number {
  const isInService = backend.drainStartMs === undefined && !backend.isDown;
  const hasNextHop = mac !== undefined || backend.mac !== undefined || backend.isLocal;
  return isInService && hasNextHop ? backend.weight : 0;
}

/** The tables that a desired state asks for. */
export function imageOf(state: DesiredState, placement: Placement): TableImage {
  const { node } = state;
  const realOf = (address: IpAddress) => placement.real(formatIp(address));
  const reals = new Map(
    [...backendRows(state)].map(([key, { address, mac, isLocal }]): [number, RealImage] => {
      // The router is next hop of all that have none of their own: what is found for them does not count.
      const found = node.routerMac === undefined ? placement.mac(key) : undefined;
      return [placement.real(key), { address, mac: mac ?? found, isLocal }];
    }),
  );
  const macOf = (index: number) => reals.get(index)?.mac ?? node.routerMac;
  const watched = node.watchedVip === undefined ? undefined : state.vips.get(node.watchedVip);
  return {
    routerMac: node.routerMac,
    ownAddresses: new Map(node.ownAddresses.map((address) => [address.family, address])),
    reals,
    rings: ringImages(state, placement, macOf),
    vips: new Map(
      [...state.vips.values()].map((vip): [string, VipImage] => {
        const { name, key, flags } = vip;
        return [name, { key, number: placement.vip(name), ring: placement.ring(ringKey(state, vip)), flags }];
      }),
    ),
    serverIds: new Map(state.serverIds.map(({ id, backend }) => [id, realOf(backend)])),
    sourceRoutes: new Map(
      state.sourceRoutes.map(({ prefix, backend }) => [
        `${formatIp(prefix.address)}/${prefix.bits}`,
        { prefix, real: realOf(backend) },
      ]),
    ),
    downReals: new Map(
      [...state.vips.values()].flatMap((vip) =>
        downAddresses(state, vip).map((address) => {
          const real = realOf(address);
          return [`${formatVip(vip.key)} ${real}`, { vip: vip.key, real }] as const;
        }),
      ),
    ),
    globalFlows: new Map(
      state.globalFlows.map(({ flow, backend }) => [flowKey(flow), { flow, real: realOf(backend) }]),
    ),
    decapDestinations: new Map(
      node.decapDestinations.map(({ address, egress }) => [formatIp(address), { address, egress }]),
    ),
    watched: watched?.key,
  };
}

function ringImages(
  state: DesiredState,
  placement: Placement,
  macOf: (index: number) => Mac | undefined,
): Map<number, RingImage> {
  return new Map(
    [...ringsInUse(state)].map(([key, { pool, algorithm }]): [number, RingImage] => {
      const members = backendsOf(state, pool).map((backend) => {
        const index = placement.real(backend.addressKey);
        return { index, address: backend.address, weight: effectiveWeight(backend, macOf(index)) };
      });
      const inRing = members.filter(({ weight }) => weight > 0).sort((a, b) => a.index - b.index);
      return [placement.ring(key), { members: inRing, algorithm }];
    }),
  );
}

/** Backends that a VIP's UDP flows leave: those that it names, and those of its pool that are down. */
function downAddresses(state: DesiredState, vip: Vip): IpAddress[] {
  const migrates = (vip.flags & VIP_FLAGS.UDP_FLOW_MIGRATION) !== 0 && vip.key.prefixBits === undefined;
  const down = migrates ? backendsOf(state, vip.pool).filter(({ isDown }) => isDown) : [];
  return [...vip.downBackends, ...down.map(({ address }) => address)];
}

function flowKey({ src, dst, sport, dport, protocol }: Flow): string {
  return `${protocol} [${formatIp(src)}]:${sport} [${formatIp(dst)}]:${dport}`;
}
