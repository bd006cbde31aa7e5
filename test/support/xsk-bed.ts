import { XDP_TX } from '../../lb/bpf/engine/context.js';
import { instantiateRuntime } from '../../lb/bpf/maps/runtime.js';
import { Arena } from '../../lb/bpf/memory/arena.js';
import { CPU_PUMP, XDP_MD_DATA, XDP_MD_DATA_END } from '../../lb/bpf/memory/layout.js';
import { exportsOf } from '../../lb/bpf/wasm-exports.js';
import * as layout from '../../lb/io/xsk-layout.js';
import { XSK_HEADROOM_BYTES } from '../../lb/sys/xsk.js';
import { CounterCells, type WorkerCounter } from '../../lb/worker/counters.js';
import { PUMP_IFINDEX, XSK_COUNT, XSK_FIRST, XSK_STRIDE } from '../../lb/worker/layout.js';
import { xskPumpWasm } from '../../lb/worker/xsk-pump-wasm.gen.js';
import type { Program } from './pump-bed.js';
import { QueueRings } from './xsk-frames.js';

const module = new WebAssembly.Module(xskPumpWasm);
export const IFINDEX = 7;
export const FRAMES = 8;
export const FRAME_BYTES = 2048;
/** Longest frame that the interface sends. */
export const MAX_BYTES = 1514;
const RING_BYTES = 1024;
const QUEUE_BYTES = 4096 + 4 * RING_BYTES + FRAMES * FRAME_BYTES;

export interface XskPumpExports {
  prepare(): void;
  recover(): void;
  isReady(): number;
  isSettled(): number;
  run(index: number, limit: number): void;
  unsent(index: number): number;
  mustKickSend(index: number): number;
  mustKickReceive(index: number): number;
  countSent(index: number, failed: number): void;
  countDrops(index: number, total: bigint): void;
}

/** A queue of which the test is the kernel. */
export class FakeQueue {
  readonly rings: QueueRings;
  readonly #arena: Arena;
  readonly #view: DataView;

  constructor(arena: Arena, queue: number, isCopied: boolean) {
    const state = arena.rings.offset + queue * QUEUE_BYTES;
    this.#arena = arena;
    this.#view = new DataView(arena.memory.buffer);
    const rings = [layout.XSK_FILL, layout.XSK_COMPLETION, layout.XSK_RX, layout.XSK_TX];
    for (const [i, words] of rings.entries()) {
      const ring = state + 4096 + i * RING_BYTES;
      this.#set(state + words + layout.RING_PRODUCER, ring);
      this.#set(state + words + layout.RING_CONSUMER, ring + 64);
      this.#set(state + words + layout.RING_FLAGS, ring + 128);
      this.#set(state + words + layout.RING_ENTRIES, ring + 192);
    }
    this.#set(state + layout.XSK_MASK, FRAMES - 1);
    this.#set(state + layout.XSK_FRAMES, state + 4096 + 4 * RING_BYTES);
    this.#set(state + layout.XSK_FRAME_BYTES, FRAME_BYTES);
    this.#set(state + layout.XSK_MAX_BYTES, MAX_BYTES);
    this.#set(state + layout.XSK_QUEUE, queue);
    this.#set(state + layout.XSK_IS_COPIED, isCopied ? 1 : 0);
    this.rings = new QueueRings(arena, state);
    for (let i = 0; i < FRAMES; i++) this.#set(this.rings.entry('fill', i), i * FRAME_BYTES);
    this.rings.setPosition('fill', 'producer', FRAMES);
  }

  #set(at: number, value: number): void {
    this.#view.setUint32(at, value, true);
  }

  #get(at: number): number {
    return this.#view.getUint32(at, true);
  }

  setFlags(ring: 'fill' | 'tx', flags: number): void {
    const words = ring === 'fill' ? layout.XSK_FILL : layout.XSK_TX;
    this.#set(this.rings.word(words + layout.RING_FLAGS), flags);
  }

  /** Receive a frame into the next chunk of the fill ring; false where that is empty. */
  receive(frame: Uint8Array): boolean {
    const { rings } = this;
    const at = rings.position('fill', 'consumer');
    if (at === rings.position('fill', 'producer')) return false;
    const address = this.#get(rings.entry('fill', at)) + XSK_HEADROOM_BYTES;
    this.#arena.u8.set(frame, rings.word(layout.XSK_FRAMES) + address);
    const end = rings.position('rx', 'producer');
    const desc = rings.entry('rx', end);
    this.#set(desc, address);
    this.#set(desc + layout.DESC_LENGTH, frame.length);
    rings.setPosition('rx', 'producer', end + 1);
    rings.setPosition('fill', 'consumer', at + 1);
    return true;
  }

  /** Take up to `most` frames from the transmit ring and complete them; gives their bytes. */
  send(most = FRAMES): Uint8Array[] {
    const { rings } = this;
    const sent: Uint8Array[] = [];
    for (let at = rings.position('tx', 'consumer'); sent.length < most; at = (at + 1) >>> 0) {
      if (at === rings.position('tx', 'producer')) break;
      const desc = rings.entry('tx', at);
      const start = rings.word(layout.XSK_FRAMES) + this.#get(desc);
      sent.push(this.#arena.u8.slice(start, start + this.#get(desc + layout.DESC_LENGTH)));
      const end = rings.position('completion', 'producer');
      this.#set(rings.entry('completion', end), this.#get(desc));
      rings.setPosition('completion', 'producer', end + 1);
      rings.setPosition('tx', 'consumer', at + 1);
    }
    return sent;
  }
}

/** The pump over AF_XDP queues that a test plays the kernel of, with a program in TypeScript. */
export class XskBed {
  readonly arena: Arena;
  readonly queues: readonly FakeQueue[];
  readonly #block: number;
  pump: XskPumpExports;

  constructor(
    readonly program: Program = () => XDP_TX,
    queues = 1,
    isCopied = true,
  ) {
    this.arena = Arena.create({ workers: 1, mapsBytes: 0, ringsBytes: queues * QUEUE_BYTES });
    this.queues = Array.from({ length: queues }, (_, queue) => new FakeQueue(this.arena, queue, isCopied));
    this.#block = this.arena.block(0);
    const words = new DataView(this.arena.memory.buffer, this.#block + CPU_PUMP);
    words.setUint32(PUMP_IFINDEX, IFINDEX, true);
    words.setUint32(XSK_FIRST, this.arena.rings.offset, true);
    words.setUint32(XSK_COUNT, queues, true);
    words.setUint32(XSK_STRIDE, QUEUE_BYTES, true);
    this.pump = this.instantiate();
  }

  /** The first queue. */
  get queue(): FakeQueue {
    return this.queues[0]!;
  }

  /** A pump as a new thread makes it: all that it knows of before is in the arena. */
  instantiate(program = this.program): XskPumpExports {
    const { env } = instantiateRuntime(this.arena.memory, 0);
    const view = new DataView(this.arena.memory.buffer);
    const read = (context: number, field: number) => view.getUint32(context + field, true);
    const run = (context: number) =>
      program({
        bytes: this.arena.u8,
        frame: () => this.arena.u8.slice(read(context, XDP_MD_DATA), read(context, XDP_MD_DATA_END)),
        read: (field) => read(context, field),
        adjustHead: (delta) =>
          view.setUint32(context + XDP_MD_DATA, read(context, XDP_MD_DATA) + delta, true),
      });
    const instance = new WebAssembly.Instance(module, { env: { ...env }, program: { run } });
    const pump = exportsOf<XskPumpExports>(instance);
    pump.prepare();
    return pump;
  }

  /** Counters that are not zero. */
  counters(): Partial<Record<WorkerCounter, number>> {
    const cells = new CounterCells(this.arena.memory, this.#block).read();
    return Object.fromEntries(
      Object.entries(cells)
        .filter(([, value]) => value !== 0n)
        .map(([name, value]) => [name, Number(value)]),
    );
  }
}
