import type { Arena } from '../bpf/memory/arena.js';
import { AfXdpSockets, MAX_XSK_MTU, QueueTaken, queueBytes, xskShape } from '../io/af-xdp.js';
import { receiveQueues } from '../sys/channels.js';
import { SysError } from '../sys/libc.js';
import type { LinkInfo } from '../sys/socket.js';
import type { XskShape } from '../sys/xsk.js';
import { xskLanes } from '../worker/lanes.js';
import type { WorkerProgram } from '../worker/messages.js';
import { type PoolLog, WorkerPool, type WorkerStatus } from '../worker/pool.js';
import { BATCH_FRAMES } from '../worker/rounds.js';
import {
  EngineError,
  type EngineMode,
  type EnginePlan,
  type WorkerEngine,
  type WorkerEngineOptions,
} from './engine.js';
import { InterfaceClaim } from './interface-claim.js';
import { ReceiveOffloads } from './receive-offloads.js';
import type { Steering } from './steering.js';
import { undoAll } from './undo.js';

/** What the engine takes of the machine. */
export interface AfXdpPlan extends EnginePlan {
  readonly shape: XskShape;
  /** Receive queues of the interface, each with a socket. */
  readonly queues: number;
}

export interface AfXdpOptions extends WorkerEngineOptions {
  readonly plan: AfXdpPlan;
  /** Loaded and not attached; the engine closes it when it stops, or does not start. */
  readonly steering: Steering;
}

interface Parts {
  readonly claim: InterfaceClaim;
  readonly link: LinkInfo;
  readonly steering: Steering;
  readonly sockets: AfXdpSockets;
  readonly offloads: ReceiveOffloads;
  readonly pool: WorkerPool;
}

/**
 * Workers over AF_XDP sockets, one a receive queue, whose frames and rings are arena memory: a frame goes out as it
 * came in, where it lies. A program of the kernel gives them what the balancer has something to do with; the host never
 * sees that, nor can it have it back: XDP_PASS behind a socket loses the frame, and is counted as such.
 */
export class AfXdpEngine implements WorkerEngine {
  readonly mode: EngineMode;
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
    const isZeroCopy = parts.sockets.queues.every((queue) => queue.isZeroCopy);
    this.mode = isZeroCopy ? 'af_xdp_zerocopy' : 'af_xdp_copy';
  }

  get link(): LinkInfo {
    return this.#parts.link;
  }

  /**
   * What the engine takes of the machine. A worker may have several queues, a queue one worker.
   * @param wanted workers; more than there are queues would have nothing to do, and are not started, which is said
   * @throws EngineError ENGINE_MTU
   */
  static plan(link: LinkInfo, wanted: number, log: PoolLog): AfXdpPlan {
    const shape = xskShape(link.mtu);
    if (!shape) {
      throw new EngineError(
        { code: 'ENGINE_MTU', interface: link.name, mtu: link.mtu, maxMtu: MAX_XSK_MTU },
        `interface ${link.name} has an MTU of ${link.mtu}, and a frame of AF_XDP holds packets of up to ${MAX_XSK_MTU} bytes: ip link set ${link.name} mtu ${MAX_XSK_MTU}, or take the engine af_packet`,
      );
    }
    const queues = receiveQueues(link.name);
    const workers = Math.min(wanted, queues);
    if (workers < wanted) {
      log(
        'warn',
        'the interface has fewer receive queues than workers were asked for: the others are not started',
        {
          interface: link.name,
          queues,
          workers: wanted,
          advice: `ethtool -L ${link.name} combined ${wanted}`,
        },
      );
    }
    return { shape, queues, workers, ringsBytes: queues * queueBytes(shape) };
  }

  /**
   * Everything that was acquired is given back when a later step fails.
   * @throws EngineError, BpfError, ClaimError, PinError PINS_LEFT
   */
  static async start(options: AfXdpOptions): Promise<AfXdpEngine> {
    const { arena, link, plan, steering, log } = options;
    const undo: (() => unknown)[] = [() => steering.close()];
    try {
      const claim = await InterfaceClaim.take(link.name);
      undo.push(() => claim.release());
      const sockets = await openSockets(arena, link, plan);
      undo.push(() => sockets.close());
      const offloads = new ReceiveOffloads(link.name);
      undo.push(() => offloads.restore());
      offloads.reportStuck(log);
      const lanes = xskLanes(sockets, plan.workers);
      const pool = await WorkerPool.start({ ...options, lanes, ifindex: link.index });
      undo.push(() => pool.stop());
      for (const { queue, fd } of sockets.queues) steering.addSocket(queue, fd);
      steering.attach(link, log);
      const engine = new AfXdpEngine({ claim, link, steering, sockets, offloads, pool });
      log('info', 'frames come by AF_XDP sockets', {
        interface: link.name,
        queues: plan.queues,
        workers: plan.workers,
        mode: engine.mode,
      });
      return engine;
    } catch (error) {
      await undoAll(undo, log);
      throw error;
    }
  }

  /** Nothing to do: what is steered does not reach the host. */
  async protect(): Promise<void> {}

  async unprotect(): Promise<void> {}

  workers(): WorkerStatus[] {
    const { pool, steering } = this.#parts;
    const [first, ...others] = pool.workers();
    if (!first) return others;
    return [{ ...first, counters: { ...first.counters, no_socket: steering.noSocket() } }, ...others];
  }

  async kill(worker: number): Promise<void> {
    await this.#parts.pool.kill(worker, 'killed on request');
  }

  swapProgram(program: WorkerProgram): Promise<void> {
    return this.#parts.pool.swapProgram(program);
  }

  async stop(): Promise<void> {
    const { claim, steering, sockets, offloads, pool } = this.#parts;
    // First what gives frames to the sockets: the host has its packets again while the workers finish.
    steering.close();
    await pool.stop();
    offloads.restore();
    sockets.close();
    await claim.release();
  }
}

async function openSockets(arena: Arena, link: LinkInfo, plan: AfXdpPlan): Promise<AfXdpSockets> {
  try {
    return await AfXdpSockets.open(arena, link, plan.shape, plan.queues, BATCH_FRAMES);
  } catch (cause) {
    throw cause instanceof SysError ? explained(cause, link) : cause;
  }
}

/** What an operator can do about a socket that was not to be had. */
function explained(cause: SysError, { name }: LinkInfo): EngineError {
  const { call, errno } = cause.fault;
  if (errno === 'EPERM' || errno === 'EACCES') {
    return new EngineError(
      { code: 'ENGINE_CAPABILITY', capability: 'CAP_NET_RAW' },
      'AF_XDP sockets need CAP_NET_RAW, and the program in front of them CAP_BPF and CAP_NET_ADMIN: run as root',
      { cause },
    );
  }
  if (errno === 'EAFNOSUPPORT' || errno === 'ESOCKTNOSUPPORT' || errno === 'EPROTONOSUPPORT') {
    return new EngineError(
      { code: 'ENGINE_UNSUPPORTED', what: 'AF_XDP' },
      'this kernel has no AF_XDP (CONFIG_XDP_SOCKETS): take the engine af_packet, or xdp',
      { cause },
    );
  }
  if (errno === 'ENOBUFS' || errno === 'ENOMEM') {
    return new EngineError(
      { code: 'ENGINE_MEMLOCK', interface: name },
      `the kernel may not keep the frames of ${name} in memory (${call}: ${errno}): raise RLIMIT_MEMLOCK (ulimit -l unlimited, LimitMEMLOCK=infinity), or grant CAP_IPC_LOCK`,
      { cause },
    );
  }
  if (cause instanceof QueueTaken) {
    const { queue } = cause;
    return new EngineError(
      { code: 'ENGINE_QUEUE_TAKEN', interface: name, queue },
      `receive queue ${queue} of ${name} is taken by another AF_XDP socket: stop the program that has it, or take the engine af_packet`,
      { cause },
    );
  }
  return new EngineError(
    { code: 'ENGINE_SOCKET', interface: name },
    `AF_XDP sockets on ${name}: ${cause.message}`,
    { cause },
  );
}
