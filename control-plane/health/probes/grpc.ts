import { formatIp } from '../../../lb/index.js';
import type { GrpcProbe, ProbeResult, Target } from '../types.js';
import { attempt, authority, type Finish } from './attempt.js';
import { portOf } from './dial.js';
import { CHECK_METHOD, decodeResponse, encodeRequest } from './grpc-health.js';
import type { Header } from './hpack.js';
import { Http2Connection } from './http2-connection.js';
import { askOver } from './kept.js';
import { openWire, type StreamOptions, USER_AGENT } from './stream.js';

/** Compressed flag and length before a message ("gRPC over HTTP2", Length-Prefixed-Message). */
const PREFIX_BYTES = 5;
const MAX_ANSWER_BYTES = 4096;
const STATUS_OK = 0;
/** RFC 9113 §7. */
const NO_ERROR = 0;
/** Status codes of gRPC that a health server answers with. */
const STATUS_WORDS: Readonly<Record<number, (service: string) => string>> = {
  5: (service) => `the server does not know ${named(service)}`,
  12: () => 'the server has no health service (UNIMPLEMENTED)',
  14: () => 'the server is unavailable (UNAVAILABLE)',
  16: () => 'the server wants credentials (UNAUTHENTICATED)',
};

/** Ask grpc.health.v1.Health/Check once. */
export function probeGrpc(target: Target, probe: GrpcProbe, options: StreamOptions): Promise<ProbeResult> {
  const { clock, timeoutMs, signal } = options;
  return attempt(clock, signal, timeoutMs, (finish, elapsed) => {
    const address = formatIp(target.address);
    const port = portOf(probe, target);
    const headers: readonly Header[] = [
      [':method', 'POST'],
      [':scheme', probe.tls ? 'https' : 'http'],
      [':path', CHECK_METHOD],
      [':authority', probe.host === '' ? authority(target.address, port) : probe.host],
      ['content-type', 'application/grpc'],
      ['user-agent', USER_AGENT],
      ['te', 'trailers'],
      ['grpc-timeout', `${Math.ceil(timeoutMs)}m`],
    ];
    const body = framed(encodeRequest(probe.service));
    const kept = probe.reuseConnection ? options.keep?.take(Http2Connection) : undefined;
    if (kept?.canCall(body.length) === false) kept.close();
    let hasBegun = false;
    const used = askOver(
      kept?.isOpen === true ? kept : undefined,
      finish,
      () => new Http2Connection(openWire(address, port, probe, options, ['h2'])),
      (connection, again) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        let status: number | undefined;
        const broken = (fail: () => void) => (again !== undefined && !hasBegun ? again() : fail());
        const judge = () => {
          if (status === undefined) finish.fail('the answer has no gRPC status');
          else if (status !== STATUS_OK)
            finish.fail(STATUS_WORDS[status]?.(probe.service) ?? `gRPC status ${status}`);
          else {
            const serving = decodeResponse(messageOf(Buffer.concat(chunks)));
            if (serving !== 'SERVING') finish.fail(`${named(probe.service)} is ${serving}`);
            else {
              if (probe.reuseConnection && connection.canCall(body.length)) used.keep();
              finish.pass(`${named(probe.service)} is SERVING`);
            }
          }
        };
        connection.call(headers, body, {
          answer: (http, fields) => {
            hasBegun = true;
            if (http !== 200) finish.fail(`HTTP ${http}, expected a gRPC answer`);
            status = statusOf(fields);
          },
          trailers: (fields) => {
            status = statusOf(fields) ?? status;
          },
          data: (chunk) => {
            bytes += chunk.length;
            if (bytes > MAX_ANSWER_BYTES) finish.fail(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`);
            else chunks.push(Buffer.from(chunk));
          },
          end: () => guarded(finish, judge),
          reset: (code) => {
            if (code === NO_ERROR) guarded(finish, judge);
            else finish.fail(`the server ended the call (HTTP/2 error ${code})`);
          },
          goaway: (code, isTaken) => {
            // A server that goes in good order ends the calls that it took: of an old connection that is its right.
            if (again !== undefined && isTaken && code === NO_ERROR) return;
            broken(() => finish.fail(`the server went away (HTTP/2 error ${code})`));
          },
          closed: () =>
            broken(() => finish.fail(`connection closed before an answer after ${Math.round(elapsed())} ms`)),
          error: (error) => broken(() => finish.error(error)),
        });
      },
      options.keep,
    );
    return {
      release: used.release,
      onTimeout: () => ({
        ok: false,
        detail: hasBegun ? 'no end of the answer' : used.connection.missing || 'no answer',
      }),
    };
  });
}

/** Run what raises errors that are the answer's. */
function guarded(finish: Finish, run: () => void): void {
  try {
    run();
  } catch (error) {
    finish.error(error);
  }
}

function named(service: string): string {
  return service === '' ? 'the server' : `service ${JSON.stringify(service)}`;
}

function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(PREFIX_BYTES);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

function messageOf(answer: Buffer): Buffer {
  if (answer.length < PREFIX_BYTES || answer.readUInt32BE(1) !== answer.length - PREFIX_BYTES)
    throw new Error('the answer is no gRPC message');
  if (answer[0] !== 0) throw new Error('the answer is compressed, which was not asked for');
  return answer.subarray(PREFIX_BYTES);
}

function statusOf(headers: readonly Header[]): number | undefined {
  const text = headers.find(([name]) => name === 'grpc-status')?.[1] ?? '';
  return /^\d+$/.test(text) ? Number(text) : undefined;
}
