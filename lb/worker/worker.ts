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
import { type IoFault, WORKER_STATE, type WorkerData, type WorkerProgram } from './messages.js';
import { numberedRunner, type RunNumbered } from './numbered-program.js';
import { PacketRounds } from './packet-rounds.js';
import type { Rounds } from './rounds.js';
import { XskRounds } from './xsk-rounds.js';

/** Longest wait for a frame, ms: so long may a command wait to be seen. */
const WAIT_MS = 100;
/** Rounds between two looks at the command and the program's generation while frames keep coming. */
const ROUNDS_A_LOOK = 256;
/** Between two readings of the kernel's statistics of the ring, ms. */
const STATISTICS_MS = 1000;

/**
 * One worker: waits for frames and does rounds over them, with the program of the moment. `loop` returns to its caller
 * between waits, so that messages are seen.
 */
export class Worker {
  readonly #runtime: Runtime;
  readonly #runNumbered: RunNumbered;
  readonly #words: Int32Array;
  readonly #rounds: Rounds;
  readonly #onFault: (what: IoFault['what'], errno: string) => void;
  #generation: number;
  /** Numbers of the programs that tail calls can go to. */
  #targets: readonly number[] = [];
  /** Those of the program before, which slots may still name. */
  #retired: readonly number[] = [];
  #statisticsMs = 0;

  /** @param onFault told of each error of the receiving socket, and once of each errno of sending */
  constructor(data: WorkerData, onFault: (what: IoFault['what'], errno: string) => void) {
    this.#onFault = onFault;
    this.#runtime = instantiateRuntime(data.memory, data.cpu);
    this.#runNumbered = numberedRunner(this.#runtime);
    const block = Number(this.#runtime.env.block.value) >>> 0;
    this.#words = new Int32Array(data.memory.buffer, block, CPU_BLOCK_BYTES / 4);
    const { memory, base, lane, pump } = data;
    const place = { memory, block, base };
    const told = new Set<string>();
    const onSendFault = (errno: string) => {
      if (told.has(errno)) return;
      told.add(errno);
      onFault('send', errno);
    };
    this.#rounds =
      lane.kind === 'packet'
        ? new PacketRounds(place, pump, lane, onSendFault)
        : new XskRounds(place, pump, lane, onSendFault);
    writeCpuFacts(memory, block, base);
    this.#generation = data.generation;
    this.#load(data.program);
    this.#announce();
    this.#rounds.begin();
    Atomics.store(this.#words, CPU_STATE / 4, WORKER_STATE.running);
  }

  /** Take a new program; the next batch runs it. */
  swap(program: WorkerProgram, generation: number): void {
    this.#load(program);
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
      if (!this.#rounds.isReady() && !this.#rounds.wait(WAIT_MS)) {
        const errno = this.#rounds.takeError();
        if (errno !== undefined) this.#onFault('receive', errno);
        return true;
      }
      for (let round = 0; round < ROUNDS_A_LOOK; round++) {
        this.#rounds.round();
        if (!this.#rounds.isReady()) break;
      }
    }
  }

  /** Say that this worker has ended. */
  end(): void {
    this.#rounds.readStatistics();
    Atomics.store(this.#words, CPU_STATE / 4, WORKER_STATE.stopped);
  }

  #load({ entry, targets }: WorkerProgram): void {
    const { programs } = this.#runtime;
    for (const number of this.#retired) programs.clear(number);
    for (const { number, module } of targets) programs.set(number, instantiateProgram(module, this.#runtime));
    // Slots of PROG_ARRAYs change when all workers know the new numbers: until then they lead to the old ones.
    this.#retired = this.#targets;
    this.#targets = targets.map(({ number }) => number);
    const executable = instantiateProgram(entry, this.#runtime);
    this.#rounds.load({
      env: { ...this.#runtime.env },
      program: { run: executable.exports.run, runNumbered: this.#runNumbered },
      runtime: { target_iterate: this.#runtime.exports.target_iterate },
    });
  }

  #look(): void {
    Atomics.add(this.#words, CPU_HEARTBEAT / 4, 1);
    const nowMs = performance.now();
    if (nowMs - this.#statisticsMs < STATISTICS_MS) return;
    this.#statisticsMs = nowMs;
    this.#rounds.readStatistics();
  }
}
