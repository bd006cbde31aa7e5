import type { IpAddress, Mac, VipKey } from '../../lb/index.js';
import { type Backend, backendAddresses, backendsOf, type DesiredState } from '../state/model.js';

/** A backend in a ring. */
export interface RingMember {
  /** Row in `reals`. */
  readonly index: number;
  readonly address: IpAddress;
  /** At least 1. */
  readonly weight: number;
}

/** What the datapath's tables hold, or are to hold; plain data. */
export interface TableImage {
  readonly reals: ReadonlyMap<number, { readonly address: IpAddress; readonly mac: Mac | undefined }>;
  /** Members of each ring, by row; a ring without any is empty, which is not the same as no ring. */
  readonly rings: ReadonlyMap<number, readonly RingMember[]>;
  /** By resource name. */
  readonly vips: ReadonlyMap<
    string,
    { readonly key: VipKey; readonly number: number; readonly ring: number }
  >;
}

export const EMPTY_IMAGE: TableImage = { reals: new Map(), rings: new Map(), vips: new Map() };

/** Where things of the desired state are in the tables. */
export interface Placement {
  /** Row of a backend's address. */
  real(key: string): number;
  /** Ring of a pool that serves a VIP. */
  ring(pool: string): number;
  /** Number of a VIP. */
  vip(name: string): number;
  /** Ethernet address towards a backend's address; undefined where none was ever known. */
  mac(key: string): Mac | undefined;
}

/**
 * The weight that a backend has in its ring.
 * Without a next hop it is 0: frames to it could not be addressed, and a new connection sent there would hang
 * while other backends could have served it. A next hop that was found once stays in use when it is no longer
 * confirmed: an entry that ages out of the neighbour table must not move connections.
 */
export function effectiveWeight(backend: Backend, mac: Mac | undefined): number {
  return backend.drainStartMs === undefined && mac !== undefined ? backend.weight : 0;
}

/** Pools that need a ring: those that serve a VIP. */
export function poolsInUse(state: DesiredState): Set<string> {
  return new Set([...state.vips.values()].map(({ pool }) => pool));
}

/** The tables that a desired state asks for. */
export function imageOf(state: DesiredState, placement: Placement): TableImage {
  const reals = [...backendAddresses(state)].map(
    ([key, address]) => [placement.real(key), { address, mac: placement.mac(key) }] as const,
  );
  const rings = [...poolsInUse(state)].map((pool) => {
    const members = backendsOf(state, pool).map((backend) => {
      const weight = effectiveWeight(backend, placement.mac(backend.addressKey));
      return { index: placement.real(backend.addressKey), address: backend.address, weight };
    });
    const inRing = members.filter(({ weight }) => weight > 0).sort((a, b) => a.index - b.index);
    return [placement.ring(pool), inRing] as const;
  });
  const vips = [...state.vips.values()].map(
    ({ name, key, pool }) =>
      [name, { key, number: placement.vip(name), ring: placement.ring(pool) }] as const,
  );
  return { reals: new Map(reals), rings: new Map(rings), vips: new Map(vips) };
}
