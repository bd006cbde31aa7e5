// Helpers on what a TC program's context says of the packet: type, hash, time, checksum, congestion mark.
import { DIR_COOKIE_SECRET, DIRECTORY_OFFSET, SKB_CHECKED } from "../../memory/layout";
import { EACCES, EINVAL, ENOTSUPP, EOPNOTSUPP } from "../../maps/uapi";
import {
  BPF_CSUM_LEVEL_DEC, BPF_CSUM_LEVEL_INC, BPF_CSUM_LEVEL_QUERY, BPF_CSUM_LEVEL_RESET, BPF_SKB_CLOCK_MONOTONIC,
  BPF_SKB_CLOCK_REALTIME, BPF_SKB_CLOCK_TAI, ETH_P_IP, ETH_P_IPV6,
} from "../uapi";
import {
  endOf, isIp, networkOf, protocolOf, SKB_HASH, SKB_PKT_TYPE, SKB_TSTAMP, SKB_TSTAMP_TYPE,
} from "./skb";

/** PACKET_OTHERHOST, the last type that a program may see or set. */
const PACKET_TYPE_MAX: u32 = 3;
/** SKB_MAX_CSUM_LEVEL + 1. */
const CHECKED_MAX: u32 = 4;
const IPV4_HEADER_BYTES: usize = 20;
const IPV6_HEADER_BYTES: usize = 40;
/** RFC 3168 §5: the field's two bits, and the value for congestion experienced. */
const ECN_MASK: u8 = 3;
const PROTOCOL_TCP: u32 = 6;
const PROTOCOL_UDP: u32 = 17;

export function bpf_skb_change_type(ctx: u64, type: u64): i64 {
  const skb = <usize>ctx;
  if (load<u32>(skb, SKB_PKT_TYPE) > PACKET_TYPE_MAX || <u32>type > PACKET_TYPE_MAX) return -EINVAL;
  store<u32>(skb, <u32>type, SKB_PKT_TYPE);
  return 0;
}

/** No driver gave a checksum over the whole packet (CHECKSUM_COMPLETE), so that there is none to update. */
export function bpf_csum_update(ctx: u64, sum: u64): i64 {
  return -ENOTSUPP;
}

/** How many checksums of the packet count as checked: told, or one more or less, or none. */
export function bpf_csum_level(ctx: u64, level: u64): i64 {
  const skb = <usize>ctx;
  const checked = load<u32>(skb, SKB_CHECKED);
  switch (level) {
    case BPF_CSUM_LEVEL_QUERY:
      return checked ? <i64>checked - 1 : -EACCES;
    case BPF_CSUM_LEVEL_INC:
      if (checked < CHECKED_MAX) store<u32>(skb, checked + 1, SKB_CHECKED);
      return 0;
    case BPF_CSUM_LEVEL_DEC:
      if (checked) store<u32>(skb, checked - 1, SKB_CHECKED);
      return 0;
    case BPF_CSUM_LEVEL_RESET:
      store<u32>(skb, 0, SKB_CHECKED);
      return 0;
    default:
      return -EINVAL;
  }
}

export function bpf_skb_set_tstamp(ctx: u64, time: u64, type: u64): i64 {
  const skb = <usize>ctx;
  if (!isIp(protocolOf(skb))) return -EOPNOTSUPP;
  switch (<u32>type) {
    case BPF_SKB_CLOCK_REALTIME:
    case BPF_SKB_CLOCK_MONOTONIC:
    case BPF_SKB_CLOCK_TAI:
      break;
    default:
      return -EINVAL;
  }
  if (<u32>type != BPF_SKB_CLOCK_REALTIME && !time) return -EINVAL;
  store<u64>(skb, time, SKB_TSTAMP);
  store<u8>(skb, <u8>type, SKB_TSTAMP_TYPE);
  return 0;
}

/**
 * Marks the packet (RFC 3168 §5). Of one with a VLAN tag inside, Linux takes the tag for the header and changes its
 * number; here it is left alone.
 * @returns 1 where the packet says now that there is congestion, 0 where its ends do not speak of it
 */
export function bpf_skb_ecn_set_ce(ctx: u64): i64 {
  const skb = <usize>ctx;
  const header = networkOf(skb);
  const protocol = protocolOf(skb);
  if (protocol == ETH_P_IP && header + IPV4_HEADER_BYTES <= endOf(skb)) {
    const service = load<u8>(header, 1);
    if (!(service & ECN_MASK)) return 0;
    if ((service & ECN_MASK) == ECN_MASK) return 1;
    store<u8>(header, service | ECN_MASK, 1);
    addToChecksum(header, (<u32>(service | ECN_MASK) - service) << 8);
    return 1;
  }
  if (protocol == ETH_P_IPV6 && header + IPV6_HEADER_BYTES <= endOf(skb)) {
    // The traffic class lies across the first two bytes: its two lowest bits are 4 and 5 of the second.
    const second = load<u8>(header, 1);
    if (!(second >> 4 & ECN_MASK)) return 0;
    store<u8>(header, second | ECN_MASK << 4, 1);
    return 1;
  }
  return 0;
}

/** The IPv4 header's checksum after a 16-bit word of it grew by `by`, little endian (RFC 1624 §3). */
function addToChecksum(header: usize, by: u32): void {
  let sum = <u32>(~load<u16>(header, 10) & 0xffff) + by;
  sum = (sum & 0xffff) + (sum >> 16);
  store<u16>(header, ~<u16>sum, 10);
}

export function bpf_set_hash_invalid(ctx: u64): i64 {
  store<u32>(<usize>ctx, 0, SKB_HASH);
  return 0;
}

export function bpf_set_hash(ctx: u64, hash: u64): i64 {
  store<u32>(<usize>ctx, <u32>hash, SKB_HASH);
  return 0;
}

/** The packet's hash, made of its flow where it has none: of addresses, protocol and ports, the same both ways. */
export function bpf_get_hash_recalc(ctx: u64): i64 {
  const skb = <usize>ctx;
  const known = load<u32>(skb, SKB_HASH);
  if (known) return known;
  const hash = flowHash(skb);
  store<u32>(skb, hash, SKB_HASH);
  return hash;
}

@inline function mix(hash: u64, word: u64): u64 {
  hash = (hash ^ word) * 0x9e3779b97f4a7c15;
  return hash ^ hash >> 32;
}

/** The same in either order. */
@inline function mixPair(hash: u64, a: u64, b: u64): u64 {
  return mix(mix(hash, min<u64>(a, b)), max<u64>(a, b));
}

/** Never 0, which stands for no hash. Linux's has another function, with a secret of its own. */
function flowHash(skb: usize): u32 {
  const header = networkOf(skb), end = endOf(skb);
  let hash = load<u64>(DIRECTORY_OFFSET + DIR_COOKIE_SECRET);
  const protocol = protocolOf(skb);
  let next: u32 = 0;
  let ports: usize = 0;
  if (protocol == ETH_P_IP && header + IPV4_HEADER_BYTES <= end) {
    next = load<u8>(header, 9);
    hash = mixPair(hash, load<u32>(header, 12), load<u32>(header, 16));
    // A fragment other than the first has no ports, and the first must go with it (RFC 791 §3.2).
    if (!(load<u16>(header, 6) & 0xff3f)) ports = header + <usize>(load<u8>(header) & 15) * 4;
  } else if (protocol == ETH_P_IPV6 && header + IPV6_HEADER_BYTES <= end) {
    next = load<u8>(header, 6);
    // Each half for itself: two flows that differ in which end has which half are rare enough.
    hash = mixPair(hash, load<u64>(header, 8), load<u64>(header, 24));
    hash = mixPair(hash, load<u64>(header, 16), load<u64>(header, 32));
    ports = header + IPV6_HEADER_BYTES;
  } else {
    hash = mix(hash, protocol);
  }
  hash = mix(hash, next);
  if ((next == PROTOCOL_TCP || next == PROTOCOL_UDP) && ports && ports + 4 <= end) {
    hash = mixPair(hash, load<u16>(ports), load<u16>(ports, 2));
  }
  return max<u32>(<u32>(hash >> 16), 1);
}
