/** A program and those that it can go on in by a tail call, by the numbers that slots of a PROG_ARRAY hold. */
export interface WorkerProgram {
  readonly entry: WebAssembly.Module;
  readonly targets: readonly { readonly number: number; readonly module: WebAssembly.Module }[];
}

/** AF_PACKET: sockets that are opened for the pool; they and the ring outlive the thread. */
export interface PacketLane {
  readonly kind: 'packet';
  readonly receiver: number;
  readonly sender: number;
  /** What wakes this worker, and what wakes each worker. */
  readonly doorbell: number;
  readonly doorbells: readonly number[];
}

/** AF_XDP: a socket for each queue of the worker; they and their rings outlive the thread. */
export interface XskLane {
  readonly kind: 'xsk';
  readonly fds: readonly number[];
}

/** Where a worker gets its frames from. */
export type Lane = PacketLane | XskLane;

/** What the pool hands a worker when it starts it. */
export interface WorkerData {
  readonly memory: WebAssembly.Memory;
  /** The worker's number, which is its CPU. */
  readonly cpu: number;
  readonly program: WorkerProgram;
  readonly pump: WebAssembly.Module;
  readonly generation: number;
  readonly lane: Lane;
  /** Address of arena offset 0. */
  readonly base: bigint;
}

/** Pool → worker: run this program from the next batch on. */
export interface SwapMessage {
  readonly kind: 'swap';
  readonly program: WorkerProgram;
  readonly generation: number;
}

/** Worker → pool: the kernel refused to send, or took the link away. */
export interface IoFault {
  readonly kind: 'io-fault';
  readonly what: 'send' | 'receive';
  readonly errno: string;
}

/** What a worker is doing; it writes CPU_STATE. */
export const WORKER_STATE = { none: 0, running: 1, stopped: 2 } as const;
