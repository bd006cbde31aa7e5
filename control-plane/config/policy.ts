import { SLOW_START_DEFAULTS } from '../health/defaults.js';
import type { SlowStart } from '../health/pool-health.js';
import { POOL_DEFAULTS } from '../state/model.js';
import { MAX_HEALTH_CHECKS, MAX_SECONDS, MAX_WINDOW_SECONDS } from '../state/pools.js';
import type { FileEntries } from './entries.js';
import type { ConfigPath } from './faults.js';
import type { PoolConfig } from './model.js';
import type { ConfigSource } from './source.js';

type PoolEntry = FileEntries['pools'][number]['value'];

const MIN_WINDOW_MS = 1000;

/** What a pool does while backends fail, recover and leave. */
export function poolPolicy(
  source: ConfigSource,
  given: Omit<PoolEntry, 'name' | 'backends'>,
  path: ConfigPath,
): Pick<PoolConfig, 'panicPercent' | 'belowFloor' | 'slowStart' | 'drainTimeoutMs'> {
  const checks = given.healthChecks ?? [];
  if (checks.length > MAX_HEALTH_CHECKS) {
    const rule = `are ${checks.length}, more than ${MAX_HEALTH_CHECKS}`;
    source.fail('CONFIG_LIMIT', [...path, 'healthChecks'], undefined, rule);
  }
  const { drainTimeout } = given;
  if (drainTimeout !== undefined && (drainTimeout < 1 || drainTimeout > 1000 * MAX_SECONDS)) {
    const at = [...path, 'drainTimeout'];
    source.fail('CONFIG_VALUE', at, source.valueOf(at), 'is not from 1ms to 24h');
  }
  return {
    panicPercent: given.panicThreshold ?? POOL_DEFAULTS.panicPercent,
    belowFloor: given.panicPolicy ?? POOL_DEFAULTS.belowFloor,
    slowStart: slowStartOf(source, given.slowStart, [...path, 'slowStart']),
    drainTimeoutMs: given.drainTimeout,
  };
}

function slowStartOf(
  source: ConfigSource,
  given: PoolEntry['slowStart'],
  path: ConfigPath,
): SlowStart | undefined {
  if (given?.window === undefined) return undefined;
  const { window: windowMs, minPercent, steps } = given;
  if (windowMs < MIN_WINDOW_MS || windowMs > 1000 * MAX_WINDOW_SECONDS) {
    const at = [...path, 'window'];
    source.fail('CONFIG_VALUE', at, source.valueOf(at), 'is not from 1s to 1h');
  }
  return {
    windowMs,
    minPercent: minPercent ?? SLOW_START_DEFAULTS.minPercent,
    steps: steps ?? SLOW_START_DEFAULTS.steps,
  };
}
