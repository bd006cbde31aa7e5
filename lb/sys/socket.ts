import { checked, lastErrno, libc, SysError } from './libc.js';

const AF_INET = 2;
const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const ETH_P_ALL = 0x0003;

const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_SNDBUFFORCE = 32;
const SOL_PACKET = 263;

/** Options of AF_PACKET sockets (uapi/linux/if_packet.h). */
const PACKET = {
  RX_RING: 5,
  STATISTICS: 6,
  VERSION: 10,
  RESERVE: 12,
  FANOUT: 18,
  QDISC_BYPASS: 20,
  IGNORE_OUTGOING: 23,
} as const;
const TPACKET_V2 = 1;
const FANOUT_HASH = 0;
const FANOUT_FLAG_UNIQUE_ID = 0x2000;

const IFREQ_BYTES = 40;
const IFNAMSIZ = 16;
const SIOCGIFFLAGS = 0x8913;
const SIOCGIFMTU = 0x8921;
const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;
const IFF_UP = 1;
/** The loopback's is another, though its frames look alike. */
const ARPHRD_ETHER = 1;
const ENODEV = 19;

function words(...values: readonly number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

function setPacketOption(fd: number, option: keyof typeof PACKET, ...values: readonly number[]): void {
  const bytes = words(...values);
  checked(
    `setsockopt PACKET_${option}`,
    libc().setsockopt(fd, SOL_PACKET, PACKET[option], bytes, bytes.length),
  );
}

function bindToInterface(fd: number, ifindex: number, protocol: number): void {
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_PACKET, true);
  view.setUint16(2, protocol, false);
  view.setInt32(4, ifindex, true);
  checked('bind', libc().bind(fd, address, address.length));
}

/** Close a descriptor. */
export function closeSocket(fd: number): void {
  libc().close(fd);
}

/** A packet socket that receives nothing yet. */
function openPacketSocket(): number {
  // Protocol 0: nothing is queued before the ring is there.
  return checked('socket AF_PACKET', libc().socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
}

export interface RingShape {
  readonly frames: number;
  readonly frameBytes: number;
  /** Bytes of a block: what the kernel allocates at once, a multiple of the frame and of the page. */
  readonly blockBytes: number;
  /** Room before each frame for the outer header. */
  readonly headroomBytes: number;
}

/**
 * Open a socket with a receive ring (TPACKET_V2) for every frame of the interface but those that this host sends.
 * Receives once `startReceiving` is called.
 * @throws SysError SYS_CALL
 */
export function openReceiver(shape: RingShape): number {
  const fd = openPacketSocket();
  try {
    setPacketOption(fd, 'VERSION', TPACKET_V2);
    setPacketOption(fd, 'RESERVE', shape.headroomBytes);
    const blocks = (shape.frames * shape.frameBytes) / shape.blockBytes;
    setPacketOption(fd, 'RX_RING', shape.blockBytes, blocks, shape.frameBytes, shape.frames);
    setPacketOption(fd, 'IGNORE_OUTGOING', 1);
    return fd;
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
}

/**
 * Bind a receiver to the interface and join the group that shares its frames by flow hash.
 * @param group of the first receiver, undefined for the first itself
 * @returns the group
 */
export function startReceiving(fd: number, ifindex: number, group: number | undefined): number {
  bindToInterface(fd, ifindex, ETH_P_ALL);
  if (group !== undefined) {
    setPacketOption(fd, 'FANOUT', group | (FANOUT_HASH << 16));
    return group;
  }
  setPacketOption(fd, 'FANOUT', (FANOUT_HASH | FANOUT_FLAG_UNIQUE_ID) << 16);
  const value = words(0);
  const length = words(value.length);
  checked('getsockopt PACKET_FANOUT', libc().getsockopt(fd, SOL_PACKET, PACKET.FANOUT, value, length));
  return new DataView(value.buffer).getUint16(0, true);
}

/** A socket that sends whole frames on the interface, past its queueing discipline, and receives nothing. */
export function openSender(ifindex: number, bufferBytes: number): number {
  const fd = openPacketSocket();
  try {
    setPacketOption(fd, 'QDISC_BYPASS', 1);
    const bytes = words(bufferBytes);
    // Without CAP_NET_ADMIN the default has to do.
    libc().setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, bytes, bytes.length);
    bindToInterface(fd, ifindex, 0);
    return fd;
  } catch (error) {
    closeSocket(fd);
    throw error;
  }
}

/** Reads and resets a receiver's statistics; gives the frames that its ring had no room for. */
export class RingStatistics {
  readonly #value = new Uint8Array(8);
  readonly #length = words(8);
  readonly #view = new DataView(this.#value.buffer);

  readDrops(fd: number): number {
    if (libc().getsockopt(fd, SOL_PACKET, PACKET.STATISTICS, this.#value, this.#length) < 0) return 0;
    return this.#view.getUint32(4, true);
  }
}

/** Errno that waits on a socket (its link went down), which this call clears; 0 where there is none. */
export function takeSocketError(fd: number): number {
  const value = words(0);
  libc().getsockopt(fd, SOL_SOCKET, SO_ERROR, value, words(value.length));
  return new DataView(value.buffer).getUint32(0, true);
}

/** What is to be known of a network interface. */
export interface LinkInfo {
  readonly name: string;
  readonly index: number;
  /** Six bytes. */
  readonly mac: Uint8Array;
  readonly mtu: number;
  readonly isUp: boolean;
  /** Its frames begin with an Ethernet header, and go to others: neither a tunnel nor the loopback. */
  readonly isEthernet: boolean;
}

/** Run a function with a socket that ioctls of interfaces can go through. */
export function withControlSocket<T>(use: (fd: number) => T): T {
  const fd = checked('socket AF_INET', libc().socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  try {
    return use(fd);
  } finally {
    closeSocket(fd);
  }
}

/** A struct ifreq with the interface's name. */
export function interfaceRequest(name: string): Uint8Array {
  const request = new Uint8Array(IFREQ_BYTES);
  request.set(new TextEncoder().encode(name).subarray(0, IFNAMSIZ - 1));
  return request;
}

/**
 * @returns undefined where there is no such interface
 * @throws SysError SYS_CALL
 */
export function findLink(name: string): LinkInfo | undefined {
  if (name.length === 0 || new TextEncoder().encode(name).length >= IFNAMSIZ) return undefined;
  return withControlSocket((fd) => {
    const ask = (request: number): DataView | undefined => {
      const bytes = interfaceRequest(name);
      if (libc().ioctl(fd, request, bytes) >= 0) return new DataView(bytes.buffer, IFNAMSIZ);
      if (lastErrno() === ENODEV) return undefined;
      throw new SysError(
        { code: 'SYS_CALL', call: 'ioctl', errno: String(lastErrno()) },
        `asking for interface ${name} failed`,
      );
    };
    const index = ask(SIOCGIFINDEX);
    const flags = ask(SIOCGIFFLAGS);
    const mtu = ask(SIOCGIFMTU);
    const hardware = ask(SIOCGIFHWADDR);
    if (!index || !flags || !mtu || !hardware) return undefined;
    // struct sockaddr: family, then the address.
    const mac = Uint8Array.from({ length: 6 }, (_, i) => hardware.getUint8(2 + i));
    return {
      name,
      index: index.getInt32(0, true),
      mtu: mtu.getInt32(0, true),
      mac,
      isUp: (flags.getUint16(0, true) & IFF_UP) !== 0,
      isEthernet: hardware.getUint16(0, true) === ARPHRD_ETHER,
    };
  });
}
