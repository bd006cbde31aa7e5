import { assertNever, type VipProtocol } from '../../lb/index.js';
import {
  createBackend,
  deleteBackend,
  disableBackend,
  drainBackend,
  drainHost,
  undrainBackend,
  undrainHost,
  updateBackend,
} from './backends.js';
import type {
  BackendFields,
  CheckFields,
  FlowFields,
  GlobalFlowFields,
  NodeFields,
  PoolFields,
  ServerIdFields,
  SourceRouteFields,
  Target,
  VipFields,
} from './fields.js';
import { createHealthCheck, deleteHealthCheck, updateHealthCheck } from './health-checks.js';
import type { StateLimits } from './limits.js';
import type { DesiredState } from './model.js';
import { updateNode } from './node.js';
import { missingSources, optionConflicts } from './options.js';
import { createPool, deletePool, updatePool } from './pools.js';
import { replaceState } from './replace.js';
import { updateGlobalFlows, updateServerIds, updateSourceRoutes } from './routing.js';
import { Checks } from './validate.js';
import type { Stamp } from './version.js';
import { createVip, deleteVip, updateVip } from './vips.js';

/** Refused unless the resource's etag is this; '' matches every one. */
interface Guarded {
  readonly name: string;
  readonly etag: string;
}

/** What is absent is as a new one has it. */
export interface CreateVip extends Partial<VipFields> {
  readonly kind: 'create-vip';
  readonly id: string;
  readonly displayName: string;
  readonly address: string;
  readonly port: number;
  readonly protocol: VipProtocol | undefined;
  readonly pool: string;
}
/** Fields that are there are to be set; those that never change may be there with the value that they have. */
export interface UpdateVip extends Guarded {
  readonly kind: 'update-vip';
  readonly fields: Partial<VipFields>;
}
export interface DeleteVip extends Guarded {
  readonly kind: 'delete-vip';
}
export interface CreatePool extends Partial<PoolFields> {
  readonly kind: 'create-pool';
  readonly id: string;
  readonly displayName: string;
}
export interface UpdatePool extends Guarded {
  readonly kind: 'update-pool';
  readonly fields: Partial<PoolFields>;
}
export interface DeletePool extends Guarded {
  readonly kind: 'delete-pool';
  /** Its backends and VIPs go with it. */
  readonly force: boolean;
}
export interface CreateBackend extends Partial<BackendFields> {
  readonly kind: 'create-backend';
  readonly pool: string;
  readonly id: string;
  readonly address: string;
  readonly weight: number;
}
export interface UpdateBackend extends Guarded {
  readonly kind: 'update-backend';
  readonly fields: Partial<BackendFields>;
}
export interface DeleteBackend extends Guarded {
  readonly kind: 'delete-backend';
  /** Drain it for so long at most, and remove it then; absent or 0: at once. */
  readonly drainTimeoutMs?: number | undefined;
}
export interface DrainBackend extends Guarded {
  readonly kind: 'drain-backend';
  /** 0: without end; absent: as long as the pool says. */
  readonly timeoutMs?: number | undefined;
}
export interface UndrainBackend extends Guarded {
  readonly kind: 'undrain-backend';
}
export interface DisableBackend extends Guarded {
  readonly kind: 'disable-backend';
}
/** The backends of all pools that have the address. */
export interface DrainHost {
  readonly kind: 'drain-host';
  readonly address: string;
  readonly timeoutMs?: number | undefined;
}
export interface UndrainHost {
  readonly kind: 'undrain-host';
  readonly address: string;
}
export interface CreateHealthCheck extends CheckFields {
  readonly kind: 'create-health-check';
  readonly id: string;
}
export interface UpdateHealthCheck extends Guarded {
  readonly kind: 'update-health-check';
  readonly fields: Partial<CheckFields>;
}
export interface DeleteHealthCheck extends Guarded {
  readonly kind: 'delete-health-check';
}
export interface UpdateNode {
  readonly kind: 'update-node';
  readonly etag: string;
  readonly fields: Partial<NodeFields>;
}
/** What is set is added or changed; what is deleted and not there is passed over. */
export interface UpdateServerIds {
  readonly kind: 'update-server-ids';
  readonly set: readonly ServerIdFields[];
  readonly delete: readonly number[];
}
export interface UpdateSourceRoutes {
  readonly kind: 'update-source-routes';
  readonly set: readonly SourceRouteFields[];
  readonly delete: readonly string[];
}
export interface UpdateGlobalFlows {
  readonly kind: 'update-global-flows';
  readonly set: readonly GlobalFlowFields[];
  readonly delete: readonly FlowFields[];
}
/** The whole configuration at once. */
export interface Replace {
  readonly kind: 'apply' | 'rollback';
  readonly target: Target;
  /** What the target lacks is deleted; else it stays. */
  readonly prune: boolean;
}

export type Change =
  | CreateVip
  | UpdateVip
  | DeleteVip
  | CreatePool
  | UpdatePool
  | DeletePool
  | CreateBackend
  | UpdateBackend
  | DeleteBackend
  | DrainBackend
  | UndrainBackend
  | DisableBackend
  | DrainHost
  | UndrainHost
  | CreateHealthCheck
  | UpdateHealthCheck
  | DeleteHealthCheck
  | UpdateNode
  | UpdateServerIds
  | UpdateSourceRoutes
  | UpdateGlobalFlows
  | Replace;

/**
 * The state after a change. The same object when there is nothing to change.
 * @throws StateError
 */
export function applyChange(
  state: DesiredState,
  change: Change,
  stamp: Stamp,
  limits: StateLimits,
): DesiredState {
  const after = changed(state, change, stamp, limits);
  if (after !== state) checkOptions(after);
  return after;
}

/** What the program's options and the resources say of each other. @throws StateError STATE_FIELDS */
function checkOptions(state: DesiredState): void {
  const checks = new Checks();
  const { options } = state.node;
  // What is not turned off is on where it is needed.
  if (Object.values(options).includes(false)) {
    for (const { option, need } of optionConflicts(state)) {
      const name = option.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
      checks.fail(`config.options.${name}`, `is off, and ${need.what} needs it`);
    }
  }
  for (const { family, backend } of missingSources(state)) {
    checks.fail(
      'config.own_addresses',
      `has no IPv${family} address, which GUE needs as its source for ${backend}`,
    );
  }
  checks.done();
}

function changed(state: DesiredState, change: Change, stamp: Stamp, limits: StateLimits): DesiredState {
  switch (change.kind) {
    case 'create-vip':
      return createVip(state, change, stamp, limits);
    case 'update-vip':
      return updateVip(state, change, stamp, limits);
    case 'delete-vip':
      return deleteVip(state, change, stamp);
    case 'create-pool':
      return createPool(state, change, stamp, limits);
    case 'update-pool':
      return updatePool(state, change, stamp);
    case 'delete-pool':
      return deletePool(state, change, stamp);
    case 'create-backend':
      return createBackend(state, change, stamp, limits);
    case 'update-backend':
      return updateBackend(state, change, stamp);
    case 'delete-backend':
      return deleteBackend(state, change, stamp);
    case 'drain-backend':
      return drainBackend(state, change, stamp);
    case 'undrain-backend':
      return undrainBackend(state, change, stamp);
    case 'disable-backend':
      return disableBackend(state, change, stamp);
    case 'drain-host':
      return drainHost(state, change, stamp);
    case 'undrain-host':
      return undrainHost(state, change, stamp);
    case 'create-health-check':
      return createHealthCheck(state, change, stamp, limits);
    case 'update-health-check':
      return updateHealthCheck(state, change, stamp);
    case 'delete-health-check':
      return deleteHealthCheck(state, change, stamp);
    case 'update-node':
      return updateNode(state, change, stamp, limits);
    case 'update-server-ids':
      return updateServerIds(state, change, stamp, limits);
    case 'update-source-routes':
      return updateSourceRoutes(state, change, stamp, limits);
    case 'update-global-flows':
      return updateGlobalFlows(state, change, stamp, limits);
    case 'apply':
    case 'rollback':
      return replaceState(state, change, stamp, limits);
    default:
      return assertNever(change);
  }
}
