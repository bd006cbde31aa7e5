// Verdicts of XDP programs (uapi/linux/bpf.h) and what becomes of a frame that goes nowhere.
import { COUNTER_ABORTED, COUNTER_DROPPED, COUNTER_INVALID_VERDICT } from "../layout";
import { count } from "./block";

export const XDP_ABORTED: u32 = 0;
export const XDP_DROP: u32 = 1;
export const XDP_PASS: u32 = 2;
export const XDP_TX: u32 = 3;
export const XDP_REDIRECT: u32 = 4;

/** Counts a frame that a program of a map's element did not let go on. */
export function countRefused(verdict: u32): void {
  if (verdict == XDP_DROP) count(COUNTER_DROPPED, 1);
  else if (verdict == XDP_ABORTED) count(COUNTER_ABORTED, 1);
  else count(COUNTER_INVALID_VERDICT, 1);
}
