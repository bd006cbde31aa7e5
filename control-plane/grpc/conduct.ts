import { performance } from 'node:perf_hooks';
import { type Metadata, status } from '@grpc/grpc-js';
import type { Log } from '../reconcile/reconciler.js';
import type { AuditLog } from '../security/audit.js';
import type { Caller, ResourceChange } from '../security/caller.js';
import { field, maskPaths, permissionOf } from '../security/permissions.js';
import { stateChanges } from '../security/state-changes.js';
import type { CallScope } from './call-scope.js';
import { type Refusal, refusalOf } from './errors.js';
import type { Gate } from './gate.js';
import type { ObserveRpc } from './observe.js';
import { resourceOf } from './request.js';

/** What surrounds every handler. */
export interface Surroundings {
  readonly log: Log;
  readonly observe: ObserveRpc;
  readonly gate: Gate;
  readonly audit: AuditLog;
  /** Aborted when the server begins to stop: streams end then. */
  readonly stopping: AbortSignal;
}

/** What is needed of a call, of whatever kind. */
interface AnyCall {
  readonly request: unknown;
  readonly metadata: Metadata;
  readonly cancelled: boolean;
  getPath(): string;
}

export type Outcome<T> =
  | { readonly kind: 'answered'; readonly value: T }
  | { readonly kind: 'refused'; readonly refusal: Refusal };

/**
 * Run a handler that was let in: its errors become a refusal with details, faults of ours are logged under the id that
 * the caller gets, its time is taken, and what it changed is recorded before it is answered. Never rejects.
 */
export async function conduct<T>(
  around: Surroundings,
  method: string,
  call: AnyCall,
  run: (scope: CallScope) => Promise<T> | T,
): Promise<Outcome<T>> {
  const { audit, gate, log, observe } = around;
  const start = performance.now();
  const permission = permissionOf(call.getPath());
  const isAudited = permission.isAudited && field(call.request, 'validateOnly') !== true;
  const { caller, requestId } = gate.admissionOf(call.metadata);
  const scope = new Scope(call, caller, requestId);
  let outcome: Outcome<T>;
  try {
    if (isAudited) await audit.ready();
    outcome = { kind: 'answered', value: await run(scope) };
  } catch (error) {
    const refusal = refusalOf(error, requestId);
    if (refusal.isFault) log('error', 'request failed', { method, requestId, caller: caller.name, error });
    else
      log('debug', 'request refused', {
        method,
        requestId,
        caller: caller.name,
        status: status[refusal.code],
        reason: refusal.details,
      });
    outcome = { kind: 'refused', refusal };
  }
  const refusal = outcome.kind === 'refused' ? outcome.refusal : undefined;
  const result = status[refusal?.code ?? status.OK];
  if (isAudited) {
    await audit.record({
      requestId,
      caller,
      address: caller.address,
      method: call.getPath().replace(/^\//, ''),
      resource: resourceOf(call.request),
      fields: maskPaths(call.request),
      result,
      reason: refusal?.details,
      revision: scope.revision,
      changes: scope.changes,
    });
  }
  observe(method, result, (performance.now() - start) / 1000);
  return outcome;
}

class Scope implements CallScope {
  readonly name: string;
  readonly role: Caller['role'];
  readonly address: string;
  readonly via: Caller['via'];
  readonly requestId: string;
  readonly changes: ResourceChange[] = [];
  /** Of the last change that the call made. */
  revision: number | undefined;
  readonly #call: AnyCall;

  constructor(call: AnyCall, { name, role, address, via }: Caller, requestId: string) {
    this.name = name;
    this.role = role;
    this.address = address;
    this.via = via;
    this.requestId = requestId;
    this.#call = call;
  }

  changing(validateOnly: boolean): ReturnType<CallScope['changing']> {
    return {
      validateOnly,
      actor: this.name,
      isCancelled: () => this.#call.cancelled,
      committed: (before, after) => {
        this.revision = after.revision;
        this.changes.push(...stateChanges(before, after));
      },
    };
  }

  changed(change: ResourceChange): void {
    this.changes.push(change);
  }
}
