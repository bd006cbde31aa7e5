// bpf_snprintf, bpf_trace_printk, bpf_trace_vprintk. Lines go to the CPU's own ring, which helpers/trace-log.ts reads.
import {
  CPU_CLOCK_NS, CPU_TRACE, TRACE_ARGUMENTS, TRACE_HEADER_BYTES, TRACE_LINE, TRACE_LINE_BYTES, TRACE_LOST, TRACE_READ,
  TRACE_RING, TRACE_RING_BYTES, TRACE_WRITTEN,
} from "../../memory/layout";
import { block } from "../../maps/wasm/memory";
import { EINVAL } from "../../maps/uapi";
import { printFormat } from "./format";
import { checkFormat } from "./format-check";

/** Arguments of a bpf_trace_printk, and the most of the others (MAX_BPRINTF_VARARGS). */
const PRINTK_ARGUMENTS: u32 = 3;
const ARGUMENTS_MAX: u32 = 12;

/** Are `bytes` at `args` a number of u64 that the kernel takes? */
@inline function areArguments(args: u64, bytes: u32): bool {
  return !(bytes & 7) && bytes <= 8 * ARGUMENTS_MAX && (!bytes || args != 0);
}

/** The text's length with its NUL, also where it does not fit. */
export function bpf_snprintf(to: u64, size: u64, format: u64, args: u64, bytes: u64): i64 {
  if (!areArguments(args, <u32>bytes)) return -EINVAL;
  const status = checkFormat(<usize>format, u32.MAX_VALUE, <usize>args, <u32>bytes / 8);
  if (status < 0) return status;
  return <i64>printFormat(<usize>format, <usize>args, <usize>to, <u32>size) + 1;
}

export function bpf_trace_printk(format: u64, size: u64, first: u64, second: u64, third: u64): i64 {
  const args = block + CPU_TRACE + TRACE_ARGUMENTS;
  store<u64>(args, first);
  store<u64>(args, second, 8);
  store<u64>(args, third, 16);
  return trace(<usize>format, <u32>size, args, PRINTK_ARGUMENTS);
}

export function bpf_trace_vprintk(format: u64, size: u64, args: u64, bytes: u64): i64 {
  if (!areArguments(args, <u32>bytes)) return -EINVAL;
  return trace(<usize>format, <u32>size, <usize>args, <u32>bytes / 8);
}

/** @returns the line's length, or a negative errno */
function trace(format: usize, size: u32, args: usize, count: u32): i64 {
  const status = checkFormat(format, size, args, count);
  if (status < 0) return status;
  const line = block + CPU_TRACE + TRACE_LINE;
  const length = printFormat(format, args, line, TRACE_LINE_BYTES);
  append(line, min<u32>(length, TRACE_LINE_BYTES - 1));
  return length;
}

/** Writes a line to the ring, or counts it where there is no room: a program never waits. */
function append(line: usize, bytes: u32): void {
  const log = block + CPU_TRACE;
  const written = load<u32>(log, TRACE_WRITTEN);
  const kept = written - atomic.load<u32>(log, TRACE_READ);
  if (kept + TRACE_HEADER_BYTES + bytes > <u32>TRACE_RING_BYTES) {
    atomic.store<u32>(log, load<u32>(log, TRACE_LOST) + 1, TRACE_LOST);
    return;
  }
  // A header of the line's own, so that header and text wrap around the ring's end alike.
  const time = load<u64>(block, CPU_CLOCK_NS);
  for (let i: u32 = 0; i < 4; i++) putByte(log, written + i, bytes >> (8 * i));
  for (let i: u32 = 0; i < 8; i++) putByte(log, written + 4 + i, <u32>(time >> (8 * i)));
  for (let i: u32 = 0; i < bytes; i++) putByte(log, written + TRACE_HEADER_BYTES + i, load<u8>(line + i));
  atomic.store<u32>(log, written + TRACE_HEADER_BYTES + bytes, TRACE_WRITTEN);
}

@inline function putByte(log: usize, position: u32, byte: u32): void {
  store<u8>(log + (position & (TRACE_RING_BYTES - 1)), <u8>byte, TRACE_RING);
}
