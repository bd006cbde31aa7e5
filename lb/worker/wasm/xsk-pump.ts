// The pump over AF_XDP queues: takes frames of a receive ring, runs the program on each where it lies, and hands the same
// frame to the transmit ring, or back to the kernel. No copy, no allocation, nothing but this arena. One instance a worker;
// all state is in the arena, so that a new thread goes on where one that died stopped.
import {
  CPU_CLOCK_NS, CPU_REDIRECT, CPU_XDP_MD, REDIRECT_MAP, REDIRECT_TARGET, XDP_MD_DATA, XDP_MD_DATA_END, XDP_MD_DATA_META,
  XDP_MD_EGRESS_IFINDEX, XDP_MD_HARD_END, XDP_MD_HARD_START, XDP_MD_INGRESS_IFINDEX, XDP_MD_RX_QUEUE_INDEX,
} from "../../bpf/memory/layout";
import {
  DESC_BYTES, DESC_LENGTH, XSK_FRAME_BYTES, XSK_FRAMES, XSK_IS_COPIED, XSK_MASK, XSK_MAX_BYTES, XSK_QUEUE, XSK_RX, XSK_TAKEN,
} from "../../io/xsk-layout";
import {
  COUNTER_ABORTED, COUNTER_BATCHES, COUNTER_DROPPED, COUNTER_INVALID_VERDICT, COUNTER_PASSED_LOST, COUNTER_PROGRAM_RUNS,
  COUNTER_RECEIVED, COUNTER_RECEIVED_BYTES, COUNTER_REDIRECT_NO_TARGET, COUNTER_REDIRECT_UNSUPPORTED,
  COUNTER_SEND_TOO_LONG, PUMP_IFINDEX, XSK_COUNT,
} from "../layout";
import { block, count, word } from "./block";
import { fillChecksum, mayLackChecksum } from "./checksum";
import { clock } from "./clock";
import { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX } from "./verdict";
import {
  commit, countSent, entry, fillPosition, fillWithSent, outstanding, publish, putFill, putSend, queueAt, receivable,
  receivePosition, recoverQueue, sendPosition, unsent,
} from "./xsk-queue";

export { add } from "./block";
export { countTime } from "./clock";
export { countDrops, countSent, mustKickReceive, mustKickSend, unsent } from "./xsk-queue";

@external("program", "run") declare function runProgram(context: u32): u32;

const VLAN_TAG_BYTES: u32 = 4;
// As a little-endian machine reads them.
const ETHERTYPE_VLAN: u16 = 0x0081;
const ETHERTYPE_SERVICE_VLAN: u16 = 0xa888;

@inline function frameMask(queue: u32): u32 {
  return ~(load<u32>(queue + XSK_FRAME_BYTES) - 1);
}

/** Writes what does not change from frame to frame. Before the first run. */
export function prepare(): void {
  const context = block + CPU_XDP_MD;
  store<u32>(context + XDP_MD_INGRESS_IFINDEX, word(PUMP_IFINDEX));
  store<u32>(context + XDP_MD_EGRESS_IFINDEX, 0);
}

/** Gives the frames of a batch back that a thread took and did not finish. */
export function recover(): void {
  for (let i: u32 = 0; i < word(XSK_COUNT); i++) recoverQueue(i, frameMask(queueAt(i)));
}

/** True when a frame waits in any queue. */
export function isReady(): u32 {
  for (let i: u32 = 0; i < word(XSK_COUNT); i++) if (receivable(queueAt(i)) != 0) return 1;
  return 0;
}

/** True when a frame waits in one queue. */
export function isQueueReady(index: u32): u32 {
  return u32(receivable(queueAt(index)) != 0);
}

/**
 * True when nothing is to be done before the next frame comes: all is sent, and the kernel has frames to fill. Those are
 * half of all at the least, where no more are on their way out: a frame is on that way, received, or for the kernel to
 * fill. Not told by the fill ring, which a driver that fills frames itself (zero-copy) empties into a ring of its own.
 */
export function isSettled(): u32 {
  for (let i: u32 = 0; i < word(XSK_COUNT); i++) {
    if (unsent(i) != 0 || outstanding(i) > load<u32>(queueAt(i) + XSK_MASK) >> 1) return 0;
  }
  return 1;
}

/** Whether a frame may leave by the interface: as long as the MTU allows, and a tag more where it has one. */
@inline function fits(queue: u32, start: u32, end: u32): bool {
  const most = load<u32>(queue + XSK_MAX_BYTES);
  if (end - start <= most) return true;
  const type = load<u16>(start + 12);
  return end - start <= most + VLAN_TAG_BYTES && (type == ETHERTYPE_VLAN || type == ETHERTYPE_SERVICE_VLAN);
}

/**
 * Whether the way that a helper left leads out by this interface, as XDP_TX does. Another interface's or worker's memory
 * has no room for the frame, which stays in this queue's: what goes there is refused, and counted.
 */
function isWayOut(): bool {
  const way = block + CPU_REDIRECT;
  const map = load<u32>(way + REDIRECT_MAP);
  const target = load<u32>(way + REDIRECT_TARGET);
  store<u32>(way + REDIRECT_MAP, 0);
  store<u32>(way + REDIRECT_TARGET, 0);
  if (map == 0 && target == word(PUMP_IFINDEX)) return true;
  count(map == 0 && target == 0 ? COUNTER_REDIRECT_NO_TARGET : COUNTER_REDIRECT_UNSUPPORTED, 1);
  return false;
}

/**
 * Runs the program on up to `limit` frames of a queue and puts what came of it into the rings, sent frames of before
 * included. The clock must be in CPU_TIMESPEC.
 */
export function run(index: u32, limit: u32): void {
  const queue = queueAt(index);
  const frames = load<u32>(queue + XSK_FRAMES);
  const frameBytes = load<u32>(queue + XSK_FRAME_BYTES);
  const mask = frameMask(queue);
  const context: u32 = block + CPU_XDP_MD;
  // What is sent is counted before its entries can be written again.
  countSent(index, 0);
  store<u64>(block + CPU_CLOCK_NS, clock());
  store<u32>(context + XDP_MD_RX_QUEUE_INDEX, load<u32>(queue + XSK_QUEUE));

  const first = receivePosition(queue);
  const most = min(limit, receivable(queue));
  let fillAt = fillWithSent(queue, fillPosition(queue), mask);
  let sendAt = sendPosition(queue);
  const isCopied = load<u32>(queue + XSK_IS_COPIED) != 0;
  let bytes: u64 = 0;
  let passed: u32 = 0;
  let dropped: u32 = 0;
  let aborted: u32 = 0;
  let invalid: u32 = 0;
  let tooLong: u32 = 0;

  for (let taken: u32 = 0; taken < most; ) {
    const desc = entry(queue, XSK_RX, first + taken, DESC_BYTES);
    taken += 1;
    // Before the frame is touched: whoever recovers must know that it may be half rewritten.
    store<u32>(queue + XSK_TAKEN, taken);
    const address = load<u32>(desc);
    const length = load<u32>(desc + DESC_LENGTH);
    const chunk = address & mask;
    bytes += length;
    // A frame that was copied may come from a host on this machine, whose checksums no NIC filled in: the kernel gives a
    // socket no word of that.
    if (isCopied && mayLackChecksum(frames + address, frames + address + length)) {
      fillChecksum(frames + address, frames + address + length);
    }
    store<u32>(context + XDP_MD_DATA, frames + address);
    store<u32>(context + XDP_MD_DATA_END, frames + address + length);
    store<u32>(context + XDP_MD_DATA_META, frames + address);
    store<u32>(context + XDP_MD_HARD_START, frames + chunk);
    store<u32>(context + XDP_MD_HARD_END, frames + chunk + frameBytes);
    const verdict = runProgram(context);
    if (verdict == XDP_TX || (verdict == XDP_REDIRECT && isWayOut())) {
      const start = load<u32>(context + XDP_MD_DATA);
      const end = load<u32>(context + XDP_MD_DATA_END);
      if (fits(queue, start, end)) {
        putSend(queue, sendAt, start, end);
        sendAt += 1;
        continue;
      }
      tooLong += 1;
    } else if (verdict == XDP_PASS) {
      passed += 1;
    } else if (verdict == XDP_DROP) {
      dropped += 1;
    } else if (verdict == XDP_ABORTED) {
      aborted += 1;
    } else if (verdict != XDP_REDIRECT) {
      invalid += 1;
    }
    putFill(queue, fillAt, chunk);
    fillAt += 1;
  }
  commit(queue, first + most, fillAt, sendAt);
  if (most != 0) {
    count(COUNTER_BATCHES, 1);
    count(COUNTER_RECEIVED, most);
    count(COUNTER_RECEIVED_BYTES, bytes);
    count(COUNTER_PROGRAM_RUNS, most);
    count(COUNTER_PASSED_LOST, passed);
    count(COUNTER_DROPPED, dropped);
    count(COUNTER_ABORTED, aborted);
    count(COUNTER_INVALID_VERDICT, invalid);
    count(COUNTER_SEND_TOO_LONG, tooLong);
  }
  publish(queue);
}
