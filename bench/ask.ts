// The client of the round trips: one datagram at a time, the next when the answer is there and a pause is over.
// Prints one JSON line.
//   node ask.js ADDRESS PORT TIMES PAUSE_MS
import { createSocket } from 'node:dgram';

/** Round trips, µs. */
export interface RoundTrips {
  readonly p50: number;
  readonly p99: number;
  readonly lost: number;
}

const ANSWER_MS = 500;
const WARM_UP = 200;

async function main(address: string, port: number, times: number, pauseMs: number): Promise<void> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.connect(port, address, resolve));
  const trips: number[] = [];
  let lost = 0;
  for (let i = 0; i < times + WARM_UP; i++) {
    const start = process.hrtime.bigint();
    const answered = await new Promise<boolean>((resolve) => {
      const late = setTimeout(() => resolve(false), ANSWER_MS);
      socket.once('message', () => {
        clearTimeout(late);
        resolve(true);
      });
      socket.send(`${i}`);
    });
    if (!answered) lost += 1;
    else if (i >= WARM_UP) trips.push(Number(process.hrtime.bigint() - start) / 1000);
    await new Promise((resolve) => setTimeout(resolve, pauseMs));
  }
  trips.sort((a, b) => a - b);
  const at = (share: number) => trips[Math.floor(trips.length * share)] ?? 0;
  console.log(JSON.stringify({ p50: at(0.5), p99: at(0.99), lost } satisfies RoundTrips));
  socket.close();
}

const [address, port, times, pauseMs] = process.argv.slice(2);
if (!address) throw new Error('usage: ask.js ADDRESS PORT TIMES PAUSE_MS');
await main(address, Number(port), Number(times), Number(pauseMs));
