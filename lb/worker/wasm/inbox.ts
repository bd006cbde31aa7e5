// Frames from worker to worker: each has an inbox, a ring of slots that all may fill and its owner empties, in the order
// of the claims. A slot is claimed by a swap of its own word, and whoever finds the tail behind moves it on: a sender
// that dies at any point leaves either nothing, or a claim with its name, which the pool gives up for it.
// (Positions wrap after 2³² frames, laps after 2³⁰: a sender that was not scheduled for so long is not provided for.)
import {
  CPU_BLOCK_BYTES, CPU_BLOCKS_OFFSET, CPU_PUMP, XDP_MD_DATA, XDP_MD_DATA_END, XDP_MD_DATA_META,
} from "../../bpf/memory/layout";
import {
  COUNTER_HANDED_OVER, COUNTER_REDIRECT_NO_TARGET, COUNTER_REDIRECT_QUEUE_FULL, INBOX_HEADER_BYTES, INBOX_SLOT_EXTRA_BYTES,
  INBOX_SLOTS, INBOX_TAIL, PUMP_FRAME_BYTES, PUMP_INBOX_COUNT, PUMP_INBOX_HEAD, PUMP_INBOXES, PUMP_SLEEPS, PUMP_TO_WAKE,
  PUMP_TO_WAKE_WORDS, PUMP_WORKERS, SLOT_ABANDONED, SLOT_DATA, SLOT_END, SLOT_META, SLOT_PROGRAM, SLOT_READY, SLOT_WORD,
} from "../layout";
import { block, count, word } from "./block";

@external("env", "cpu") declare const cpu: i32;

const LAP_MASK: u32 = 0xffffff00;

/** Some worker was handed a frame, and not looked at yet. */
let isAnyToWake: bool = false;

@inline export function slotBytes(): u32 {
  return word(PUMP_FRAME_BYTES) + INBOX_SLOT_EXTRA_BYTES;
}

@inline function inboxOf(worker: u32): u32 {
  return word(PUMP_INBOXES) + worker * (INBOX_HEADER_BYTES + INBOX_SLOTS * slotBytes());
}

@inline function slotAt(inbox: u32, position: u32): u32 {
  return inbox + INBOX_HEADER_BYTES + (position % INBOX_SLOTS) * slotBytes();
}

/** The word of a free slot at a position; only the lap's lower 24 bits are left of it. */
@inline function freeAt(position: u32): u32 {
  return (position / INBOX_SLOTS) << 8;
}

/** Hands the frame of the context to a worker, for the program of that number; counts what became of it. */
export function handOver(context: u32, worker: u32, program: u32): void {
  if (worker >= word(PUMP_WORKERS)) {
    count(COUNTER_REDIRECT_NO_TARGET, 1);
    return;
  }
  const slot = claim(inboxOf(worker));
  if (slot == 0) {
    count(COUNTER_REDIRECT_QUEUE_FULL, 1);
    return;
  }
  fill(slot, context, program);
  atomic.store<u32>(slot + SLOT_WORD, load<u32>(slot + SLOT_WORD) | SLOT_READY);
  const bits = block + CPU_PUMP + PUMP_TO_WAKE + (worker >> 6) * 8;
  store<u64>(bits, load<u64>(bits) | (<u64>1 << (worker & 63)));
  isAnyToWake = true;
  count(COUNTER_HANDED_OVER, 1);
}

/** A slot that is this worker's to fill, or 0 where all wait to be taken. */
function claim(inbox: u32): u32 {
  while (true) {
    const tail = atomic.load<u32>(inbox + INBOX_TAIL);
    const slot = slotAt(inbox, tail);
    const free = freeAt(tail);
    const found = atomic.load<u32>(slot + SLOT_WORD);
    if (found == free) {
      if (atomic.cmpxchg<u32>(slot + SLOT_WORD, free, free | <u32>(cpu + 1)) != free) continue;
      atomic.cmpxchg<u32>(inbox + INBOX_TAIL, tail, tail + 1);
      return slot;
    }
    // Of the lap before: not emptied yet. Of this lap or a later one: somebody was here, and the tail is behind.
    if (<i32>((found & LAP_MASK) - free) < 0) return 0;
    atomic.cmpxchg<u32>(inbox + INBOX_TAIL, tail, tail + 1);
  }
}

function fill(slot: u32, context: u32, program: u32): void {
  const data = load<u32>(context + XDP_MD_DATA);
  const first = min(load<u32>(context + XDP_MD_DATA_META), data);
  const length = load<u32>(context + XDP_MD_DATA_END) - first;
  // What comes from a ring always fits behind the headroom; what grew in another slot does with less of it.
  const start = min(INBOX_SLOT_EXTRA_BYTES, slotBytes() - length);
  store<u32>(slot + SLOT_PROGRAM, program);
  store<u32>(slot + SLOT_META, start);
  store<u32>(slot + SLOT_DATA, start + (data - first));
  store<u32>(slot + SLOT_END, start + length);
  // Without a program nobody looks at it: the host's stack has its own copy.
  if (program != 0) memory.copy(slot + start, first, length);
}

/** State of the slot that is next after `taken` frames in hand: SLOT_READY, SLOT_ABANDONED, or another where none is. */
@inline function stateAfter(taken: u32): u32 {
  const position = word(PUMP_INBOX_HEAD) + taken;
  return atomic.load<u32>(slotAt(inboxOf(cpu), position) + SLOT_WORD) - freeAt(position);
}

/** True when this worker's inbox has something to take. */
export function isHandedOver(): bool {
  if (word(PUMP_WORKERS) == 0) return false;
  const state = stateAfter(0);
  return state == SLOT_READY || state == SLOT_ABANDONED;
}

/**
 * Takes the next slot of this worker's inbox; it stays taken until `releaseHandedOver`.
 * @returns 0 where none is ready, NO_FRAME for one that was given up
 */
export function takeHandedOver(): u32 {
  const taken = word(PUMP_INBOX_COUNT);
  const state = stateAfter(taken);
  if (state != SLOT_READY && state != SLOT_ABANDONED) return 0;
  // Before the frame is touched: whoever recovers must know that it may be half rewritten.
  store<u32>(block + CPU_PUMP + PUMP_INBOX_COUNT, taken + 1);
  return state == SLOT_READY ? slotAt(inboxOf(cpu), word(PUMP_INBOX_HEAD) + taken) : NO_FRAME;
}
export const NO_FRAME: u32 = 1;

/** Gives the slots in hand back to the senders. */
export function releaseHandedOver(): void {
  for (let left = word(PUMP_INBOX_COUNT); left != 0; left--) {
    const position = word(PUMP_INBOX_HEAD);
    const at = slotAt(inboxOf(cpu), position) + SLOT_WORD;
    // One who died in here may have freed it, and a sender claimed it since.
    if (((atomic.load<u32>(at) ^ freeAt(position)) & LAP_MASK) == 0) atomic.store<u32>(at, freeAt(position + INBOX_SLOTS));
    // Head and count at once.
    store<u64>(block + CPU_PUMP + PUMP_INBOX_HEAD, (<u64>(left - 1) << 32) | (position + 1));
  }
}

/** Says to the others whether this worker waits. */
export function setSleeping(isSleeping: bool): void {
  atomic.store<u32>(block + CPU_PUMP + PUMP_SLEEPS, u32(isSleeping));
}

/** The next worker that was handed a frame and sleeps, which the caller wakes; -1 when there is none any more. */
export function nextSleeper(): i32 {
  if (!isAnyToWake) return -1;
  for (let i: u32 = 0; i < <u32>PUMP_TO_WAKE_WORDS; i++) {
    const at = block + CPU_PUMP + PUMP_TO_WAKE + i * 8;
    for (let bits = load<u64>(at); bits != 0; bits = load<u64>(at)) {
      store<u64>(at, bits & (bits - 1));
      const worker = i * 64 + <u32>ctz(bits);
      const sleeps = <u32>CPU_BLOCKS_OFFSET + worker * CPU_BLOCK_BYTES + CPU_PUMP + PUMP_SLEEPS;
      if (atomic.load<u32>(sleeps) != 0 && atomic.cmpxchg<u32>(sleeps, 1, 0) == 1) return worker;
    }
  }
  isAnyToWake = false;
  return -1;
}
