import type { Arena } from '../bpf/memory/arena.js';
import { openEventfd } from '../sys/eventfd.js';
import { addressOfMemory, mapOver, unmapFrom } from '../sys/mmap.js';
import {
  closeSocket,
  type LinkInfo,
  openReceiver,
  openSender,
  type RingShape,
  startReceiving,
} from '../sys/socket.js';

/** Frames of a worker's ring: as many as stay in the second-level cache, and enough for a pause of milliseconds. */
const RING_FRAMES = 2048;
/** Room before a frame: IPv6 header, VLAN tag, and what TPACKET_V2 needs of its own, rounded up. */
const HEADROOM_BYTES = 128;
/** In front of the frame's headroom: tpacket2_hdr, sockaddr_ll and alignment. */
const FRAME_HEADER_BYTES = 80;
/** Ethernet header and one VLAN tag. */
const LINK_HEADER_BYTES = 18;
/** The kernel allocates a ring by blocks; larger ones may not be had on a host whose memory is in pieces. */
const MAX_BLOCK_BYTES = 65_536;
const SEND_BUFFER_BYTES = 8 * 1024 * 1024;

/** A worker's ring and sockets; ready to be handed to its thread. */
export interface WorkerSockets {
  readonly receiver: number;
  readonly sender: number;
  /** What others write to when they hand a frame to the worker while it waits. */
  readonly doorbell: number;
  /** Arena offset of the ring. */
  readonly ring: number;
}

/** Shape of each worker's ring for an interface: frames hold what the MTU allows, in powers of two. */
export function ringShape(mtu: number): RingShape {
  let frameBytes = 2048;
  while (frameBytes < FRAME_HEADER_BYTES + HEADROOM_BYTES + LINK_HEADER_BYTES + mtu) frameBytes *= 2;
  return {
    frames: RING_FRAMES,
    frameBytes,
    blockBytes: Math.max(MAX_BLOCK_BYTES, frameBytes),
    headroomBytes: HEADROOM_BYTES,
  };
}

/** Bytes of arena that the rings of all workers take. */
export function ringsBytes(mtu: number, workers: number): number {
  const { frames, frameBytes } = ringShape(mtu);
  return frames * frameBytes * workers;
}

/**
 * The sockets of all workers on one interface: each a ring that lies in the arena, all in one fan-out group by flow
 * hash. They belong to the process and not to the workers' threads, so that a thread that dies takes no frame and no
 * flow with it.
 */
export class AfPacketSockets {
  readonly shape: RingShape;
  /** Address of arena offset 0. */
  readonly base: bigint;
  readonly workers: readonly WorkerSockets[];
  #isClosed = false;

  private constructor(shape: RingShape, base: bigint, workers: readonly WorkerSockets[]) {
    this.shape = shape;
    this.base = base;
    this.workers = workers;
  }

  /** @throws SysError SYS_CALL; nothing stays open then */
  static open(arena: Arena, link: LinkInfo, workers: number): AfPacketSockets {
    const shape = ringShape(link.mtu);
    const base = addressOfMemory(arena.memory);
    const ringBytes = shape.frames * shape.frameBytes;
    const opened: WorkerSockets[] = [];
    const sockets = new AfPacketSockets(shape, base, opened);
    try {
      for (let i = 0; i < workers; i++) {
        const ring = arena.rings.offset + i * ringBytes;
        const receiver = openReceiver(shape);
        const own = [receiver];
        try {
          const sender = openSender(link.index, SEND_BUFFER_BYTES);
          own.push(sender);
          opened.push({ receiver, sender, doorbell: openEventfd(), ring });
        } catch (error) {
          for (const descriptor of own) closeSocket(descriptor);
          throw error;
        }
        mapOver(base + BigInt(ring), ringBytes, receiver, `the ring of worker ${i}`);
      }
      return sockets;
    } catch (error) {
      sockets.close();
      throw error;
    }
  }

  /** Let frames in. Before, nothing is received and no worker finds anything. */
  start(ifindex: number): void {
    let group: number | undefined;
    for (const { receiver } of this.workers) group = startReceiving(receiver, ifindex, group);
  }

  /** Close the sockets and put ordinary memory in the rings' place. No worker may run any more. Idempotent. */
  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    const ringBytes = this.shape.frames * this.shape.frameBytes;
    for (const { receiver, sender, doorbell, ring } of this.workers) {
      unmapFrom(this.base + BigInt(ring), ringBytes);
      closeSocket(receiver);
      closeSocket(sender);
      closeSocket(doorbell);
    }
  }
}
