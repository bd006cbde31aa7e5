import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttp, type RequestListener } from 'node:http';
import {
  createServer as createHttp2,
  createSecureServer as createHttp2s,
  type ServerHttp2Session,
  type ServerHttp2Stream,
} from 'node:http2';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TlsOptions } from 'node:tls';
import { Server as GrpcServer, ServerCredentials, type sendUnaryData, status } from '@grpc/grpc-js';

/** A server of a test, on a port that the system chose. */
export interface Running {
  readonly port: number;
  readonly stop: () => Promise<void>;
}

async function listening(server: Server, port = 0): Promise<Running> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const { port: bound } = server.address() as AddressInfo;
  const stop = () =>
    new Promise<void>((resolve) => {
      for (const socket of sockets) socket.destroy();
      server.close(() => resolve());
    });
  return { port: bound, stop };
}

/** What a TCP server does with each connection. */
export type Manner = (socket: Socket) => void;

/** After it nobody waits any more. */
const TOO_LATE_MS = 400;

/** Ways of a TCP server to behave. */
export const MANNERS = {
  // Reads, so that it hears of the end of the connection.
  accept: (socket) => socket.resume(),
  pong: (socket) => socket.on('data', () => socket.write('+PONG\r\n')),
  late: (socket) => socket.on('data', () => setTimeout(() => socket.write('+PONG\r\n'), 60)),
  // Right, but after the time that any check of these has: whoever asked may be gone.
  tooLate: (socket) => socket.on('data', () => setTimeout(() => socket.write('+PONG\r\n'), TOO_LATE_MS)),
  pieces: (socket) => {
    socket.setNoDelay();
    for (const [i, letter] of [...'+PONG\r\n'].entries()) setTimeout(() => socket.write(letter), i * 5);
  },
  wrong: (socket) => socket.on('data', () => socket.write('-ERR "go away"\r\n')),
  short: (socket) => socket.end('+PO'),
  close: (socket) => socket.resume().end(),
  reset: (socket) => setTimeout(() => socket.resetAndDestroy(), 10),
  garbage: (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
} as const satisfies Readonly<Record<string, Manner>>;

export function tcpServer(manner: Manner, port = 0): Promise<Running> {
  return listening(createServer(manner), port);
}

/** Ways of an HTTP server to behave. */
export const HTTP_MANNERS = {
  fine: (_, response) => response.end('fine'),
  hang: () => {},
  tooLate: (_, response) => setTimeout(() => response.end('fine'), TOO_LATE_MS),
  wrong: (_, response) => response.writeHead(503).end('not now'),
  reset: (request) => request.socket.resetAndDestroy(),
  close: (request) => request.socket.end(),
  garbage: (request) => request.socket.end('+PONG\r\n'),
} as const satisfies Readonly<Record<string, RequestListener>>;

/** What a server over TLS shows, and its other options. */
export interface ServerTls extends TlsOptions {
  readonly key: string;
  readonly cert: string;
}

export function httpServer(listener: RequestListener, tls?: ServerTls, port = 0): Promise<Running> {
  return listening(tls ? createHttps(tls, listener) : createHttp(listener), port);
}

/** A message of a health server that serves. */
const SERVING_MESSAGE = Buffer.from([0, 0, 0, 0, 2, 0x08, 1]);

/** Answer a call with SERVING, as a health server does. */
export function answerServing(stream: ServerHttp2Stream): void {
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(SERVING_MESSAGE);
}

/** A server of HTTP/2 that a test has the sessions and calls of. */
export function http2Server(
  handlers: {
    readonly session?: (session: ServerHttp2Session) => void;
    readonly stream?: (stream: ServerHttp2Stream) => void;
  },
  tls?: ServerTls,
  port = 0,
): Promise<Running> {
  const server = tls ? createHttp2s(tls) : createHttp2();
  server.on('session', (session) => {
    session.on('error', () => {});
    handlers.session?.(session);
  });
  server.on('stream', (stream) => {
    stream.on('error', () => {});
    (handlers.stream ?? answerServing)(stream);
  });
  return listening(server, port);
}

/** A UDP server; `answer` gives the datagram to send back, undefined none. */
export async function udpServer(answer: (question: Buffer) => string | undefined): Promise<Running> {
  const socket = createSocket('udp4');
  socket.on('message', (question, { port, address }) => {
    const text = answer(question);
    if (text !== undefined) socket.send(text, port, address);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return {
    port: socket.address().port,
    stop: () => new Promise((resolve) => socket.close(() => resolve())),
  };
}

/** A port that nobody listens on. */
export async function deadPort(): Promise<number> {
  const { port, stop } = await tcpServer(() => {});
  await stop();
  return port;
}

/** A gRPC server with the health service: service → HealthCheckResponse.status, others NOT_FOUND. */
export async function grpcServer(
  services: Readonly<Record<string, number>> | undefined,
  tls?: { readonly key: string; readonly cert: string },
): Promise<Running> {
  const server = new GrpcServer();
  if (services !== undefined) {
    server.addService(
      {
        Check: {
          path: '/grpc.health.v1.Health/Check',
          requestStream: false,
          responseStream: false,
          requestSerialize: (value: Buffer) => value,
          requestDeserialize: (bytes: Buffer) => bytes,
          responseSerialize: (value: Buffer) => value,
          responseDeserialize: (bytes: Buffer) => bytes,
        },
      },
      {
        Check: ({ request }: { request: Buffer }, answer: sendUnaryData<Buffer>) => {
          const service = request.length === 0 ? '' : request.subarray(2).toString();
          const serving = services[service];
          if (serving === undefined) answer({ code: status.NOT_FOUND });
          else answer(null, Buffer.from([0x08, serving]));
        },
      },
    );
  }
  const credentials = tls
    ? ServerCredentials.createSsl(null, [
        { private_key: Buffer.from(tls.key), cert_chain: Buffer.from(tls.cert) },
      ])
    : ServerCredentials.createInsecure();
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', credentials, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
  return {
    port,
    stop: async () => {
      server.forceShutdown();
    },
  };
}

export interface Certificates {
  readonly ca: string;
  /** For backend.test and 127.0.0.1. */
  readonly good: { readonly key: string; readonly cert: string };
  readonly expired: { readonly key: string; readonly cert: string };
  /** For another name than any that is asked for. */
  readonly other: { readonly key: string; readonly cert: string };
  /** Signed by itself. */
  readonly self: { readonly key: string; readonly cert: string };
}

/** An authority and certificates of it, made with openssl. */
export function certificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'waggle-certs-'));
  const openssl = (...args: string[]) =>
    execFileSync('openssl', args, { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] });
  const read = (name: string) => readFileSync(join(folder, name), 'utf8');
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  const issue = (name: string, names: string, days = 2) => {
    const san = ['-addext', `subjectAltName=${names}`];
    openssl(
      'req',
      '-new',
      ...key,
      '-keyout',
      `${name}.key`,
      '-out',
      `${name}.csr`,
      '-subj',
      `/CN=${name}`,
      ...san,
    );
    const signer =
      name === 'self' ? ['-signkey', 'self.key'] : ['-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial'];
    const more = ['-days', `${days}`, '-copy_extensions', 'copy'];
    openssl('x509', '-req', '-in', `${name}.csr`, '-out', `${name}.crt`, ...signer, ...more);
    return { key: read(`${name}.key`), cert: read(`${name}.crt`) };
  };
  try {
    openssl(
      'req',
      '-x509',
      ...key,
      '-keyout',
      'ca.key',
      '-out',
      'ca.crt',
      '-subj',
      '/CN=test authority',
      '-days',
      '2',
    );
    const names = 'DNS:backend.test,IP:127.0.0.1';
    return {
      good: issue('good', names),
      expired: issue('expired', names, -1),
      other: issue('other', 'DNS:elsewhere.test'),
      self: issue('self', names),
      ca: read('ca.crt'),
    };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
