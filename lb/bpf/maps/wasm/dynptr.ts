// struct bpf_dynptr over memory and ring-buffer records (kernel/bpf/helpers.c's semantics).
import {
  DYNPTR_DATA, DYNPTR_OFFSET, DYNPTR_READ_ONLY, DYNPTR_SIZE, DYNPTR_SIZE_MASK, RECORD_DISCARDED,
} from "../../memory/layout";
import { E2BIG, EINVAL } from "../uapi";
import { ringCommit, ringReserve } from "./ring-buffer";

@inline function clear(at: usize): void {
  store<u64>(at, 0);
  store<u64>(at, 0, 8);
}

@inline function set(at: usize, data: usize, size: u32): void {
  store<u64>(at, <u64>data, DYNPTR_DATA);
  store<u32>(at, size, DYNPTR_SIZE);
  store<u32>(at, 0, DYNPTR_OFFSET);
}

@inline function dataOf(at: usize): usize { return <usize>load<u64>(at, DYNPTR_DATA); }
@inline function isReadOnly(at: usize): bool { return (load<u32>(at, DYNPTR_SIZE) & <u32>DYNPTR_READ_ONLY) != 0; }

/** Do `length` bytes from `offset` lie in the memory? (bpf_dynptr_check_off_len) */
@inline function fits(at: usize, offset: u64, length: u64): bool {
  const size = <u64>(load<u32>(at, DYNPTR_SIZE) & DYNPTR_SIZE_MASK);
  return length <= size && offset <= size - length;
}

@inline function addressOf(at: usize, offset: u64): usize {
  return dataOf(at) + load<u32>(at, DYNPTR_OFFSET) + <usize>offset;
}

/** The dynptr is set whatever happens: the verifier wants it given back even after a failure. */
export function bpf_ringbuf_reserve_dynptr(map: u64, size: u64, flags: u64, dynptr: u64): i64 {
  const at = <usize>dynptr;
  clear(at);
  const bytes = <u32>size;
  if (flags) return -EINVAL;
  if (bytes > <u32>DYNPTR_SIZE_MASK) return -E2BIG;
  const record = ringReserve(<usize>map, bytes);
  if (!record) return -EINVAL;
  set(at, record, bytes);
  return 0;
}

function commit(at: usize, flags: u64, discard: u32): void {
  const record = dataOf(at);
  if (record) ringCommit(record, flags, discard);
  clear(at);
}

export function bpf_ringbuf_submit_dynptr(dynptr: u64, flags: u64): i64 {
  commit(<usize>dynptr, flags, 0);
  return 0;
}

export function bpf_ringbuf_discard_dynptr(dynptr: u64, flags: u64): i64 {
  commit(<usize>dynptr, flags, <u32>RECORD_DISCARDED);
  return 0;
}

export function bpf_dynptr_from_mem(data: u64, size: u64, flags: u64, dynptr: u64): i64 {
  const at = <usize>dynptr;
  clear(at);
  if (<u32>size > <u32>DYNPTR_SIZE_MASK) return -E2BIG;
  if (flags) return -EINVAL;
  set(at, <usize>data, <u32>size);
  return 0;
}

export function bpf_dynptr_read(to: u64, length: u64, dynptr: u64, offset: u64, flags: u64): i64 {
  const at = <usize>dynptr;
  if (!dataOf(at) || flags) return -EINVAL;
  if (!fits(at, offset, length)) return -E2BIG;
  // The two may be one memory.
  memory.copy(<usize>to, addressOf(at, offset), <usize>length);
  return 0;
}

export function bpf_dynptr_write(dynptr: u64, offset: u64, from: u64, length: u64, flags: u64): i64 {
  const at = <usize>dynptr;
  if (!dataOf(at) || isReadOnly(at)) return -EINVAL;
  if (!fits(at, offset, length)) return -E2BIG;
  if (flags) return -EINVAL;
  memory.copy(addressOf(at, offset), <usize>from, <usize>length);
  return 0;
}

/** Address of `length` bytes from `offset`, or 0. */
export function bpf_dynptr_data(dynptr: u64, offset: u64, length: u64): u64 {
  const at = <usize>dynptr;
  if (!dataOf(at) || !fits(at, offset, length) || isReadOnly(at)) return 0;
  return addressOf(at, offset);
}
