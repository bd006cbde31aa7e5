import {
  CPU_MMSGHDRS,
  CPU_SCRATCH,
  CPU_TIMESPEC,
  MMSG_CAPACITY,
  MMSGHDR_BYTES,
} from '../bpf/memory/layout.js';
import { errnoName } from '../sys/errno.js';
import {
  CLOCK_MONOTONIC,
  EAGAIN,
  EINTR,
  EMSGSIZE,
  ENOBUFS,
  lastErrno,
  libc,
  MSG_DONTWAIT,
  POLLERR,
  POLLIN,
  POLLOUT,
} from '../sys/libc.js';
import { RingStatistics, takeSocketError } from '../sys/socket.js';

/** Why the kernel did not take a frame. */
export type SendFaultKind = 'queue-full' | 'too-long' | 'refused';

/** The system calls of one worker. They work on addresses in the arena that are made once: a call allocates nothing. */
export class WorkerIo {
  /** Bound when the worker starts: a thread must not be ended while it binds native functions. */
  readonly #libc = libc();
  readonly #receiver: number;
  readonly #sender: number;
  readonly #statistics = new RingStatistics();
  /** revents of the receiver's struct pollfd. */
  readonly #received: Int16Array;
  readonly #receivePoll: bigint;
  readonly #sendPoll: bigint;
  readonly #timespec: bigint;
  readonly #messages: readonly bigint[];

  /**
   * @param block arena offset of the worker's CPU block
   * @param base  address of arena offset 0
   */
  constructor(options: {
    receiver: number;
    sender: number;
    memory: WebAssembly.Memory;
    block: number;
    base: bigint;
  }) {
    const { receiver, sender, memory, block } = options;
    this.#receiver = receiver;
    this.#sender = sender;
    // struct pollfd: fd, events, revents; one for each socket, in the block's scratch.
    const polls = new DataView(memory.buffer, block + CPU_SCRATCH, 16);
    polls.setInt32(0, receiver, true);
    polls.setInt16(4, POLLIN, true);
    polls.setInt32(8, sender, true);
    polls.setInt16(12, POLLOUT, true);
    this.#received = new Int16Array(memory.buffer, block + CPU_SCRATCH + 6, 1);
    const address = options.base + BigInt(block);
    this.#receivePoll = address + BigInt(CPU_SCRATCH);
    this.#sendPoll = this.#receivePoll + 8n;
    this.#timespec = address + BigInt(CPU_TIMESPEC);
    this.#messages = Array.from(
      { length: MMSG_CAPACITY },
      (_, i) => address + BigInt(CPU_MMSGHDRS + i * MMSGHDR_BYTES),
    );
  }

  /** Wait for a frame; false when none came in time, or the socket has an error to take. */
  wait(timeoutMs: number): boolean {
    return this.#libc.poll(this.#receivePoll, 1, timeoutMs) > 0 && (this.#received[0]! & POLLIN) !== 0;
  }

  /**
   * The error that made `wait` return at once, such as ENETDOWN when the link went down; undefined where it did not.
   * It stays on the socket until it is taken; the socket receives again when the link is up again.
   */
  takeError(): string | undefined {
    if ((this.#received[0]! & POLLERR) === 0) return undefined;
    this.#received[0] = 0;
    const errno = takeSocketError(this.#receiver);
    return errno === 0 ? undefined : errnoName(errno);
  }

  /** Write the monotonic clock to CPU_TIMESPEC. */
  readClock(): void {
    this.#libc.clockGettime(CLOCK_MONOTONIC, this.#timespec);
  }

  /**
   * Send entries of the message array from `first` up to `end`, without waiting.
   * @returns how many the kernel took, at least 1; or the negative errno of the first
   */
  send(first: number, end: number): number {
    for (;;) {
      const taken = this.#libc.sendmmsg(this.#sender, this.#messages[first]!, end - first, MSG_DONTWAIT);
      if (taken > 0) return taken;
      const errno = lastErrno();
      if (errno !== EINTR) return -errno;
    }
  }

  /** Wait until the send queue has room, or the time is over. */
  waitForRoom(timeoutMs: number): void {
    this.#libc.poll(this.#sendPoll, 1, timeoutMs);
  }

  /** Frames that the ring had no room for since the last call. */
  readRingDrops(): number {
    return this.#statistics.readDrops(this.#receiver);
  }
}

/** True where the queue may have room in a moment. */
export function isQueueFull(errno: number): boolean {
  return errno === EAGAIN;
}

/** What an errno of `send` means, and its name for the log. */
export function sendFaultOf(errno: number): { kind: SendFaultKind; name: string } {
  const kind =
    errno === EAGAIN || errno === ENOBUFS ? 'queue-full' : errno === EMSGSIZE ? 'too-long' : 'refused';
  return { kind, name: errnoName(errno) };
}
