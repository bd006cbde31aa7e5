import { until } from '../../demo/lines.js';
import { Arena } from '../../lb/bpf/memory/arena.js';
import { CPU_HEARTBEAT } from '../../lb/bpf/memory/layout.js';
import { ringShape } from '../../lb/io/af-packet.js';
import { addressOfMemory } from '../../lb/sys/mmap.js';
import type { WorkerCounter } from '../../lb/worker/counters.js';
import { inboxBytes } from '../../lb/worker/inbox.js';
import { packetLanes } from '../../lb/worker/lanes.js';
import type { WorkerProgram } from '../../lb/worker/messages.js';
import { WorkerPool, type WorkerPoolOptions, type WorkerStatus } from '../../lb/worker/pool.js';
import { PacketRing } from './packet-ring.js';

/** Threads run what is built. */
const ENTRY = new URL('../../dist/lb/worker/worker-main.js', import.meta.url);
const SHAPE = ringShape(1500);
const RING_BYTES = SHAPE.frames * SHAPE.frameBytes;

export interface Line {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

/** A pool over rings that the test fills; its sockets are none, so that nothing can be sent. */
export class PoolBed {
  readonly arena: Arena;
  readonly rings: readonly PacketRing[];
  readonly log: Line[] = [];
  readonly recovered: number[] = [];
  readonly options: WorkerPoolOptions;
  #pool: WorkerPool | undefined;

  constructor(workers: number, program: WorkerProgram, options: Partial<WorkerPoolOptions> = {}) {
    this.arena = Arena.create({
      workers,
      mapsBytes: 2 ** 20,
      ringsBytes: workers * (RING_BYTES + inboxBytes(SHAPE.frameBytes)),
    });
    this.rings = Array.from(
      { length: workers },
      (_, i) => new PacketRing(this.arena, { ...SHAPE, offset: this.arena.rings.offset + i * RING_BYTES }),
    );
    this.options = {
      arena: this.arena,
      lanes: packetLanes(
        {
          shape: SHAPE,
          base: addressOfMemory(this.arena.memory),
          workers: this.rings.map(({ offset }) => ({ receiver: -1, sender: -1, doorbell: -1, ring: offset })),
        },
        this.arena.rings.offset + workers * RING_BYTES,
      ),
      ifindex: 1,
      program,
      recover: (cpu) => this.recovered.push(cpu),
      log: (level, message, fields) => this.log.push({ level, message, ...fields }),
      entry: ENTRY,
      ...options,
    };
  }

  async start(): Promise<WorkerPool> {
    this.#pool = await WorkerPool.start(this.options);
    return this.#pool;
  }

  get pool(): WorkerPool {
    if (!this.#pool) throw new Error('not started');
    return this.#pool;
  }

  readonly worker = (index: number): WorkerStatus => this.pool.workers()[index]!;

  /** Wait until a worker has counted so many frames. */
  readonly counted = (index: number, counter: WorkerCounter, count: number): Promise<unknown> =>
    until(
      `worker ${index} to count ${count} ${counter}`,
      () => (this.worker(index).counters[counter] ?? 0n) >= BigInt(count),
    );

  readonly heartbeat = (index: number): number =>
    Atomics.load(this.arena.u32, (this.arena.block(index) + CPU_HEARTBEAT) / 4);

  async stop(): Promise<void> {
    await this.#pool?.stop();
  }
}
