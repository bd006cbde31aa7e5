import { formatIp, type IpAddress, sameIp } from '../../lb/index.js';
import type { CreateBackend, DeleteBackend, DrainBackend, UndrainBackend, UpdateBackend } from './changes.js';
import { exists, fieldError, immutable, overLimit } from './faults.js';
import {
  type Backend,
  backendAddresses,
  backendName,
  backendsOf,
  type DesiredState,
  vipsOf,
} from './model.js';
import { Checks, find } from './validate.js';
import { checkEtag, firstVersion, nextVersion, type Stamp, withEntry, withoutEntries } from './version.js';

/** Distinct addresses that the datapath has rows for; row 0 is none. */
export const MAX_ADDRESS_COUNT = 4095;
/** A bound on what a client can make the server hold. */
export const MAX_BACKEND_COUNT = 65536;

/** The other direction of the rule that a VIP is checked by: its pool may have been there first. */
function checkFamilies(state: DesiredState, pool: string, address: IpAddress): void {
  if (address.family === 6) return;
  const offender = vipsOf(state, pool).find(({ key }) => key.address.family === 6);
  if (offender === undefined) return;
  throw fieldError(
    'backend.address',
    `${formatIp(address)} is IPv4, and ${pool} serves the IPv6 VIP ${offender.name} (${formatIp(offender.key.address)}): IPv6 is not carried over IPv4`,
  );
}

function checkLimits(state: DesiredState, address: IpAddress): void {
  if (state.backends.size >= MAX_BACKEND_COUNT) throw overLimit('backends', MAX_BACKEND_COUNT);
  const addresses = backendAddresses(state);
  if (addresses.size >= MAX_ADDRESS_COUNT && !addresses.has(formatIp(address))) {
    throw overLimit('backend addresses', MAX_ADDRESS_COUNT);
  }
}

export function createBackend(state: DesiredState, change: CreateBackend, stamp: Stamp): DesiredState {
  const checks = new Checks();
  checks.name('parent', 'pool', change.pool);
  checks.id('backend_id', change.id);
  const address = checks.hostAddress('backend.address', change.address);
  checks.weight('backend.weight', change.weight);
  checks.done();
  if (address === undefined) throw new Error('unreachable: checks passed');

  const pool = find(state.pools, 'pool', change.pool, 'parent').name;
  const name = backendName(pool, change.id);
  if (state.backends.has(name)) throw exists('backend', name, `backend_id: ${name} exists`);
  const holder = backendsOf(state, pool).find((backend) => sameIp(backend.address, address));
  if (holder) {
    throw exists(
      'backend',
      holder.name,
      `backend.address: ${formatIp(address)} is the address of ${holder.name}`,
    );
  }
  checkFamilies(state, pool, address);
  checkLimits(state, address);
  const backend: Backend = {
    name,
    pool,
    address,
    addressKey: formatIp(address),
    weight: change.weight,
    drainStartMs: undefined,
    mac: undefined,
    isLocal: false,
    isDown: false,
    ...firstVersion(stamp),
  };
  return { ...state, revision: stamp.revision, backends: withEntry(state.backends, name, backend) };
}

function replace(
  state: DesiredState,
  backend: Backend,
  changes: Partial<Backend>,
  stamp: Stamp,
): DesiredState {
  const changed: Backend = { ...backend, ...changes, ...nextVersion(backend, stamp) };
  return { ...state, revision: stamp.revision, backends: withEntry(state.backends, backend.name, changed) };
}

export function updateBackend(state: DesiredState, change: UpdateBackend, stamp: Stamp): DesiredState {
  const backend = find(state.backends, 'backend', change.name, 'backend.name');
  checkEtag(backend.name, backend, change.etag);
  const { weight = backend.weight } = change.fields;
  const checks = new Checks();
  checks.weight('backend.weight', weight);
  const address =
    change.fields.address === undefined
      ? backend.address
      : checks.hostAddress('backend.address', change.fields.address);
  checks.done();
  if (address && !sameIp(address, backend.address)) {
    throw immutable(backend.name, 'backend.address', formatIp(backend.address), formatIp(address));
  }
  return weight === backend.weight ? state : replace(state, backend, { weight }, stamp);
}

export function deleteBackend(state: DesiredState, change: DeleteBackend, stamp: Stamp): DesiredState {
  const backend = find(state.backends, 'backend', change.name);
  checkEtag(backend.name, backend, change.etag);
  return { ...state, revision: stamp.revision, backends: withoutEntries(state.backends, [backend.name]) };
}

export function drainBackend(state: DesiredState, change: DrainBackend, stamp: Stamp): DesiredState {
  const backend = find(state.backends, 'backend', change.name);
  checkEtag(backend.name, backend, change.etag);
  if (backend.drainStartMs !== undefined) return state;
  return replace(state, backend, { drainStartMs: stamp.timeMs }, stamp);
}

export function undrainBackend(state: DesiredState, change: UndrainBackend, stamp: Stamp): DesiredState {
  const backend = find(state.backends, 'backend', change.name);
  checkEtag(backend.name, backend, change.etag);
  if (backend.drainStartMs === undefined) return state;
  return replace(state, backend, { drainStartMs: undefined }, stamp);
}
