// The pump: takes ready frames of an AF_PACKET ring (TPACKET_V2), runs the program on each where it lies, and lists
// what is to be sent. No copy but for another worker, no allocation, nothing but this arena. One instance a worker; all
// state is in the CPU block, so that a new thread goes on where one that died stopped.
import {
  CPU_CLOCK_NS, CPU_PUMP, CPU_XDP_MD, XDP_MD_DATA, XDP_MD_DATA_END, XDP_MD_DATA_META,
  XDP_MD_EGRESS_IFINDEX, XDP_MD_HARD_END, XDP_MD_HARD_START, XDP_MD_INGRESS_IFINDEX, XDP_MD_RX_QUEUE_INDEX,
} from "../../bpf/memory/layout";
import {
  COUNTER_ABORTED, COUNTER_BATCHES, COUNTER_CHECKSUM_UNFIXABLE, COUNTER_DROPPED, COUNTER_INVALID_VERDICT,
  COUNTER_LOST_AT_RESTART, COUNTER_OTHER_HOST, COUNTER_PASSED, COUNTER_PROGRAM_RUNS,
  COUNTER_RECEIVED, COUNTER_RECEIVED_BYTES, COUNTER_TRUNCATED, COUNTER_VLAN_RESTORED, PUMP_BATCH_COUNT,
  PUMP_BATCH_START, PUMP_FRAME_BYTES, PUMP_FRAMES, PUMP_IFINDEX, PUMP_INBOX_COUNT, PUMP_RING,
} from "../layout";
import { block, count, word } from "./block";
import { fillChecksum } from "./checksum";
import { clock } from "./clock";
import { runHandedOver } from "./handed-over";
import { isHandedOver, releaseHandedOver, setSleeping } from "./inbox";
import { redirect } from "./redirect";
import { listOwn, prepareList, sending, startList } from "./send-list";
import { XDP_ABORTED, XDP_DROP, XDP_PASS, XDP_REDIRECT, XDP_TX } from "./verdict";

export { add } from "./block";
export { countTime } from "./clock";
export { nextSleeper } from "./inbox";
export { countSent } from "./send-list";

@external("program", "run") declare function runProgram(context: u32): u32;

// struct tpacket2_hdr and the sockaddr_ll behind it (uapi/linux/if_packet.h).
const TP_STATUS: u32 = 0;
const TP_LEN: u32 = 4;
const TP_SNAPLEN: u32 = 8;
const TP_MAC: u32 = 12;
const TP_VLAN_TCI: u32 = 24;
const TP_VLAN_TPID: u32 = 26;
const TP_HEADER_BYTES: u32 = 32;
const SLL_PKTTYPE: u32 = TP_HEADER_BYTES + 10;
const SLL_BYTES: u32 = 20;

const TP_STATUS_KERNEL: u32 = 0;
const TP_STATUS_USER: u32 = 1;
const TP_STATUS_CSUMNOTREADY: u32 = 8;
const TP_STATUS_VLAN_VALID: u32 = 0x10;
const TP_STATUS_VLAN_TPID_VALID: u32 = 0x40;

const PACKET_OTHERHOST: u32 = 3;

const VLAN_TAG_BYTES: u32 = 4;
// As a little-endian machine reads it.
const ETHERTYPE_VLAN: u16 = 0x0081;

/** Writes what does not change from frame to frame: the message headers and the interface. Before the first run. */
export function prepare(): void {
  prepareList();
  const context = block + CPU_XDP_MD;
  store<u32>(context + XDP_MD_INGRESS_IFINDEX, word(PUMP_IFINDEX));
  store<u32>(context + XDP_MD_RX_QUEUE_INDEX, 0);
  store<u32>(context + XDP_MD_EGRESS_IFINDEX, 0);
  setSleeping(false);
}

/** Hands the frames of a batch back that a thread took and did not finish: they may be half rewritten. */
export function recover(): void {
  count(COUNTER_LOST_AT_RESTART, word(PUMP_BATCH_COUNT) + word(PUMP_INBOX_COUNT));
  release();
}

/** True when a frame is waiting. */
export function isReady(): u32 {
  const status = atomic.load<u32>(word(PUMP_RING) + word(PUMP_BATCH_START) * word(PUMP_FRAME_BYTES));
  return (status & TP_STATUS_USER) | u32(isHandedOver());
}

/**
 * Says that this worker is about to wait: who hands it a frame from here on wakes it.
 * @returns true when a frame is there already, and it must not wait
 */
export function fallAsleep(): u32 {
  setSleeping(true);
  return isReady();
}

/** After a wait. */
export function wakeUp(): void {
  setSleeping(false);
}

/**
 * Runs the program on up to `limit` (at most MMSG_CAPACITY) ready frames, of which half may be of the inbox: those of
 * other workers, with the program of their map's element. The clock must be in CPU_TIMESPEC.
 * The frames stay taken until `release`.
 * @returns how many entries of the message array are to be sent
 */
export function run(limit: u32): u32 {
  const ring = word(PUMP_RING);
  const frames = word(PUMP_FRAMES);
  const frameBytes = word(PUMP_FRAME_BYTES);
  const context: u32 = block + CPU_XDP_MD;

  startList();
  store<u64>(block + CPU_CLOCK_NS, clock());
  const handed = runHandedOver((limit + 1) >> 1, limit);
  // Frames stay the reader's until `release`: once round the ring they would be found again.
  const most = min(limit - handed, frames);
  let index = word(PUMP_BATCH_START);
  let taken: u32 = 0;
  let bytes: u64 = 0;
  let passed: u64 = 0;
  let dropped: u64 = 0;
  let ran: u64 = 0;

  while (taken < most) {
    const frame = ring + index * frameBytes;
    const status = atomic.load<u32>(frame + TP_STATUS);
    if ((status & TP_STATUS_USER) == 0) break;
    index = index + 1 == frames ? 0 : index + 1;
    taken += 1;
    // Before the frame is touched: whoever recovers must know that it may be half rewritten.
    store<u32>(block + CPU_PUMP + PUMP_BATCH_COUNT, taken);
    const length = load<u32>(frame + TP_SNAPLEN);
    bytes += load<u32>(frame + TP_LEN);
    // A switch floods frames for others too; a NIC that is not promiscuous would not have shown them.
    if (load<u8>(frame + SLL_PKTTYPE) == PACKET_OTHERHOST) {
      count(COUNTER_OTHER_HOST, 1);
      continue;
    }
    let data: u32 = frame + <u32>load<u16>(frame + TP_MAC);
    const end: u32 = data + length;
    let isChecksumMissing = false;
    if ((status & (TP_STATUS_CSUMNOTREADY | TP_STATUS_VLAN_VALID)) != 0) {
      if ((status & TP_STATUS_CSUMNOTREADY) != 0) isChecksumMissing = !fillChecksum(data, end);
      if ((status & TP_STATUS_VLAN_VALID) != 0) data = restoreVlan(frame, data, status);
    }
    store<u32>(context + XDP_MD_DATA, data);
    store<u32>(context + XDP_MD_DATA_END, end);
    store<u32>(context + XDP_MD_DATA_META, data);
    store<u32>(context + XDP_MD_HARD_START, frame + TP_HEADER_BYTES + SLL_BYTES);
    store<u32>(context + XDP_MD_HARD_END, frame + frameBytes);
    const verdict = runProgram(context);
    ran += 1;
    if (verdict == XDP_TX || verdict == XDP_REDIRECT) {
      if (isChecksumMissing) {
        count(COUNTER_CHECKSUM_UNFIXABLE, 1);
      } else if (length < load<u32>(frame + TP_LEN)) {
        count(COUNTER_TRUNCATED, 1);
      } else if (verdict == XDP_TX) {
        listOwn(load<u32>(context + XDP_MD_DATA), load<u32>(context + XDP_MD_DATA_END));
      } else {
        redirect(context, most - taken);
      }
    } else if (verdict == XDP_PASS) {
      passed += 1;
    } else if (verdict == XDP_DROP) {
      dropped += 1;
    } else if (verdict == XDP_ABORTED) {
      count(COUNTER_ABORTED, 1);
    } else {
      count(COUNTER_INVALID_VERDICT, 1);
    }
  }
  if ((taken | handed) != 0) count(COUNTER_BATCHES, 1);
  if (taken != 0) {
    count(COUNTER_RECEIVED, taken);
    count(COUNTER_RECEIVED_BYTES, bytes);
    count(COUNTER_PASSED, passed);
    count(COUNTER_DROPPED, dropped);
    count(COUNTER_PROGRAM_RUNS, ran);
  }
  return sending;
}

/** Gives the frames of the last run back to the kernel. */
export function release(): void {
  if (word(PUMP_INBOX_COUNT) != 0) releaseHandedOver();
  const ring = word(PUMP_RING);
  const frames = word(PUMP_FRAMES);
  const frameBytes = word(PUMP_FRAME_BYTES);
  let index = word(PUMP_BATCH_START);
  for (let left = word(PUMP_BATCH_COUNT); left != 0; left--) {
    atomic.store<u32>(ring + index * frameBytes + TP_STATUS, TP_STATUS_KERNEL);
    index = index + 1 == frames ? 0 : index + 1;
  }
  store<u32>(block + CPU_PUMP + PUMP_BATCH_START, index);
  store<u32>(block + CPU_PUMP + PUMP_BATCH_COUNT, 0);
}

/** The tag that the kernel took off goes back between source address and type (IEEE 802.1Q 9.3). */
function restoreVlan(frame: u32, data: u32, status: u32): u32 {
  const start = data - VLAN_TAG_BYTES;
  store<u64>(start, load<u64>(data));
  store<u32>(start + 8, load<u32>(data + 8));
  const tci = load<u16>(frame + TP_VLAN_TCI);
  const tpid = (status & TP_STATUS_VLAN_TPID_VALID) != 0 ? bswap<u16>(load<u16>(frame + TP_VLAN_TPID)) : ETHERTYPE_VLAN;
  store<u16>(start + 12, tpid);
  store<u16>(start + 14, bswap<u16>(tci));
  count(COUNTER_VLAN_RESTORED, 1);
  return start;
}
