import { assertNever, type VipProtocol } from '../../lb/index.js';
import { createBackend, deleteBackend, drainBackend, undrainBackend, updateBackend } from './backends.js';
import type { DesiredState } from './model.js';
import { createPool, deletePool, updatePool } from './pools.js';
import type { Stamp } from './version.js';
import { createVip, deleteVip, updateVip } from './vips.js';

/** Refused unless the resource's etag is this; '' matches every one. */
interface Guarded {
  readonly name: string;
  readonly etag: string;
}

export interface CreateVip {
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
  readonly fields: {
    readonly displayName?: string;
    readonly pool?: string;
    readonly address?: string;
    readonly port?: number;
    readonly protocol?: VipProtocol;
  };
}
export interface DeleteVip extends Guarded {
  readonly kind: 'delete-vip';
}
export interface CreatePool {
  readonly kind: 'create-pool';
  readonly id: string;
  readonly displayName: string;
}
export interface UpdatePool extends Guarded {
  readonly kind: 'update-pool';
  readonly fields: { readonly displayName?: string };
}
export interface DeletePool extends Guarded {
  readonly kind: 'delete-pool';
  /** Its backends and VIPs go with it. */
  readonly force: boolean;
}
export interface CreateBackend {
  readonly kind: 'create-backend';
  readonly pool: string;
  readonly id: string;
  readonly address: string;
  readonly weight: number;
}
export interface UpdateBackend extends Guarded {
  readonly kind: 'update-backend';
  readonly fields: { readonly weight?: number; readonly address?: string };
}
export interface DeleteBackend extends Guarded {
  readonly kind: 'delete-backend';
}
export interface DrainBackend extends Guarded {
  readonly kind: 'drain-backend';
}
export interface UndrainBackend extends Guarded {
  readonly kind: 'undrain-backend';
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
  | UndrainBackend;

/**
 * The state after a change. The same object when there is nothing to change.
 * @throws StateError
 */
export function applyChange(state: DesiredState, change: Change, stamp: Stamp): DesiredState {
  switch (change.kind) {
    case 'create-vip':
      return createVip(state, change, stamp);
    case 'update-vip':
      return updateVip(state, change, stamp);
    case 'delete-vip':
      return deleteVip(state, change, stamp);
    case 'create-pool':
      return createPool(state, change, stamp);
    case 'update-pool':
      return updatePool(state, change, stamp);
    case 'delete-pool':
      return deletePool(state, change, stamp);
    case 'create-backend':
      return createBackend(state, change, stamp);
    case 'update-backend':
      return updateBackend(state, change, stamp);
    case 'delete-backend':
      return deleteBackend(state, change, stamp);
    case 'drain-backend':
      return drainBackend(state, change, stamp);
    case 'undrain-backend':
      return undrainBackend(state, change, stamp);
    default:
      return assertNever(change);
  }
}
