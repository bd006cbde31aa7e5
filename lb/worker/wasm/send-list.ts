// What a round sends: the entries of the message array, in their order.
import {
  CPU_ADDRESSES, CPU_IOVECS, CPU_MMSGHDRS, CPU_PUMP, IOVEC_BYTES, MMSG_CAPACITY, MMSGHDR_BYTES, SOCKADDR_LL_BYTES,
} from "../../bpf/memory/layout";
import {
  COUNTER_REDIRECTED, COUNTER_REDIRECTED_BYTES, COUNTER_TRANSMITTED, COUNTER_TRANSMITTED_BYTES, PUMP_BASE,
} from "../layout";
import { block, count } from "./block";

// struct msghdr, and struct sockaddr_ll (packet(7)).
const MSG_NAME: u32 = 0;
const MSG_NAMELEN: u32 = 8;
const MSG_IOV: u32 = 16;
const MSG_IOVLEN: u32 = 24;
const SLL_FAMILY: u32 = 0;
const SLL_IFINDEX: u32 = 4;
const AF_PACKET: u16 = 17;

/** Entries of the round in hand. */
export let sending: u32 = 0;
/** Address of arena offset 0. */
let base: u64 = 0;

/** Writes what does not change from frame to frame. */
export function prepareList(): void {
  const base = load<u64>(block + CPU_PUMP + PUMP_BASE);
  for (let i: u32 = 0; i < <u32>MMSG_CAPACITY; i++) {
    const message = block + CPU_MMSGHDRS + i * MMSGHDR_BYTES;
    const address = block + CPU_ADDRESSES + i * SOCKADDR_LL_BYTES;
    memory.fill(message, 0, MMSGHDR_BYTES);
    store<u64>(message + MSG_NAME, base + <u64>address);
    store<u64>(message + MSG_IOV, base + <u64>(block + CPU_IOVECS + i * IOVEC_BYTES));
    store<u64>(message + MSG_IOVLEN, 1);
    memory.fill(address, 0, SOCKADDR_LL_BYTES);
    store<u16>(address + SLL_FAMILY, AF_PACKET);
  }
}

/** Before the frames of a round. */
@inline export function startList(): void {
  sending = 0;
  base = load<u64>(block + CPU_PUMP + PUMP_BASE);
}

/** Sends the bytes from `start` to `end` on the worker's own interface. The list must have room. */
@inline export function listOwn(start: u32, end: u32): void {
  store<u32>(block + CPU_MMSGHDRS + sending * MMSGHDR_BYTES + MSG_NAMELEN, 0);
  list(start, end);
}

/** Sends them on another interface, by its index. The list must have room. */
export function listOther(start: u32, end: u32, ifindex: u32): void {
  store<u32>(block + CPU_ADDRESSES + sending * SOCKADDR_LL_BYTES + SLL_IFINDEX, ifindex);
  store<u32>(block + CPU_MMSGHDRS + sending * MMSGHDR_BYTES + MSG_NAMELEN, SOCKADDR_LL_BYTES);
  list(start, end);
}

@inline function list(start: u32, end: u32): void {
  const vector = block + CPU_IOVECS + sending * IOVEC_BYTES;
  store<u64>(vector, base + <u64>start);
  store<u64>(vector + 8, <u64>(end - start));
  sending += 1;
}

/** Counts the entries from `first` up to `end` as sent: on the own interface, or on another. */
export function countSent(first: u32, end: u32): void {
  let bytes: u64 = 0;
  let others: u64 = 0;
  let otherBytes: u64 = 0;
  for (let i = first; i < end; i++) {
    const length = load<u64>(block + CPU_IOVECS + i * IOVEC_BYTES + 8);
    bytes += length;
    if (load<u32>(block + CPU_MMSGHDRS + i * MMSGHDR_BYTES + MSG_NAMELEN) != 0) {
      others += 1;
      otherBytes += length;
    }
  }
  count(COUNTER_TRANSMITTED, <u64>(end - first) - others);
  count(COUNTER_TRANSMITTED_BYTES, bytes - otherBytes);
  if (others == 0) return;
  count(COUNTER_REDIRECTED, others);
  count(COUNTER_REDIRECTED_BYTES, otherBytes);
}
