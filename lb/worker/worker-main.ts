// A worker thread: wires only. The logic is in worker.ts.
import { parentPort, workerData } from 'node:worker_threads';
import type { IoFault, SwapMessage, WorkerData } from './messages.js';
import { Worker } from './worker.js';

const port = parentPort;
if (!port) throw new Error('worker-main is the entry of a worker thread');

const worker = new Worker(workerData as WorkerData, (what, errno) =>
  port.postMessage({ kind: 'io-fault', what, errno } satisfies IoFault),
);
port.on('message', ({ program, generation }: SwapMessage) => worker.swap(program, generation));

/** Turns of the event loop between waits: messages are seen, and the thread can be ended. */
function turn(): void {
  if (worker.loop()) {
    setImmediate(turn);
    return;
  }
  worker.end();
  port?.close();
}
turn();
