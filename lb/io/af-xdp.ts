import type { Arena } from '../bpf/memory/arena.js';
import { SysError } from '../sys/libc.js';
import { addressOfMemory, mapOver, unmapFrom } from '../sys/mmap.js';
import { closeSocket, type LinkInfo } from '../sys/socket.js';
import {
  bindXsk,
  isZeroCopy,
  openXsk,
  XSK_HEADROOM_BYTES,
  XSK_RINGS,
  type XskRingName,
  type XskShape,
  xskRings,
} from '../sys/xsk.js';
import * as layout from './xsk-layout.js';

/** Frames of a queue: as many as stay in the second-level cache, and enough for a pause of milliseconds. */
const FRAMES = 2048;
/** The kernel takes chunks of 2 KiB up to a page; pages are 4 KiB or more. */
const MIN_FRAME_BYTES = 2048;
const MAX_FRAME_BYTES = 4096;
const ETHERNET_BYTES = 14;
/** Two VLAN tags. */
const TAGS_BYTES = 8;
/** Alignment of whatever is mapped: a multiple of every page size that Linux has on the machines that are served. */
const MAPPING_BYTES = 65_536;
const SEND_BUFFER_BYTES = 8 * 1024 * 1024;
/** A closed socket keeps its queue until the kernel has cleaned up behind it: so long is a bind tried again, ms. */
const BUSY_MS = 1000;
const BUSY_PAUSE_MS = 20;

const roundUp = (value: number, step: number) => Math.ceil(value / step) * step;

/** Longest MTU whose frames fit a chunk. */
export const MAX_XSK_MTU = MAX_FRAME_BYTES - XSK_HEADROOM_BYTES - ETHERNET_BYTES - TAGS_BYTES;

/** Shape of each queue's UMEM for an interface; undefined where its frames are longer than a chunk. */
export function xskShape(mtu: number): XskShape | undefined {
  for (let frameBytes = MIN_FRAME_BYTES; frameBytes <= MAX_FRAME_BYTES; frameBytes *= 2) {
    if (XSK_HEADROOM_BYTES + ETHERNET_BYTES + TAGS_BYTES + mtu <= frameBytes)
      return { frames: FRAMES, frameBytes };
  }
  return undefined;
}

/** Room for each ring: its entries, and the words in front of them. */
const RING_ROOM_BYTES = roundUp(FRAMES * layout.DESC_BYTES + 4096, MAPPING_BYTES);

/** Bytes of arena that a queue takes: its state, its rings, its frames. */
export function queueBytes({ frames, frameBytes }: XskShape): number {
  return MAPPING_BYTES + XSK_RINGS.length * RING_ROOM_BYTES + frames * frameBytes;
}

/** Where in the state each ring is described. */
const RING_WORDS: Readonly<Record<XskRingName, number>> = {
  rx: layout.XSK_RX,
  tx: layout.XSK_TX,
  fill: layout.XSK_FILL,
  completion: layout.XSK_COMPLETION,
};

/** The socket of a receive queue. */
export interface QueueSocket {
  /** Number of the queue. */
  readonly queue: number;
  readonly fd: number;
  /** Arena offset of its state (xsk-layout.ts). */
  readonly state: number;
  readonly isZeroCopy: boolean;
}

/** Another socket has the queue. */
export class QueueTaken extends SysError {
  readonly queue: number;

  constructor(queue: number, cause: SysError) {
    super(cause.fault, `queue ${queue}: ${cause.message}`, { cause });
    this.queue = queue;
  }
}

/**
 * The AF_XDP sockets of an interface, one a receive queue, each with a UMEM and four rings that lie in the arena. They
 * belong to the process and not to the workers' threads: a thread that dies takes no frame with it.
 */
export class AfXdpSockets {
  readonly shape: XskShape;
  /** Address of arena offset 0. */
  readonly base: bigint;
  readonly queues: readonly QueueSocket[];
  readonly #mappings: { readonly offset: number; readonly bytes: number }[] = [];
  #isClosed = false;

  private constructor(shape: XskShape, base: bigint, queues: readonly QueueSocket[]) {
    this.shape = shape;
    this.base = base;
    this.queues = queues;
  }

  /**
   * Open and bind a socket for each queue, with all frames in its fill ring. Nothing comes before a program gives
   * frames to the sockets.
   * @param batch frames that a worker sends at a time
   * @throws QueueTaken, SysError SYS_CALL; nothing stays open then
   */
  static async open(
    arena: Arena,
    link: LinkInfo,
    shape: XskShape,
    queues: number,
    batch: number,
  ): Promise<AfXdpSockets> {
    const opened: QueueSocket[] = [];
    const sockets = new AfXdpSockets(shape, addressOfMemory(arena.memory), opened);
    try {
      for (let queue = 0; queue < queues; queue++) {
        const state = arena.rings.offset + queue * queueBytes(shape);
        const frames = state + MAPPING_BYTES + XSK_RINGS.length * RING_ROOM_BYTES;
        const fd = openXsk(sockets.base + BigInt(frames), shape, batch, SEND_BUFFER_BYTES);
        const at = opened.push({ queue, fd, state, isZeroCopy: false }) - 1;
        sockets.#mapRings(arena, opened[at]!);
        const view = new DataView(arena.memory.buffer, state, layout.XSK_STATE_BYTES);
        view.setUint32(layout.XSK_MASK, shape.frames - 1, true);
        view.setUint32(layout.XSK_FRAMES, frames, true);
        view.setUint32(layout.XSK_FRAME_BYTES, shape.frameBytes, true);
        view.setUint32(layout.XSK_MAX_BYTES, ETHERNET_BYTES + link.mtu, true);
        view.setUint32(layout.XSK_QUEUE, queue, true);
        fillWithFrames(arena, state, shape);
        await bind(fd, link.index, queue);
        opened[at] = { queue, fd, state, isZeroCopy: isZeroCopy(fd) };
        view.setUint32(layout.XSK_IS_COPIED, opened[at].isZeroCopy ? 0 : 1, true);
      }
      return sockets;
    } catch (error) {
      sockets.close();
      throw error;
    }
  }

  #mapRings(arena: Arena, { queue, fd, state }: QueueSocket): void {
    const view = new DataView(arena.memory.buffer, state, layout.XSK_STATE_BYTES);
    const rings = xskRings(fd, this.shape);
    for (const [index, name] of XSK_RINGS.entries()) {
      const ring = rings[name];
      const offset = state + MAPPING_BYTES + index * RING_ROOM_BYTES;
      mapOver(this.base + BigInt(offset), ring.bytes, fd, `the ${name} ring of queue ${queue}`, ring.page);
      this.#mappings.push({ offset, bytes: ring.bytes });
      const words = RING_WORDS[name];
      view.setUint32(words + layout.RING_PRODUCER, offset + ring.producer, true);
      view.setUint32(words + layout.RING_CONSUMER, offset + ring.consumer, true);
      view.setUint32(words + layout.RING_ENTRIES, offset + ring.entries, true);
      view.setUint32(words + layout.RING_FLAGS, offset + ring.flags, true);
    }
  }

  /** Close the sockets and put ordinary memory in the rings' place. No worker may run any more. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    for (const { offset, bytes } of this.#mappings) unmapFrom(this.base + BigInt(offset), bytes);
    for (const { fd } of this.queues) closeSocket(fd);
  }
}

/** Hand every frame to the kernel. */
function fillWithFrames({ memory }: Arena, state: number, { frames, frameBytes }: XskShape): void {
  const view = new DataView(memory.buffer);
  const entries = view.getUint32(state + layout.XSK_FILL + layout.RING_ENTRIES, true);
  for (let i = 0; i < frames; i++)
    view.setBigUint64(entries + i * layout.ADDRESS_BYTES, BigInt(i * frameBytes), true);
  const producer = view.getUint32(state + layout.XSK_FILL + layout.RING_PRODUCER, true);
  Atomics.store(new Int32Array(memory.buffer), producer / 4, frames);
}

async function bind(fd: number, ifindex: number, queue: number): Promise<void> {
  for (const end = performance.now() + BUSY_MS; ; ) {
    try {
      bindXsk(fd, ifindex, queue);
      return;
    } catch (error) {
      if (!(error instanceof SysError) || error.fault.errno !== 'EBUSY') throw error;
      if (performance.now() > end) throw new QueueTaken(queue, error);
      await new Promise((resolve) => setTimeout(resolve, BUSY_PAUSE_MS));
    }
  }
}
