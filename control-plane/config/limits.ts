import { DEFAULT_LIMITS } from '../state/limits.js';
import { backendAddresses, type DesiredState, ringsInUse } from '../state/model.js';
import type { FileEntries } from './entries.js';
import type { ConfigPath } from './faults.js';
import type { NodeConfig, TableLimits } from './model.js';
import type { ConfigSource } from './source.js';

/** Tables whose room does not follow from what is declared. */
const FIXED = { connections: 65_536, fallbackConnections: 1000 } as const;

/** How much of each kind of thing a state has. */
function countsOf(state: DesiredState): Omit<TableLimits, keyof typeof FIXED> {
  const routes = [4, 6].map(
    (family) => state.sourceRoutes.filter(({ prefix }) => prefix.address.family === family).length,
  );
  return {
    vips: state.vips.size,
    rings: ringsInUse(state).size,
    backendAddresses: backendAddresses(state).size,
    globalFlows: state.globalFlows.length,
    serverIds: state.serverIds.length,
    sourceRoutes: Math.max(...routes),
    prefixVips: [...state.vips.values()].filter(({ key }) => key.prefixBits !== undefined).length,
    decapsulationDestinations: state.node.decapDestinations.length,
  };
}

/** Room that there is for what is declared, where a file says nothing of it. */
const ROOM: Omit<TableLimits, keyof typeof FIXED> = {
  vips: DEFAULT_LIMITS.vips,
  rings: DEFAULT_LIMITS.rings,
  backendAddresses: DEFAULT_LIMITS.addresses,
  globalFlows: DEFAULT_LIMITS.globalFlows,
  serverIds: DEFAULT_LIMITS.serverIds,
  sourceRoutes: DEFAULT_LIMITS.sourceRoutes,
  prefixVips: DEFAULT_LIMITS.vips,
  decapsulationDestinations: DEFAULT_LIMITS.decapDestinations,
};

/** What the numbers in the program's tables can tell apart, or what a client can make a node hold. */
const MOST = { vips: 65_024, rings: 8192, backendAddresses: 1_048_575 } as const;
const MOST_RESOURCES = {
  pools: DEFAULT_LIMITS.pools,
  backends: DEFAULT_LIMITS.backends,
  healthChecks: DEFAULT_LIMITS.healthChecks,
} as const;

/** Limits that the file gives. */
export function givenLimits({ node }: FileEntries): Partial<TableLimits> {
  const { limits = {} } = node;
  const keys = Object.keys({ ...FIXED, ...ROOM }) as readonly (keyof TableLimits)[];
  return Object.fromEntries(keys.flatMap((key) => (limits[key] === undefined ? [] : [[key, limits[key]]])));
}

/**
 * Sizes of tables: what the file says, or the defaults, with room for what is there.
 * @param state what the file declares, as far as it is sound
 */
export function resolveLimits(
  source: ConfigSource,
  given: Partial<TableLimits>,
  state: DesiredState,
): NodeConfig['limits'] {
  const counts = countsOf(state);
  const sizeOf = (key: keyof typeof ROOM): number => {
    const [limit, count] = [given[key], counts[key]];
    if (limit === undefined) return Math.max(ROOM[key], count);
    if (count > limit) {
      const rule = `is less than the ${count} that are in the file`;
      source.fail('CONFIG_LIMIT', ['node', 'limits', key], limit, rule);
    }
    return limit;
  };
  for (const key of ['vips', 'rings', 'backendAddresses'] as const)
    most(source, key === 'vips' ? ['vips', MOST.vips] : ['pools'], WORDS[key], counts[key], MOST[key]);
  for (const key of ['pools', 'backends', 'healthChecks'] as const)
    most(source, key === 'backends' ? ['pools'] : [key], WORDS[key], state[key].size, MOST_RESOURCES[key]);
  return {
    connections: given.connections ?? FIXED.connections,
    fallbackConnections: given.fallbackConnections ?? FIXED.fallbackConnections,
    vips: sizeOf('vips'),
    rings: sizeOf('rings'),
    backendAddresses: sizeOf('backendAddresses'),
    globalFlows: sizeOf('globalFlows'),
    serverIds: sizeOf('serverIds'),
    sourceRoutes: sizeOf('sourceRoutes'),
    prefixVips: sizeOf('prefixVips'),
    decapsulationDestinations: sizeOf('decapsulationDestinations'),
  };
}

const WORDS = {
  vips: 'VIPs',
  rings: 'rings',
  backendAddresses: 'backend addresses',
  pools: 'pools',
  backends: 'backends',
  healthChecks: 'health checks',
} as const;

function most(source: ConfigSource, path: ConfigPath, what: string, count: number, limit: number): void {
  if (count <= limit) return;
  source.fail(
    'CONFIG_LIMIT',
    path,
    undefined,
    `no more than ${limit} ${what} are possible, and there are ${count}`,
  );
}
