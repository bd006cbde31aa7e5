import type { handleUnaryCall, ServerUnaryCall } from '@grpc/grpc-js';
import type { CallScope } from './call-scope.js';
import { conduct, type Surroundings } from './conduct.js';

export type { Surroundings } from './conduct.js';
export type { ObserveRpc } from './observe.js';

/**
 * A gRPC handler from a function that returns the response or throws: errors become statuses with details,
 * faults of ours are logged under the id that the caller gets.
 */
export function unary<Request, Response>(
  around: Surroundings,
  method: string,
  run: (
    request: Request,
    call: ServerUnaryCall<Request, Response>,
    caller: CallScope,
  ) => Promise<Response> | Response,
): handleUnaryCall<Request, Response> {
  return (call, callback) => {
    conduct(around, method, call, (caller) => run(call.request, call, caller)).then((outcome) => {
      if (outcome.kind === 'answered') callback(null, outcome.value);
      else callback(outcome.refusal);
    });
  };
}
