import { once } from 'node:events';
import { type handleServerStreamingCall, type ServerWritableStream, status } from '@grpc/grpc-js';
import type { CallScope } from './call-scope.js';
import { conduct, type Surroundings } from './conduct.js';
import { ApiError, type Refusal } from './errors.js';

/** Where a handler of a stream sends its responses. */
export interface ResponseStream<Response> {
  /**
   * Send one. Resolves when the connection can take more: a slow reader slows the handler down.
   * @throws ApiError API_STOPPING, API_CALLER_GONE once `signal` is aborted
   */
  write(response: Response): Promise<void>;
  /** Aborted when the client is gone, its deadline has passed, or the server stops: the handler returns then. */
  readonly signal: AbortSignal;
}

/**
 * A gRPC handler of a stream of responses. `run` writes until it has no more, and returns; or throws, which ends the
 * stream with a status and details as `unary` does. What it throws after `signal` is aborted is of no interest.
 */
export function serverStream<Request, Response>(
  around: Surroundings,
  method: string,
  run: (request: Request, stream: ResponseStream<Response>, caller: CallScope) => Promise<void>,
): handleServerStreamingCall<Request, Response> {
  return (call) => {
    const ended = new AbortController();
    const stop = () => ended.abort(new ApiError({ code: 'API_STOPPING' }, 'the server stops'));
    call.once('cancelled', () =>
      ended.abort(new ApiError({ code: 'API_CALLER_GONE' }, 'the caller is gone')),
    );
    if (around.stopping.aborted) stop();
    else around.stopping.addEventListener('abort', stop, { once: true });
    const { signal } = ended;
    const stream: ResponseStream<Response> = { signal, write: (response) => send(call, response, signal) };
    const running = conduct(around, method, call, async (scope) => {
      try {
        signal.throwIfAborted();
        await run(call.request, stream, scope);
      } catch (error) {
        if (!signal.aborted) throw error;
      }
      signal.throwIfAborted();
    });
    running
      .then((outcome) => finish(call, outcome.kind === 'refused' ? outcome.refusal : undefined))
      .finally(() => around.stopping.removeEventListener('abort', stop));
  };
}

async function send<Q, S>(call: ServerWritableStream<Q, S>, response: S, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  if (call.write(response)) return;
  try {
    await once(call, 'drain', { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw error;
  }
}

function finish<Q, S>(call: ServerWritableStream<Q, S>, refusal: Refusal | undefined): void {
  if (call.cancelled) return;
  if (refusal === undefined) call.end();
  else call.emit('error', { name: status[refusal.code], message: refusal.details, ...refusal });
}
