import type { CreatePool, DeletePool, UpdatePool } from './changes.js';
import { exists, overLimit, StateError } from './faults.js';
import { backendsOf, type DesiredState, idOf, type Pool, poolName, vipsOf } from './model.js';
import { Checks, find } from './validate.js';
import { checkEtag, firstVersion, nextVersion, type Stamp, withEntry, withoutEntries } from './version.js';

/** A bound on what a client can make the server hold. */
export const MAX_POOL_COUNT = 4096;

export function createPool(state: DesiredState, change: CreatePool, stamp: Stamp): DesiredState {
  const checks = new Checks();
  checks.id('pool_id', change.id);
  checks.displayName('pool.display_name', change.displayName);
  checks.done();
  const name = poolName(change.id);
  if (state.pools.has(name)) throw exists('pool', name, `pool_id: ${name} exists`);
  if (state.pools.size >= MAX_POOL_COUNT) throw overLimit('pools', MAX_POOL_COUNT);
  const pool: Pool = {
    name,
    displayName: change.displayName,
    ringAlgorithm: 'v2',
    ...firstVersion(stamp),
  };
  return { ...state, revision: stamp.revision, pools: withEntry(state.pools, name, pool) };
}

export function updatePool(state: DesiredState, change: UpdatePool, stamp: Stamp): DesiredState {
  const pool = find(state.pools, 'pool', change.name, 'pool.name');
  checkEtag(pool.name, pool, change.etag);
  const { displayName = pool.displayName } = change.fields;
  const checks = new Checks();
  checks.displayName('pool.display_name', displayName);
  checks.done();
  if (displayName === pool.displayName) return state;
  const changed: Pool = { ...pool, displayName, ...nextVersion(pool, stamp) };
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
  return {
    ...state,
    revision: stamp.revision,
    pools: withoutEntries(state.pools, [pool.name]),
    vips: withoutEntries(state.vips, vips),
    backends: withoutEntries(state.backends, backends),
  };
}
