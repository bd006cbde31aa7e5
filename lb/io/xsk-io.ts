import { CPU_SCRATCH, CPU_TIMESPEC } from '../bpf/memory/layout.js';
import { errnoName } from '../sys/errno.js';
import { CLOCK_MONOTONIC, EINTR, lastErrno, libc, MSG_DONTWAIT, POLLIN } from '../sys/libc.js';
import { takeSocketError } from '../sys/socket.js';
import { XskStatistics } from '../sys/xsk.js';

const POLLFD_BYTES = 8;
const POLLFD_REVENTS = 6;

/** The system calls of one worker over AF_XDP sockets. A call allocates nothing, but for `takeError`, after a wait in vain. */
export class XskIo {
  /** Bound when the worker starts: a thread must not be ended while it binds native functions. */
  readonly #libc = libc();
  readonly #fds: readonly number[];
  readonly #statistics = new XskStatistics();
  readonly #polls: DataView;
  readonly #pollAddress: bigint;
  readonly #timespec: bigint;

  /**
   * @param fds   sockets of the worker's queues, in their order
   * @param block arena offset of the worker's CPU block
   * @param base  address of arena offset 0
   */
  constructor(options: {
    readonly fds: readonly number[];
    readonly memory: WebAssembly.Memory;
    readonly block: number;
    readonly base: bigint;
  }) {
    const { fds, memory, block, base } = options;
    this.#fds = fds;
    this.#polls = new DataView(memory.buffer, block + CPU_SCRATCH, fds.length * POLLFD_BYTES);
    for (const [i, fd] of fds.entries()) {
      this.#polls.setInt32(i * POLLFD_BYTES, fd, true);
      this.#polls.setInt16(i * POLLFD_BYTES + 4, POLLIN, true);
    }
    const address = base + BigInt(block);
    this.#pollAddress = address + BigInt(CPU_SCRATCH);
    this.#timespec = address + BigInt(CPU_TIMESPEC);
  }

  /** Wait for a frame; false when none came in time. Sends what waits to be sent. */
  wait(timeoutMs: number): boolean {
    if (this.#libc.poll(this.#pollAddress, this.#fds.length, timeoutMs) <= 0) return false;
    for (let i = 0; i < this.#fds.length; i++) {
      if ((this.#polls.getInt16(i * POLLFD_BYTES + POLLFD_REVENTS, true) & POLLIN) !== 0) return true;
    }
    return false;
  }

  /**
   * The error that waits on the sockets, such as ENETDOWN when their interface is gone; undefined where none does. To be
   * asked after a wait in vain: poll tells no errors of these sockets (kernel: net/xdp/xsk.c, xsk_poll). All are taken at
   * once: the sockets are of one interface, and what becomes of that is told once.
   */
  takeError(): string | undefined {
    let first = 0;
    for (const fd of this.#fds) {
      const errno = takeSocketError(fd);
      if (first === 0) first = errno;
    }
    return first === 0 ? undefined : errnoName(first);
  }

  /** Write the monotonic clock to CPU_TIMESPEC. */
  readClock(): void {
    this.#libc.clockGettime(CLOCK_MONOTONIC, this.#timespec);
  }

  /** Have the kernel send what is in a queue's transmit ring; gives 0, or the errno. */
  kickSend(index: number): number {
    for (;;) {
      if (this.#libc.kickSend(this.#fds[index]!, 0n, 0, MSG_DONTWAIT) >= 0) return 0;
      const errno = lastErrno();
      if (errno !== EINTR) return errno;
    }
  }

  /** Have the kernel look at a queue's fill ring. */
  kickReceive(index: number): void {
    this.#libc.kickReceive(this.#fds[index]!, 0n, 0, MSG_DONTWAIT);
  }

  /** Frames that a queue's socket had no room for since it was opened. */
  readDrops(index: number): bigint {
    return this.#statistics.readDrops(this.#fds[index]!);
  }
}
