import { performance } from 'node:perf_hooks';
import { type handleUnaryCall, type ServerUnaryCall, status } from '@grpc/grpc-js';
import type { Log } from '../reconcile/reconciler.js';
import { refusalOf } from './errors.js';

/** Told of every call that was answered: its method, the name of its status, its length. */
export type ObserveRpc = (method: string, statusName: string, seconds: number) => void;

/** What surrounds every handler. */
export interface Surroundings {
  readonly log: Log;
  readonly observe: ObserveRpc;
}

/**
 * A gRPC handler from a function that returns the response or throws: errors become statuses with details,
 * faults of ours are logged under the id that the caller gets.
 */
export function unary<Request, Response>(
  { log, observe }: Surroundings,
  method: string,
  run: (request: Request, call: ServerUnaryCall<Request, Response>) => Promise<Response> | Response,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    const start = performance.now();
    const finish = (code: status) => observe(method, status[code], (performance.now() - start) / 1000);
    // In a promise from the start: what a handler throws at once is caught like what it throws later.
    Promise.resolve()
      .then(() => run(call.request, call))
      .then(
        (response) => {
          finish(status.OK);
          callback(null, response);
        },
        (error: unknown) => {
          const { requestId, ...refusal } = refusalOf(error);
          if (requestId !== undefined) log('error', 'request failed', { method, requestId, error });
          else
            log('debug', 'request refused', {
              method,
              status: status[refusal.code],
              reason: refusal.details,
            });
          finish(refusal.code);
          callback(refusal);
        },
      );
  };
}
