import { exportsOf } from '../bpf/wasm-exports.js';
import { XskIo } from '../io/xsk-io.js';
import { errnoName } from '../sys/errno.js';
import { EAGAIN, EBUSY } from '../sys/libc.js';
import { COUNTER_WAKEUPS } from './layout.js';
import type { XskLane } from './messages.js';
import {
  BATCH_FRAMES,
  type Pump,
  type PumpImports,
  type Rounds,
  type RoundsPlace,
  type SendFaultListener,
} from './rounds.js';

/** Longest wait while frames are with the kernel that are to come back, or to go out, ms. */
const UNSETTLED_WAIT_MS = 1;

/** What wasm/xsk-pump.ts exports besides; see there. */
interface XskPump extends Pump {
  readonly isQueueReady: (index: number) => number;
  readonly isSettled: () => number;
  readonly run: (index: number, limit: number) => void;
  readonly unsent: (index: number) => number;
  readonly mustKickSend: (index: number) => number;
  readonly mustKickReceive: (index: number) => number;
  readonly countSent: (index: number, failed: number) => void;
  readonly countDrops: (index: number, total: bigint) => void;
}

/** Rounds over AF_XDP sockets, one or several: the frame that came in is the frame that goes out. */
export class XskRounds implements Rounds {
  readonly #module: WebAssembly.Module;
  readonly #io: XskIo;
  readonly #queues: number;
  readonly #onSendFault: SendFaultListener;
  #pump!: XskPump;

  constructor(
    place: RoundsPlace,
    module: WebAssembly.Module,
    { fds }: XskLane,
    onSendFault: SendFaultListener,
  ) {
    this.#module = module;
    this.#io = new XskIo({ fds, ...place });
    this.#queues = fds.length;
    this.#onSendFault = onSendFault;
  }

  load({ env, program: { run } }: PumpImports): void {
    const instance = new WebAssembly.Instance(this.#module, { env, program: { run } });
    this.#pump = exportsOf<XskPump>(instance);
  }

  begin(): void {
    this.#pump.prepare();
    this.#pump.recover();
  }

  isReady(): boolean {
    return this.#pump.isReady() !== 0;
  }

  wait(timeoutMs: number): boolean {
    const isSettled = this.#pump.isSettled() !== 0;
    const isFrame = this.#io.wait(isSettled ? timeoutMs : Math.min(timeoutMs, UNSETTLED_WAIT_MS));
    this.#pump.add(COUNTER_WAKEUPS, 1);
    if (!isFrame && !isSettled) for (let i = 0; i < this.#queues; i++) this.#turn(i, 0);
    return isFrame;
  }

  takeError(): string | undefined {
    return this.#io.takeError();
  }

  round(): void {
    for (let i = 0; i < this.#queues; i++) if (this.#pump.isQueueReady(i) !== 0) this.#turn(i, BATCH_FRAMES);
  }

  readStatistics(): void {
    for (let i = 0; i < this.#queues; i++) this.#pump.countDrops(i, this.#io.readDrops(i));
  }

  /** One queue's part of a round; with a limit of 0 only what the kernel has sent is given back to it. */
  #turn(index: number, limit: number): void {
    this.#io.readClock();
    this.#pump.run(index, limit);
    if (limit > 0) {
      this.#io.readClock();
      this.#pump.countTime();
    }
    if (this.#pump.mustKickReceive(index) !== 0) this.#io.kickReceive(index);
    this.#send(index);
  }

  /** Without zero-copy a call sends so many frames as the kernel has set: again, until none is left or none goes. */
  #send(index: number): void {
    for (let left = this.#pump.unsent(index); left > 0 && this.#pump.mustKickSend(index) !== 0; ) {
      const errno = this.#io.kickSend(index);
      // The last of those that the kernel took did not fit the device's queue: it is given up.
      this.#pump.countSent(index, errno === EBUSY ? 1 : 0);
      const before = left;
      left = this.#pump.unsent(index);
      if (left < before) continue;
      // They stay in the ring, and go out with the next ones.
      if (errno !== 0 && errno !== EAGAIN) this.#onSendFault(errnoName(errno));
      return;
    }
  }
}
