// What bench/health.ts probes: servers on all addresses of the host, in a process of their own.
//   node health-targets.js ADDRESS …
import { createSocket } from 'node:dgram';
import { createServer as createHttp } from 'node:http';
import { createServer as createHttp2 } from 'node:http2';
import { type AddressInfo, createServer, type Server } from 'node:net';

/** The ports that the servers got, told to the parent. */
export interface HealthPorts {
  readonly tcp: number;
  readonly http: number;
  readonly grpc: number;
  readonly udp: number;
}

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

const tcp = createServer((socket) => {
  // Probes end with a reset.
  socket.on('error', () => {});
  socket.resume();
});
const http = createHttp((_, answer) => answer.end('ok\n'));
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
  grpc: await listening(grpc),
  udp: udpPort,
};
process.send?.(ports);
process.on('disconnect', () => process.exit(0));
