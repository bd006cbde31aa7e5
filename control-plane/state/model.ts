import {
  type BalancerOptions,
  type Flow,
  formatIp,
  type IpAddress,
  type Mac,
  type Prefix,
  type VipKey,
} from '../../lb/index.js';
import type { PoolPolicy, SlowStart } from '../health/pool-health.js';
import type { HealthCheck } from '../health/types.js';

/**
 * How weights are spread. `v2`: backends take turns in proportion to their weights. `v1`: each takes its
 * weight in slots in the first round and one slot in each later round, so that weights much smaller than the
 * ring hardly count; for fleets that run it.
 */
export type RingAlgorithm = 'v1' | 'v2';

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
  /** Bits of VIP_FLAGS. */
  readonly flags: number;
  /** undefined: that of the pool. */
  readonly ringAlgorithm: RingAlgorithm | undefined;
  /** Backends that its UDP flows leave, of any pool or none. */
  readonly downBackends: readonly IpAddress[];
}

export interface Pool extends Version {
  readonly name: string;
  readonly displayName: string;
  readonly ringAlgorithm: RingAlgorithm;
  /** Names of the health checks that a backend must pass, all of them; none: backends are taken to be healthy. */
  readonly healthChecks: readonly string[];
  /** What is done while few backends are healthy. */
  readonly panicPercent: PoolPolicy['panicPercent'];
  readonly belowFloor: PoolPolicy['belowFloor'];
  /** undefined: a backend that recovers has its whole weight at once. */
  readonly slowStart: SlowStart | undefined;
  /** How long a drain may last that names no time of its own; undefined: until it is ended by hand. */
  readonly drainTimeoutMs: number | undefined;
}

/** How backends are checked; `check.name` is the id. */
export interface CheckResource extends Version {
  readonly name: string;
  readonly displayName: string;
  readonly check: HealthCheck;
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
  /** When the drain ends and the backend is down, whoever is still connected; undefined: never. */
  readonly drainDeadlineMs: number | undefined;
  /** It is removed when its drain ends. */
  readonly leaves: boolean;
  /** Of its next hop, where the operator gave it; backends with the same address have the same. */
  readonly mac: Mac | undefined;
  /** It is this host. Backends with the same address agree. */
  readonly isLocal: boolean;
  /** Disabled: it takes no flows, and those that it had go to others. */
  readonly isDown: boolean;
}

/** Packets with a server id go to a backend. */
export interface ServerId {
  readonly id: number;
  readonly backend: IpAddress;
}

/** New flows of clients in a prefix go to a backend. */
export interface SourceRoute {
  readonly prefix: Prefix;
  readonly backend: IpAddress;
}

/** A flow from outside, and the backend that has it. */
export interface GlobalFlow {
  readonly flow: Flow;
  readonly backend: IpAddress;
}

/** An address whose tunnel packets are taken apart. */
export interface DecapDestination {
  readonly address: IpAddress;
  readonly egress: boolean;
}

/** What a node has of its own. */
export interface NodeState extends Pick<Version, 'etag' | 'revision'> {
  /** Next hop of backends that have none of their own; undefined: each has the one that is found for it. */
  readonly routerMac: Mac | undefined;
  /** One of a family at most. */
  readonly ownAddresses: readonly IpAddress[];
  readonly decapDestinations: readonly DecapDestination[];
  /** Resource name of the VIP whose new connections are counted by backend. */
  readonly watchedVip: string | undefined;
  /** Of the program, as they were given: what is absent is on where something needs it. */
  readonly options: BalancerOptions;
}

/** All that an operator declared, by resource name. Never changed in place: a change makes a new one. */
export interface DesiredState {
  /** Counts changes; 0 is the empty state that a server starts with. */
  readonly revision: number;
  readonly vips: ReadonlyMap<string, Vip>;
  readonly pools: ReadonlyMap<string, Pool>;
  readonly backends: ReadonlyMap<string, Backend>;
  readonly healthChecks: ReadonlyMap<string, CheckResource>;
  readonly node: NodeState;
  readonly serverIds: readonly ServerId[];
  readonly sourceRoutes: readonly SourceRoute[];
  readonly globalFlows: readonly GlobalFlow[];
}

/** Name of the node that answers. */
export const NODE_NAME = 'nodes/self';

export const EMPTY_STATE: DesiredState = {
  revision: 0,
  vips: new Map(),
  pools: new Map(),
  backends: new Map(),
  healthChecks: new Map(),
  node: {
    etag: '',
    revision: 0,
    routerMac: undefined,
    ownAddresses: [],
    decapDestinations: [],
    watchedVip: undefined,
    options: {},
  },
  serverIds: [],
  sourceRoutes: [],
  globalFlows: [],
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
  healthCheck: { form: 'healthChecks/{health_check}', pattern: new RegExp(`^healthChecks/${ID}$`) },
} as const;
export type ResourceKind = keyof typeof NAME_FORMS;

export const vipName = (id: string): string => `vips/${id}`;
export const poolName = (id: string): string => `pools/${id}`;
export const checkName = (id: string): string => `healthChecks/${id}`;
export const backendName = (pool: string, id: string): string => `${pool}/backends/${id}`;

/** The last part of a resource's name. */
export const idOf = (name: string): string => name.slice(name.lastIndexOf('/') + 1);

/** What a pool has that says nothing of it. */
export const POOL_DEFAULTS = {
  ringAlgorithm: 'v2',
  healthChecks: [],
  panicPercent: 0,
  belowFloor: 'last-resort',
  slowStart: undefined,
  drainTimeoutMs: undefined,
} as const satisfies Partial<Pool>;

/** Backends of a pool, in the order of their creation. */
export function backendsOf(state: DesiredState, pool: string): Backend[] {
  return [...state.backends.values()].filter((backend) => backend.pool === pool);
}

/** Made once for each version of the backends: a list of VIPs asks for pool after pool. */
const indexes = new WeakMap<DesiredState['backends'], ReadonlyMap<string, readonly Backend[]>>();

/** Backends of each pool, in the order of their creation. */
export function backendsByPool({ backends }: DesiredState): ReadonlyMap<string, readonly Backend[]> {
  const known = indexes.get(backends);
  if (known !== undefined) return known;
  const byPool = new Map<string, Backend[]>();
  for (const backend of backends.values()) {
    const held = byPool.get(backend.pool);
    if (held === undefined) byPool.set(backend.pool, [backend]);
    else held.push(backend);
  }
  indexes.set(backends, byPool);
  return byPool;
}

/** VIPs that a pool serves. */
export function vipsOf(state: DesiredState, pool: string): Vip[] {
  return [...state.vips.values()].filter((vip) => vip.pool === pool);
}

/** What belongs to a backend's address: a row in the tables. */
export interface BackendRow {
  readonly address: IpAddress;
  readonly mac: Mac | undefined;
  readonly isLocal: boolean;
}

/** Rows of all addresses that packets can be sent to, by key: backends of pools, and those that only routes name. */
export function backendRows(state: DesiredState): Map<string, BackendRow> {
  const rows = new Map<string, BackendRow>();
  for (const { addressKey, address, mac, isLocal } of state.backends.values()) {
    rows.set(addressKey, { address, mac, isLocal });
  }
  const named = [
    ...[...state.serverIds, ...state.sourceRoutes, ...state.globalFlows].map(({ backend }) => backend),
    ...[...state.vips.values()].flatMap(({ downBackends }) => downBackends),
  ];
  for (const address of named) {
    const key = formatIp(address);
    if (!rows.has(key)) rows.set(key, { address, mac: undefined, isLocal: false });
  }
  return rows;
}

/** Distinct addresses of all backends, by key. */
export function backendAddresses(state: DesiredState): Map<string, IpAddress> {
  return new Map([...backendRows(state)].map(([key, { address }]) => [key, address]));
}

/** The ring algorithm of a VIP: its own, or that of its pool. */
function algorithmOf(state: DesiredState, vip: Vip): RingAlgorithm {
  return vip.ringAlgorithm ?? state.pools.get(vip.pool)?.ringAlgorithm ?? 'v2';
}

/** A ring: the backends of a pool, spread by an algorithm. */
export interface Ring {
  readonly pool: string;
  readonly algorithm: RingAlgorithm;
}

/** Key of the ring that a VIP uses; that of a pool's own algorithm is the pool's name. */
export function ringKey(state: DesiredState, vip: Vip): string {
  const algorithm = algorithmOf(state, vip);
  return algorithm === state.pools.get(vip.pool)?.ringAlgorithm ? vip.pool : `${vip.pool} ${algorithm}`;
}

/** The ring that a VIP uses. */
export function ringOf(state: DesiredState, vip: Vip): Ring {
  return { pool: vip.pool, algorithm: algorithmOf(state, vip) };
}

/** The rings that VIPs use, by key: VIPs of one pool and algorithm share one. */
export function ringsInUse(state: DesiredState): Map<string, Ring> {
  const rings = new Map<string, Ring>();
  for (const vip of state.vips.values()) {
    const key = ringKey(state, vip);
    if (!rings.has(key)) rings.set(key, ringOf(state, vip));
  }
  return rings;
}
