// The client and the backends of the control plane's benchmark. Times are CLOCK_MONOTONIC, which processes share.
//   node arrivals.js receive PORT ADDRESS    prints a line "ready", then the time of each first datagram after a silence, ns
//   node arrivals.js send ADDRESS PORT       a datagram of a new flow every half millisecond; prints "ready"
import { createSocket } from 'node:dgram';

/** A backend that got nothing for this long gets its next flow first. */
const SILENCE_NS = 20_000_000n;
const PAUSE_NS = 500_000n;
/** Sockets that take turns: each is bound anew when its turn comes, to another port. */
const BATCH = 64;

function receive(port: number, address: string): void {
  const socket = createSocket('udp4');
  let last = 0n;
  socket.on('message', () => {
    const now = process.hrtime.bigint();
    if (now - last > SILENCE_NS) console.log(`${now}`);
    last = now;
  });
  socket.bind(port, address, () => console.log('ready'));
}

async function send(address: string, port: number): Promise<void> {
  console.log('ready');
  let next = process.hrtime.bigint();
  for (;;) {
    const sockets = Array.from({ length: BATCH }, () => createSocket('udp4'));
    for (const socket of sockets) {
      while (process.hrtime.bigint() < next) await new Promise((resolve) => setImmediate(resolve));
      next += PAUSE_NS;
      socket.send('x', port, address);
    }
    await new Promise((resolve) => setImmediate(resolve));
    for (const socket of sockets) socket.close();
  }
}

process.on('SIGTERM', () => process.exit(0));
const [role, first = '', second = ''] = process.argv.slice(2);
if (role === 'receive') receive(Number(first), second);
else await send(first, Number(second));
