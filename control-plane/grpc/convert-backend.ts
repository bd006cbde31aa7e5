import { formatMac } from '../../lb/index.js';
import type { Health, HealthStatus, TargetStatus } from '../health/types.js';
import type { NextHopStatus } from '../neighbours.js';
import { effectiveWeight } from '../reconcile/image.js';
import { fieldError } from '../state/faults.js';
import { type AdminState, type BackendFields, backendFieldsOf } from '../state/fields.js';
import { type Backend, checkName } from '../state/model.js';
import type { ApiContext } from './context.js';
import { chosen, durationOf, type Mask, populated, timestampOf, versionOf } from './convert-values.js';
import type { Backend__Output, Backend as ProtoBackend } from './generated/waggle/v1/Backend.js';
import type { BackendStatus } from './generated/waggle/v1/BackendStatus.js';
import type { CheckStatus } from './generated/waggle/v1/CheckStatus.js';
import type { NextHop as ProtoNextHop } from './generated/waggle/v1/NextHop.js';
import { maskedFields } from './mask.js';

/** Weight of a backend that names none. */
const DEFAULT_WEIGHT = 1;

const ADMIN_STATES = {
  enabled: 'ADMIN_STATE_ENABLED',
  draining: 'ADMIN_STATE_DRAINING',
  disabled: 'ADMIN_STATE_DISABLED',
} as const satisfies Record<AdminState, NonNullable<ProtoBackend['adminState']>>;

/** @throws StateError STATE_FIELDS */
function adminStateFrom(field: string, value: string | number): AdminState {
  if (value === 'ADMIN_STATE_UNSPECIFIED') return 'enabled';
  for (const state of ['enabled', 'draining', 'disabled'] as const) {
    if (ADMIN_STATES[state] === value) return state;
  }
  throw fieldError(field, `${value} is not an admin state: ${Object.values(ADMIN_STATES).join(', ')}`);
}

/** What a backend says in a request. @throws StateError STATE_FIELDS */
export function backendFieldsFrom(path: string, backend: Backend__Output): Omit<BackendFields, 'drain'> {
  return {
    address: backend.address,
    weight: backend.weight ?? DEFAULT_WEIGHT,
    mac: backend.macAddress,
    isLocal: backend.local,
    admin: adminStateFrom(`${path}.admin_state`, backend.adminState),
  };
}

const API_NAMES = {
  address: 'address',
  weight: 'weight',
  mac: 'mac_address',
  isLocal: 'local',
  admin: 'admin_state',
} as const satisfies Record<Exclude<keyof BackendFields, 'drain'>, string>;

/** What an UpdateBackend sets. @throws StateError STATE_FIELDS */
export function backendUpdate(backend: Backend__Output, mask: Mask): Partial<BackendFields> {
  const set = maskedFields(
    mask?.paths,
    populated({
      weight: backend.weight !== undefined,
      address: backend.address !== '',
      mac_address: backend.macAddress !== '',
      local: backend.local,
      admin_state: backend.adminState !== 'ADMIN_STATE_UNSPECIFIED',
    }),
    { changeable: ['weight', 'admin_state', 'mac_address', 'local'], immutable: ['address'] },
  );
  return chosen(set, API_NAMES, backendFieldsFrom('backend', backend));
}

/** What an operator declared of a backend. */
export function backendDeclaration(backend: Backend): ProtoBackend {
  const { address, weight, mac, isLocal, admin } = backendFieldsOf(backend);
  return {
    name: backend.name,
    address,
    weight,
    adminState: ADMIN_STATES[admin],
    macAddress: mac,
    local: isLocal,
  };
}

/** Weight in the ring, in the measure of the backend's own. */
export function weightInForce(backend: Backend, context: ApiContext): number {
  return effectiveWeight(
    backend,
    context.nextHop(backend.addressKey).mac ?? context.reconciler.store.state.node.routerMac,
    context.health.share(backend.name),
  );
}

const NEXT_HOP_STATES: Readonly<Record<NextHopStatus['state'], NonNullable<ProtoNextHop['state']>>> = {
  resolved: 'STATE_RESOLVED',
  pending: 'STATE_PENDING',
  unreachable: 'STATE_UNREACHABLE',
};

function nextHopOf(backend: Backend, context: ApiContext): ProtoNextHop {
  // What the operator gave is in use, whatever is found.
  const given = backend.mac ?? context.reconciler.store.state.node.routerMac;
  if (given) return { state: 'STATE_RESOLVED', macAddress: formatMac(given), reason: '' };
  const hop = context.nextHop(backend.addressKey);
  return {
    state: NEXT_HOP_STATES[hop.state],
    macAddress: hop.mac ? formatMac(hop.mac) : '',
    reason: hop.reason,
  };
}

const HEALTH = {
  unknown: 'HEALTH_UNKNOWN',
  healthy: 'HEALTH_HEALTHY',
  unhealthy: 'HEALTH_UNHEALTHY',
} as const satisfies Record<Health, NonNullable<BackendStatus['health']>>;

function checkStatusOf(id: string, { state, consecutive, last, lastError }: HealthStatus): CheckStatus {
  return {
    healthCheck: checkName(id),
    health: HEALTH[state],
    consecutive,
    ...(last && {
      lastProbeTime: timestampOf(last.atMs),
      lastDetail: last.detail,
      lastLatency: durationOf(last.latencyMs),
    }),
    ...(lastError && { lastError: lastError.detail, lastErrorTime: timestampOf(lastError.atMs) }),
  };
}

function healthOf(status: TargetStatus | undefined): BackendStatus {
  if (status === undefined) return { health: 'HEALTH_UNSPECIFIED' };
  const shown = status.state === 'unhealthy' ? (status.lastError ?? status.last) : status.last;
  return {
    health: HEALTH[status.state],
    healthReason: shown?.detail ?? '',
    healthChangeTime: timestampOf(status.sinceMs),
    flapping: status.flapping,
    checks: [...status.checks].map(([id, check]) => checkStatusOf(id, check)),
  };
}

export function backendToProto(backend: Backend, context: ApiContext): ProtoBackend {
  const { reconciler, health } = context;
  const index = reconciler.realIndex(backend);
  const flows = index === undefined ? 0 : (reconciler.flows.recent().get(index) ?? 0);
  const { drainStartMs, drainDeadlineMs } = backend;
  return {
    ...backendDeclaration(backend),
    status: {
      ...healthOf(health.status(backend.name)),
      weightPercent: health.share(backend.name),
      effectiveWeight: weightInForce(backend, context),
      tableShare: reconciler.tableShare(backend),
      trackedFlows: String(flows),
      ...(drainStartMs !== undefined && { drainStartTime: timestampOf(drainStartMs) }),
      ...(drainDeadlineMs !== undefined && { drainDeadline: timestampOf(drainDeadlineMs) }),
      drained: drainStartMs !== undefined && flows === 0,
      nextHop: nextHopOf(backend, context),
    },
    ...versionOf(backend),
  };
}
