import { formatIp } from '../../lb/index.js';
import {
  type Backend,
  backendName,
  type CheckResource,
  checkName,
  type DesiredState,
  EMPTY_STATE,
  type Pool,
  poolName,
  ringsInUse,
  type Vip,
  vipName,
} from '../state/model.js';
import { firstVersion } from '../state/version.js';
import type { BackendConfig, CheckConfig, NodeConfig, PoolConfig, VipConfig } from './model.js';

/** What is read from a file is one revision, made at once. */
const VERSION = firstVersion({ revision: 1, timeMs: 0, etag: 'file-1' });

/** What a file declares, without what is of the process. */
export type Declared = Pick<
  NodeConfig,
  | 'vips'
  | 'pools'
  | 'healthChecks'
  | 'routerMac'
  | 'ownAddresses'
  | 'decapDestinations'
  | 'givenOptions'
  | 'serverIds'
  | 'sourceRoutes'
  | 'globalFlows'
>;

/** What drains depend on that a file does not say. */
export interface StateContext {
  /** Drains that say no start begin now, milliseconds since 1970; 0 unless given. */
  readonly nowMs?: number;
  /** What is in force: drains that are under way in it and whose times the file does not say go on as they are. */
  readonly current?: DesiredState;
}

/** The desired state that a configuration declares. */
export function desiredState(config: Declared, context: StateContext = {}): DesiredState {
  const watched = config.vips.find(({ watchMisses }) => watchMisses);
  return {
    ...EMPTY_STATE,
    revision: VERSION.revision,
    vips: named(config.vips.map(vipOf)),
    pools: named(config.pools.map(poolOf)),
    backends: named(
      config.pools.flatMap((pool) => pool.backends.map((one) => backendOf(pool, one, context))),
    ),
    healthChecks: named(config.healthChecks.map(checkOf)),
    node: {
      etag: VERSION.etag,
      revision: VERSION.revision,
      routerMac: config.routerMac,
      ownAddresses: config.ownAddresses,
      decapDestinations: config.decapDestinations,
      watchedVip: watched && vipName(watched.name),
      options: config.givenOptions,
    },
    serverIds: config.serverIds,
    sourceRoutes: config.sourceRoutes,
    globalFlows: config.globalFlows,
  };
}

/** Whether a configuration says anything of the node as the API has it: one that does not leaves it as it is. */
export const saysNode = (config: Declared): boolean =>
  config.routerMac !== undefined ||
  config.ownAddresses.length > 0 ||
  config.decapDestinations.length > 0 ||
  Object.keys(config.givenOptions).length > 0 ||
  config.vips.some(({ watchMisses }) => watchMisses);

/** Rings that a configuration needs. */
export const ringsOf = (config: Declared): number => ringsInUse(desiredState(config)).size;

const named = <T extends { readonly name: string }>(resources: readonly T[]): Map<string, T> =>
  new Map(resources.map((resource) => [resource.name, resource]));

function vipOf({ name, pool, watchMisses: _, ...rest }: VipConfig): Vip {
  return { ...rest, name: vipName(name), pool: poolName(pool), ...VERSION };
}

function poolOf({ name, backends: _, healthChecks, ...rest }: PoolConfig): Pool {
  return { ...rest, name: poolName(name), healthChecks: healthChecks.map(checkName), ...VERSION };
}

function checkOf({ name, ...rest }: CheckConfig): CheckResource {
  return { ...rest, name: checkName(name), ...VERSION };
}

function backendOf(pool: PoolConfig, backend: BackendConfig, context: StateContext): Backend {
  const { name: id, address, weight, mac, local, state } = backend;
  const name = backendName(poolName(pool.name), id);
  return {
    name,
    pool: poolName(pool.name),
    address,
    addressKey: formatIp(address),
    weight,
    ...drainOf(name, pool, backend, context),
    mac,
    isLocal: local,
    isDown: state === 'down',
    ...VERSION,
  };
}

type DrainFields = Pick<Backend, 'drainStartMs' | 'drainDeadlineMs' | 'leaves'>;

function drainOf(
  name: string,
  pool: PoolConfig,
  { state, drain }: BackendConfig,
  { nowMs = 0, current }: StateContext,
): DrainFields {
  if (state !== 'draining') return { drainStartMs: undefined, drainDeadlineMs: undefined, leaves: false };
  const present = current?.backends.get(name);
  if (present?.drainStartMs !== undefined && drain === undefined) {
    const { drainStartMs, drainDeadlineMs, leaves } = present;
    return { drainStartMs, drainDeadlineMs, leaves };
  }
  const drainStartMs = drain?.startMs ?? present?.drainStartMs ?? nowMs;
  // A start without an end is that of a drain that has none: the pool's time is for drains that begin.
  const timeoutMs = drain?.timeoutMs ?? (drain?.startMs === undefined ? pool.drainTimeoutMs : undefined);
  const drainDeadlineMs =
    drain?.deadlineMs ?? (timeoutMs === undefined ? undefined : drainStartMs + timeoutMs);
  return { drainStartMs, drainDeadlineMs, leaves: drain?.remove ?? false };
}
