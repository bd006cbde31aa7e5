import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { checked, EAGAIN, ENOBUFS, fromLibc, lastErrno, libc, MSG_DONTWAIT } from '../../lb/sys/libc.js';
import { closeSocket, findLink, type LinkInfo } from '../../lb/sys/socket.js';

const CLONE_NEWNS = 0x00020000;
const CLONE_NEWNET = 0x40000000;

const unshare = (flags: number): void => {
  checked('unshare', fromLibc<(flags: number) => number>('int unshare(int flags)')(flags));
};

/** Run a function in the network namespace of another process; it must not wait. */
export function inNetworkOf<T>(pid: number, run: () => T): T {
  const setns = fromLibc<(fd: number, type: number) => number>('int setns(int fd, int type)');
  const own = openSync('/proc/thread-self/ns/net', 'r');
  const other = openSync(`/proc/${pid}/ns/net`, 'r');
  try {
    checked('setns', setns(other, CLONE_NEWNET));
    return run();
  } finally {
    checked('setns', setns(own, CLONE_NEWNET));
    closeSync(own);
    closeSync(other);
  }
}

/** Run a command line, words between single spaces; gives its standard output. */
export function sh(command: string): string {
  const [file, ...args] = command.split(' ');
  return execFileSync(file!, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}

/**
 * Move the thread that calls, with the threads and processes that it starts from now on, to a network namespace of
 * its own. It has no name and goes away with the process: nothing of the machine's network is touched. Needs root.
 */
export function enterNamespace(): void {
  unshare(CLONE_NEWNET);
  sh('ip link set lo up');
}

/** Run a function while the folder of the system's tools (nft among them) is empty for this process alone. */
export async function withoutTools<T>(run: () => Promise<T>): Promise<T> {
  unshare(CLONE_NEWNS);
  sh('mount --make-rprivate /');
  sh('mount -t tmpfs none /usr/sbin');
  try {
    return await run();
  } finally {
    sh('umount /usr/sbin');
  }
}

/** A pair of connected interfaces, both up, that say nothing by themselves. */
export function addVeth(name: string, peer: string, options: { mac?: string; mtu?: number } = {}): LinkInfo {
  const { mac = '02:aa:bb:cc:dd:ee', mtu = 1600 } = options;
  sh(`ip link add ${name} address ${mac} mtu ${mtu} type veth peer name ${peer} mtu ${mtu}`);
  for (const device of [name, peer]) {
    sh(`ip link set ${device} addrgenmode none`);
    sh(`ip link set ${device} up`);
  }
  const link = findLink(name);
  if (!link) throw new Error(`no ${name}`);
  return link;
}

const AF_PACKET = 17;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const ETH_P_ALL = 3;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
const SOL_PACKET = 263;
const PACKET_VNET_HDR = 15;
const PACKET_IGNORE_OUTGOING = 23;
const RECEIVE_BUFFER_BYTES = 64 * 2 ** 20;
const MAX_FRAME_BYTES = 70_000;
const VNET_HEADER_BYTES = 10;
const VNET_NEEDS_CHECKSUM = 1;

/** The far end of a link: sends frames as they are, and gives those that came. */
export class Wire {
  #isOpen = true;
  readonly #fd: number;
  readonly #buffer = new Uint8Array(MAX_FRAME_BYTES);

  constructor(device: string) {
    const link = findLink(device);
    if (!link) throw new Error(`no ${device}`);
    this.#fd = checked('socket', libc().socket(AF_PACKET, SOCK_RAW_CLOEXEC, 0));
    this.#set(SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER_BYTES);
    this.#set(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1);
    const address = new Uint8Array(20);
    const view = new DataView(address.buffer);
    view.setUint16(0, AF_PACKET, true);
    view.setUint16(2, ETH_P_ALL, false);
    view.setInt32(4, link.index, true);
    checked('bind', libc().bind(this.#fd, address, address.length));
  }

  send(frame: Uint8Array): void {
    for (;;) {
      if (libc().send(this.#fd, frame, frame.length, 0) >= 0) return;
      if (lastErrno() !== ENOBUFS) checked('send', -1);
    }
  }

  /** Send a frame whose checksum is left to the NIC: it covers what is from `start` on, its field is at `field`. */
  sendPartial(frame: Uint8Array, start: number, field: number): void {
    const header = new Uint8Array(VNET_HEADER_BYTES);
    const view = new DataView(header.buffer);
    view.setUint8(0, VNET_NEEDS_CHECKSUM);
    view.setUint16(6, start, true);
    view.setUint16(8, field - start, true);
    this.#set(SOL_PACKET, PACKET_VNET_HDR, 1);
    this.send(Uint8Array.of(...header, ...frame));
    this.#set(SOL_PACKET, PACKET_VNET_HDR, 0);
  }

  /** The frames that came since the last call. */
  received(): Uint8Array[] {
    const frames: Uint8Array[] = [];
    for (;;) {
      const length = libc().recv(this.#fd, this.#buffer, this.#buffer.length, MSG_DONTWAIT);
      if (length >= 0) frames.push(this.#buffer.slice(0, length));
      else if (lastErrno() === EAGAIN) return frames;
      else checked('recv', length);
    }
  }

  /** Idempotent: the number may be another socket's by the second time. */
  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    closeSocket(this.#fd);
  }

  #set(level: number, option: number, value: number): void {
    const bytes = new Uint8Array(Uint32Array.of(value).buffer);
    checked('setsockopt', libc().setsockopt(this.#fd, level, option, bytes, bytes.length));
  }
}
