import { formatIp } from '../../lb/index.js';
import {
  type Backend,
  backendName,
  type DesiredState,
  EMPTY_STATE,
  type Pool,
  poolName,
  ringsInUse,
  type Vip,
  vipName,
} from '../state/model.js';
import { firstVersion } from '../state/version.js';
import type { BackendConfig, NodeConfig, PoolConfig, VipConfig } from './model.js';

/** What is read from a file is one revision, made at once. */
const VERSION = firstVersion({ revision: 1, timeMs: 0, etag: 'file-1' });

/** The desired state that a configuration declares. */
export function desiredState(config: NodeConfig): DesiredState {
  const watched = config.vips.find(({ watchMisses }) => watchMisses);
  return {
    ...EMPTY_STATE,
    revision: VERSION.revision,
    vips: named(config.vips.map(vipOf)),
    pools: named(config.pools.map(poolOf)),
    backends: named(
      config.pools.flatMap(({ name, backends }) => backends.map((one) => backendOf(name, one))),
    ),
    node: {
      routerMac: config.routerMac,
      ownAddresses: config.ownAddresses,
      decapDestinations: config.decapDestinations,
      watchedVip: watched && vipName(watched.name),
    },
    serverIds: config.serverIds,
    sourceRoutes: config.sourceRoutes,
    globalFlows: config.globalFlows,
  };
}

/** Rings that a configuration needs. */
export const ringsOf = (config: NodeConfig): number => ringsInUse(desiredState(config)).size;

const named = <T extends { readonly name: string }>(resources: readonly T[]): Map<string, T> =>
  new Map(resources.map((resource) => [resource.name, resource]));

function vipOf({ name, key, pool, flags, ringAlgorithm, downBackends }: VipConfig): Vip {
  return {
    name: vipName(name),
    displayName: '',
    key,
    pool: poolName(pool),
    flags,
    ringAlgorithm,
    downBackends,
    ...VERSION,
  };
}

function poolOf({ name, ringAlgorithm }: PoolConfig): Pool {
  return { name: poolName(name), displayName: '', ringAlgorithm, ...VERSION };
}

function backendOf(pool: string, { name, address, weight, mac, local, state }: BackendConfig): Backend {
  return {
    name: backendName(poolName(pool), name),
    pool: poolName(pool),
    address,
    addressKey: formatIp(address),
    weight,
    drainStartMs: state === 'draining' ? 0 : undefined,
    mac,
    isLocal: local,
    isDown: state === 'down',
    ...VERSION,
  };
}
