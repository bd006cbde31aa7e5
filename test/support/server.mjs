// A backend for the end-to-end tests. TCP and UDP on one port, IPv4 and IPv6.
//   node server.mjs NAME PORT
// HTTP: GET / → name; POST / → JSON { name, bytes, sha256 } of the body; GET /bytes/N → N bytes, their SHA-256 in a header.
// PORT+1: a line protocol, each line is answered with the name. UDP: each datagram is answered with the name.
import { createHash } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { createServer } from 'node:http';
import { createServer as createLineServer } from 'node:net';

const [name, portText] = process.argv.slice(2);
const port = Number(portText);

/** Bytes that differ all along, so that a segment lost, doubled or out of place shows. */
export function pattern(length) {
  const bytes = Buffer.alloc(length);
  let state = 0x9e3779b9;
  for (let i = 0; i + 4 <= length; i += 4) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes.writeUInt32LE(state, i);
  }
  return bytes;
}

const http = createServer((request, response) => {
  const size = /^\/bytes\/(\d+)$/.exec(request.url ?? '');
  if (size) {
    const body = pattern(Number(size[1]));
    response.setHeader('x-sha256', createHash('sha256').update(body).digest('hex'));
    response.setHeader('x-backend', name);
    response.end(body);
    return;
  }
  const hash = createHash('sha256');
  let bytes = 0;
  request.on('data', (chunk) => {
    bytes += chunk.length;
    hash.update(chunk);
  });
  request.on('end', () => {
    if (request.method === 'POST') response.end(JSON.stringify({ name, bytes, sha256: hash.digest('hex') }));
    else response.end(name);
  });
});

const lines = createLineServer((socket) => {
  socket.setNoDelay(true);
  socket.on('error', () => {});
  let rest = '';
  socket.on('data', (chunk) => {
    rest += chunk.toString();
    const complete = rest.split('\n');
    rest = complete.pop() ?? '';
    for (const line of complete) socket.write(`${name} ${line}\n`);
  });
});

http.listen(port, '::', () =>
  lines.listen(port + 1, '::', () => {
    // Two sockets: an answer must leave from the address that was asked, and a wildcard UDP socket would not.
    const addresses = process.argv.slice(4);
    let waiting = addresses.length;
    for (const address of addresses) {
      const udp = createSocket(address.includes(':') ? 'udp6' : 'udp4');
      udp.on('message', (message, from) => udp.send(`${name} ${message}`, from.port, from.address));
      udp.bind(port, address, () => {
        waiting -= 1;
        if (waiting === 0) console.log('ready');
      });
    }
  }),
);
process.on('SIGTERM', () => process.exit(0));
