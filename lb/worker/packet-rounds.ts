import { exportsOf } from '../bpf/wasm-exports.js';
import { isQueueFull, type SendFaultKind, sendFaultOf, WorkerIo } from '../io/worker-io.js';
import {
  COUNTER_RING_FULL,
  COUNTER_SEND_QUEUE_FULL,
  COUNTER_SEND_REFUSED,
  COUNTER_SEND_TOO_LONG,
  COUNTER_WAKEUPS,
} from './layout.js';
import type { PacketLane } from './messages.js';
import {
  BATCH_FRAMES,
  type Pump,
  type PumpImports,
  type Rounds,
  type RoundsPlace,
  type SendFaultListener,
} from './rounds.js';

/** How long a full send queue is waited for, ms, before its frames are given up. */
const SEND_WAIT_MS = 2;

const SEND_FAULT_COUNTERS: Readonly<Record<SendFaultKind, number>> = {
  'queue-full': COUNTER_SEND_QUEUE_FULL,
  'too-long': COUNTER_SEND_TOO_LONG,
  refused: COUNTER_SEND_REFUSED,
};

/** What wasm/pump.ts exports besides; see there. */
interface PacketPump extends Pump {
  readonly fallAsleep: () => number;
  readonly wakeUp: () => void;
  readonly nextSleeper: () => number;
  readonly run: (limit: number) => number;
  readonly release: () => void;
  readonly countSent: (first: number, end: number) => void;
}

/** Rounds over an AF_PACKET ring: what is to be sent goes out of the ring with sendmmsg(2). */
export class PacketRounds implements Rounds {
  readonly #module: WebAssembly.Module;
  readonly #io: WorkerIo;
  readonly #onSendFault: SendFaultListener;
  #pump!: PacketPump;

  constructor(
    place: RoundsPlace,
    module: WebAssembly.Module,
    lane: PacketLane,
    onSendFault: SendFaultListener,
  ) {
    this.#module = module;
    this.#io = new WorkerIo({ ...lane, ...place });
    this.#onSendFault = onSendFault;
  }

  load(imports: PumpImports): void {
    const instance = new WebAssembly.Instance(this.#module, { ...imports });
    this.#pump = exportsOf<PacketPump>(instance);
  }

  begin(): void {
    this.#pump.prepare();
    this.#pump.recover();
  }

  isReady(): boolean {
    return this.#pump.isReady() !== 0;
  }

  wait(timeoutMs: number): boolean {
    // Who hands one over looks whether this worker sleeps: it has to say so before it looks a last time itself.
    let isFrame = this.#pump.fallAsleep() !== 0;
    if (!isFrame) {
      isFrame = this.#io.wait(timeoutMs);
      this.#pump.add(COUNTER_WAKEUPS, 1);
    }
    this.#pump.wakeUp();
    return isFrame;
  }

  takeError(): string | undefined {
    return this.#io.takeError();
  }

  round(): void {
    this.#io.readClock();
    const sending = this.#pump.run(BATCH_FRAMES);
    this.#io.readClock();
    this.#pump.countTime();
    for (let cpu = this.#pump.nextSleeper(); cpu >= 0; cpu = this.#pump.nextSleeper()) this.#io.wake(cpu);
    if (sending > 0) this.#send(sending);
    this.#pump.release();
  }

  readStatistics(): void {
    const drops = this.#io.readRingDrops();
    if (drops > 0) this.#pump.add(COUNTER_RING_FULL, drops);
  }

  #send(count: number): void {
    let isPatient = true;
    for (let sent = 0; sent < count; ) {
      const taken = this.#io.send(sent, count);
      if (taken > 0) {
        this.#pump.countSent(sent, sent + taken);
        sent += taken;
      } else if (isQueueFull(-taken) && isPatient) {
        // Once a batch: behind a link that stands still the ring must go on being emptied.
        isPatient = false;
        this.#io.waitForRoom(SEND_WAIT_MS);
      } else {
        this.#countSendFault(-taken);
        sent += 1;
      }
    }
  }

  #countSendFault(errno: number): void {
    const { kind, name } = sendFaultOf(errno);
    this.#pump.add(SEND_FAULT_COUNTERS[kind], 1);
    this.#onSendFault(name);
  }
}
