import type { Arena } from '../bpf/memory/arena.js';
import { AfPacketSockets, ringShape, ringsBytes } from '../io/af-packet.js';
import { SysError } from '../sys/libc.js';
import type { LinkInfo } from '../sys/socket.js';
import { inboxBytes } from '../worker/inbox.js';
import { packetLanes } from '../worker/lanes.js';
import type { WorkerProgram } from '../worker/messages.js';
import { WorkerPool, type WorkerStatus } from '../worker/pool.js';
import { EngineError, type EnginePlan, type WorkerEngine, type WorkerEngineOptions } from './engine.js';
import { type GuardedVip, HostStackGuard } from './host-stack.js';
import { InterfaceClaim } from './interface-claim.js';
import { ReceiveOffloads } from './receive-offloads.js';
import { undoAll } from './undo.js';

export interface AfPacketOptions extends WorkerEngineOptions {
  readonly workers: number;
}

/** What a running engine holds, in the order of its start. */
interface Parts {
  readonly claim: InterfaceClaim;
  readonly link: LinkInfo;
  readonly sockets: AfPacketSockets;
  readonly guard: HostStackGuard;
  readonly offloads: ReceiveOffloads;
  readonly pool: WorkerPool;
}

const DENIED = ['EPERM', 'EACCES'];

function openSockets(arena: Arena, link: LinkInfo, workers: number): AfPacketSockets {
  try {
    return AfPacketSockets.open(arena, link, workers);
  } catch (cause) {
    if (!(cause instanceof SysError)) throw cause;
    if (DENIED.includes(cause.fault.errno)) {
      throw new EngineError(
        { code: 'ENGINE_CAPABILITY', capability: 'CAP_NET_RAW' },
        'packet sockets need CAP_NET_RAW: run as root, or give node the capability (setcap cap_net_raw,cap_net_admin+ep)',
        { cause },
      );
    }
    throw new EngineError(
      { code: 'ENGINE_SOCKET', interface: link.name },
      `packet sockets on ${link.name}: ${cause.message}`,
      { cause },
    );
  }
}

/**
 * The default engine: AF_PACKET rings in the arena, one a worker, and the compiled program on each frame. XDP_PASS
 * is nothing to do, since a tap sees a copy; the host's stack is kept from VIP traffic by a guard.
 */
export class AfPacketEngine implements WorkerEngine {
  readonly mode = 'af_packet';
  readonly #parts: Parts;

  private constructor(parts: Parts) {
    this.#parts = parts;
  }

  get link(): LinkInfo {
    return this.#parts.link;
  }

  /** What the engine takes of the machine: the workers' rings, and the inboxes behind them. */
  static plan(link: LinkInfo, workers: number): EnginePlan {
    const inboxes = workers * inboxBytes(ringShape(link.mtu).frameBytes);
    return { workers, ringsBytes: ringsBytes(link.mtu, workers) + inboxes };
  }

  /**
   * Everything that was acquired is given back when a later step fails.
   * @throws EngineError, HostStackError
   */
  static async start(options: AfPacketOptions): Promise<AfPacketEngine> {
    const { arena, link, workers, log } = options;
    const undo: (() => unknown)[] = [];
    try {
      const claim = await InterfaceClaim.take(link.name);
      undo.push(() => claim.release());
      const sockets = openSockets(arena, link, workers);
      undo.push(() => sockets.close());
      const guard = await HostStackGuard.install(link.name);
      undo.push(() => guard.close());
      if (guard.missing !== undefined) {
        log('warn', "the host's stack is not kept from VIP traffic; harmless while it forwards nothing", {
          reason: guard.missing,
        });
      }
      const offloads = new ReceiveOffloads(link.name);
      undo.push(() => offloads.restore());
      offloads.reportStuck(log);
      const inboxes = arena.rings.offset + ringsBytes(link.mtu, workers);
      const pool = await WorkerPool.start({
        ...options,
        lanes: packetLanes(sockets, inboxes),
        ifindex: link.index,
      });
      undo.push(() => pool.stop());
      sockets.start(link.index);
      return new AfPacketEngine({ claim, link, sockets, offloads, guard, pool });
    } catch (error) {
      await undoAll(undo, log);
      throw error;
    }
  }

  async protect(vips: readonly GuardedVip[]): Promise<void> {
    await this.#parts.guard.protect(vips);
  }

  async unprotect(vips: readonly GuardedVip[]): Promise<void> {
    await this.#parts.guard.unprotect(vips);
  }

  workers(): WorkerStatus[] {
    return this.#parts.pool.workers();
  }

  async kill(worker: number): Promise<void> {
    await this.#parts.pool.kill(worker, 'killed on request');
  }

  /** @returns once no worker runs the program before */
  swapProgram(program: WorkerProgram): Promise<void> {
    return this.#parts.pool.swapProgram(program);
  }

  /** Idempotent. */
  async stop(): Promise<void> {
    const { claim, sockets, guard, offloads, pool } = this.#parts;
    await pool.stop();
    offloads.restore();
    await guard.close();
    sockets.close();
    await claim.release();
  }
}
