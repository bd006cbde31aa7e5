// XDP_REDIRECT: the frame goes the way that the helper left in the CPU block (kernel: net/core/filter.c,
// kernel/bpf/devmap.c, cpumap.c). It is listed for another interface where it lies; only another worker gets a copy.
import {
  CPU_BROADCAST_CURSOR, CPU_REDIRECT, CPU_STACK_END, CPU_TAIL_CALLS, CURSOR_BYTES, CURSOR_TARGET, MAP_TYPE,
  MMSG_CAPACITY, REDIRECT_FLAGS, REDIRECT_MAP, REDIRECT_PROGRAM, REDIRECT_TARGET, STACK_FRAME_BYTES, XDP_MD_DATA,
  XDP_MD_DATA_END, XDP_MD_EGRESS_IFINDEX, XDP_MD_INGRESS_IFINDEX,
} from "../../bpf/memory/layout";
import {
  BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS, BPF_MAP_TYPE_CPUMAP, BPF_MAP_TYPE_DEVMAP, BPF_MAP_TYPE_DEVMAP_HASH,
} from "../../bpf/maps/uapi";
import { COUNTER_REDIRECT_NO_TARGET, COUNTER_REDIRECT_OVERFLOW, COUNTER_REDIRECT_UNSUPPORTED } from "../layout";
import { block, count } from "./block";
import { handOver } from "./inbox";
import { listOther, sending } from "./send-list";
import { countRefused, XDP_PASS } from "./verdict";

/** Runs a program of this thread by its number; NO_PROGRAM where there is none of it. */
@external("program", "runNumbered")
declare function runNumbered(number: u32, context: u64, frame: u32): u64;
/** As lb/worker/numbered-program.ts has it. */
const NO_PROGRAM: u64 = 0x7761676700000000;

@external("runtime", "target_iterate") declare function target_iterate(map: u32, cursor: u32): i32;

/**
 * Sends the frame of the context on its way.
 * @param spare entries of the message array that the rest of the round may need
 */
export function redirect(context: u32, spare: u32): void {
  const way = block + CPU_REDIRECT;
  const map = load<u32>(way + REDIRECT_MAP);
  const target = load<u32>(way + REDIRECT_TARGET);
  const program = load<u32>(way + REDIRECT_PROGRAM);
  const flags = load<u64>(way + REDIRECT_FLAGS);
  // A way is gone once: the next verdict without a helper's call has none.
  store<u32>(way + REDIRECT_MAP, 0);
  store<u32>(way + REDIRECT_TARGET, 0);
  if (map == 0) {
    toDevice(context, target, 0);
    return;
  }
  const type = load<u32>(map + MAP_TYPE);
  if (type == BPF_MAP_TYPE_CPUMAP) handOver(context, target, program);
  else if (type != BPF_MAP_TYPE_DEVMAP && type != BPF_MAP_TYPE_DEVMAP_HASH) count(COUNTER_REDIRECT_UNSUPPORTED, 1);
  else if ((flags & BPF_F_BROADCAST) != 0) broadcast(context, map, flags, spare);
  else toDevice(context, target, program);
}

/** Lists the frame for an interface, if the element's program lets it: XDP_PASS, as it left the frame. */
function toDevice(context: u32, ifindex: u32, program: u32): void {
  if (ifindex == 0) {
    count(COUNTER_REDIRECT_NO_TARGET, 1);
    return;
  }
  if (program != 0) {
    store<u32>(context + XDP_MD_EGRESS_IFINDEX, ifindex);
    const verdict = runProgramOf(program, context);
    store<u32>(context + XDP_MD_EGRESS_IFINDEX, 0);
    if (verdict != XDP_PASS) {
      if (verdict <= 0xffffffff) countRefused(<u32>verdict);
      else count(COUNTER_REDIRECT_NO_TARGET, 1);
      return;
    }
  }
  listOther(load<u32>(context + XDP_MD_DATA), load<u32>(context + XDP_MD_DATA_END), ifindex);
}

/** The verdict of a map element's program, or a number above 32 bits where this thread does not have it. */
export function runProgramOf(number: u32, context: u32): u64 {
  store<u32>(block + CPU_TAIL_CALLS, 0);
  const verdict = runNumbered(number, <u64>context, block + CPU_STACK_END - STACK_FRAME_BYTES);
  // r0's upper half means nothing, but for the sign that there is no program.
  return verdict == NO_PROGRAM ? NO_PROGRAM : verdict & 0xffffffff;
}

/**
 * Lists the frame for every interface of the map, all of them with the same bytes. An element with a program of its own
 * would have to get a copy: it gets nothing, which is counted as redirect_unsupported.
 */
function broadcast(context: u32, map: u32, flags: u64, spare: u32): void {
  const own = (flags & BPF_F_EXCLUDE_INGRESS) != 0 ? load<u32>(context + XDP_MD_INGRESS_IFINDEX) : 0;
  const start = load<u32>(context + XDP_MD_DATA);
  const end = load<u32>(context + XDP_MD_DATA_END);
  const cursor = block + CPU_BROADCAST_CURSOR;
  memory.fill(cursor, 0, CURSOR_BYTES);
  let found: u32 = 0;
  while (target_iterate(map, cursor) == 1) {
    const target = load<u64>(cursor + CURSOR_TARGET);
    if (<u32>target == own) continue;
    found += 1;
    if (target >> 32) count(COUNTER_REDIRECT_UNSUPPORTED, 1);
    else if (sending + spare >= <u32>MMSG_CAPACITY) count(COUNTER_REDIRECT_OVERFLOW, 1);
    else listOther(start, end, <u32>target);
  }
  if (found == 0) count(COUNTER_REDIRECT_NO_TARGET, 1);
}
