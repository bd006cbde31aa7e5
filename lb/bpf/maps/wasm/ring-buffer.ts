// RINGBUF (kernel/bpf/ringbuf.c's semantics): many producers, one consumer, records in the order of their reservation.
//
// A reservation writes the header, marked busy and signed by its CPU, and then moves RING_PRODUCED on, under a lock; a
// commit is one exchange of the header's length. What a CPU that died had reserved bears its sign (ringRecover).
import {
  MAP_MAX_ENTRIES, RECORD_BUSY, RECORD_DISCARDED, RECORD_HEADER_BYTES, RECORD_LENGTH, RECORD_OWNER_SHIFT,
  RECORD_PLACE, RING_CONSUMED, RING_DATA, RING_LOCK, RING_MAP, RING_PAGE_BYTES, RING_PAGE_SHIFT, RING_PRODUCED,
  RING_STATE_BYTES, RING_WAKE, RING_WAKER,
} from "../../memory/layout";
import {
  BPF_RB_AVAIL_DATA, BPF_RB_CONS_POS, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP, BPF_RB_PROD_POS, BPF_RB_RING_SIZE,
  EAGAIN, EINVAL,
} from "../uapi";
import { copy, lock, me, unlock, wake } from "./memory";

/** RINGBUF_MAX_RECORD_SZ: the two highest bits of a length are flags. */
const MAX_RECORD_BYTES: u64 = 0x3fffffff;
const FLAG_BITS: u32 = <u32>(RECORD_BUSY | RECORD_DISCARDED);

@inline export function stateOf(map: usize): usize { return load<u32>(map, RING_DATA) - RING_STATE_BYTES; }
@inline function roundedRecord(length: u32): u32 { return (length + RECORD_HEADER_BYTES + 7) & ~7; }
@inline function dataOf(state: usize): usize { return state + RING_STATE_BYTES; }

export function ringInit(map: usize): void {
  // The plan leaves a page to spare.
  const data = (<u32>load<u32>(map, RING_DATA) + RING_STATE_BYTES + RING_PAGE_BYTES - 1) & ~(RING_PAGE_BYTES - 1);
  store<u32>(map, data, RING_DATA);
  const state = stateOf(map);
  store<u32>(state, <u32>map, RING_MAP);
  store<u32>(state, <u32>state + RING_WAKE, RING_WAKER);
}

/** Address of a new record's data, or 0 where there is no room. The record is busy until it is committed. */
export function ringReserve(map: usize, size: u64): usize {
  if (size > MAX_RECORD_BYTES) return 0;
  const bytes = roundedRecord(<u32>size);
  const capacity = load<u32>(map, MAP_MAX_ENTRIES);
  if (bytes > capacity) return 0;
  const state = stateOf(map);
  if (!lock(state + RING_LOCK)) return 0;
  const from = load<u64>(state, RING_PRODUCED);
  const to = from + bytes;
  if (to - atomic.load<u64>(state, RING_CONSUMED) > <u64>(capacity - 1)) {
    unlock(state + RING_LOCK);
    return 0;
  }
  const place = <u32>from & (capacity - 1);
  const header = dataOf(state) + place;
  store<u32>(header, <u32>size | <u32>RECORD_BUSY, RECORD_LENGTH);
  store<u32>(header, place >> RING_PAGE_SHIFT | me() << RECORD_OWNER_SHIFT, RECORD_PLACE);
  atomic.store<u64>(state, to, RING_PRODUCED);
  unlock(state + RING_LOCK);
  return header + RECORD_HEADER_BYTES;
}

@inline function wakeConsumer(state: usize): void {
  const waker = <usize>load<u32>(state, RING_WAKER);
  atomic.add<u32>(waker, 1);
  wake(waker);
}

/** Lets the consumer have the record, or pass over it; wakes it where it stands before this very record. */
export function ringCommit(record: usize, flags: u64, discard: u32): void {
  const header = record - RECORD_HEADER_BYTES;
  const page = load<u32>(header, RECORD_PLACE) & ((1 << RECORD_OWNER_SHIFT) - 1);
  const data = (header & ~(RING_PAGE_BYTES - 1)) - (page << RING_PAGE_SHIFT);
  const state = data - RING_STATE_BYTES;
  const length = load<u32>(header, RECORD_LENGTH) & ~FLAG_BITS;
  // An exchange, not a store: the position below must not be read before it is done.
  atomic.xchg<u32>(header, length | discard, RECORD_LENGTH);
  const capacity = load<u32>(load<u32>(state, RING_MAP), MAP_MAX_ENTRIES);
  const stands = <u32>atomic.load<u64>(state, RING_CONSUMED) & (capacity - 1);
  if (flags & BPF_RB_FORCE_WAKEUP) wakeConsumer(state);
  else if (!(flags & BPF_RB_NO_WAKEUP) && data + stands == header) wakeConsumer(state);
}

/** The consumer's next record: address of its data, or 0. Discarded ones are passed over. */
export function ring_peek(map: usize): usize {
  const state = stateOf(map);
  const capacity = load<u32>(map, MAP_MAX_ENTRIES);
  let at = load<u64>(state, RING_CONSUMED);
  while (at < atomic.load<u64>(state, RING_PRODUCED)) {
    const header = dataOf(state) + (<u32>at & (capacity - 1));
    const word = atomic.load<u32>(header, RECORD_LENGTH);
    if (word & <u32>RECORD_BUSY) return 0;
    if (!(word & <u32>RECORD_DISCARDED)) return header + RECORD_HEADER_BYTES;
    at += roundedRecord(word & ~FLAG_BITS);
    atomic.store<u64>(state, at, RING_CONSUMED);
  }
  return 0;
}

/** Gives back the room of the record that `ring_peek` gave. */
export function ring_release(map: usize, record: usize): void {
  const state = stateOf(map);
  const bytes = roundedRecord(load<u32>(record - RECORD_HEADER_BYTES, RECORD_LENGTH) & ~FLAG_BITS);
  atomic.store<u64>(state, load<u64>(state, RING_CONSUMED) + bytes, RING_CONSUMED);
}

export function bpf_ringbuf_reserve(map: u64, size: u64, flags: u64): u64 {
  return flags ? 0 : ringReserve(<usize>map, size);
}

export function bpf_ringbuf_submit(record: u64, flags: u64): i64 {
  ringCommit(<usize>record, flags, 0);
  return 0;
}

export function bpf_ringbuf_discard(record: u64, flags: u64): i64 {
  ringCommit(<usize>record, flags, <u32>RECORD_DISCARDED);
  return 0;
}

export function bpf_ringbuf_output(map: u64, data: u64, size: u64, flags: u64): i64 {
  if (flags & ~<u64>(BPF_RB_NO_WAKEUP | BPF_RB_FORCE_WAKEUP)) return -EINVAL;
  const record = ringReserve(<usize>map, size);
  if (!record) return -EAGAIN;
  copy(record, <usize>data, <u32>size);
  ringCommit(record, flags, 0);
  return 0;
}

export function bpf_ringbuf_query(map: u64, what: u64): u64 {
  const state = stateOf(<usize>map);
  const consumed = atomic.load<u64>(state, RING_CONSUMED);
  const produced = atomic.load<u64>(state, RING_PRODUCED);
  switch (<u32>(what < 4 ? what : 4)) {
    case BPF_RB_AVAIL_DATA: return produced - consumed;
    case BPF_RB_RING_SIZE: return load<u32>(<usize>map, MAP_MAX_ENTRIES);
    case BPF_RB_CONS_POS: return consumed;
    case BPF_RB_PROD_POS: return produced;
    default: return 0;
  }
}

/** Opens the lock and discards what the CPU had reserved. A header that it wrote but not counted does not exist. */
export function ringRecover(map: usize, dead: u32): void {
  const state = stateOf(map);
  if (atomic.load<u32>(state, RING_LOCK) == dead + 1) unlock(state + RING_LOCK);
  const capacity = load<u32>(map, MAP_MAX_ENTRIES);
  const end = atomic.load<u64>(state, RING_PRODUCED);
  let at = atomic.load<u64>(state, RING_CONSUMED);
  while (at < end) {
    const header = dataOf(state) + (<u32>at & (capacity - 1));
    const word = atomic.load<u32>(header, RECORD_LENGTH);
    const owner = atomic.load<u32>(header, RECORD_PLACE) >> RECORD_OWNER_SHIFT;
    // What the consumer has passed meanwhile may have become another record's data.
    const consumed = atomic.load<u64>(state, RING_CONSUMED);
    if (consumed > at) {
      at = consumed;
      continue;
    }
    if ((word & <u32>RECORD_BUSY) && owner == dead + 1) {
      ringCommit(header + RECORD_HEADER_BYTES, 0, <u32>RECORD_DISCARDED);
    }
    at += roundedRecord(word & ~FLAG_BITS);
  }
  // It may have died between a commit and the call that wakes.
  wakeConsumer(state);
}
