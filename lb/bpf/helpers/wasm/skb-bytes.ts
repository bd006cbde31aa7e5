// Helpers that read and write bytes of a TC program's packet, and keep its checksums (net/core/filter.c, RFC 1624).
import { EFAULT, EINVAL, ENOMEM } from "../../maps/uapi";
import {
  BPF_F_HDR_FIELD_MASK, BPF_F_INVALIDATE_HASH, BPF_F_IPV6, BPF_F_MARK_ENFORCE, BPF_F_MARK_MANGLED_0,
  BPF_F_PSEUDO_HDR, BPF_F_RECOMPUTE_CSUM, BPF_HDR_START_MAC, BPF_HDR_START_NET,
} from "../uapi";
import { dataOf, endOf, lengthOf, networkOf, SKB_HASH } from "./skb";

/** Offset of a checksum, and of bytes to load from a header, at most. */
const OFFSET_MAX: u32 = 0xffff;
const OFFSET_MAX_SIGNED: u32 = 0x7fffffff;
/** A UDP checksum of 0 says that there is none (RFC 768); the sum 0 is sent as this. */
const MANGLED_0: u16 = 0xffff;

@inline function isInside(skb: usize, offset: u32, length: u32): bool {
  return <u64>offset + <u64>length <= <u64>lengthOf(skb);
}

export function bpf_skb_load_bytes(ctx: u64, offset: u64, to: u64, length: u64): i64 {
  const skb = <usize>ctx, at = <u32>offset, bytes = <u32>length;
  if (at > OFFSET_MAX_SIGNED || !isInside(skb, at, bytes)) {
    memory.fill(<usize>to, 0, <usize>bytes);
    return -EFAULT;
  }
  memory.copy(<usize>to, dataOf(skb) + <usize>at, <usize>bytes);
  return 0;
}

export function bpf_skb_load_bytes_relative(ctx: u64, offset: u64, to: u64, length: u64, header: u64): i64 {
  const skb = <usize>ctx, bytes = <u32>length;
  const isKnown = <u32>header == BPF_HDR_START_MAC || <u32>header == BPF_HDR_START_NET;
  const from = (<u32>header == BPF_HDR_START_NET ? networkOf(skb) : dataOf(skb)) + <usize><u32>offset;
  if (<u32>offset > OFFSET_MAX || !isKnown || <u64>from + <u64>bytes > <u64>endOf(skb)) {
    memory.fill(<usize>to, 0, <usize>bytes);
    return -EFAULT;
  }
  memory.copy(<usize>to, from, <usize>bytes);
  return 0;
}

/** BPF_F_RECOMPUTE_CSUM is about a checksum over the whole packet that a driver found: there is none here. */
export function bpf_skb_store_bytes(ctx: u64, offset: u64, from: u64, length: u64, flags: u64): i64 {
  const skb = <usize>ctx, at = <u32>offset, bytes = <u32>length;
  if (flags & ~(<u64>BPF_F_RECOMPUTE_CSUM | <u64>BPF_F_INVALIDATE_HASH)) return -EINVAL;
  if (at > OFFSET_MAX_SIGNED || !isInside(skb, at, bytes)) return -EFAULT;
  memory.copy(dataOf(skb) + <usize>at, <usize>from, <usize>bytes);
  if (flags & BPF_F_INVALIDATE_HASH) store<u32>(skb, 0, SKB_HASH);
  return 0;
}

/** The packet is in one piece: there is nothing to pull, and nothing that could be pulled. */
export function bpf_skb_pull_data(ctx: u64, length: u64): i64 {
  return <u32>length <= lengthOf(<usize>ctx) ? 0 : -ENOMEM;
}

@inline function fold(sum: u64): u16 {
  sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  return <u16>((sum & 0xffff) + (sum >> 16));
}

/** The checksum after `from` became `to` (RFC 1624 §3, equation 3), 32-bit words as they lie in memory. */
@inline function replaced(sum: u16, from: u32, to: u32): u16 {
  return ~fold(<u64>(<u16>~sum) + <u64>~from + <u64>to);
}

/** The checksum after a change whose difference is known (bpf_csum_diff). */
@inline function changed(sum: u16, difference: u32): u16 {
  return ~fold(<u64>(<u16>~sum) + <u64>difference);
}

export function bpf_l3_csum_replace(ctx: u64, offset: u64, from: u64, to: u64, flags: u64): i64 {
  const skb = <usize>ctx, at = <u32>offset;
  if (flags & ~<u64>BPF_F_HDR_FIELD_MASK) return -EINVAL;
  if (at > OFFSET_MAX || at & 1 || !isInside(skb, at, 2)) return -EFAULT;
  const place = dataOf(skb) + <usize>at;
  const sum = load<u16>(place);
  switch (<u32>flags) {
    case 0:
      if (from) return -EINVAL;
      store<u16>(place, changed(sum, <u32>to));
      return 0;
    case 2:
      store<u16>(place, replaced(sum, <u32>from & 0xffff, <u32>to & 0xffff));
      return 0;
    case 4:
      store<u16>(place, replaced(sum, <u32>from, <u32>to));
      return 0;
    default:
      return -EINVAL;
  }
}

/** BPF_F_PSEUDO_HDR and BPF_F_IPV6 matter where the checksum is left to a device: here it never is. */
export function bpf_l4_csum_replace(ctx: u64, offset: u64, from: u64, to: u64, flags: u64): i64 {
  const skb = <usize>ctx, at = <u32>offset;
  const known: u64 = BPF_F_MARK_MANGLED_0 | BPF_F_MARK_ENFORCE | BPF_F_PSEUDO_HDR | BPF_F_HDR_FIELD_MASK | BPF_F_IPV6;
  if (flags & ~known) return -EINVAL;
  if (at > OFFSET_MAX || at & 1 || !isInside(skb, at, 2)) return -EFAULT;
  const place = dataOf(skb) + <usize>at;
  const sum = load<u16>(place);
  const isMangled = (flags & BPF_F_MARK_MANGLED_0) != 0;
  if (isMangled && !(flags & BPF_F_MARK_ENFORCE) && !sum) return 0;
  let next: u16;
  switch (<u32>flags & BPF_F_HDR_FIELD_MASK) {
    case 0:
      if (from) return -EINVAL;
      next = changed(sum, <u32>to);
      break;
    case 2:
      next = replaced(sum, <u32>from & 0xffff, <u32>to & 0xffff);
      break;
    case 4:
      next = replaced(sum, <u32>from, <u32>to);
      break;
    default:
      return -EINVAL;
  }
  store<u16>(place, isMangled && !next ? MANGLED_0 : next);
  return 0;
}
