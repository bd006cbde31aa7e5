import type { Arena } from '../memory/arena.js';
import {
  CPU_TRACE,
  TRACE_HEADER_BYTES,
  TRACE_LOST,
  TRACE_READ,
  TRACE_RING,
  TRACE_RING_BYTES,
  TRACE_WRITTEN,
} from '../memory/layout.js';

/** A line that a program printed with bpf_trace_printk or bpf_trace_vprintk. */
export interface TraceLine {
  readonly cpu: number;
  /** The monotonic clock as the program saw it (bpf_ktime_get_ns), ns. */
  readonly timeNs: bigint;
  /** At most 1,023 bytes of UTF-8; a line break at its end is left out. */
  readonly text: string;
}

/**
 * Read the lines that programs printed on a CPU since the last time; each CPU's ring has one reader. A program never
 * waits for the reader: lines that find no room are counted.
 * @param visit called with each line, oldest first
 * @returns lines that were lost since the arena was made, modulo 2³²
 * @throws ArenaError ARENA_CPU
 */
export function readTraceLog(arena: Arena, cpu: number, visit: (line: TraceLine) => void): number {
  const log = arena.block(cpu) + CPU_TRACE;
  const word = (offset: number) => (log + offset) >>> 2;
  const written = Atomics.load(arena.u32, word(TRACE_WRITTEN));
  let read = Atomics.load(arena.u32, word(TRACE_READ));
  while (read !== written) {
    const header = new DataView(bytesAt(arena, log, read, TRACE_HEADER_BYTES).buffer);
    const length = header.getUint32(0, true);
    const text = new TextDecoder().decode(bytesAt(arena, log, read + TRACE_HEADER_BYTES, length));
    read = (read + TRACE_HEADER_BYTES + length) >>> 0;
    // Given back line by line, so that a visitor that throws has lost none but its own.
    Atomics.store(arena.u32, word(TRACE_READ), read);
    visit({ cpu, timeNs: header.getBigUint64(4, true), text: text.replace(/\n$/, '') });
  }
  return Atomics.load(arena.u32, word(TRACE_LOST));
}

/** A copy of `bytes` bytes of the ring, which may lie around its end. */
function bytesAt(arena: Arena, log: number, position: number, bytes: number): Uint8Array<ArrayBuffer> {
  const ring = arena.u8.subarray(log + TRACE_RING, log + TRACE_RING + TRACE_RING_BYTES);
  const start = position & (TRACE_RING_BYTES - 1);
  const copy = new Uint8Array(bytes);
  const first = ring.subarray(start, start + bytes);
  copy.set(first);
  copy.set(ring.subarray(0, bytes - first.length), first.length);
  return copy;
}
