import { XDP_TX } from '../../lb/bpf/engine/context.js';
import { instantiateRuntime, type Runtime } from '../../lb/bpf/maps/runtime.js';
import { Arena } from '../../lb/bpf/memory/arena.js';
import {
  CPU_IOVECS,
  CPU_PUMP,
  IOVEC_BYTES,
  XDP_MD_DATA,
  XDP_MD_DATA_END,
} from '../../lb/bpf/memory/layout.js';
import { exportsOf } from '../../lb/bpf/wasm-exports.js';
import { CounterCells, type WorkerCounter } from '../../lb/worker/counters.js';
import { type Inboxes, inboxBytes } from '../../lb/worker/inbox.js';
import {
  PUMP_BASE,
  PUMP_FRAME_BYTES,
  PUMP_FRAMES,
  PUMP_IFINDEX,
  PUMP_INBOXES,
  PUMP_RING,
  PUMP_WORKERS,
} from '../../lb/worker/layout.js';
import { numberedRunner } from '../../lb/worker/numbered-program.js';
import { pumpWasm } from '../../lb/worker/pump-wasm.gen.js';
import { PacketRing, type RingFrame } from './packet-ring.js';

const module = new WebAssembly.Module(pumpWasm);
/** Where arena offset 0 would be: past 32 bits, as addresses are. */
export const BASE = 0x7f12_3456_7000n;
export const IFINDEX = 7;

export interface PumpExports {
  prepare(): void;
  recover(): void;
  isReady(): number;
  fallAsleep(): number;
  wakeUp(): void;
  nextSleeper(): number;
  run(limit: number): number;
  countTime(): void;
  release(): void;
  countSent(first: number, end: number): void;
  add(counter: number, value: number): void;
}

/** What the program sees of a frame, and may change. */
export interface Context {
  readonly bytes: Uint8Array;
  /** The frame as it is when the program starts. */
  frame(): Uint8Array;
  read(field: number): number;
  /** Move the start of the frame, as bpf_xdp_adjust_head does. */
  adjustHead(delta: number): void;
}
export type Program = (context: Context) => number;

const FRAME_BYTES = 2048;
const RING_BYTES = 8 * FRAME_BYTES;

export interface PumpBedOptions {
  readonly mapsBytes?: number;
  readonly workers?: number;
  /** Another worker of the same arena, and the number of this one. */
  readonly beside?: PumpBed;
  readonly cpu?: number;
}

/** The pump over a ring that a test fills, with a program in TypeScript. */
export class PumpBed {
  readonly arena: Arena;
  readonly ring: PacketRing;
  readonly inboxes: Inboxes;
  readonly cpu: number;
  readonly block: number;
  readonly view: DataView;
  /** The runtime of the pump that was made last. */
  runtime!: Runtime;
  pump: PumpExports;

  constructor(
    readonly program: Program = () => XDP_TX,
    { mapsBytes = 0, workers = 1, beside, cpu = 0 }: PumpBedOptions = {},
  ) {
    const ringsBytes = workers * (RING_BYTES + inboxBytes(FRAME_BYTES));
    this.arena = beside?.arena ?? Arena.create({ workers, mapsBytes, ringsBytes });
    const { rings, controlCpu } = this.arena;
    this.ring = new PacketRing(this.arena, { offset: rings.offset + cpu * RING_BYTES });
    this.inboxes = {
      offset: rings.offset + controlCpu * RING_BYTES,
      workers: controlCpu,
      frameBytes: FRAME_BYTES,
    };
    this.cpu = cpu;
    this.block = this.arena.block(cpu);
    this.view = new DataView(this.arena.memory.buffer);
    const words = this.block + CPU_PUMP;
    this.view.setUint32(words + PUMP_RING, this.ring.offset, true);
    this.view.setUint32(words + PUMP_FRAMES, this.ring.frames, true);
    this.view.setUint32(words + PUMP_FRAME_BYTES, this.ring.frameBytes, true);
    this.view.setUint32(words + PUMP_IFINDEX, IFINDEX, true);
    this.view.setUint32(words + PUMP_WORKERS, this.inboxes.workers, true);
    this.view.setUint32(words + PUMP_INBOXES, this.inboxes.offset, true);
    this.view.setBigUint64(words + PUMP_BASE, BASE, true);
    this.pump = this.instantiate();
  }

  /** A pump as a new thread makes it: all that it knows of before is in the CPU block. */
  instantiate(program = this.program): PumpExports {
    const runtime = instantiateRuntime(this.arena.memory, this.cpu);
    this.runtime = runtime;
    const read = (context: number, field: number) => this.view.getUint32(context + field, true);
    const run = (context: number) =>
      program({
        bytes: this.arena.u8,
        frame: () => this.arena.u8.slice(read(context, XDP_MD_DATA), read(context, XDP_MD_DATA_END)),
        read: (field) => read(context, field),
        adjustHead: (delta) =>
          this.view.setUint32(context + XDP_MD_DATA, read(context, XDP_MD_DATA) + delta, true),
      });
    const instance = new WebAssembly.Instance(module, {
      env: { ...runtime.env },
      program: { run, runNumbered: numberedRunner(runtime) },
      runtime: { ...runtime.exports },
    });
    const pump = exportsOf<PumpExports>(instance);
    pump.prepare();
    return pump;
  }

  put(frame: Uint8Array, options?: RingFrame): number {
    return this.ring.put(frame, options);
  }

  /** Address and length of an entry to be sent. */
  vector(i: number): { address: bigint; length: bigint } {
    const at = this.block + CPU_IOVECS + i * IOVEC_BYTES;
    return { address: this.view.getBigUint64(at, true), length: this.view.getBigUint64(at + 8, true) };
  }

  /** The bytes that an entry sends. */
  sent(i: number): Uint8Array {
    const { address, length } = this.vector(i);
    const start = Number(address - BASE);
    return this.arena.u8.slice(start, start + Number(length));
  }

  /** Counters that are not zero. */
  counters(): Partial<Record<WorkerCounter, number>> {
    const cells = new CounterCells(this.arena.memory, this.block).read();
    return Object.fromEntries(
      Object.entries(cells)
        .filter(([, value]) => value !== 0n)
        .map(([name, value]) => [name, Number(value)]),
    );
  }
}
