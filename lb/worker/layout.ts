// What the pump and the TypeScript around it share. Plain integer constants only, like lb/bpf/memory/layout.ts.

// Words at CPU_PUMP of a CPU block; the pool writes all but the batch.
/** u32: arena offset of the ring. */
export const PUMP_RING = 0;
/** u32: frames in the ring. */
export const PUMP_FRAMES = 4;
/** u32: bytes from one frame to the next. */
export const PUMP_FRAME_BYTES = 8;
/** u32, the worker writes: next frame to be looked at, and first of the batch in hand. */
export const PUMP_BATCH_START = 12;
/** u32, the worker writes: frames taken and not given back. */
export const PUMP_BATCH_COUNT = 16;
/** u32: number of the interface. */
export const PUMP_IFINDEX = 20;
/** u64: address of arena offset 0 in this process. */
export const PUMP_BASE = 24;

// Index of each u64 at CPU_COUNTERS; names and meaning in counters.ts.
export const COUNTER_RECEIVED = 0;
export const COUNTER_RECEIVED_BYTES = 1;
export const COUNTER_TRANSMITTED = 2;
export const COUNTER_TRANSMITTED_BYTES = 3;
export const COUNTER_PASSED = 4;
export const COUNTER_DROPPED = 5;
export const COUNTER_ABORTED = 6;
export const COUNTER_INVALID_VERDICT = 7;
export const COUNTER_REDIRECT_UNSUPPORTED = 8;
export const COUNTER_TRUNCATED = 9;
export const COUNTER_OTHER_HOST = 10;
export const COUNTER_CHECKSUM_FILLED = 11;
export const COUNTER_CHECKSUM_UNFIXABLE = 12;
export const COUNTER_VLAN_RESTORED = 13;
export const COUNTER_SEND_QUEUE_FULL = 14;
export const COUNTER_SEND_TOO_LONG = 15;
export const COUNTER_SEND_REFUSED = 16;
export const COUNTER_RING_FULL = 17;
export const COUNTER_LOST_AT_RESTART = 18;
export const COUNTER_BATCHES = 19;
export const COUNTER_WAKEUPS = 20;
export const COUNTER_PROGRAM_RUNS = 21;
export const COUNTER_PROGRAM_NS = 22;
export const COUNTER_REDIRECTED = 23;
export const COUNTER_REDIRECTED_BYTES = 24;
export const COUNTER_REDIRECT_OVERFLOW = 25;
export const COUNTER_REDIRECT_NO_TARGET = 26;
