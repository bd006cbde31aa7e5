// Helpers on the arena's xdp_md (net/core/filter.c's rules). A packet is one piece of memory here, never fragments.
import {
  XDP_MD_DATA, XDP_MD_DATA_END, XDP_MD_DATA_META, XDP_MD_HARD_END, XDP_MD_HARD_START,
} from "../../memory/layout";
import { EACCES, EFAULT, EINVAL, ENOTSUPP } from "../../maps/uapi";

/** ETH_HLEN: what must be left of a packet. */
const ETHERNET_HEADER_BYTES: i64 = 14;
/** Longest metadata (xdp_metalen_invalid): a multiple of 4 that a byte holds. */
const META_MAX_BYTES: i64 = 252;
/** Offset and length of bytes to load or store are at most this (MAX_PACKET_OFF). */
const OFFSET_MAX: u32 = 0xffff;

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

/** Moves the start of the metadata in front of the packet by `delta` (an int); its length stays a multiple of 4. */
export function bpf_xdp_adjust_meta(ctx: u64, delta: u64): i64 {
  const at = <usize>ctx;
  const data: i64 = load<u32>(at, XDP_MD_DATA);
  const meta: i64 = load<u32>(at, XDP_MD_DATA_META);
  if (meta > data) return -ENOTSUPP;
  const moved = (meta != 0 ? meta : data) + <i64><i32>delta;
  if (moved < <i64>load<u32>(at, XDP_MD_HARD_START) || moved > data) return -EINVAL;
  const bytes = data - moved;
  if (bytes & 3 || bytes > META_MAX_BYTES) return -EACCES;
  store<u32>(at, <u32>moved, XDP_MD_DATA_META);
  return 0;
}

export function bpf_xdp_get_buff_len(ctx: u64): i64 {
  return load<u32>(<usize>ctx, XDP_MD_DATA_END) - load<u32>(<usize>ctx, XDP_MD_DATA);
}

/** Address of the packet's bytes, or 0 where they are not all there. */
@inline function piece(at: usize, offset: u32, length: u32): usize {
  const data = load<u32>(at, XDP_MD_DATA);
  return offset + length <= load<u32>(at, XDP_MD_DATA_END) - data ? <usize>(data + offset) : 0;
}

export function bpf_xdp_load_bytes(ctx: u64, offset: u64, to: u64, length: u64): i64 {
  if (<u32>offset > OFFSET_MAX || <u32>length > OFFSET_MAX) return -EFAULT;
  const from = piece(<usize>ctx, <u32>offset, <u32>length);
  if (!from) return -EINVAL;
  memory.copy(<usize>to, from, <usize><u32>length);
  return 0;
}

export function bpf_xdp_store_bytes(ctx: u64, offset: u64, from: u64, length: u64): i64 {
  if (<u32>offset > OFFSET_MAX || <u32>length > OFFSET_MAX) return -EFAULT;
  const to = piece(<usize>ctx, <u32>offset, <u32>length);
  if (!to) return -EINVAL;
  memory.copy(to, <usize>from, <usize><u32>length);
  return 0;
}
