// What bench/health.ts probes: servers on all addresses of the host, in a process of their own.
//   node health-targets.js ADDRESS …
import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer as createHttp, type RequestListener } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { createServer as createHttps } from 'node:https';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** The ports that the servers got, told to the parent. */
export interface HealthPorts {
  readonly tcp: number;
  readonly http: number;
  readonly https: number;
  readonly grpc: number;
  readonly udp: number;
  /** Certificate of the server over TLS, PEM, and the name that it is for. */
  readonly certificate: string;
  readonly tlsName: string;
}

const TLS_NAME = 'backend.test';

/** HealthCheckResponse { status: SERVING } behind its length. */
const SERVING = Buffer.from([0, 0, 0, 0, 2, 0x08, 1]);
/** Probes of a tenth of a second may wait to be accepted. */
const BACKLOG = 4096;

function listening(server: Pick<Server, 'listen' | 'address'>): Promise<number> {
  return new Promise((resolve) => {
    server.listen({ port: 0, host: '0.0.0.0', backlog: BACKLOG }, () =>
      resolve((server.address() as AddressInfo).port),
    );
  });
}

/** A certificate for TLS_NAME, and its key: of elliptic curves, as most have today. */
function selfSigned(): { readonly key: string; readonly cert: string } {
  const folder = mkdtempSync(join(tmpdir(), 'waggle-bench-'));
  try {
    const [key, cert] = [join(folder, 'key'), join(folder, 'cert')];
    const kind = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2'];
    const name = ['-subj', `/CN=${TLS_NAME}`, '-addext', `subjectAltName=DNS:${TLS_NAME}`];
    const files = ['-keyout', key, '-out', cert];
    execFileSync('openssl', ['req', '-x509', ...kind, ...files, ...name], { stdio: 'pipe' });
    return { key: readFileSync(key, 'utf8'), cert: readFileSync(cert, 'utf8') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

const tcp = createServer((socket) => {
  // Probes end with a reset.
  socket.on('error', () => {});
  socket.resume();
});
const answerOk: RequestListener = (_, answer) => answer.end('ok\n');
const http = createHttp(answerOk);
const tls = selfSigned();
const https = createHttps(tls, answerOk);
// An idle connection is the probes' to close.
http.keepAliveTimeout = 0;
https.keepAliveTimeout = 0;
https.on('tlsClientError', () => {});
const grpc = createHttp2();
grpc.on('stream', (stream) => {
  stream.on('error', () => {});
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
  stream.end(SERVING);
});
const udpPort = await new Promise<number>((resolve) => {
  const [first = '', ...others] = process.argv.slice(2);
  const open = (address: string, port: number, opened: (port: number) => void) => {
    // A socket an address: an answer must leave from the address that was asked.
    const socket = createSocket('udp4');
    socket.on('message', (message, from) => socket.send(message, from.port, from.address));
    socket.bind(port, address, () => opened(socket.address().port));
  };
  let waiting = others.length;
  open(first, 0, (port) => {
    for (const address of others) open(address, port, () => --waiting === 0 && resolve(port));
  });
});

const ports: HealthPorts = {
  tcp: await listening(tcp),
  http: await listening(http),
  https: await listening(https),
  grpc: await listening(grpc),
  udp: udpPort,
  certificate: tls.cert,
  tlsName: TLS_NAME,
};
process.send?.(ports);
process.on('disconnect', () => process.exit(0));
