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

/** In the block's scratch: three struct pollfd, a u64 to be written to doorbells, and one that is read from the own. */
const SCRATCH_ONE = 24;
const SCRATCH_SINK = 32;
const SCRATCH_BYTES = 40;

/** Why the kernel did not take a frame. */
export type SendFaultKind = 'queue-full' | 'too-long' | 'refused';

/** The system calls of one worker. They work on addresses in the arena that are made once: a call allocates nothing. */
export class WorkerIo {
  /** Bound when the worker starts: a thread must not be ended while it binds native functions. */
  readonly #libc = libc();
  readonly #receiver: number;
  readonly #sender: number;
  readonly #statistics = new RingStatistics();
  readonly #doorbell: number;
  readonly #doorbells: readonly number[];
  /** revents of the struct pollfd of receiver and doorbell. */
  readonly #received: Int16Array;
  readonly #rung: Int16Array;
  /** Of a u64 that is 1, and of a place for another. */
  readonly #one: bigint;
  readonly #sink: bigint;
  readonly #receivePoll: bigint;
  readonly #sendPoll: bigint;
  readonly #timespec: bigint;
  readonly #messages: readonly bigint[];

  /**
   * @param doorbells those of all workers, in their order
   * @param block     arena offset of the worker's CPU block
   * @param base      address of arena offset 0
   */
  constructor(options: {
    receiver: number;
    sender: number;
    doorbell: number;
    doorbells: readonly number[];
    memory: WebAssembly.Memory;
    block: number;
    base: bigint;
  }) {
    const { receiver, sender, doorbell, doorbells, memory, block } = options;
    this.#receiver = receiver;
    this.#sender = sender;
    this.#doorbell = doorbell;
    this.#doorbells = doorbells;
    // struct pollfd: fd, events, revents; those that are waited for together first, in the block's scratch.
    const polls = new DataView(memory.buffer, block + CPU_SCRATCH, SCRATCH_BYTES);
    polls.setInt32(0, receiver, true);
    polls.setInt16(4, POLLIN, true);
    polls.setInt32(8, doorbell, true);
    polls.setInt16(12, POLLIN, true);
    polls.setInt32(16, sender, true);
    polls.setInt16(20, POLLOUT, true);
    polls.setBigUint64(SCRATCH_ONE, 1n, true);
    this.#received = new Int16Array(memory.buffer, block + CPU_SCRATCH + 6, 1);
    this.#rung = new Int16Array(memory.buffer, block + CPU_SCRATCH + 14, 1);
    const address = options.base + BigInt(block);
    this.#receivePoll = address + BigInt(CPU_SCRATCH);
    this.#sendPoll = this.#receivePoll + 16n;
    this.#one = this.#receivePoll + BigInt(SCRATCH_ONE);
    this.#sink = this.#receivePoll + BigInt(SCRATCH_SINK);
    this.#timespec = address + BigInt(CPU_TIMESPEC);
    this.#messages = Array.from(
      { length: MMSG_CAPACITY },
      (_, i) => address + BigInt(CPU_MMSGHDRS + i * MMSGHDR_BYTES),
    );
  }

  /** Wait for a frame, from the link or another worker; false when none came in time, or the socket has an error to take. */
  wait(timeoutMs: number): boolean {
    if (this.#libc.poll(this.#receivePoll, 2, timeoutMs) <= 0) return false;
    const isRung = (this.#rung[0]! & POLLIN) !== 0;
    if (isRung) this.#libc.readAt(this.#doorbell, this.#sink, 8);
    return isRung || (this.#received[0]! & POLLIN) !== 0;
  }

  /** End another worker's wait, or its next one if it does not wait. */
  wake(worker: number): void {
    this.#libc.writeAt(this.#doorbells[worker]!, this.#one, 8);
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
