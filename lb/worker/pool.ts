import { Worker as Thread } from 'node:worker_threads';
import type { Arena } from '../bpf/memory/arena.js';
import {
  COMMAND_RUN,
  COMMAND_STOP,
  CPU_COMMAND,
  CPU_HEARTBEAT,
  CPU_PROGRAM_GENERATION,
  CPU_PROGRAM_RUNNING,
  CPU_PUMP,
  CPU_STATE,
} from '../bpf/memory/layout.js';
import { CounterCells, type WorkerCounter } from './counters.js';
import type { Lanes } from './lanes.js';
import { PUMP_IFINDEX } from './layout.js';
import {
  type IoFault,
  type SwapMessage,
  WORKER_STATE,
  type WorkerData,
  type WorkerProgram,
} from './messages.js';

/** Something that happened to a worker, for the log. */
export type PoolLog = (
  level: 'info' | 'warn' | 'error',
  message: string,
  fields: Readonly<Record<string, unknown>>,
) => void;

export interface WorkerStatus {
  readonly index: number;
  readonly state: 'starting' | 'running' | 'restarting' | 'stopped';
  /** Times that the thread was replaced. */
  readonly restarts: number;
  /** Why the last one ended. */
  readonly lastFault: string | undefined;
  /** By the names of WORKER_COUNTERS. */
  readonly counters: Readonly<Partial<Record<WorkerCounter, bigint>>>;
}

export interface WorkerPoolOptions {
  readonly arena: Arena;
  /** Their sockets were opened by the caller, who closes them once the pool has stopped. */
  readonly lanes: Lanes;
  readonly ifindex: number;
  readonly program: WorkerProgram;
  /** Frees what the maps hold in the name of a CPU whose thread died. */
  readonly recover: (cpu: number) => void;
  readonly log: PoolLog;
  /** Module that a thread starts with. */
  readonly entry?: URL;
  /** A worker whose heartbeat stands still for so long hangs, ms (5000); a look takes at most a tenth of a second. */
  readonly hangMs?: number;
}

/** Wait before a thread is started again that died soon after its start, ms; doubles up to the maximum. */
const FIRST_BACKOFF_MS = 10;
const MAX_BACKOFF_MS = 2000;
/** A thread that worked for so long has earned an immediate restart, ms. */
const STABLE_MS = 10_000;
const START_TIMEOUT_MS = 10_000;
const STOP_TIMEOUT_MS = 1000;
/** Between two looks at a thread that starts, ms. */
const POLL_MS = 5;
const HANG_MS = 5000;
/** Looks at the heartbeats in that time. */
const HANG_LOOKS = 5;

interface Member {
  readonly index: number;
  readonly block: number;
  readonly counters: CounterCells;
  thread: Thread | undefined;
  state: WorkerStatus['state'];
  restarts: number;
  lastFault: string | undefined;
  backoffMs: number;
  startedMs: number;
  /** Heartbeat as it was last seen to change, and when. */
  heartbeat: number;
  heartbeatMs: number;
  /** Set by `kill`: the end that follows was wanted. */
  killedWhy: string | undefined;
  timer: NodeJS.Timeout | undefined;
}

/** The worker threads. One that dies is replaced on the same sockets, ring and CPU block, and the others go on. */
export class WorkerPool {
  readonly #options: WorkerPoolOptions;
  readonly #pump: WebAssembly.Module;
  readonly #members: readonly Member[];
  readonly #words: Int32Array;
  #program: WorkerProgram;
  #generation = 1;
  #isStopping = false;
  readonly #hangMs: number;
  readonly #watch: NodeJS.Timeout;

  private constructor(options: WorkerPoolOptions) {
    this.#options = options;
    this.#program = options.program;
    // Compiled once; a module that is posted takes its code along.
    const { arena, lanes } = options;
    this.#pump = new WebAssembly.Module(lanes.pump);
    this.#words = arena.i32;
    this.#members = Array.from({ length: lanes.workers }, (_, index) => ({
      index,
      block: arena.block(index),
      counters: new CounterCells(arena.memory, arena.block(index)),
      thread: undefined,
      state: 'starting',
      restarts: 0,
      lastFault: undefined,
      backoffMs: FIRST_BACKOFF_MS,
      startedMs: 0,
      heartbeat: 0,
      heartbeatMs: 0,
      killedWhy: undefined,
      timer: undefined,
    }));
    this.#hangMs = options.hangMs ?? HANG_MS;
    this.#watch = setInterval(() => this.#killHanging(), this.#hangMs / HANG_LOOKS);
    this.#watch.unref();
  }

  /**
   * Start a thread for each lane and wait until all run.
   * @throws Error naming the worker and why it did not start
   */
  static async start(options: WorkerPoolOptions): Promise<WorkerPool> {
    const pool = new WorkerPool(options);
    const { arena, lanes, ifindex } = options;
    for (const member of pool.#members) {
      const words = new DataView(arena.memory.buffer, member.block + CPU_PUMP);
      words.setUint32(PUMP_IFINDEX, ifindex, true);
      lanes.prepare(member.index, words);
      pool.#setCommand(member, COMMAND_RUN);
      Atomics.store(pool.#words, (member.block + CPU_PROGRAM_GENERATION) / 4, pool.#generation);
      pool.#startThread(member);
    }
    try {
      await pool.#untilRunning();
      return pool;
    } catch (error) {
      await pool.stop();
      throw error;
    }
  }

  workers(): WorkerStatus[] {
    return this.#members.map((member) => ({
      index: member.index,
      state: this.#isRunning(member) ? 'running' : member.state,
      restarts: member.restarts,
      lastFault: member.lastFault,
      counters: member.counters.read(),
    }));
  }

  /**
   * Have every worker run another program from its next batch on.
   * @returns once all that run do so: nothing of the program before is run any more. A worker that is being replaced
   *   starts with the new one.
   */
  async swapProgram(program: WorkerProgram): Promise<void> {
    this.#program = program;
    this.#generation += 1;
    const generation = this.#generation;
    for (const member of this.#members) {
      member.thread?.postMessage({ kind: 'swap', program, generation } satisfies SwapMessage);
      Atomics.store(this.#words, (member.block + CPU_PROGRAM_GENERATION) / 4, generation);
    }
    const isOld = (member: Member) =>
      this.#isRunning(member) &&
      Atomics.load(this.#words, (member.block + CPU_PROGRAM_RUNNING) / 4) < generation;
    while (!this.#isStopping && this.#members.some(isOld))
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }

  /** Kill a worker's thread where it stands; it is replaced as if it had died. */
  async kill(index: number, why: string): Promise<void> {
    const member = this.#members[index];
    if (!member?.thread) return;
    member.killedWhy = why;
    await this.#terminate(member, member.thread);
  }

  /** End the threads: after their batch, and by force when one does not answer. */
  async stop(): Promise<void> {
    this.#isStopping = true;
    clearInterval(this.#watch);
    await Promise.all(
      this.#members.map(async (member) => {
        clearTimeout(member.timer);
        this.#setCommand(member, COMMAND_STOP);
        const { thread } = member;
        if (thread) {
          const ended = new Promise<void>((resolve) => thread.once('exit', () => resolve()));
          const timeout = setTimeout(() => void this.#terminate(member, thread), STOP_TIMEOUT_MS);
          await ended;
          clearTimeout(timeout);
        }
        member.state = 'stopped';
      }),
    );
  }

  /** True once the member's thread takes frames. */
  #isRunning({ thread, block }: Member): boolean {
    return (
      thread !== undefined && Atomics.load(this.#words, (block + CPU_STATE) / 4) === WORKER_STATE.running
    );
  }

  /**
   * End a thread where it stands, but not while it starts: it binds native functions then, and a thread that is
   * ended in the middle of that takes the process along (napi_throw in an environment that is ending aborts).
   */
  async #terminate(member: Member, thread: Thread): Promise<void> {
    const end = member.startedMs + START_TIMEOUT_MS;
    while (member.thread === thread && !this.#isRunning(member) && performance.now() < end) {
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    if (member.thread === thread) await thread.terminate();
  }

  #setCommand(member: Member, command: number): void {
    Atomics.store(this.#words, (member.block + CPU_COMMAND) / 4, command);
  }

  #startThread(member: Member): void {
    const { arena, lanes, entry = new URL('./worker-main.js', import.meta.url) } = this.#options;
    const workerData: WorkerData = {
      memory: arena.memory,
      cpu: member.index,
      program: this.#program,
      pump: this.#pump,
      generation: this.#generation,
      lane: lanes.lane(member.index),
      base: lanes.base,
    };
    Atomics.store(this.#words, (member.block + CPU_STATE) / 4, WORKER_STATE.none);
    const thread = new Thread(entry, { workerData, name: `waggle-worker-${member.index}` });
    member.thread = thread;
    member.killedWhy = undefined;
    member.startedMs = performance.now();
    member.heartbeatMs = member.startedMs;
    let fault: string | undefined;
    thread.on('message', ({ what, errno }: IoFault) => {
      const message =
        what === 'send' ? 'the kernel refused to send a frame' : 'the interface stopped receiving';
      this.#options.log('warn', message, { worker: member.index, errno });
    });
    thread.on('error', (error) => {
      fault = error instanceof Error ? error.message : String(error);
    });
    thread.on('exit', (status) => this.#onExit(member, fault ?? `the thread ended with status ${status}`));
  }

  #killHanging(): void {
    const nowMs = performance.now();
    for (const member of this.#members) {
      const heartbeat = Atomics.load(this.#words, (member.block + CPU_HEARTBEAT) / 4);
      if (heartbeat !== member.heartbeat || !this.#isRunning(member)) {
        member.heartbeat = heartbeat;
        member.heartbeatMs = nowMs;
      } else if (nowMs - member.heartbeatMs > this.#hangMs) {
        void this.kill(member.index, `no sign of life for ${this.#hangMs / 1000} s`);
      }
    }
  }

  #onExit(member: Member, fault: string): void {
    member.thread = undefined;
    if (this.#isStopping) {
      member.state = 'stopped';
      return;
    }
    member.lastFault = member.killedWhy ?? fault;
    member.state = 'restarting';
    if (performance.now() - member.startedMs > STABLE_MS) member.backoffMs = FIRST_BACKOFF_MS;
    const waitMs = member.backoffMs;
    member.backoffMs = Math.min(MAX_BACKOFF_MS, waitMs * 2);
    this.#options.log('error', 'worker died; its frames wait for the next one', {
      worker: member.index,
      fault: member.lastFault,
      restartInMs: waitMs,
    });
    // The dead thread may have held a lock that others wait for: not to be put off.
    this.#options.recover(member.index);
    this.#options.lanes.abandon(member.index, this.#words);
    member.timer = setTimeout(() => {
      member.restarts += 1;
      this.#startThread(member);
      this.#options.log('info', 'worker restarted', { worker: member.index, restarts: member.restarts });
    }, waitMs);
  }

  async #untilRunning(): Promise<void> {
    const end = performance.now() + START_TIMEOUT_MS;
    for (const member of this.#members) {
      while (!this.#isRunning(member)) {
        if (member.lastFault !== undefined) {
          throw new Error(`worker ${member.index} did not start: ${member.lastFault}`);
        }
        if (performance.now() > end) {
          throw new Error(`worker ${member.index} did not start within ${START_TIMEOUT_MS / 1000} s`);
        }
        await new Promise((resolve) => setTimeout(resolve, POLL_MS));
      }
    }
  }
}
