import { randomUUID } from 'node:crypto';
import {
  Metadata,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
  status,
} from '@grpc/grpc-js';
import type { Log } from '../reconcile/reconciler.js';
import type { AccessRules } from '../security/access.js';
import type { AuditLog } from '../security/audit.js';
import { type Caller, includesRole, type Role } from '../security/caller.js';
import { AccessError } from '../security/faults.js';
import { identify, type Peer } from '../security/identity.js';
import {
  leastRole,
  maskPaths,
  type Permission,
  permissionOf,
  requiredRole,
} from '../security/permissions.js';
import type { CallLimiter } from '../security/rate-limit.js';
import { subjectNames } from '../security/subject-names.js';
import { refusalOf } from './errors.js';
import type { ObserveRpc } from './observe.js';
import { resourceOf } from './request.js';

/** A call that was let in. */
export interface Admission {
  readonly caller: Caller;
  readonly requestId: string;
}

export interface GateOptions {
  readonly transport: Peer['transport'];
  /** As they are now. */
  readonly rules: () => AccessRules;
  readonly limiter: CallLimiter;
  readonly audit: AuditLog;
  readonly observe: ObserveRpc;
  readonly log: Log;
  /** Milliseconds since 1970. */
  readonly nowMs: () => number;
}

/** Header and trailer that name a call: the client's own name for it, or ours. */
const REQUEST_ID_KEY = 'x-request-id';
const REQUEST_ID = /^[\w.:/+=-]{1,128}$/;

interface OpenStream {
  readonly peer: Peer;
  readonly role: Role;
  readonly refuse: (error: unknown) => void;
}

/**
 * What every call passes before its handler, whoever wrote that: who calls, whether they may, how often. What a stranger
 * sends is not read.
 */
export class Gate {
  readonly #options: GateOptions;
  /** By the metadata of the call, which is all that a call is known by on both sides of the library. */
  readonly #admissions = new WeakMap<Metadata, Admission>();
  readonly #streams = new Set<OpenStream>();

  constructor(options: GateOptions) {
    this.#options = options;
  }

  /** Who makes a call that a handler was given. */
  admissionOf(metadata: Metadata): Admission {
    const admission = this.#admissions.get(metadata);
    if (admission === undefined) throw new Error('a call reached its handler and was not let in');
    return admission;
  }

  /** End the streams of callers that are not let in any more: the rules changed, or what they showed has expired. */
  recheck(): void {
    for (const { peer, role, refuse } of [...this.#streams]) {
      try {
        this.#identify(peer, role);
      } catch (error) {
        refuse(error);
      }
    }
  }

  readonly interceptor: ServerInterceptor = ({ path }, call) => {
    const permission = permissionOf(path);
    let requestId = '';
    let admission: Admission | undefined;
    let request: unknown;
    let leave = () => {};
    const refuse = (error: unknown) => {
      this.#refuse(call, { path, requestId, caller: admission?.caller, request, error });
      leave();
    };
    return new ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, forward) => {
            requestId = requestIdOf(metadata);
            const peer = this.#peerOf(call, metadata);
            // A handler has no use for it, and cannot give it away.
            metadata.remove('authorization');
            try {
              const caller = this.#identify(peer, undefined);
              admission = { caller, requestId };
              allow(caller, leastRole(permission), path);
              this.#count(caller, permission);
              if (permission.kind === 'stream')
                leave = this.#enter(caller, { peer, role: leastRole(permission), refuse });
            } catch (error) {
              refuse(error);
              return;
            }
            this.#admissions.set(metadata, admission);
            forward(metadata);
          },
          onReceiveMessage: (message: unknown, forward) => {
            request ??= message;
            try {
              if (admission) allow(admission.caller, requiredRole(permission, message), path);
            } catch (error) {
              refuse(error);
              return;
            }
            forward(message);
          },
          onCancel: () => leave(),
        }),
      sendMetadata: (metadata, next) => {
        metadata.set(REQUEST_ID_KEY, requestId);
        next(metadata);
      },
      sendStatus: (outcome, next) => {
        const metadata = outcome.metadata ?? new Metadata();
        metadata.set(REQUEST_ID_KEY, requestId);
        next({ ...outcome, metadata });
      },
    });
  };

  #peerOf(call: ServerInterceptingCallInterface, metadata: Metadata): Peer {
    const { transport } = this.#options;
    const { sslPeerCertificate: shown } = call.getAuthContext();
    return {
      transport,
      address: this.#addressOf(call),
      // Verified in the handshake, since when it may have expired.
      certificate: shown && subjectNames(shown),
      certificateUntilMs: shown ? Date.parse(shown.valid_to) : 0,
      authorization: metadata.get('authorization').map(String),
    };
  }

  #addressOf(call: ServerInterceptingCallInterface): string {
    const { remoteAddress = 'unknown', remotePort } = call.getConnectionInfo();
    return this.#options.transport === 'unix' ? 'unix' : formatPeer(remoteAddress, remotePort);
  }

  /** @param role that the caller must still have; undefined: any */
  #identify(peer: Peer, role: Role | undefined): Caller {
    const caller = identify(peer, this.#options.rules(), this.#options.nowMs());
    if (role !== undefined) allow(caller, role, 'the stream');
    return caller;
  }

  #count({ name, via }: Caller, { kind }: Permission): void {
    this.#options.limiter.count(`${via} ${name}`, kind === 'change' ? 'changes' : 'reads');
  }

  #enter({ name, via }: Caller, stream: OpenStream): () => void {
    const close = this.#options.limiter.open(`${via} ${name}`);
    this.#streams.add(stream);
    return () => {
      close();
      this.#streams.delete(stream);
    };
  }

  #refuse(
    call: ServerInterceptingCallInterface,
    {
      path,
      requestId,
      caller,
      request,
      error,
    }: {
      readonly path: string;
      readonly requestId: string;
      readonly caller: Caller | undefined;
      readonly request: unknown;
      readonly error: unknown;
    },
  ): void {
    const { audit, log, observe } = this.#options;
    const { code, details, metadata, isFault } = refusalOf(error, requestId);
    const method = path.replace(/^\//, '');
    metadata.set(REQUEST_ID_KEY, requestId);
    call.sendStatus({ code, details, metadata });
    observe(method.slice(method.indexOf('/') + 1), status[code], 0);
    if (isFault) log('error', 'request failed', { method, requestId, error });
    audit
      .recordRefusal({
        requestId,
        caller,
        address: this.#addressOf(call),
        method,
        resource: resourceOf(request),
        fields: maskPaths(request),
        result: status[code],
        reason: details,
        changes: [],
      })
      .catch((fault: unknown) => log('error', 'a refusal could not be recorded', { error: fault }));
  }
}

/** @throws AccessError ACCESS_ROLE */
function allow({ name, role }: Caller, required: Role, path: string): void {
  if (includesRole(role, required)) return;
  const method = path.replace(/^\//, '');
  throw new AccessError(
    { code: 'ACCESS_ROLE', required, role },
    `${name} has ${role === undefined ? 'no role' : `the role ${role}`}, and ${method} needs ${required}`,
  );
}

/** The client's name for the call where it is one that may stand in a log. */
function requestIdOf(metadata: Metadata): string {
  const [given] = metadata.get(REQUEST_ID_KEY);
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

function formatPeer(address: string, port: number | undefined): string {
  if (port === undefined) return address;
  return address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`;
}
