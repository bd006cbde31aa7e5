import { instantiateProgram } from '../bpf/jit/compile.js';
import { instantiateRuntime, type Runtime } from '../bpf/maps/runtime.js';
import {
  COMMAND_STOP,
  CPU_BLOCK_BYTES,
  CPU_COMMAND,
  CPU_HEARTBEAT,
  CPU_PROGRAM_GENERATION,
  CPU_PROGRAM_RUNNING,
  CPU_STATE,
} from '../bpf/memory/layout.js';
import { writeCpuFacts } from '../io/cpu-facts.js';
import { isQueueFull, type SendFaultKind, sendFaultOf, WorkerIo } from '../io/worker-io.js';
import {
  COUNTER_RING_FULL,
  COUNTER_SEND_QUEUE_FULL,
  COUNTER_SEND_REFUSED,
  COUNTER_SEND_TOO_LONG,
  COUNTER_WAKEUPS,
} from './layout.js';
import { type IoFault, WORKER_STATE, type WorkerData, type WorkerProgram } from './messages.js';
import { numberedRunner, type RunNumbered } from './numbered-program.js';

/** Frames of a round. Small enough that headers and frames stay in the cache from receiving to sending. */
const BATCH_FRAMES = 64;
/** Longest wait for a frame, ms: so long may a command wait to be seen. */
const WAIT_MS = 100;
/** How long a full send queue is waited for, ms, before its frames are given up. */
const SEND_WAIT_MS = 2;
/** Rounds between two looks at the command and the program's generation while frames keep coming. */
const ROUNDS_A_LOOK = 256;
/** Between two readings of the kernel's statistics of the ring, ms. */
const STATISTICS_MS = 1000;

const SEND_FAULT_COUNTERS: Readonly<Record<SendFaultKind, number>> = {
  'queue-full': COUNTER_SEND_QUEUE_FULL,
  'too-long': COUNTER_SEND_TOO_LONG,
  refused: COUNTER_SEND_REFUSED,
};

/** What pump.wasm exports; see there. */
interface Pump {
  readonly prepare: () => void;
  readonly recover: () => void;
  readonly isReady: () => number;
  readonly fallAsleep: () => number;
  readonly wakeUp: () => void;
  readonly nextSleeper: () => number;
  readonly run: (limit: number) => number;
  readonly countTime: () => void;
  readonly release: () => void;
  readonly countSent: (first: number, end: number) => void;
  readonly add: (counter: number, value: number) => void;
}

/**
 * One worker: waits for frames, has the pump run the program on a batch, sends what is to be sent, gives the frames
 * back. `loop` returns to its caller between waits, so that messages are seen; a round allocates nothing.
 */
export class Worker {
  readonly #data: WorkerData;
  readonly #runtime: Runtime;
  readonly #runNumbered: RunNumbered;
  readonly #words: Int32Array;
  readonly #io: WorkerIo;
  readonly #onFault: (what: IoFault['what'], errno: string) => void;
  readonly #seenFaults = new Set<number>();
  #pump: Pump;
  #generation: number;
  /** Numbers of the programs that tail calls can go to. */
  #targets: readonly number[] = [];
  /** Those of the program before, which slots may still name. */
  #retired: readonly number[] = [];
  #statisticsMs = 0;

  /** @param onFault told of each error of the receiving socket, and once of each errno of sending */
  constructor(data: WorkerData, onFault: (what: IoFault['what'], errno: string) => void) {
    this.#data = data;
    this.#onFault = onFault;
    this.#runtime = instantiateRuntime(data.memory, data.cpu);
    this.#runNumbered = numberedRunner(this.#runtime);
    const block = Number(this.#runtime.env.block.value) >>> 0;
    this.#words = new Int32Array(data.memory.buffer, block, CPU_BLOCK_BYTES / 4);
    this.#io = new WorkerIo({ ...data, block });
    writeCpuFacts(data.memory, block, data.base);
    this.#generation = data.generation;
    this.#pump = this.#instantiate(data.program);
    this.#announce();
    this.#pump.prepare();
    this.#pump.recover();
    Atomics.store(this.#words, CPU_STATE / 4, WORKER_STATE.running);
  }

  /** Take a new program; the next batch runs it. */
  swap(program: WorkerProgram, generation: number): void {
    this.#pump = this.#instantiate(program);
    this.#generation = generation;
    this.#announce();
  }

  /** From here on no batch runs the program before, and tail calls find what this one names. */
  #announce(): void {
    Atomics.store(this.#words, CPU_PROGRAM_RUNNING / 4, this.#generation);
  }

  /**
   * Work until there is a reason to return: no frame for a while, a new program, or the command to stop.
   * @returns false when the worker is to end
   */
  loop(): boolean {
    for (;;) {
      this.#look();
      if (Atomics.load(this.#words, CPU_COMMAND / 4) === COMMAND_STOP) return false;
      if (Atomics.load(this.#words, CPU_PROGRAM_GENERATION / 4) !== this.#generation) return true;
      if (this.#pump.isReady() === 0) {
        if (!this.#wait()) {
          const errno = this.#io.takeError();
          if (errno !== undefined) this.#onFault('receive', errno);
          return true;
        }
      }
      for (let round = 0; round < ROUNDS_A_LOOK; round++) {
        this.#round();
        if (this.#pump.isReady() === 0) break;
      }
    }
  }

  /** Wait for a frame; false where there is none to be seen yet. */
  #wait(): boolean {
    // Who hands one over looks whether this worker sleeps: it has to say so before it looks a last time itself.
    let isFrame = this.#pump.fallAsleep() !== 0;
    if (!isFrame) {
      isFrame = this.#io.wait(WAIT_MS);
      this.#pump.add(COUNTER_WAKEUPS, 1);
    }
    this.#pump.wakeUp();
    return isFrame;
  }

  /** Say that this worker has ended. */
  end(): void {
    this.#readStatistics();
    Atomics.store(this.#words, CPU_STATE / 4, WORKER_STATE.stopped);
  }

  #instantiate({ entry, targets }: WorkerProgram): Pump {
    const { programs } = this.#runtime;
    for (const number of this.#retired) programs.clear(number);
    for (const { number, module } of targets) programs.set(number, instantiateProgram(module, this.#runtime));
    // Slots of PROG_ARRAYs change when all workers know the new numbers: until then they lead to the old ones.
    this.#retired = this.#targets;
    this.#targets = targets.map(({ number }) => number);
    const executable = instantiateProgram(entry, this.#runtime);
    const instance = new WebAssembly.Instance(this.#data.pump, {
      env: { ...this.#runtime.env },
      program: { run: executable.exports.run, runNumbered: this.#runNumbered },
      runtime: { target_iterate: this.#runtime.exports.target_iterate },
    });
    return instance.exports as unknown as Pump;
  }

  #look(): void {
    Atomics.add(this.#words, CPU_HEARTBEAT / 4, 1);
    const nowMs = performance.now();
    if (nowMs - this.#statisticsMs < STATISTICS_MS) return;
    this.#statisticsMs = nowMs;
    this.#readStatistics();
  }

  #readStatistics(): void {
    const drops = this.#io.readRingDrops();
    if (drops > 0) this.#pump.add(COUNTER_RING_FULL, drops);
  }

  #round(): void {
    this.#io.readClock();
    const sending = this.#pump.run(BATCH_FRAMES);
    this.#io.readClock();
    this.#pump.countTime();
    for (let cpu = this.#pump.nextSleeper(); cpu >= 0; cpu = this.#pump.nextSleeper()) this.#io.wake(cpu);
    if (sending > 0) this.#send(sending);
    this.#pump.release();
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
    if (this.#seenFaults.has(errno)) return;
    this.#seenFaults.add(errno);
    this.#onFault('send', name);
  }
}
