import { formatIp, formatMac, type IpAddress, sameIp } from '../../lb/index.js';
import type {
  CreateBackend,
  DeleteBackend,
  DisableBackend,
  DrainBackend,
  DrainHost,
  UndrainBackend,
  UndrainHost,
  UpdateBackend,
} from './changes.js';
import { exists, fieldError, immutable, notFound, overLimit } from './faults.js';
import { adminStateOf, type BackendFields, backendFieldsOf } from './fields.js';
import type { StateLimits } from './limits.js';
import {
  type Backend,
  backendAddresses,
  backendName,
  backendsOf,
  type DesiredState,
  type Pool,
  type Version,
  vipsOf,
} from './model.js';
import { Checks, find } from './validate.js';
import { checkEtag, firstVersion, nextVersion, type Stamp, withEntry, withoutEntries } from './version.js';

const MAX_DRAIN_SECONDS = 86_400;

/** A backend without its name, pool and version. */
export type BackendBody = Omit<Backend, 'name' | 'pool' | keyof Version>;

/** In service. */
const ENABLED = {
  drainStartMs: undefined,
  drainDeadlineMs: undefined,
  leaves: false,
  isDown: false,
} as const;
const DISABLED = { ...ENABLED, isDown: true } as const;

/**
 * The backend that fields say; undefined where it has no address. Rules that they break are noted.
 * @param path    of the backend in the request
 * @param present as it is now: a drain that goes on keeps its times
 * @param pool    for the time of a drain that begins
 */
export function readBackend(
  checks: Checks,
  path: string,
  fields: BackendFields,
  { present, pool, timeMs }: { present: Backend | undefined; pool: Pool | undefined; timeMs: number },
): BackendBody | undefined {
  const address = checks.hostAddress(`${path}.address`, fields.address);
  checks.weight(`${path}.weight`, fields.weight);
  const mac = checks.mac(`${path}.mac_address`, fields.mac);
  if (address === undefined) return undefined;
  const { weight, isLocal, admin } = fields;
  const asked = serviceOf(fields, timeMs, pool?.drainTimeoutMs);
  const goesOn = present !== undefined && adminStateOf(present) === admin && fields.drain === undefined;
  const service = goesOn ? present : asked;
  const { drainStartMs, drainDeadlineMs, leaves, isDown } = service;
  const addressKey = formatIp(address);
  return { address, addressKey, weight, mac, isLocal, drainStartMs, drainDeadlineMs, leaves, isDown };
}

function serviceOf({ admin, drain }: BackendFields, timeMs: number, timeoutMs: number | undefined) {
  if (admin === 'enabled') return ENABLED;
  if (admin === 'disabled') return DISABLED;
  if (drain === undefined) return drainOf(timeMs, timeoutMs, false);
  const { startMs = timeMs, deadlineMs, leaves = false } = drain;
  return { drainStartMs: startMs, drainDeadlineMs: deadlineMs, leaves, isDown: false };
}

const drainOf = (timeMs: number, timeoutMs: number | undefined, leaves: boolean) => ({
  drainStartMs: timeMs,
  drainDeadlineMs: timeoutMs === undefined || timeoutMs === 0 ? undefined : timeMs + timeoutMs,
  leaves,
  isDown: false,
});

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

const macText = ({ mac }: Pick<Backend, 'mac'>) => (mac ? formatMac(mac) : '');

/** Backends with one address share a row: what the row says must be the same. @throws StateError STATE_FIELDS */
function checkRow(state: DesiredState, name: string, body: BackendBody): void {
  for (const other of state.backends.values()) {
    if (other.addressKey !== body.addressKey || other.name === name) continue;
    if (macText(other) !== macText(body)) {
      throw fieldError(
        'backend.mac_address',
        `${other.name} has the same address, ${other.addressKey}, and ${macText(other) || 'no MAC address of its own'}: they must agree`,
      );
    }
    if (other.isLocal !== body.isLocal) {
      throw fieldError(
        'backend.local',
        `${other.name} has the same address, ${other.addressKey}, and ${other.isLocal ? 'is' : 'is not'} local: they must agree`,
      );
    }
    return;
  }
}

function checkLimits(state: DesiredState, address: IpAddress, limits: StateLimits): void {
  if (state.backends.size >= limits.backends) throw overLimit('backends', limits.backends);
  // Every backend's address counts once, and others only where a route names them.
  if (state.backends.size < limits.addresses - namedElsewhere(state)) return;
  const addresses = backendAddresses(state);
  if (addresses.size >= limits.addresses && !addresses.has(formatIp(address))) {
    throw overLimit('backend addresses', limits.addresses);
  }
}

/** Addresses that are named beside backends, at most. */
function namedElsewhere({ serverIds, sourceRoutes, globalFlows, vips }: DesiredState): number {
  let count = serverIds.length + sourceRoutes.length + globalFlows.length;
  for (const { downBackends } of vips.values()) count += downBackends.length;
  return count;
}

const NEW_BACKEND = { mac: '', isLocal: false, admin: 'enabled' } as const;

export function createBackend(
  state: DesiredState,
  change: CreateBackend,
  stamp: Stamp,
  limits: StateLimits,
): DesiredState {
  const checks = new Checks();
  checks.name('parent', 'pool', change.pool);
  checks.id('backend_id', change.id);
  const place = { present: undefined, pool: state.pools.get(change.pool), timeMs: stamp.timeMs };
  const body = readBackend(checks, 'backend', { ...NEW_BACKEND, ...change }, place);
  checks.done();
  // Every reason for there being none is noted above.
  if (body === undefined) throw new Error('unreachable: checks passed');

  const pool = find(state.pools, 'pool', change.pool, 'parent').name;
  const name = backendName(pool, change.id);
  if (state.backends.has(name)) throw exists('backend', name, `backend_id: ${name} exists`);
  const holder = backendsOf(state, pool).find((backend) => sameIp(backend.address, body.address));
  if (holder) {
    throw exists(
      'backend',
      holder.name,
      `backend.address: ${body.addressKey} is the address of ${holder.name}`,
    );
  }
  checkFamilies(state, pool, body.address);
  checkRow(state, name, body);
  checkLimits(state, body.address, limits);
  const backend: Backend = { name, pool, ...body, ...firstVersion(stamp) };
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

/** Whether two backends are the same but for their versions. */
export const sameBackend = (a: BackendBody, b: BackendBody): boolean =>
  a.addressKey === b.addressKey &&
  a.weight === b.weight &&
  a.isLocal === b.isLocal &&
  a.isDown === b.isDown &&
  a.leaves === b.leaves &&
  a.drainStartMs === b.drainStartMs &&
  a.drainDeadlineMs === b.drainDeadlineMs &&
  macText(a) === macText(b);

export function updateBackend(state: DesiredState, change: UpdateBackend, stamp: Stamp): DesiredState {
  const backend = find(state.backends, 'backend', change.name, 'backend.name');
  checkEtag(backend.name, backend, change.etag);
  const checks = new Checks();
  const fields = { ...backendFieldsOf(backend), ...change.fields };
  const place = { present: backend, pool: state.pools.get(backend.pool), timeMs: stamp.timeMs };
  const body = readBackend(checks, 'backend', fields, place);
  checks.done();
  if (body && !sameIp(body.address, backend.address)) {
    throw immutable(backend.name, 'backend.address', backend.addressKey, body.addressKey);
  }
  if (body === undefined || sameBackend(backend, body)) return state;
  if (macText(body) !== macText(backend) || body.isLocal !== backend.isLocal)
    checkRow(state, backend.name, body);
  return replace(state, backend, body, stamp);
}

/** @throws StateError STATE_FIELDS */
function checkDrainTime(field: string, timeoutMs: number | undefined): void {
  if (timeoutMs === undefined) return;
  const checks = new Checks();
  checks.number(field, timeoutMs / 1000, 0, MAX_DRAIN_SECONDS);
  checks.done();
}

/** Removed at once, or drained first and removed then. */
export function deleteBackend(state: DesiredState, change: DeleteBackend, stamp: Stamp): DesiredState {
  const backend = find(state.backends, 'backend', change.name);
  checkEtag(backend.name, backend, change.etag);
  const { drainTimeoutMs } = change;
  checkDrainTime('drain_timeout', drainTimeoutMs);
  if (drainTimeoutMs !== undefined && drainTimeoutMs > 0) {
    return replace(state, backend, drainOf(stamp.timeMs, drainTimeoutMs, true), stamp);
  }
  return { ...state, revision: stamp.revision, backends: withoutEntries(state.backends, [backend.name]) };
}

/** One that drains already gets the new deadline, and keeps its start. */
function drained(
  state: DesiredState,
  backend: Backend,
  timeoutMs: number | undefined,
  stamp: Stamp,
): Partial<Backend> {
  const time = timeoutMs ?? state.pools.get(backend.pool)?.drainTimeoutMs;
  const drain = drainOf(stamp.timeMs, time, backend.leaves);
  return { ...drain, drainStartMs: backend.drainStartMs ?? drain.drainStartMs };
}

export function drainBackend(state: DesiredState, change: DrainBackend, stamp: Stamp): DesiredState {
  const backend = find(state.backends, 'backend', change.name);
  checkEtag(backend.name, backend, change.etag);
  checkDrainTime('timeout', change.timeoutMs);
  if (backend.drainStartMs !== undefined && change.timeoutMs === undefined) return state;
  return replace(state, backend, drained(state, backend, change.timeoutMs, stamp), stamp);
}

export function undrainBackend(state: DesiredState, change: UndrainBackend, stamp: Stamp): DesiredState {
  const backend = find(state.backends, 'backend', change.name);
  checkEtag(backend.name, backend, change.etag);
  if (adminStateOf(backend) === 'enabled') return state;
  return replace(state, backend, ENABLED, stamp);
}

/** What a drain ends with. */
export function disableBackend(state: DesiredState, change: DisableBackend, stamp: Stamp): DesiredState {
  const backend = find(state.backends, 'backend', change.name);
  checkEtag(backend.name, backend, change.etag);
  return backend.isDown ? state : replace(state, backend, DISABLED, stamp);
}

/** Backends of all pools that have an address. @throws StateError STATE_FIELDS, STATE_NOT_FOUND */
export function backendsOfHost(state: DesiredState, text: string): Backend[] {
  const checks = new Checks();
  const address = checks.hostAddress('address', text);
  checks.done();
  const key = address && formatIp(address);
  const backends = [...state.backends.values()].filter(({ addressKey }) => addressKey === key);
  if (backends.length === 0) throw notFound('backend', `a backend with the address ${key}`);
  return backends;
}

export function drainHost(state: DesiredState, change: DrainHost, stamp: Stamp): DesiredState {
  checkDrainTime('timeout', change.timeoutMs);
  const { timeoutMs } = change;
  return backendsOfHost(state, change.address).reduce(
    (draft, { name }) => drainBackend(draft, { kind: 'drain-backend', name, etag: '', timeoutMs }, stamp),
    state,
  );
}

export function undrainHost(state: DesiredState, change: UndrainHost, stamp: Stamp): DesiredState {
  return backendsOfHost(state, change.address).reduce(
    (draft, { name }) => undrainBackend(draft, { kind: 'undrain-backend', name, etag: '' }, stamp),
    state,
  );
}
