// What the TC helpers share: the arena's __sk_buff and the packet that it describes, which is one piece of memory.
import {
  SKB_DATA, SKB_DATA_END, SKB_DATA_META, SKB_HARD_END, SKB_HARD_START, SKB_NETWORK,
} from "../../memory/layout";
import { ENOMEM } from "../../maps/uapi";
import { ETH_HLEN, ETH_P_IP, ETH_P_IPV6 } from "../uapi";

// Fields of __sk_buff (uapi/linux/bpf.h) that helpers read and write.
export const SKB_LEN: usize = 0;
export const SKB_PKT_TYPE: usize = 4;
export const SKB_PROTOCOL: usize = 16;
export const SKB_VLAN_PRESENT: usize = 20;
export const SKB_VLAN_TCI: usize = 24;
export const SKB_VLAN_PROTO: usize = 28;
export const SKB_HASH: usize = 68;
export const SKB_TSTAMP: usize = 152;
export const SKB_TSTAMP_TYPE: usize = 180;

@inline export function dataOf(skb: usize): usize { return <usize>load<u32>(skb, SKB_DATA); }
@inline export function endOf(skb: usize): usize { return <usize>load<u32>(skb, SKB_DATA_END); }
@inline export function lengthOf(skb: usize): u32 { return load<u32>(skb, SKB_DATA_END) - load<u32>(skb, SKB_DATA); }

/** The network header: behind the Ethernet header, where nobody has put anything else in front. */
@inline export function networkOf(skb: usize): usize {
  return dataOf(skb) + ETH_HLEN + <usize>load<u32>(skb, SKB_NETWORK);
}

/** skb->protocol, from network order. */
@inline export function protocolOf(skb: usize): u32 { return bswap<u16>(load<u16>(skb, SKB_PROTOCOL)); }
@inline export function setProtocol(skb: usize, protocol: u32): void {
  store<u32>(skb, <u32>bswap<u16>(<u16>protocol), SKB_PROTOCOL);
}
@inline export function isIp(protocol: u32): bool { return protocol == ETH_P_IP || protocol == ETH_P_IPV6; }

/** Sets the packet's place; whatever metadata was in front of it is gone, as in the kernel. */
export function setPlace(skb: usize, data: usize, end: usize): void {
  store<u32>(skb, <u32>data, SKB_DATA);
  store<u32>(skb, <u32>end, SKB_DATA_END);
  store<u32>(skb, <u32>data, SKB_DATA_META);
  store<u32>(skb, <u32>(end - data), SKB_LEN);
}

@inline export function headroomOf(skb: usize): u32 {
  return load<u32>(skb, SKB_DATA) - load<u32>(skb, SKB_HARD_START);
}
@inline export function tailroomOf(skb: usize): u32 {
  return load<u32>(skb, SKB_HARD_END) - load<u32>(skb, SKB_DATA_END);
}

/** Moves the whole packet by `by` bytes, for room at one end; false where there is none at the other. */
export function movePacket(skb: usize, by: i32): bool {
  if (by < 0 ? headroomOf(skb) < <u32>-by : tailroomOf(skb) < <u32>by) return false;
  const data = dataOf(skb), end = endOf(skb);
  memory.copy(data + by, data, end - data);
  setPlace(skb, data + by, end + by);
  return true;
}

/** Opens `bytes` zeros behind the first `before` bytes; those move to the front (skb_push and memmove). */
export function openRoom(skb: usize, before: u32, bytes: u32): i64 {
  if (headroomOf(skb) < bytes && !movePacket(skb, <i32>bytes - <i32>headroomOf(skb))) return -ENOMEM;
  const data = dataOf(skb);
  const moved = data - <usize>bytes;
  memory.copy(moved, data, <usize>before);
  memory.fill(moved + <usize>before, 0, <usize>bytes);
  setPlace(skb, moved, endOf(skb));
  return 0;
}

/** Takes `bytes` away behind the first `before` bytes, which move towards the end. */
export function closeRoom(skb: usize, before: u32, bytes: u32): void {
  const data = dataOf(skb);
  memory.copy(data + <usize>bytes, data, <usize>before);
  setPlace(skb, data + <usize>bytes, endOf(skb));
}
