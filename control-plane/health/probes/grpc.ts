import { connect as connectHttp2, constants } from 'node:http2';
import { formatIp } from '../../../lb/index.js';
import type { GrpcProbe, ProbeResult, Target } from '../types.js';
import { attempt, authority } from './attempt.js';
import { hostName, portOf, type StreamOptions, secure } from './dial.js';
import { CHECK_METHOD, decodeResponse, encodeRequest } from './grpc-health.js';

/** Compressed flag and length before a message ("gRPC over HTTP2", Length-Prefixed-Message). */
const PREFIX_BYTES = 5;
const MAX_ANSWER_BYTES = 4096;
const STATUS_OK = 0;
/** Status codes of gRPC that a health server answers with. */
const STATUS_WORDS: Readonly<Record<number, (service: string) => string>> = {
  5: (service) => `the server does not know ${named(service)}`,
  12: () => 'the server has no health service (UNIMPLEMENTED)',
  14: () => 'the server is unavailable (UNAVAILABLE)',
  16: () => 'the server wants credentials (UNAUTHENTICATED)',
};

/**
 * Ask grpc.health.v1.Health/Check once, on a connection of its own.
 * Over node:http2 and not a gRPC channel: a channel cannot be taken down while it is being connected, and a target
 * that never answers would leave a socket of each probe behind.
 */
export function probeGrpc(target: Target, probe: GrpcProbe, options: StreamOptions): Promise<ProbeResult> {
  const { clock, dial, timeoutMs, signal, ca } = options;
  return attempt(clock, signal, timeoutMs, (finish, elapsed) => {
    const address = formatIp(target.address);
    const port = portOf(probe, target);
    const name = probe.host === '' ? authority(target.address, port) : probe.host;
    let phase = 'no connection';
    const socket = dial(address, port);
    socket.once('connect', () => {
      phase = probe.tls ? 'no end of the TLS handshake' : 'no answer';
    });
    const stream = probe.tls
      ? secure(socket, hostName(probe.host, address), { ...probe, ca, protocols: ['h2'] })
      : socket;
    if (probe.tls)
      stream.once('secureConnect', () => {
        phase = 'no answer';
      });
    const session = connectHttp2(`${probe.tls ? 'https' : 'http'}://${authority(target.address, port)}`, {
      createConnection: () => stream,
      settings: { enablePush: false },
    });
    // Raised before the session has the connection, and would be nobody's.
    stream.on('error', finish.error);
    session.on('error', finish.error);
    session.on('goaway', (code) => finish.fail(`the server went away (HTTP/2 error ${code})`));
    const closed = () => finish.fail(`connection closed before an answer after ${Math.round(elapsed())} ms`);
    session.on('close', closed);
    const request = session.request({
      ':method': 'POST',
      ':path': CHECK_METHOD,
      ':authority': name,
      'content-type': 'application/grpc',
      'user-agent': 'waggle-health-check',
      te: 'trailers',
      'grpc-timeout': `${Math.ceil(timeoutMs)}m`,
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    let status: number | undefined;
    request.on('response', (headers) => {
      phase = 'no end of the answer';
      const http = headers[':status'];
      if (http !== 200) finish.fail(`HTTP ${http}, expected a gRPC answer`);
      status = statusOf(headers) ?? status;
    });
    request.on('trailers', (trailers) => {
      status = statusOf(trailers) ?? status;
    });
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      if (bytes > MAX_ANSWER_BYTES) finish.fail(`the answer is longer than ${MAX_ANSWER_BYTES} bytes`);
      else chunks.push(chunk);
    });
    request.on('error', finish.error);
    request.on('close', () => {
      // The end of the connection closes the call first.
      if (session.destroyed) closed();
      else if (request.rstCode !== constants.NGHTTP2_NO_ERROR)
        finish.fail(`the server ended the call (HTTP/2 error ${request.rstCode})`);
      else if (status === undefined) finish.fail('the answer has no gRPC status');
      else if (status !== STATUS_OK)
        finish.fail(STATUS_WORDS[status]?.(probe.service) ?? `gRPC status ${status}`);
      else judge(Buffer.concat(chunks));
    });
    const judge = (answer: Buffer) => {
      try {
        const serving = decodeResponse(messageOf(answer));
        if (serving === 'SERVING') finish.pass(`${named(probe.service)} is SERVING`);
        else finish.fail(`${named(probe.service)} is ${serving}`);
      } catch (error) {
        finish.error(error);
      }
    };
    request.end(framed(encodeRequest(probe.service)));
    return {
      release: () => {
        for (const emitter of [request, session, stream, socket]) {
          emitter.removeAllListeners('error');
          emitter.on('error', () => {});
        }
        session.destroy();
        stream.destroy();
        socket.destroy();
      },
      onTimeout: () => ({ ok: false, detail: phase }),
    };
  });
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

function statusOf(headers: Readonly<Record<string, unknown>>): number | undefined {
  const text = headers['grpc-status'];
  return typeof text === 'string' ? Number(text) : undefined;
}
