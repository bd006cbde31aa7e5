import type { CreatePool, DeletePool, UpdatePool } from './changes.js';
import { exists, overLimit, StateError } from './faults.js';
import { type PoolFields, poolFieldsOf } from './fields.js';
import type { StateLimits } from './limits.js';
import {
  backendsOf,
  type DesiredState,
  idOf,
  POOL_DEFAULTS,
  type Pool,
  poolName,
  type Version,
  vipsOf,
} from './model.js';
import { Checks, find } from './validate.js';
import { checkEtag, firstVersion, nextVersion, type Stamp, withEntry, withoutEntries } from './version.js';

export const MAX_HEALTH_CHECKS = 16;
export const MAX_SECONDS = 86_400;
export const MAX_WINDOW_SECONDS = 3600;

/** A pool without its name and version. */
export type PoolBody = Omit<Pool, 'name' | keyof Version>;

/**
 * The pool that fields say. Rules that they break are noted.
 * @param path of the pool in the request
 */
export function readPool(checks: Checks, path: string, fields: PoolFields): PoolBody {
  const { displayName, ringAlgorithm, healthChecks, panicPercent, belowFloor, slowStart, drainTimeoutMs } =
    fields;
  checks.displayName(`${path}.display_name`, displayName);
  for (const [i, name] of healthChecks.entries()) {
    checks.name(`${path}.health_checks[${i}]`, 'healthCheck', name);
    if (healthChecks.indexOf(name) !== i)
      checks.fail(`${path}.health_checks[${i}]`, `${name} is there twice`);
  }
  if (healthChecks.length > MAX_HEALTH_CHECKS) {
    checks.fail(`${path}.health_checks`, `${healthChecks.length} are more than ${MAX_HEALTH_CHECKS}`);
  }
  checks.whole(`${path}.panic_threshold_percent`, panicPercent, 100);
  if (slowStart) {
    checks.number(`${path}.slow_start.window`, slowStart.windowMs / 1000, 1, MAX_WINDOW_SECONDS);
    checks.number(`${path}.slow_start.min_weight_percent`, slowStart.minPercent, 1, 100);
    checks.number(`${path}.slow_start.steps`, slowStart.steps, 1, 100);
  }
  if (drainTimeoutMs !== undefined)
    checks.number(`${path}.drain_timeout`, drainTimeoutMs / 1000, 0.001, MAX_SECONDS);
  return { displayName, ringAlgorithm, healthChecks, panicPercent, belowFloor, slowStart, drainTimeoutMs };
}

/** Whether two pools are the same but for their versions. */
export const samePool = (a: PoolBody, b: PoolBody): boolean => textOf(a) === textOf(b);

const textOf = (pool: PoolBody): string =>
  JSON.stringify([
    pool.displayName,
    pool.ringAlgorithm,
    pool.healthChecks,
    pool.panicPercent,
    pool.belowFloor,
    pool.slowStart && [pool.slowStart.windowMs, pool.slowStart.minPercent, pool.slowStart.steps],
    pool.drainTimeoutMs,
  ]);

function checkReferences(state: DesiredState, { healthChecks }: PoolBody): void {
  for (const [i, name] of healthChecks.entries()) {
    find(state.healthChecks, 'healthCheck', name, `pool.health_checks[${i}]`);
  }
}

export function createPool(
  state: DesiredState,
  change: CreatePool,
  stamp: Stamp,
  limits: StateLimits,
): DesiredState {
  const checks = new Checks();
  checks.id('pool_id', change.id);
  const body = readPool(checks, 'pool', { ...POOL_DEFAULTS, ...change });
  checks.done();
  checkReferences(state, body);
  const name = poolName(change.id);
  if (state.pools.has(name)) throw exists('pool', name, `pool_id: ${name} exists`);
  if (state.pools.size >= limits.pools) throw overLimit('pools', limits.pools);
  const pool: Pool = { name, ...body, ...firstVersion(stamp) };
  return { ...state, revision: stamp.revision, pools: withEntry(state.pools, name, pool) };
}

export function updatePool(state: DesiredState, change: UpdatePool, stamp: Stamp): DesiredState {
  const pool = find(state.pools, 'pool', change.name, 'pool.name');
  checkEtag(pool.name, pool, change.etag);
  const checks = new Checks();
  const body = readPool(checks, 'pool', { ...poolFieldsOf(pool), ...change.fields });
  checks.done();
  checkReferences(state, body);
  if (samePool(pool, body)) return state;
  const changed: Pool = { ...pool, ...body, ...nextVersion(pool, stamp) };
  return { ...state, revision: stamp.revision, pools: withEntry(state.pools, pool.name, changed) };
}

const countOf = (count: number, what: string) => `${count} ${what}${count === 1 ? '' : 's'}`;

/** At most three names, so that the message stays one line. */
function someOf(names: readonly string[]): string {
  const shown = names.slice(0, 3).map(idOf).join(', ');
  return names.length > 3 ? `${shown}, …` : shown;
}

export function deletePool(state: DesiredState, change: DeletePool, stamp: Stamp): DesiredState {
  const pool = find(state.pools, 'pool', change.name);
  checkEtag(pool.name, pool, change.etag);
  const vips = vipsOf(state, pool.name).map(({ name }) => name);
  const backends = backendsOf(state, pool.name).map(({ name }) => name);
  if (!change.force && vips.length + backends.length > 0) {
    const uses = [
      ...(vips.length > 0 ? [`serves ${countOf(vips.length, 'VIP')} (${someOf(vips)})`] : []),
      ...(backends.length > 0 ? [`has ${countOf(backends.length, 'backend')} (${someOf(backends)})`] : []),
    ];
    throw new StateError(
      { code: 'STATE_IN_USE', name: pool.name, users: [...vips, ...backends] },
      `${pool.name} ${uses.join(' and ')}: delete them first, or use force to delete them with it`,
    );
  }
  const { etag, revision } = stamp;
  const { watchedVip } = state.node;
  const node =
    watchedVip !== undefined && vips.includes(watchedVip)
      ? { ...state.node, watchedVip: undefined, etag, revision }
      : state.node;
  return {
    ...state,
    revision,
    node,
    pools: withoutEntries(state.pools, [pool.name]),
    vips: withoutEntries(state.vips, vips),
    backends: withoutEntries(state.backends, backends),
  };
}
