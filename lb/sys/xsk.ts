import { checked, libc } from './libc.js';
import { closeSocket } from './socket.js';

const AF_XDP = 44;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const SOL_SOCKET = 1;
const SO_SNDBUFFORCE = 32;
const SOL_XDP = 283;

/** Options of AF_XDP sockets (uapi/linux/if_xdp.h); the last one since Linux 6.17. */
const XDP = {
  MMAP_OFFSETS: 1,
  RX_RING: 2,
  TX_RING: 3,
  UMEM_REG: 4,
  UMEM_FILL_RING: 5,
  UMEM_COMPLETION_RING: 6,
  STATISTICS: 7,
  OPTIONS: 8,
  MAX_TX_SKB_BUDGET: 9,
} as const;
type XdpOption = keyof typeof XDP;

/** sxdp_flags: sleep and be woken, and never more than the driver can (a copy, where it has no zero-copy). */
const XDP_COPY = 1 << 1;
const XDP_USE_NEED_WAKEUP = 1 << 3;
const OPTIONS_ZEROCOPY = 1;

/** What the kernel puts in front of each received frame in its chunk, bytes (XDP_PACKET_HEADROOM, uapi/linux/bpf.h). */
export const XSK_HEADROOM_BYTES = 256;

/** Offset in mmap of each ring; also the order in which `xdp_mmap_offsets` names them. */
const RINGS = {
  rx: { page: 0, entryBytes: 16 },
  tx: { page: 0x8000_0000, entryBytes: 16 },
  fill: { page: 0x1_0000_0000, entryBytes: 8 },
  completion: { page: 0x1_8000_0000, entryBytes: 8 },
} as const;
export type XskRingName = keyof typeof RINGS;
export const XSK_RINGS = Object.keys(RINGS) as readonly XskRingName[];

/** Where the parts of a ring are in its mapping, bytes from its start. */
export interface XskRing {
  /** What mmap's offset has to be. */
  readonly page: number;
  readonly producer: number;
  readonly consumer: number;
  readonly entries: number;
  readonly flags: number;
  /** All of it. */
  readonly bytes: number;
}

/** Frames of a UMEM, and entries of each of its socket's rings; a power of two. */
export interface XskShape {
  readonly frames: number;
  /** Bytes of a frame, 2048 or 4096. */
  readonly frameBytes: number;
}

function setOption(fd: number, option: XdpOption, value: Uint8Array): void {
  checked(`setsockopt XDP_${option}`, libc().setsockopt(fd, SOL_XDP, XDP[option], value, value.length));
}

/** What the kernel knows of an option; shorter than asked for where it is an older one. */
function getOption(fd: number, option: XdpOption, bytes: number): DataView {
  const value = new Uint8Array(bytes);
  const length = new Uint8Array(Uint32Array.of(bytes).buffer);
  checked(`getsockopt XDP_${option}`, libc().getsockopt(fd, SOL_XDP, XDP[option], value, length));
  return new DataView(value.buffer);
}

const words = (...values: readonly number[]) => new Uint8Array(Uint32Array.from(values).buffer);

/**
 * Open a socket over frames that lie at an address: registered with the kernel, which keeps them in memory, and with four
 * rings that are to be mapped. It receives and sends once it is bound.
 * @param address of the first frame, a multiple of the page
 * @param batch   frames that one call sends at most, where the kernel lets that be said
 * @throws SysError SYS_CALL: EAFNOSUPPORT without AF_XDP, EPERM without CAP_NET_RAW, ENOBUFS past RLIMIT_MEMLOCK
 */
export function openXsk(address: bigint, shape: XskShape, batch: number, sendBufferBytes: number): number {
  const fd = checked('socket AF_XDP', libc().socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0));
  try {
    const { frames, frameBytes } = shape;
    const region = new Uint8Array(32);
    const view = new DataView(region.buffer);
    view.setBigUint64(0, address, true);
    view.setBigUint64(8, BigInt(frames * frameBytes), true);
    view.setUint32(16, frameBytes, true);
    setOption(fd, 'UMEM_REG', region);
    for (const ring of ['UMEM_FILL_RING', 'UMEM_COMPLETION_RING', 'RX_RING', 'TX_RING'] as const)
      setOption(fd, ring, words(frames));
    // Neither is there in every kernel or with every right: the defaults have to do then.
    libc().setsockopt(fd, SOL_XDP, XDP.MAX_TX_SKB_BUDGET, words(batch), 4);
    libc().setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, words(sendBufferBytes), 4);
    return fd;
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
}

/** Where each ring's words are in its mapping. @throws SysError SYS_CALL */
export function xskRings(fd: number, { frames }: XskShape): Readonly<Record<XskRingName, XskRing>> {
  // Four struct xdp_ring_offset: producer, consumer, desc, flags, u64 each.
  const view = getOption(fd, 'MMAP_OFFSETS', 4 * 32);
  const ringOf = (name: XskRingName, index: number): XskRing => {
    const word = (i: number) => Number(view.getBigUint64(index * 32 + i * 8, true));
    const { page, entryBytes } = RINGS[name];
    const entries = word(2);
    return {
      page,
      producer: word(0),
      consumer: word(1),
      entries,
      flags: word(3),
      bytes: entries + frames * entryBytes,
    };
  };
  return {
    rx: ringOf('rx', 0),
    tx: ringOf('tx', 1),
    fill: ringOf('fill', 2),
    completion: ringOf('completion', 3),
  };
}

/**
 * Bind a socket to a receive queue: without a copy where the driver can do that.
 * @throws SysError SYS_CALL: EBUSY where another socket has the queue, EINVAL where there is no such queue
 */
export function bindXsk(fd: number, ifindex: number, queue: number, copy = false): void {
  const address = new Uint8Array(16);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_XDP, true);
  view.setUint16(2, XDP_USE_NEED_WAKEUP | (copy ? XDP_COPY : 0), true);
  view.setUint32(4, ifindex, true);
  view.setUint32(8, queue, true);
  checked('bind AF_XDP', libc().bind(fd, address, address.length));
}

/** Whether a bound socket's frames are the driver's own: nothing is copied. @throws SysError SYS_CALL */
export function isZeroCopy(fd: number): boolean {
  return (getOption(fd, 'OPTIONS', 4).getUint32(0, true) & OPTIONS_ZEROCOPY) !== 0;
}

/** Reads a socket's statistics; gives the frames that it had no room for since it was opened. */
export class XskStatistics {
  // struct xdp_statistics: rx_dropped first, rx_ring_full fourth; an empty fill ring is in the first.
  readonly #value = new Uint8Array(48);
  readonly #length = words(48);
  readonly #view = new DataView(this.#value.buffer);

  readDrops(fd: number): bigint {
    if (libc().getsockopt(fd, SOL_XDP, XDP.STATISTICS, this.#value, this.#length) < 0) return 0n;
    return this.#view.getBigUint64(0, true) + this.#view.getBigUint64(24, true);
  }
}
