// The rings of an AF_XDP queue: one producer and one consumer each, the kernel at one end and this worker at the other
// (kernel: Documentation/networking/af_xdp.rst). What a batch does to them is written down first and done then.
import {
  ADDRESS_BYTES, DESC_BYTES, DESC_LENGTH, DESC_OPTIONS, RING_CONSUMER, RING_ENTRIES, RING_FLAGS, RING_NEED_WAKEUP,
  RING_PRODUCER, XSK_COMMIT, XSK_COMPLETION, XSK_DROPS_COUNTED, XSK_FILL, XSK_FRAMES, XSK_MASK,
  XSK_NEXT_COMPLETION_CONSUMER, XSK_NEXT_FILL_PRODUCER, XSK_NEXT_RX_CONSUMER, XSK_NEXT_TX_PRODUCER, XSK_RX, XSK_TAKEN,
  XSK_TX, XSK_TX_COUNTED,
} from "../../io/xsk-layout";
import {
  COUNTER_LOST_AT_RESTART, COUNTER_RING_FULL, COUNTER_SEND_QUEUE_FULL, COUNTER_TRANSMITTED, COUNTER_TRANSMITTED_BYTES,
  XSK_FIRST, XSK_STRIDE,
} from "../layout";
import { count, word } from "./block";

/** State of a worker's queue, by its place among those of the worker. */
@inline export function queueAt(index: u32): u32 {
  return word(XSK_FIRST) + index * word(XSK_STRIDE);
}

@inline function position(queue: u32, end: u32): u32 {
  return atomic.load<u32>(load<u32>(queue + end));
}

/** Arena offset of a ring's entry. */
@inline export function entry(queue: u32, ring: u32, at: u32, bytes: u32): u32 {
  return load<u32>(queue + ring + RING_ENTRIES) + (at & load<u32>(queue + XSK_MASK)) * bytes;
}

/** Next entry of the receive ring to be looked at, and how many there are. */
@inline export function receivePosition(queue: u32): u32 {
  return position(queue, XSK_RX + RING_CONSUMER);
}
@inline export function receivable(queue: u32): u32 {
  return position(queue, XSK_RX + RING_PRODUCER) - position(queue, XSK_RX + RING_CONSUMER);
}
/** First entry of the fill and of the transmit ring that is free. */
@inline export function fillPosition(queue: u32): u32 {
  return position(queue, XSK_FILL + RING_PRODUCER);
}
@inline export function sendPosition(queue: u32): u32 {
  return position(queue, XSK_TX + RING_PRODUCER);
}

/** Entries of the transmit ring that the kernel has not taken. */
export function unsent(index: u32): u32 {
  const queue = queueAt(index);
  return position(queue, XSK_TX + RING_PRODUCER) - position(queue, XSK_TX + RING_CONSUMER);
}

/**
 * Frames that were given to be sent and are not in the fill ring again: not sent yet, or sent and not given back. Both
 * positions began at 0, and each entry of the one ring comes back as one of the other.
 */
export function outstanding(index: u32): u32 {
  const queue = queueAt(index);
  return position(queue, XSK_TX + RING_PRODUCER) - position(queue, XSK_COMPLETION + RING_CONSUMER);
}

/** Whether the kernel waits to be called before it sends, or before it takes frames of the fill ring. */
export function mustKickSend(index: u32): u32 {
  return atomic.load<u32>(load<u32>(queueAt(index) + XSK_TX + RING_FLAGS)) & RING_NEED_WAKEUP;
}
export function mustKickReceive(index: u32): u32 {
  return atomic.load<u32>(load<u32>(queueAt(index) + XSK_FILL + RING_FLAGS)) & RING_NEED_WAKEUP;
}

/** Writes a frame's chunk into the fill ring. */
@inline export function putFill(queue: u32, at: u32, chunk: u32): void {
  store<u64>(entry(queue, XSK_FILL, at, ADDRESS_BYTES), <u64>chunk);
}

/** Writes the bytes from `start` to `end`, arena offsets within one chunk, into the transmit ring. */
@inline export function putSend(queue: u32, at: u32, start: u32, end: u32): void {
  const desc = entry(queue, XSK_TX, at, DESC_BYTES);
  store<u64>(desc, <u64>(start - load<u32>(queue + XSK_FRAMES)));
  store<u32>(desc + DESC_LENGTH, end - start);
  store<u32>(desc + DESC_OPTIONS, 0);
}

/**
 * Writes frames that the kernel has sent into the fill ring, from `fillAt` on, as part of a batch.
 * @returns the fill ring's position behind them; where the completion ring then stands is in the queue's words
 */
@inline export function fillWithSent(queue: u32, fillAt: u32, frameMask: u32): u32 {
  let at = position(queue, XSK_COMPLETION + RING_CONSUMER);
  const end = position(queue, XSK_COMPLETION + RING_PRODUCER);
  for (; at != end; at++) {
    putFill(queue, fillAt, load<u32>(entry(queue, XSK_COMPLETION, at, ADDRESS_BYTES)) & frameMask);
    fillAt += 1;
  }
  store<u32>(queue + XSK_NEXT_COMPLETION_CONSUMER, at);
  return fillAt;
}

/** Writes down what a batch does to the rings; from here on it is done, whoever does it. */
@inline export function commit(queue: u32, receiveAt: u32, fillAt: u32, sendAt: u32): void {
  store<u32>(queue + XSK_NEXT_RX_CONSUMER, receiveAt);
  store<u32>(queue + XSK_NEXT_FILL_PRODUCER, fillAt);
  store<u32>(queue + XSK_NEXT_TX_PRODUCER, sendAt);
  atomic.store<u32>(queue + XSK_COMMIT, 1);
}

/** Does it. Nothing but this worker moves these ends of the rings: to do it twice is to do it once. */
@inline export function publish(queue: u32): void {
  atomic.store<u32>(load<u32>(queue + XSK_TX + RING_PRODUCER), load<u32>(queue + XSK_NEXT_TX_PRODUCER));
  atomic.store<u32>(load<u32>(queue + XSK_FILL + RING_PRODUCER), load<u32>(queue + XSK_NEXT_FILL_PRODUCER));
  atomic.store<u32>(load<u32>(queue + XSK_RX + RING_CONSUMER), load<u32>(queue + XSK_NEXT_RX_CONSUMER));
  atomic.store<u32>(load<u32>(queue + XSK_COMPLETION + RING_CONSUMER), load<u32>(queue + XSK_NEXT_COMPLETION_CONSUMER));
  // Taken and commit at once.
  store<u64>(queue + XSK_TAKEN, 0);
}

/** Finishes or takes back the batch of a thread that died: its frames may be half rewritten, and are lost. */
export function recoverQueue(index: u32, frameMask: u32): void {
  const queue = queueAt(index);
  if (load<u32>(queue + XSK_COMMIT) != 0) {
    publish(queue);
    return;
  }
  const taken = load<u32>(queue + XSK_TAKEN);
  const receiveAt = receivePosition(queue);
  let fillAt = fillWithSent(queue, fillPosition(queue), frameMask);
  for (let i: u32 = 0; i < taken; i++) {
    putFill(queue, fillAt, load<u32>(entry(queue, XSK_RX, receiveAt + i, DESC_BYTES)) & frameMask);
    fillAt += 1;
  }
  commit(queue, receiveAt + taken, fillAt, sendPosition(queue));
  count(COUNTER_LOST_AT_RESTART, taken);
  publish(queue);
}

/** Counts what the kernel took from the transmit ring since the last call; the last `failed` of it was not sent. */
export function countSent(index: u32, failed: u32): void {
  const queue = queueAt(index);
  const end = position(queue, XSK_TX + RING_CONSUMER);
  let at = load<u32>(queue + XSK_TX_COUNTED);
  if (at == end) return;
  let bytes: u64 = 0;
  const sent = end - at - failed;
  for (let left = sent; left != 0; left--) bytes += load<u32>(entry(queue, XSK_TX, at++, DESC_BYTES) + DESC_LENGTH);
  store<u32>(queue + XSK_TX_COUNTED, end);
  count(COUNTER_TRANSMITTED, sent);
  count(COUNTER_TRANSMITTED_BYTES, bytes);
  count(COUNTER_SEND_QUEUE_FULL, failed);
}

/** Counts the frames that the kernel had no room for, of which there were `total` since the socket was opened. */
export function countDrops(index: u32, total: u64): void {
  const queue = queueAt(index);
  const counted = load<u64>(queue + XSK_DROPS_COUNTED);
  if (total <= counted) return;
  store<u64>(queue + XSK_DROPS_COUNTED, total);
  count(COUNTER_RING_FULL, total - counted);
}
