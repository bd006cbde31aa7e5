// A backend of the demo: an HTTP server that answers with its name. Prints one JSON line when it listens
// and then one a second: connections accepted so far, and open now.
//   node backend-server.js NAME PORT
import { createServer } from 'node:http';

const [name = 'backend', port = '80'] = process.argv.slice(2);
let accepted = 0;
let open = 0;

const server = createServer((_request, response) => {
  response.end(`${name}\n`);
});
server.keepAliveTimeout = 60_000;
server.on('connection', (socket) => {
  accepted += 1;
  open += 1;
  socket.once('close', () => {
    open -= 1;
  });
});

/** What a backend says of itself, one JSON line each. */
export interface BackendReport {
  readonly name: string;
  readonly accepted: number;
  readonly open: number;
}
const report = () =>
  process.stdout.write(`${JSON.stringify({ name, accepted, open } satisfies BackendReport)}\n`);

// The wildcard address: requests come for the VIPs on the loopback device, IPv4 and IPv6.
server.listen(Number(port), '::', () => {
  report();
  setInterval(report, 1000);
});
process.on('SIGTERM', () => process.exit(0));
