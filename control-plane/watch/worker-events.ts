import type { WorkerStatus } from '../../lb/index.js';
import { NODE_NAME } from '../state/model.js';
import type { EventLog } from './event-log.js';

/** Workers are looked at this often, ms: one that dies is replaced within about as long. */
const LOOK_MS = 500;

export interface WorkerEventsOptions {
  readonly workers: () => readonly WorkerStatus[];
  readonly events: EventLog;
}

/** Sees what becomes of the datapath's workers. */
export class WorkerEvents {
  readonly #options: WorkerEventsOptions;
  #before: ReadonlyMap<number, WorkerStatus>;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: WorkerEventsOptions) {
    this.#options = options;
    this.#before = byIndex(options.workers());
  }

  /** Look again and again. */
  start(): void {
    this.#timer ??= setInterval(() => this.look(), LOOK_MS).unref();
  }

  /** Idempotent. */
  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  /** Note what has changed since the last look. */
  look(): void {
    const { workers, events } = this.#options;
    const now = workers();
    for (const { index, state, restarts, lastFault = '' } of now) {
      const before = this.#before.get(index);
      if (before === undefined) continue;
      const worker = { worker: String(index) };
      if (restarts > before.restarts) {
        events.emit({
          type: 'worker.restarted',
          resource: NODE_NAME,
          message: `worker ${index} died: ${lastFault || 'nobody knows why'}`,
          attributes: { ...worker, restarts: String(restarts), fault: lastFault },
        });
      }
      if (state !== before.state) {
        events.emit({
          type: 'worker.state_changed',
          resource: NODE_NAME,
          message: `worker ${index} ${STATE_WORDS[state]}`,
          attributes: { ...worker, from: before.state, to: state },
        });
      }
    }
    this.#before = byIndex(now);
  }
}

const STATE_WORDS: Readonly<Record<WorkerStatus['state'], string>> = {
  starting: 'starts',
  running: 'balances packets',
  restarting: 'is being replaced',
  stopped: 'has stopped',
};

const byIndex = (workers: readonly WorkerStatus[]) =>
  new Map(workers.map((worker) => [worker.index, worker] as const));
