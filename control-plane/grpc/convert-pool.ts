import { SLOW_START_DEFAULTS } from '../health/defaults.js';
import { fieldError } from '../state/faults.js';
import { type PoolFields, poolFieldsOf } from '../state/fields.js';
import { backendsByPool, type DesiredState, type Pool, vipsOf } from '../state/model.js';
import type { ApiContext } from './context.js';
import { weightInForce } from './convert-backend.js';
import {
  ALGORITHMS,
  algorithmOf,
  chosen,
  durationOf,
  type Mask,
  msOf,
  populated,
  versionOf,
} from './convert-values.js';
import type { Pool__Output, Pool as ProtoPool } from './generated/waggle/v1/Pool.js';
import type { PoolStatus } from './generated/waggle/v1/PoolStatus.js';
import { maskedFields } from './mask.js';

const PANIC_POLICIES = {
  'last-resort': 'PANIC_POLICY_LAST_RESORT',
  drop: 'PANIC_POLICY_DROP',
} as const satisfies Record<PoolFields['belowFloor'], NonNullable<ProtoPool['panicPolicy']>>;

/** @throws StateError STATE_FIELDS */
function belowFloorOf(field: string, value: string | number): PoolFields['belowFloor'] {
  if (value === PANIC_POLICIES.drop) return 'drop';
  if (value === PANIC_POLICIES['last-resort'] || value === 'PANIC_POLICY_UNSPECIFIED') return 'last-resort';
  throw fieldError(field, `${value} is not a panic policy: ${Object.values(PANIC_POLICIES).join(', ')}`);
}

/** What a pool says in a request. @throws StateError STATE_FIELDS */
export function poolFieldsFrom(path: string, pool: Pool__Output): PoolFields {
  const { slowStart } = pool;
  return {
    displayName: pool.displayName,
    ringAlgorithm: algorithmOf(`${path}.ring_algorithm`, pool.ringAlgorithm) ?? 'v2',
    healthChecks: pool.healthChecks,
    panicPercent: pool.panicThresholdPercent,
    belowFloor: belowFloorOf(`${path}.panic_policy`, pool.panicPolicy),
    slowStart: slowStart
      ? {
          windowMs: msOf(`${path}.slow_start.window`, slowStart.window) ?? 0,
          minPercent: slowStart.minWeightPercent ?? SLOW_START_DEFAULTS.minPercent,
          steps: slowStart.steps ?? SLOW_START_DEFAULTS.steps,
        }
      : undefined,
    drainTimeoutMs: msOf(`${path}.drain_timeout`, pool.drainTimeout),
  };
}

const API_NAMES = {
  displayName: 'display_name',
  healthChecks: 'health_checks',
  drainTimeoutMs: 'drain_timeout',
  slowStart: 'slow_start',
  belowFloor: 'panic_policy',
  panicPercent: 'panic_threshold_percent',
  ringAlgorithm: 'ring_algorithm',
} as const satisfies Record<keyof PoolFields, string>;

/** What an UpdatePool sets. @throws StateError STATE_FIELDS */
export function poolUpdate(pool: Pool__Output, mask: Mask): Partial<PoolFields> {
  const set = maskedFields(
    mask?.paths,
    populated({
      display_name: pool.displayName !== '',
      health_checks: pool.healthChecks.length > 0,
      drain_timeout: pool.drainTimeout !== null,
      slow_start: pool.slowStart !== null,
      panic_policy: pool.panicPolicy !== 'PANIC_POLICY_UNSPECIFIED',
      panic_threshold_percent: pool.panicThresholdPercent !== 0,
      ring_algorithm: pool.ringAlgorithm !== 'RING_ALGORITHM_UNSPECIFIED',
    }),
    { changeable: Object.values(API_NAMES), immutable: [] },
  );
  return chosen(set, API_NAMES, poolFieldsFrom('pool', pool));
}

/** What an operator declared of a pool. */
export function poolDeclaration(pool: Pool): ProtoPool {
  const { displayName, healthChecks, panicPercent, belowFloor, ringAlgorithm, slowStart, drainTimeoutMs } =
    poolFieldsOf(pool);
  return {
    name: pool.name,
    displayName,
    healthChecks: [...healthChecks],
    panicThresholdPercent: panicPercent,
    panicPolicy: PANIC_POLICIES[belowFloor],
    ringAlgorithm: ALGORITHMS[ringAlgorithm],
    ...(slowStart && {
      slowStart: {
        window: durationOf(slowStart.windowMs),
        minWeightPercent: slowStart.minPercent,
        steps: slowStart.steps,
      },
    }),
    ...(drainTimeoutMs !== undefined && { drainTimeout: durationOf(drainTimeoutMs) }),
  };
}

/** Backends of a pool: all, those that are healthy, and those that take new connections. */
export function countBackends(state: DesiredState, pool: string, context: ApiContext) {
  const backends = backendsByPool(state).get(pool) ?? [];
  const isChecked = (state.pools.get(pool)?.healthChecks.length ?? 0) > 0;
  const healthy = isChecked
    ? backends.filter(({ name }) => context.health.status(name)?.state === 'healthy')
    : backends;
  const serving = backends.filter((backend) => weightInForce(backend, context) > 0);
  return {
    totalBackends: backends.length,
    healthyBackends: healthy.length,
    servingBackends: serving.length,
  };
}

/** Backends of pools, each pool counted once: for the VIPs of one answer. */
export function poolCounts(
  state: DesiredState,
  context: ApiContext,
): (pool: string) => ReturnType<typeof countBackends> {
  const known = new Map<string, ReturnType<typeof countBackends>>();
  return (pool) => {
    const counts = known.get(pool) ?? countBackends(state, pool, context);
    known.set(pool, counts);
    return counts;
  };
}

type Mode = NonNullable<PoolStatus['mode']>;
const MODES = { healthy: 'MODE_NORMAL', 'last-resort': 'MODE_LAST_RESORT' } as const;

export function poolToProto(pool: Pool, state: DesiredState, context: ApiContext): ProtoPool {
  const counts = countBackends(state, pool.name, context);
  const mode = context.health.mode(pool.name) ?? 'healthy';
  const vips = vipsOf(state, pool.name).map(({ name }) => name);
  const modeInForce: Mode = counts.servingBackends === 0 || mode === 'none' ? 'MODE_NONE' : MODES[mode];
  return {
    ...poolDeclaration(pool),
    status: { ...counts, vips: vips.sort(), mode: modeInForce },
    ...versionOf(pool),
  };
}
