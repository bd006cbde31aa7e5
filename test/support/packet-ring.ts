import type { Arena } from '../../lb/bpf/memory/arena.js';

/** Bits of tp_status (uapi/linux/if_packet.h). */
export const TP_STATUS = { user: 1, csumNotReady: 8, vlanValid: 0x10, vlanTpidValid: 0x40 } as const;
/** Values of sll_pkttype. */
export const PACKET_TYPE = { host: 0, broadcast: 1, multicast: 2, otherHost: 3 } as const;

/** Where the kernel puts an Ethernet header in a frame that has 128 bytes reserved. */
export const MAC_OFFSET = 194;

export interface RingFrame {
  /** Bits of tp_status beside TP_STATUS_USER. */
  readonly status?: number;
  /** Bytes on the wire where the frame was cut. */
  readonly wireBytes?: number;
  readonly packetType?: number;
  readonly vlanTci?: number;
  readonly vlanTpid?: number;
}

/** A receive ring in an arena, filled by a test as the kernel fills one of TPACKET_V2 (packet_mmap). */
export class PacketRing {
  readonly offset: number;
  readonly frames: number;
  readonly frameBytes: number;
  readonly #bytes: Uint8Array<ArrayBufferLike>;
  readonly #view: DataView;
  #next = 0;

  constructor(arena: Arena, options: { offset?: number; frames?: number; frameBytes?: number } = {}) {
    this.offset = options.offset ?? arena.rings.offset;
    this.frames = options.frames ?? 8;
    this.frameBytes = options.frameBytes ?? 2048;
    this.#bytes = arena.u8;
    this.#view = new DataView(arena.u8.buffer);
  }

  /** Arena offset of a frame's Ethernet header. */
  dataOf(index: number): number {
    return this.offset + index * this.frameBytes + MAC_OFFSET;
  }

  /** Fill the next frame and hand it over; gives its index. */
  put(frame: Uint8Array, options: RingFrame = {}): number {
    const { status = 0, wireBytes = frame.length, packetType = PACKET_TYPE.host } = options;
    const index = this.#next;
    if (this.statusOf(index) !== 0) throw new Error('the ring is full');
    this.#next = (index + 1) % this.frames;
    const at = this.offset + index * this.frameBytes;
    this.#view.setUint32(at + 4, wireBytes, true);
    this.#view.setUint32(at + 8, frame.length, true);
    this.#view.setUint16(at + 12, MAC_OFFSET, true);
    this.#view.setUint16(at + 24, options.vlanTci ?? 0, true);
    this.#view.setUint16(at + 26, options.vlanTpid ?? 0, true);
    // struct sockaddr_ll behind the header: sll_pkttype.
    this.#view.setUint8(at + 32 + 10, packetType);
    this.#bytes.set(frame, at + MAC_OFFSET);
    Atomics.store(new Int32Array(this.#bytes.buffer, at, 1), 0, TP_STATUS.user | status);
    return index;
  }

  /** tp_status; 0 is the kernel's. */
  statusOf(index: number): number {
    return this.#view.getUint32(this.offset + index * this.frameBytes, true);
  }
}
