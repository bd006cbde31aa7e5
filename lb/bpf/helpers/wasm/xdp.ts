// bpf_xdp_adjust_head and bpf_xdp_adjust_tail over the arena's xdp_md (net/core/filter.c's rules).
import {
  XDP_MD_DATA, XDP_MD_DATA_END, XDP_MD_DATA_META, XDP_MD_HARD_END, XDP_MD_HARD_START,
} from "../../memory/layout";
import { EACCES, EINVAL, ENOTSUPP } from "../../maps/uapi";

/** ETH_HLEN: what must be left of a packet. */
const ETHERNET_HEADER_BYTES: i64 = 14;

/** Moves the packet's start by `delta` (an int); metadata in front of it moves along. */
export function bpf_xdp_adjust_head(ctx: u64, delta: u64): i64 {
  const at = <usize>ctx;
  const data: i64 = load<u32>(at, XDP_MD_DATA);
  const meta: i64 = load<u32>(at, XDP_MD_DATA_META);
  // data_meta beyond data says that the driver has no metadata; 0 is an xdp_md that nobody gave any.
  const metaBytes: i64 = meta != 0 && meta < data ? data - meta : 0;
  const moved = data + <i64><i32>delta;
  if (moved < <i64>load<u32>(at, XDP_MD_HARD_START) + metaBytes) return -EINVAL;
  if (moved > <i64>load<u32>(at, XDP_MD_DATA_END) - ETHERNET_HEADER_BYTES) return -EINVAL;
  if (metaBytes) memory.copy(<usize>(moved - metaBytes), <usize>meta, <usize>metaBytes);
  store<u32>(at, <u32>(moved - metaBytes), XDP_MD_DATA_META);
  store<u32>(at, <u32>moved, XDP_MD_DATA);
  return 0;
}

/** Moves the packet's end by `delta` (an int); bytes that it gains are zero. */
export function bpf_xdp_adjust_tail(ctx: u64, delta: u64): i64 {
  const at = <usize>ctx;
  const end: i64 = load<u32>(at, XDP_MD_DATA_END);
  const moved = end + <i64><i32>delta;
  if (moved > <i64>load<u32>(at, XDP_MD_HARD_END)) return -EINVAL;
  if (moved < <i64>load<u32>(at, XDP_MD_DATA) + ETHERNET_HEADER_BYTES) return -EINVAL;
  if (moved > end) memory.fill(<usize>end, 0, <usize>(moved - end));
  store<u32>(at, <u32>moved, XDP_MD_DATA_END);
  return 0;
}

/** Longest metadata, bytes (xdp_metalen_invalid). */
const METADATA_MAX_BYTES: i64 = 252;

/** Moves the start of the metadata in front of the packet by `delta` (an int); it stays a multiple of 4 bytes long. */
export function bpf_xdp_adjust_meta(ctx: u64, delta: u64): i64 {
  const at = <usize>ctx;
  const data: i64 = load<u32>(at, XDP_MD_DATA);
  const meta: i64 = load<u32>(at, XDP_MD_DATA_META);
  if (meta > data) return -ENOTSUPP;
  const moved = meta + <i64><i32>delta;
  if (moved < <i64>load<u32>(at, XDP_MD_HARD_START) || moved > data) return -EINVAL;
  if ((data - moved) & 3 || data - moved > METADATA_MAX_BYTES) return -EACCES;
  store<u32>(at, <u32>moved, XDP_MD_DATA_META);
  return 0;
}
