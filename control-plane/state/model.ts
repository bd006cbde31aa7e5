import type { IpAddress, VipKey } from '../../lb/index.js';

/** What every resource carries: when it changed, in which revision, and its version. */
export interface Version {
  /** Changes with the resource; differs between runs of the server. */
  readonly etag: string;
  /** Milliseconds since 1970. */
  readonly createTimeMs: number;
  readonly updateTimeMs: number;
  /** Revision of the configuration that last changed the resource. */
  readonly revision: number;
}

/** A virtual service. `key` never changes. */
export interface Vip extends Version {
  readonly name: string;
  readonly displayName: string;
  readonly key: VipKey;
  /** Name of the pool. */
  readonly pool: string;
}

export interface Pool extends Version {
  readonly name: string;
  readonly displayName: string;
}

/** A real server. `address` never changes. */
export interface Backend extends Version {
  readonly name: string;
  /** Name of the pool. */
  readonly pool: string;
  readonly address: IpAddress;
  /** The address as text: backends with the same one share a row in the tables. */
  readonly addressKey: string;
  /** 0..65535; what the operator gave, also while draining. */
  readonly weight: number;
  /** When draining began, milliseconds since 1970; undefined while in service. */
  readonly drainStartMs: number | undefined;
}

/** All that an operator declared, by resource name. Never changed in place: a change makes a new one. */
export interface DesiredState {
  /** Counts changes; 0 is the empty state that a server starts with. */
  readonly revision: number;
  readonly vips: ReadonlyMap<string, Vip>;
  readonly pools: ReadonlyMap<string, Pool>;
  readonly backends: ReadonlyMap<string, Backend>;
}

export const EMPTY_STATE: DesiredState = {
  revision: 0,
  vips: new Map(),
  pools: new Map(),
  backends: new Map(),
};

const ID = '[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?';
/** What an id may be: a letter, then letters, digits and dashes, 63 characters at most, no dash at the end. */
export const ID_PATTERN = new RegExp(`^${ID}$`);
/** The same rule as a user reads it. */
export const ID_RULE = '1 to 63 of a-z, 0-9 and "-", a letter first, no "-" last';

/** Form of the names of each kind of resource. */
export const NAME_FORMS = {
  vip: { form: 'vips/{vip}', pattern: new RegExp(`^vips/${ID}$`) },
  pool: { form: 'pools/{pool}', pattern: new RegExp(`^pools/${ID}$`) },
  backend: { form: 'pools/{pool}/backends/{backend}', pattern: new RegExp(`^pools/${ID}/backends/${ID}$`) },
} as const;
export type ResourceKind = keyof typeof NAME_FORMS;

export const vipName = (id: string): string => `vips/${id}`;
export const poolName = (id: string): string => `pools/${id}`;
export const backendName = (pool: string, id: string): string => `${pool}/backends/${id}`;

/** The last part of a resource's name. */
export const idOf = (name: string): string => name.slice(name.lastIndexOf('/') + 1);

/** Backends of a pool, in the order of their creation. */
export function backendsOf(state: DesiredState, pool: string): Backend[] {
  return [...state.backends.values()].filter((backend) => backend.pool === pool);
}

/** VIPs that a pool serves. */
export function vipsOf(state: DesiredState, pool: string): Vip[] {
  return [...state.vips.values()].filter((vip) => vip.pool === pool);
}

/** Distinct addresses of all backends, by key. */
export function backendAddresses(state: DesiredState): Map<string, IpAddress> {
  const addresses = new Map<string, IpAddress>();
  for (const { addressKey, address } of state.backends.values()) addresses.set(addressKey, address);
  return addresses;
}
