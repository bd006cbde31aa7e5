import { CPU_COUNTERS } from '../bpf/memory/layout.js';
import * as layout from './layout.js';

/**
 * What a worker counts, by name: each frame that was not forwarded is under one of these. Index of each in the
 * CPU block's counters.
 */
export const WORKER_COUNTERS = {
  /** Frames taken from the ring, and their bytes on the wire. */
  received: layout.COUNTER_RECEIVED,
  received_bytes: layout.COUNTER_RECEIVED_BYTES,
  /** Frames that the kernel took for sending on the worker's interface, and their bytes with the outer header. */
  transmitted: layout.COUNTER_TRANSMITTED,
  transmitted_bytes: layout.COUNTER_TRANSMITTED_BYTES,
  /** XDP_PASS: not for a VIP; the host's stack has its own copy. */
  passed: layout.COUNTER_PASSED,
  /** XDP_PASS of a frame that was steered away from the host, which cannot have it back (af_xdp). */
  passed_lost: layout.COUNTER_PASSED_LOST,
  /** XDP_DROP: the program's own counters say why. */
  dropped: layout.COUNTER_DROPPED,
  /** XDP_ABORTED: the program failed. */
  aborted: layout.COUNTER_ABORTED,
  /** A verdict that is none. */
  invalid_verdict: layout.COUNTER_INVALID_VERDICT,
  /** Frames that the kernel took for sending on another interface (XDP_REDIRECT), and their bytes. */
  redirected: layout.COUNTER_REDIRECTED,
  redirected_bytes: layout.COUNTER_REDIRECTED_BYTES,
  /** Frames handed to another worker (CPUMAP), and those that this one took over: what became of them is counted here. */
  handed_over: layout.COUNTER_HANDED_OVER,
  taken_over: layout.COUNTER_TAKEN_OVER,
  /** XDP_REDIRECT to a worker that has as many frames waiting as it may have. */
  redirect_queue_full: layout.COUNTER_REDIRECT_QUEUE_FULL,
  /** XDP_REDIRECT without a target: no helper was called, nobody is there, or the target's program is not loaded. */
  redirect_no_target: layout.COUNTER_REDIRECT_NO_TARGET,
  /** Copies of a frame for all interfaces of a map that did not fit a round's sending. */
  redirect_overflow: layout.COUNTER_REDIRECT_OVERFLOW,
  /** XDP_REDIRECT that this engine does not do: to a socket, or to all interfaces where an element has a program. */
  redirect_unsupported: layout.COUNTER_REDIRECT_UNSUPPORTED,
  /** The frame did not fit the ring's frames: only its head was there. */
  truncated: layout.COUNTER_TRUNCATED,
  /** The frame was sent to another host's MAC address. */
  other_host: layout.COUNTER_OTHER_HOST,
  /** Checksums that a local sender had left to its NIC, filled in. */
  checksum_filled: layout.COUNTER_CHECKSUM_FILLED,
  /** Such a checksum in something that is neither TCP nor UDP, or not all there. */
  checksum_unfixable: layout.COUNTER_CHECKSUM_UNFIXABLE,
  /** VLAN tags put back that the kernel had taken off. */
  vlan_restored: layout.COUNTER_VLAN_RESTORED,
  /** Frames that could not be sent: the queue of the socket or the interface was full. */
  send_queue_full: layout.COUNTER_SEND_QUEUE_FULL,
  /** The frame with its outer header is longer than the interface's MTU. */
  send_too_long: layout.COUNTER_SEND_TOO_LONG,
  /** Refused for another reason; the log names the errno. */
  send_refused: layout.COUNTER_SEND_REFUSED,
  /** The ring had no room: the kernel threw the frame away. */
  ring_full: layout.COUNTER_RING_FULL,
  /** For the balancer, and came by a receive queue that nobody serves: it was added while the engine ran (af_xdp). */
  no_socket: layout.COUNTER_NO_SOCKET,
  /** In hand when a worker died. */
  lost_at_restart: layout.COUNTER_LOST_AT_RESTART,
  /** Rounds with at least one frame, and returns from poll(2). */
  batches: layout.COUNTER_BATCHES,
  wakeups: layout.COUNTER_WAKEUPS,
  /** Runs of the program, and the time of the batches that they were in, ns: with what hands it the frames. */
  program_runs: layout.COUNTER_PROGRAM_RUNS,
  program_ns: layout.COUNTER_PROGRAM_NS,
} as const;
export type WorkerCounter = keyof typeof WORKER_COUNTERS;
export const WORKER_COUNTER_NAMES = Object.keys(WORKER_COUNTERS) as readonly WorkerCounter[];

/** The counters of one CPU block; the pump adds, anybody may read. */
export class CounterCells {
  readonly #cells: BigUint64Array<ArrayBufferLike>;

  /** @param block offset of the CPU block in `memory` */
  constructor(memory: WebAssembly.Memory, block: number) {
    const count = Math.max(...Object.values(WORKER_COUNTERS)) + 1;
    this.#cells = new BigUint64Array(memory.buffer, block + CPU_COUNTERS, count);
  }

  read(): Readonly<Record<WorkerCounter, bigint>> {
    const entries = WORKER_COUNTER_NAMES.map((name) => [
      name,
      Atomics.load(this.#cells, WORKER_COUNTERS[name]),
    ]);
    return Object.fromEntries(entries) as Record<WorkerCounter, bigint>;
  }
}
