import { formatIp, type IpAddress } from '../../lb/index.js';
import { changedNames } from '../state/lineage.js';
import { type Backend, type BackendRow, type DesiredState, EMPTY_STATE, type Vip } from '../state/model.js';

/** Resources by what they belong to, and by their names under it. */
class Groups<T extends { readonly name: string }> {
  readonly #groups = new Map<string, Map<string, T>>();

  set(key: string, resource: T): void {
    const group = this.#groups.get(key);
    if (group === undefined) this.#groups.set(key, new Map([[resource.name, resource]]));
    else group.set(resource.name, resource);
  }

  delete(key: string, name: string): void {
    const group = this.#groups.get(key);
    group?.delete(name);
    if (group?.size === 0) this.#groups.delete(key);
  }

  of(key: string): readonly T[] {
    return [...(this.#groups.get(key)?.values() ?? [])];
  }

  /** One of them, which has come last. */
  last(key: string): T | undefined {
    let last: T | undefined;
    for (const resource of this.#groups.get(key)?.values() ?? []) last = resource;
    return last;
  }
}

/** Addresses that server ids, source routes or flows from outside name, by text; computed once for each list. */
const NAMED = new WeakMap<object, ReadonlyMap<string, IpAddress>>();
export function addressesOf(
  list: readonly { readonly backend: IpAddress }[],
): ReadonlyMap<string, IpAddress> {
  const known = NAMED.get(list);
  if (known !== undefined) return known;
  const addresses = new Map(list.map(({ backend }) => [formatIp(backend), backend]));
  NAMED.set(list, addresses);
  return addresses;
}

/** The lists of a state that name backends by their addresses. */
export const routesOf = ({ serverIds, sourceRoutes, globalFlows }: DesiredState) =>
  [serverIds, sourceRoutes, globalFlows] as const;

/**
 * What of a state belongs together: backends of a pool and of an address, VIPs of a pool. Moves from state to state at the
 * cost of what differs, so that a change among thousands does not look at the thousands.
 */
export class StateIndex {
  readonly #backends = new Groups<Backend>();
  readonly #byAddress = new Groups<Backend>();
  readonly #vips = new Groups<Vip>();
  /** VIPs that name an address as down. */
  readonly #downs = new Groups<Vip>();
  #state: DesiredState = EMPTY_STATE;

  constructor(state: DesiredState = EMPTY_STATE) {
    this.moveTo(state);
  }

  get state(): DesiredState {
    return this.#state;
  }

  moveTo(state: DesiredState): void {
    const before = this.#state;
    for (const name of changedNames(before.backends, state.backends)) {
      const [old, now] = [before.backends.get(name), state.backends.get(name)];
      // One that stays where it is keeps its place among the others.
      if (old && old.pool !== now?.pool) this.#backends.delete(old.pool, name);
      if (old && old.addressKey !== now?.addressKey) this.#byAddress.delete(old.addressKey, name);
      if (now) this.#backends.set(now.pool, now);
      if (now) this.#byAddress.set(now.addressKey, now);
    }
    for (const name of changedNames(before.vips, state.vips)) {
      const [old, now] = [before.vips.get(name), state.vips.get(name)];
      if (old && old.pool !== now?.pool) this.#vips.delete(old.pool, name);
      for (const address of old?.downBackends ?? []) this.#downs.delete(formatIp(address), name);
      if (now) this.#vips.set(now.pool, now);
      for (const address of now?.downBackends ?? []) this.#downs.set(formatIp(address), now!);
    }
    this.#state = state;
  }

  /** Backends of each of some pools. */
  membersOf(pools: Iterable<string>): Map<string, readonly Backend[]> {
    return new Map([...pools].map((pool) => [pool, this.#backends.of(pool)]));
  }

  /** Backends with an address: one a pool. */
  backendsAt(address: string): readonly Backend[] {
    return this.#byAddress.of(address);
  }

  /** VIPs that some pools serve. */
  vipsOf(pools: Iterable<string>): Vip[] {
    return [...pools].flatMap((pool) => this.#vips.of(pool));
  }

  /** Rows of some addresses, as backendRows has them for all; an address without a row is left out. */
  rowsOf(addresses: Iterable<string>): Map<string, BackendRow> {
    const rows = new Map<string, BackendRow>();
    for (const key of addresses) {
      const backend = this.#byAddress.last(key);
      const address = backend?.address ?? this.#namedAddress(key);
      if (address !== undefined)
        rows.set(key, { address, mac: backend?.mac, isLocal: backend?.isLocal ?? false });
    }
    return rows;
  }

  /** An address that something else than a backend names. */
  #namedAddress(key: string): IpAddress | undefined {
    for (const list of routesOf(this.#state)) {
      const address = addressesOf(list).get(key);
      if (address !== undefined) return address;
    }
    return this.#downs.last(key)?.downBackends.find((address) => formatIp(address) === key);
  }
}
