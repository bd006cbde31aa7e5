import {
  type Flow,
  formatIp,
  formatVip,
  type IpAddress,
  type Mac,
  type TableRows,
  VIP_FLAGS,
  type VipKey,
} from '../../lb/index.js';
import {
  type Backend,
  type BackendRow,
  backendRows,
  backendsByPool,
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

/**
 * What the datapath's tables hold, or are to hold; plain data. Texts that are keys: the prefix; the VIP and the row;
 * flowKey; the address.
 */
export interface TableImage extends TableRows {
  readonly reals: ReadonlyMap<number, RealImage>;
  /** By number. */
  readonly rings: ReadonlyMap<number, RingImage>;
  /** By resource name. */
  readonly vips: ReadonlyMap<string, VipImage>;
}

/** An image that steps are taken on. */
export type MutableImage = {
  -readonly [P in keyof TableImage]: TableImage[P] extends ReadonlyMap<infer K, infer V>
    ? Map<K, V>
    : TableImage[P];
};

/** An image without anything in it. */
export function newImage(): MutableImage {
  return {
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
}

export const EMPTY_IMAGE: TableImage = newImage();

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
  /** Percent of its weight that a backend gets, by resource name: 0 while it is unhealthy, less than 100 in a slow start. */
  share(backend: string): number;
}

/** Shares are parts of it: a backend with all of it has its whole weight. */
export const FULL_SHARE = 100;

/**
 * The weight that a backend has in its ring, before its share; `mac` is that of its next hop, its own, the router's or one
 * that was found. Without a next hop it is 0: frames to it could not be addressed, and a new connection sent there would
 * hang while other backends could have served it. A next hop that was found once stays in use when it is no longer
 * confirmed: an entry that ages out of the neighbour table must not move connections.
 */
function weightInService(backend: Backend, mac: Mac | undefined): number {
  const isInService = backend.drainStartMs === undefined && !backend.isDown;
  const hasNextHop = mac !== undefined || backend.mac !== undefined || backend.isLocal;
  return isInService && hasNextHop ? backend.weight : 0;
}

/**
 * The weight that a backend has in its ring, in the measure of its own weight: that in service times the share, and at least
 * 1 where neither is 0.
 * @param share percent
 */
export function effectiveWeight(backend: Backend, mac: Mac | undefined, share = FULL_SHARE): number {
  const weight = weightInService(backend, mac);
  if (weight === 0 || share === 0) return 0;
  return Math.max(1, Math.round((weight * share) / FULL_SHARE));
}

/**
 * A ring of a pool's backends. Shares of less than all scale the weights of the whole pool by FULL_SHARE: the slots that v2
 * gives depend on the ratio of weights alone. Those of v1 depend on the weights themselves: there a backend has its whole
 * weight or none.
 */
export function ringImage(
  backends: readonly Backend[],
  algorithm: RingAlgorithm,
  placement: Pick<Placement, 'real' | 'share'>,
  macOf: (index: number) => Mac | undefined,
): RingImage {
  const members = backends.flatMap((backend) => {
    const index = placement.real(backend.addressKey);
    const weight = weightInService(backend, macOf(index));
    const share = placement.share(backend.name);
    return weight === 0 || share === 0 ? [] : [{ index, address: backend.address, weight, share }];
  });
  const isScaled = algorithm === 'v2' && members.some(({ share }) => share < FULL_SHARE);
  return {
    members: members
      .map(({ index, address, weight, share }) => ({
        index,
        address,
        weight: isScaled ? weight * share : weight,
      }))
      .sort((a, b) => a.index - b.index),
    algorithm,
  };
}

/** The row of a backend's address. */
export function realImage(
  { routerMac }: DesiredState['node'],
  key: string,
  { address, mac, isLocal }: BackendRow,
  placement: Pick<Placement, 'mac'>,
): RealImage {
  // The router is next hop of all that have none of their own: what is found for them does not count.
  return { address, mac: mac ?? (routerMac === undefined ? placement.mac(key) : undefined), isLocal };
}

/** The tables that a desired state asks for. */
export function imageOf(state: DesiredState, placement: Placement): TableImage {
  const { node } = state;
  const realOf = (address: IpAddress) => placement.real(formatIp(address));
  const reals = new Map(
    [...backendRows(state)].map(([key, row]): [number, RealImage] => [
      placement.real(key),
      realImage(node, key, row, placement),
    ]),
  );
  const macOf = (index: number) => reals.get(index)?.mac ?? node.routerMac;
  const byPool = backendsByPool(state);
  return {
    reals,
    rings: ringImages(state, byPool, placement, macOf),
    vips: new Map(
      [...state.vips.values()].map((vip): [string, VipImage] => {
        const { name, key, flags } = vip;
        return [name, { key, number: placement.vip(name), ring: placement.ring(ringKey(state, vip)), flags }];
      }),
    ),
    serverIds: serverIdImages(state, placement),
    sourceRoutes: sourceRouteImages(state, placement),
    downReals: new Map(
      [...state.vips.values()].flatMap((vip) =>
        downAddresses(vip, byPool.get(vip.pool) ?? []).map((address) => downReal(vip, realOf(address))),
      ),
    ),
    globalFlows: globalFlowImages(state, placement),
    ...nodeImage(state),
  };
}

type Reals = Pick<Placement, 'real'>;

/** What the node's own part of the desired state asks for. */
export function nodeImage(
  state: DesiredState,
): Pick<TableImage, 'routerMac' | 'ownAddresses' | 'decapDestinations' | 'watched'> {
  const { node } = state;
  const watched = node.watchedVip === undefined ? undefined : state.vips.get(node.watchedVip);
  return {
    routerMac: node.routerMac,
    ownAddresses: new Map(node.ownAddresses.map((address) => [address.family, address])),
    decapDestinations: new Map(
      node.decapDestinations.map(({ address, egress }) => [formatIp(address), { address, egress }]),
    ),
    watched: watched?.key,
  };
}

export const serverIdImages = (state: DesiredState, placement: Reals): TableImage['serverIds'] =>
  new Map(state.serverIds.map(({ id, backend }) => [id, placement.real(formatIp(backend))]));

export const sourceRouteImages = (state: DesiredState, placement: Reals): TableImage['sourceRoutes'] =>
  new Map(
    state.sourceRoutes.map(({ prefix, backend }) => [
      `${formatIp(prefix.address)}/${prefix.bits}`,
      { prefix, real: placement.real(formatIp(backend)) },
    ]),
  );

export const globalFlowImages = (state: DesiredState, placement: Reals): TableImage['globalFlows'] =>
  new Map(
    state.globalFlows.map(({ flow, backend }) => [
      flowKey(flow),
      { flow, real: placement.real(formatIp(backend)) },
    ]),
  );

/** A backend that a VIP's UDP flows leave, by its key in the image. */
export const downReal = (
  { key }: Vip,
  real: number,
): readonly [string, { readonly vip: VipKey; readonly real: number }] => [
  `${formatVip(key)} ${real}`,
  { vip: key, real },
];

function ringImages(
  state: DesiredState,
  byPool: ReadonlyMap<string, readonly Backend[]>,
  placement: Placement,
  macOf: (index: number) => Mac | undefined,
): Map<number, RingImage> {
  return new Map(
    [...ringsInUse(state)].map(([key, { pool, algorithm }]): [number, RingImage] => {
      return [placement.ring(key), ringImage(byPool.get(pool) ?? [], algorithm, placement, macOf)];
    }),
  );
}

/**
 * Backends that a VIP's UDP flows leave: those that it names, and those of its pool that are down.
 * @param backends of its pool
 */
export function downAddresses(vip: Vip, backends: readonly Backend[]): readonly IpAddress[] {
  const migrates = (vip.flags & VIP_FLAGS.UDP_FLOW_MIGRATION) !== 0 && vip.key.prefixBits === undefined;
  const down = migrates ? backends.filter(({ isDown }) => isDown) : [];
  if (down.length === 0) return vip.downBackends;
  return [...vip.downBackends, ...down.map(({ address }) => address)];
}

/** Key of a flow in the image. */
export function flowKey({ src, dst, sport, dport, protocol }: Flow): string {
  return `${protocol} [${formatIp(src)}]:${sport} [${formatIp(dst)}]:${dport}`;
}
