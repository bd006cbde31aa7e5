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
/** u32: workers, each with an inbox. */
export const PUMP_WORKERS = 32;
/** u32: arena offset of the first worker's inbox; the others' follow. */
export const PUMP_INBOXES = 36;
/** u32, the worker writes: position of the next frame of its inbox, and first of those in hand; counts on for ever. */
export const PUMP_INBOX_HEAD = 40;
/** u32, the worker writes: frames of its inbox taken and not given back. Next to the head, to be written with it. */
export const PUMP_INBOX_COUNT = 44;
/** 256 bits, the worker's own: CPUs that it handed a frame in the round in hand. */
export const PUMP_TO_WAKE = 64;
export const PUMP_TO_WAKE_WORDS = 4;
/** u32, atomic: 1 while the worker is about to wait or waits; who wakes it sets it to 0. */
export const PUMP_SLEEPS = 128;
/**
 * Of AF_XDP. u32 each: arena offset of the state of the worker's first queue (lb/io/xsk-layout.ts), how many queues it has,
 * and bytes from one to the next.
 */
export const XSK_FIRST = 136;
export const XSK_COUNT = 140;
export const XSK_STRIDE = 144;

// Inbox: frames that other workers hand to this one. A line for the tail, then the slots.
/** u32, atomic, every sender writes: position of the next slot to be claimed, or of one before it. Counts on for ever. */
export const INBOX_TAIL = 0;
export const INBOX_HEADER_BYTES = 128;
export const INBOX_SLOTS = 64;

// Slot: frameBytes + INBOX_SLOT_EXTRA_BYTES of the ring's shape; one at position p is slot p % INBOX_SLOTS.
/** u32, atomic: lap << 8 | state; the lap is p / INBOX_SLOTS, its lower 24 bits. */
export const SLOT_WORD = 0;
/** u32 each: number of the element's program or 0; where metadata, packet and end are, from the slot's start. */
export const SLOT_PROGRAM = 4;
export const SLOT_META = 8;
export const SLOT_DATA = 12;
export const SLOT_END = 16;
/** What programs may grow the frame into begins here; the frame itself is put at INBOX_SLOT_EXTRA_BYTES. */
export const SLOT_HEADER_BYTES = 32;
export const INBOX_SLOT_EXTRA_BYTES = 256;
// States. 0: free; else up to these two: CPU + 1 of the sender that has claimed it.
/** The pool writes: its sender died before the frame was whole. */
export const SLOT_ABANDONED = 254;
export const SLOT_READY = 255;

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
export const COUNTER_REDIRECT_QUEUE_FULL = 27;
export const COUNTER_HANDED_OVER = 28;
export const COUNTER_TAKEN_OVER = 29;
export const COUNTER_PASSED_LOST = 30;
export const COUNTER_NO_SOCKET = 31;
