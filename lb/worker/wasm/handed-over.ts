// What becomes of the frames that other workers handed to this one (CPUMAP; kernel/bpf/cpumap.c).
import {
  CPU_XDP_MD, XDP_MD_DATA, XDP_MD_DATA_END, XDP_MD_DATA_META, XDP_MD_HARD_END, XDP_MD_HARD_START,
} from "../../bpf/memory/layout";
import {
  COUNTER_PASSED, COUNTER_REDIRECT_NO_TARGET, COUNTER_TAKEN_OVER, SLOT_DATA, SLOT_END, SLOT_HEADER_BYTES, SLOT_META,
  SLOT_PROGRAM,
} from "../layout";
import { block, count } from "./block";
import { isHandedOver, NO_FRAME, slotBytes, takeHandedOver } from "./inbox";
import { redirect, runProgramOf } from "./redirect";
import { listOwn } from "./send-list";
import { countRefused, XDP_PASS, XDP_REDIRECT, XDP_TX } from "./verdict";

/**
 * Takes up to `limit` frames of the inbox and does as the verdicts of their programs say. They stay taken until
 * `releaseHandedOver`.
 * @param room entries of the message array that the round may still need
 * @returns how many
 */
export function runHandedOver(limit: u32, room: u32): u32 {
  if (!isHandedOver()) return 0;
  let taken: u32 = 0;
  while (taken < limit) {
    const slot = takeHandedOver();
    if (slot == 0) break;
    taken += 1;
    if (slot == NO_FRAME) continue;
    count(COUNTER_TAKEN_OVER, 1);
    act(slot, room - taken);
  }
  return taken;
}

/** Unlike the kernel's, a program may also send the frame back by the interface (XDP_TX). */
function act(slot: u32, spare: u32): void {
  const program = load<u32>(slot + SLOT_PROGRAM);
  if (program == 0) {
    count(COUNTER_PASSED, 1);
    return;
  }
  const context: u32 = block + CPU_XDP_MD;
  store<u32>(context + XDP_MD_DATA, slot + load<u32>(slot + SLOT_DATA));
  store<u32>(context + XDP_MD_DATA_END, slot + load<u32>(slot + SLOT_END));
  store<u32>(context + XDP_MD_DATA_META, slot + load<u32>(slot + SLOT_META));
  store<u32>(context + XDP_MD_HARD_START, slot + SLOT_HEADER_BYTES);
  store<u32>(context + XDP_MD_HARD_END, slot + slotBytes());
  const verdict = runProgramOf(program, context);
  if (verdict > 0xffffffff) count(COUNTER_REDIRECT_NO_TARGET, 1);
  else if (verdict == XDP_TX) listOwn(load<u32>(context + XDP_MD_DATA), load<u32>(context + XDP_MD_DATA_END));
  else if (verdict == XDP_REDIRECT) redirect(context, spare);
  else if (verdict == XDP_PASS) count(COUNTER_PASSED, 1);
  else countRefused(<u32>verdict);
}
