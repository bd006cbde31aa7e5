import { Metadata, status } from '@grpc/grpc-js';
import { assertNever, CodedError, InspectorError, type InspectorFault } from '../../lb/index.js';
import { MonitorError, type MonitorFault } from '../health/monitor.js';
import { ReconcileError, type ReconcileFault } from '../reconcile/reconciler.js';
import { AccessError, type AccessFault, AuditError, type AuditFault } from '../security/faults.js';
import { StateError, type StateFault } from '../state/faults.js';
import { HistoryError, type HistoryFault } from '../state/history-rollback.js';
import { IdsError, type IdsFault } from '../state/ids.js';
import { JournalError, type JournalFault } from '../state/journal-faults.js';
import { WatchError, type WatchFault } from '../watch/faults.js';
import { type Detail, encodeStatus, retryInfo, STATUS_DETAILS_KEY } from './details.js';

/** What only the API can refuse. */
export type ApiFault =
  | { readonly code: 'API_NODE'; readonly name: string }
  | { readonly code: 'API_WORKER'; readonly worker: number }
  /** Nothing that the datapath has in the mode that it runs in. */
  | { readonly code: 'API_MODE'; readonly mode: string }
  /** A program that cannot be loaded: `reason` is the code of the fault; `log` the end of the verifier's log, if it has one. */
  | { readonly code: 'API_PROGRAM'; readonly reason: string; readonly log: string }
  /** No gRPC service of the server. */
  | { readonly code: 'API_SERVICE'; readonly service: string }
  /** The server stops: streams end, and another server may take over. */
  | { readonly code: 'API_STOPPING' }
  /** The caller is gone, or its deadline has passed. */
  | { readonly code: 'API_CALLER_GONE' };

export class ApiError extends CodedError<ApiFault> {}

type ControlFault =
  | StateFault
  | IdsFault
  | JournalFault
  | ReconcileFault
  | ApiFault
  | InspectorFault
  | AccessFault
  | AuditFault
  | WatchFault
  | HistoryFault
  | MonitorFault;

/** gRPC status of every fault. */
const STATUS: Readonly<Record<ControlFault['code'], status>> = {
  STATE_FIELDS: status.INVALID_ARGUMENT,
  STATE_NOT_FOUND: status.NOT_FOUND,
  STATE_EXISTS: status.ALREADY_EXISTS,
  STATE_ETAG: status.ABORTED,
  STATE_IN_USE: status.FAILED_PRECONDITION,
  STATE_IMMUTABLE: status.FAILED_PRECONDITION,
  STATE_LIMIT: status.RESOURCE_EXHAUSTED,
  IDS_NUMBERS: status.RESOURCE_EXHAUSTED,
  IDS_REALS: status.RESOURCE_EXHAUSTED,
  // The disk is full or fails: nothing has changed, and the same request may succeed later.
  JOURNAL_IO: status.UNAVAILABLE,
  JOURNAL_CLOSED: status.UNAVAILABLE,
  // Only while a store is opened; never the answer to a request.
  JOURNAL_LOCKED: status.INTERNAL,
  JOURNAL_FORMAT: status.INTERNAL,
  JOURNAL_NO_STATE: status.INTERNAL,
  RECONCILE_VIP_REFUSED: status.FAILED_PRECONDITION,
  RECONCILE_CANCELLED: status.CANCELLED,
  RECONCILE_OPTIONS: status.FAILED_PRECONDITION,
  RECONCILE_WRITE: status.INTERNAL,
  HISTORY_REVISION: status.OUT_OF_RANGE,
  HEALTH_TARGET: status.FAILED_PRECONDITION,
  // Lists of the server's own making; never the answer to a request.
  HEALTH_NO_CHECKS: status.INTERNAL,
  HEALTH_TWICE: status.INTERNAL,
  API_NODE: status.NOT_FOUND,
  API_WORKER: status.NOT_FOUND,
  API_MODE: status.UNIMPLEMENTED,
  API_PROGRAM: status.INVALID_ARGUMENT,
  API_SERVICE: status.NOT_FOUND,
  API_STOPPING: status.UNAVAILABLE,
  API_CALLER_GONE: status.CANCELLED,
  ACCESS_NOBODY: status.UNAUTHENTICATED,
  ACCESS_TOKEN: status.UNAUTHENTICATED,
  ACCESS_ROLE: status.PERMISSION_DENIED,
  ACCESS_RATE: status.RESOURCE_EXHAUSTED,
  ACCESS_STREAMS: status.RESOURCE_EXHAUSTED,
  AUDIT_WRITE: status.UNAVAILABLE,
  WATCH_REVISION: status.OUT_OF_RANGE,
  WATCH_SEQUENCE: status.OUT_OF_RANGE,
  INSPECT_MAP: status.NOT_FOUND,
  INSPECT_ENTRY: status.NOT_FOUND,
  INSPECT_DATA: status.INVALID_ARGUMENT,
  INSPECT_ERRNO: status.FAILED_PRECONDITION,
};

const ERROR_DOMAIN = 'waggle.v1';
const typeOf = (kind: string) => `waggle.v1.${kind.charAt(0).toUpperCase()}${kind.slice(1)}`;

function detailOf(fault: ControlFault, message: string): Detail {
  switch (fault.code) {
    case 'STATE_FIELDS':
      return { type: 'BadRequest', fieldViolations: fault.violations };
    case 'STATE_NOT_FOUND':
    case 'STATE_EXISTS':
      return { type: 'ResourceInfo', resourceType: typeOf(fault.kind), resourceName: fault.name };
    case 'API_NODE':
      return { type: 'ResourceInfo', resourceType: typeOf('node'), resourceName: fault.name };
    case 'API_WORKER':
      return { type: 'ResourceInfo', resourceType: typeOf('worker'), resourceName: String(fault.worker) };
    case 'API_SERVICE':
      return { type: 'ResourceInfo', resourceType: 'service', resourceName: fault.service };
    case 'API_MODE':
      return { type: 'ErrorInfo', reason: fault.code, domain: ERROR_DOMAIN, metadata: { mode: fault.mode } };
    case 'API_PROGRAM':
      return { type: 'ErrorInfo', reason: fault.reason, domain: ERROR_DOMAIN, metadata: { log: fault.log } };
    case 'INSPECT_MAP':
    case 'INSPECT_ENTRY':
      return { type: 'ResourceInfo', resourceType: typeOf('bpfMap'), resourceName: `maps/${fault.map}` };
    case 'INSPECT_DATA':
      return { type: 'BadRequest', fieldViolations: [{ field: fault.what, description: fault.reason }] };
    case 'INSPECT_ERRNO':
      return {
        type: 'PreconditionFailure',
        violations: [{ type: fault.errno, subject: `maps/${fault.map}`, description: message }],
      };
    case 'STATE_ETAG':
      return {
        type: 'ErrorInfo',
        reason: 'ETAG_MISMATCH',
        domain: ERROR_DOMAIN,
        metadata: { resource: fault.name, current_etag: fault.current },
      };
    case 'STATE_IN_USE':
      return {
        type: 'PreconditionFailure',
        violations: fault.users.map((user) => ({ type: 'IN_USE', subject: user, description: message })),
      };
    case 'STATE_IMMUTABLE':
      return {
        type: 'PreconditionFailure',
        violations: [{ type: 'IMMUTABLE', subject: fault.name, description: message }],
      };
    case 'RECONCILE_VIP_REFUSED':
      return {
        type: 'PreconditionFailure',
        violations: [{ type: 'VIP_REFUSED', subject: fault.vip, description: message }],
      };
    case 'STATE_LIMIT':
      return { type: 'QuotaFailure', violations: [{ subject: fault.subject, description: message }] };
    case 'IDS_NUMBERS':
      return { type: 'QuotaFailure', violations: [{ subject: fault.what, description: message }] };
    case 'IDS_REALS':
      return { type: 'QuotaFailure', violations: [{ subject: 'backend addresses', description: message }] };
    case 'JOURNAL_IO':
      return {
        type: 'ErrorInfo',
        reason: fault.code,
        domain: ERROR_DOMAIN,
        metadata: { operation: fault.operation, errno: fault.errno },
      };
    case 'JOURNAL_CLOSED':
    case 'JOURNAL_LOCKED':
    case 'JOURNAL_FORMAT':
    case 'JOURNAL_NO_STATE':
    case 'RECONCILE_CANCELLED':
    case 'RECONCILE_OPTIONS':
    case 'RECONCILE_WRITE':
    case 'HEALTH_NO_CHECKS':
    case 'HEALTH_TARGET':
    case 'HEALTH_TWICE':
    case 'API_STOPPING':
    case 'API_CALLER_GONE':
    case 'ACCESS_NOBODY':
    case 'ACCESS_TOKEN':
      return { type: 'ErrorInfo', reason: fault.code, domain: ERROR_DOMAIN, metadata: {} };
    case 'ACCESS_ROLE':
      return {
        type: 'ErrorInfo',
        reason: fault.code,
        domain: ERROR_DOMAIN,
        metadata: { required_role: fault.required, role: fault.role ?? '' },
      };
    case 'ACCESS_RATE':
    case 'ACCESS_STREAMS':
      return { type: 'QuotaFailure', violations: [{ subject: fault.subject, description: message }] };
    case 'HISTORY_REVISION':
    case 'WATCH_REVISION':
      return {
        type: 'ErrorInfo',
        reason: fault.code,
        domain: ERROR_DOMAIN,
        metadata: { oldest_revision: String(fault.oldest), newest_revision: String(fault.newest) },
      };
    case 'WATCH_SEQUENCE':
      return {
        type: 'ErrorInfo',
        reason: fault.code,
        domain: ERROR_DOMAIN,
        metadata: { newest_sequence: String(fault.newest) },
      };
    case 'AUDIT_WRITE':
      return {
        type: 'ErrorInfo',
        reason: fault.code,
        domain: ERROR_DOMAIN,
        metadata: { errno: fault.errno },
      };
    default:
      return assertNever(fault);
  }
}

/** A disk or a datapath that failed is tried again by a client after so long. */
const RETRY_MS = 1_000;

/** What a client does with the refusal besides showing it. */
function retryOf(fault: ControlFault): readonly Detail[] {
  if (fault.code === 'ACCESS_RATE') return [retryInfo(fault.retryAfterMs)];
  return STATUS[fault.code] === status.UNAVAILABLE ? [retryInfo(RETRY_MS)] : [];
}

/** What a handler answers instead of a response. */
export interface Refusal {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
  /** A fault of ours: the log has to have it under the id that the answer carries. */
  readonly isFault: boolean;
}

/**
 * The refusal of an error that a handler threw; anything that is not a coded fault of ours is INTERNAL.
 * @param requestId of the call
 */
export function refusalOf(error: unknown, requestId: string): Refusal {
  const refusal = (code: status, details: string, more: readonly Detail[], isFault: boolean): Refusal => {
    const metadata = new Metadata();
    metadata.set(STATUS_DETAILS_KEY, encodeStatus(code, details, more));
    return { code, details, metadata, isFault };
  };
  if (
    error instanceof StateError ||
    error instanceof IdsError ||
    error instanceof JournalError ||
    error instanceof ReconcileError ||
    error instanceof InspectorError ||
    error instanceof AccessError ||
    error instanceof AuditError ||
    error instanceof WatchError ||
    error instanceof HistoryError ||
    error instanceof MonitorError ||
    error instanceof ApiError
  ) {
    const { fault, message } = error;
    const code = STATUS[fault.code];
    return refusal(code, message, [detailOf(fault, message), ...retryOf(fault)], false);
  }
  const details = `internal error; the server's log has more under request ${requestId}`;
  return refusal(status.INTERNAL, details, [{ type: 'RequestInfo', requestId }], true);
}
