// Helpers that move or change the ends and the headers of a TC program's packet (net/core/filter.c's rules).
import { SKB_CHECKED, SKB_ENCAPSULATED, SKB_NETWORK } from "../../memory/layout";
import { EFAULT, EINVAL, ENOMEM, ENOTSUPP } from "../../maps/uapi";
import {
  BPF_ADJ_ROOM_ENCAP_L2_SHIFT, BPF_ADJ_ROOM_MAC, BPF_ADJ_ROOM_NET, BPF_F_ADJ_ROOM_DECAP_L3_IPV4,
  BPF_F_ADJ_ROOM_DECAP_L3_IPV6, BPF_F_ADJ_ROOM_ENCAP_L2_ETH, BPF_F_ADJ_ROOM_ENCAP_L3_IPV4,
  BPF_F_ADJ_ROOM_ENCAP_L3_IPV6, BPF_F_ADJ_ROOM_ENCAP_L4_GRE, BPF_F_ADJ_ROOM_ENCAP_L4_UDP, BPF_F_ADJ_ROOM_FIXED_GSO,
  BPF_F_ADJ_ROOM_NO_CSUM_RESET, EALREADY, ETH_HLEN, ETH_P_IP, ETH_P_IPV6,
} from "../uapi";
import {
  closeRoom, dataOf, endOf, isIp, lengthOf, movePacket, networkOf, openRoom, protocolOf, setPlace, setProtocol, SKB_HASH,
  tailroomOf,
} from "./skb";

/** Longest packet that a helper makes (BPF_SKB_MAX_LEN). */
const LENGTH_MAX: u64 = 16384;
/** Most that one adjustment of the room moves. */
const ROOM_MAX: u32 = 0xfff;
const IPV4_HEADER_BYTES: u32 = 20;
const IPV6_HEADER_BYTES: u32 = 40;

const ENCAP_L3: u64 = BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6;
const ENCAP_L4: u64 = BPF_F_ADJ_ROOM_ENCAP_L4_GRE | BPF_F_ADJ_ROOM_ENCAP_L4_UDP;
const DECAP_L3: u64 = BPF_F_ADJ_ROOM_DECAP_L3_IPV4 | BPF_F_ADJ_ROOM_DECAP_L3_IPV6;
/** Values of SKB_ENCAPSULATED: of the second, it is known where its transport header begins. */
const TUNNEL: u32 = 1;
const TUNNEL_OF_LAYER_4: u32 = 2;
/** The length of an inner link-layer header. */
const ENCAP_L2: u64 = <u64>0xff << BPF_ADJ_ROOM_ENCAP_L2_SHIFT;
const ALWAYS: u64 = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET;
const KNOWN: u64 = ALWAYS | ENCAP_L3 | ENCAP_L4 | ENCAP_L2 | BPF_F_ADJ_ROOM_ENCAP_L2_ETH | DECAP_L3;

/** Makes the packet `length` bytes long; bytes that it gains are zero. */
export function bpf_skb_change_tail(ctx: u64, length: u64, flags: u64): i64 {
  const skb = <usize>ctx, bytes = <u32>length;
  const tunnel = load<u32>(skb, SKB_ENCAPSULATED);
  let least = <u32>(networkOf(skb) - dataOf(skb));
  if (tunnel == TUNNEL_OF_LAYER_4) least += headerBytes(protocolOf(skb));
  if (flags || <u64>bytes > LENGTH_MAX || bytes < least) return -EINVAL;
  if (tunnel) return -ENOTSUPP;
  const before = lengthOf(skb);
  if (bytes > before) {
    const more = bytes - before;
    if (tailroomOf(skb) < more && !movePacket(skb, <i32>tailroomOf(skb) - <i32>more)) return -ENOMEM;
    memory.fill(endOf(skb), 0, <usize>more);
  }
  setPlace(skb, dataOf(skb), dataOf(skb) + <usize>bytes);
  return 0;
}

/** Puts zeros in front, where a program writes a link-layer header; the network header stays where it is. */
export function bpf_skb_change_head(ctx: u64, room: u64, flags: u64): i64 {
  const skb = <usize>ctx, bytes = <u32>room;
  if (flags || <i32>bytes < 0 || <u64>lengthOf(skb) + <u64>bytes > LENGTH_MAX) return -EINVAL;
  const status = openRoom(skb, 0, bytes);
  if (status == 0) store<u32>(skb, load<u32>(skb, SKB_NETWORK) + bytes, SKB_NETWORK);
  return status;
}

/** Length of the network layer's header without options; the protocol is one of the two. */
@inline function headerBytes(protocol: u32): u32 {
  return protocol == ETH_P_IP ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
}

/** Makes room behind the link-layer or network header, or takes it away, by `difference` (an int). */
export function bpf_skb_adjust_room(ctx: u64, difference: u64, mode: u64, flags: u64): i64 {
  const skb = <usize>ctx, by = <i32>difference;
  const bytes = <u32>abs(by), shrinks = by < 0;
  if (flags & ~KNOWN) return -EINVAL;
  if (bytes > ROOM_MAX) return -EFAULT;
  const protocol = protocolOf(skb);
  if (!isIp(protocol)) return -ENOTSUPP;
  const link = <u32>(networkOf(skb) - dataOf(skb));
  let before = link;
  if (<u32>mode == BPF_ADJ_ROOM_NET) before += headerBytes(protocol);
  else if (<u32>mode != BPF_ADJ_ROOM_MAC) return -ENOTSUPP;
  let least = headerBytes(protocol);
  if (flags & DECAP_L3) {
    if (!shrinks || (flags & DECAP_L3) == DECAP_L3) return -EINVAL;
    least = flags & BPF_F_ADJ_ROOM_DECAP_L3_IPV4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  }
  const left = lengthOf(skb) - link;
  const fits = shrinks
    ? bytes < left && left - bytes >= least
    : <u64>lengthOf(skb) + <u64>bytes <= LENGTH_MAX;
  if (!fits) return -ENOTSUPP;
  const status = shrinks ? shrink(skb, before, bytes, flags) : grow(skb, before, bytes, flags);
  if (status == 0 && !(flags & BPF_F_ADJ_ROOM_NO_CSUM_RESET)) store<u32>(skb, 0, SKB_CHECKED);
  return status;
}

function grow(skb: usize, before: u32, bytes: u32, flags: u64): i64 {
  const encapsulates = (flags & ENCAP_L3) != 0;
  if (encapsulates) {
    const inner = <u32>(flags >> BPF_ADJ_ROOM_ENCAP_L2_SHIFT);
    if ((flags & ENCAP_L3) == ENCAP_L3 || (flags & ENCAP_L4) == ENCAP_L4) return -EINVAL;
    if (flags & BPF_F_ADJ_ROOM_ENCAP_L2_ETH && inner < <u32>ETH_HLEN) return -EINVAL;
    if (load<u32>(skb, SKB_ENCAPSULATED)) return -EALREADY;
    if (inner > bytes) return -EINVAL;
  }
  const status = openRoom(skb, before, bytes);
  if (status != 0 || !encapsulates) return status;
  store<u32>(skb, flags & ENCAP_L4 ? TUNNEL_OF_LAYER_4 : TUNNEL, SKB_ENCAPSULATED);
  setProtocol(skb, flags & BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 ? ETH_P_IP : ETH_P_IPV6);
  return 0;
}

function shrink(skb: usize, before: u32, bytes: u32, flags: u64): i64 {
  if (flags & ~(ALWAYS | DECAP_L3)) return -EINVAL;
  if (before + bytes > lengthOf(skb)) return -ENOMEM;
  closeRoom(skb, before, bytes);
  if (flags & DECAP_L3) setProtocol(skb, flags & BPF_F_ADJ_ROOM_DECAP_L3_IPV4 ? ETH_P_IP : ETH_P_IPV6);
  return 0;
}

/** Makes an IPv4 packet an IPv6 packet or the other way round, as far as lengths go: the program writes the headers. */
export function bpf_skb_change_proto(ctx: u64, protocol: u64, flags: u64): i64 {
  const skb = <usize>ctx;
  if (flags) return -EINVAL;
  const from = protocolOf(skb), to = <u32>bswap<u16>(<u16>protocol);
  const link = <u32>(networkOf(skb) - dataOf(skb));
  const bytes = IPV6_HEADER_BYTES - IPV4_HEADER_BYTES;
  if (from == ETH_P_IP && to == ETH_P_IPV6) {
    const status = openRoom(skb, link, bytes);
    if (status != 0) return status;
  } else if (from == ETH_P_IPV6 && to == ETH_P_IP) {
    if (link + bytes > lengthOf(skb)) return -ENOMEM;
    closeRoom(skb, link, bytes);
  } else return -ENOTSUPP;
  setProtocol(skb, to);
  store<u32>(skb, 0, SKB_HASH);
  return 0;
}
