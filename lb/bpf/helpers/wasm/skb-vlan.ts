// bpf_skb_vlan_push and bpf_skb_vlan_pop. As in the kernel, the outermost tag stands beside the packet (vlan_present,
// vlan_tci, vlan_proto); further ones stand in it (IEEE 802.1Q-2018 §9).
import { SKB_NETWORK } from "../../memory/layout";
import { ENOMEM } from "../../maps/uapi";
import { ETH_HLEN, ETH_P_8021AD, ETH_P_8021Q, ETH_P_802_2, ETH_P_802_3, ETH_P_802_3_MIN } from "../uapi";
import {
  closeRoom, dataOf, endOf, lengthOf, openRoom, protocolOf, setProtocol, SKB_VLAN_PRESENT, SKB_VLAN_PROTO, SKB_VLAN_TCI,
} from "./skb";

const TAG_BYTES: u32 = 4;
const ADDRESSES_BYTES: u32 = 12;

@inline function isTag(protocol: u32): bool { return protocol == ETH_P_8021Q || protocol == ETH_P_8021AD; }

function setTag(skb: usize, protocol: u32, tci: u32): void {
  store<u32>(skb, 1, SKB_VLAN_PRESENT);
  store<u32>(skb, tci & 0xffff, SKB_VLAN_TCI);
  store<u32>(skb, <u32>bswap<u16>(<u16>protocol), SKB_VLAN_PROTO);
}

/** The protocol of what follows a tag; a length in its place is IEEE 802.2, or raw 802.3 (vlan_set_encap_proto). */
function protocolAt(at: usize, end: usize): u32 {
  const protocol: u32 = bswap<u16>(load<u16>(at));
  if (protocol >= <u32>ETH_P_802_3_MIN) return protocol;
  return at + 4 <= end && load<u16>(at, 2) == 0xffff ? ETH_P_802_3 : ETH_P_802_2;
}

/** Takes the tag behind the addresses out of the packet. @returns its TCI, or a negative errno */
function takeTag(skb: usize): i32 {
  if (lengthOf(skb) < <u32>ETH_HLEN + TAG_BYTES) return -ENOMEM;
  const data = dataOf(skb);
  const tci = <i32>bswap<u16>(load<u16>(data, 14));
  setProtocol(skb, protocolAt(data + 16, endOf(skb)));
  closeRoom(skb, ADDRESSES_BYTES, TAG_BYTES);
  // The network header is where it was, but never before the end of an Ethernet header.
  const before = load<u32>(skb, SKB_NETWORK);
  store<u32>(skb, before < TAG_BYTES ? 0 : before - TAG_BYTES, SKB_NETWORK);
  return tci;
}

/** `protocol` in network order; any that is no tag's means 802.1Q. */
export function bpf_skb_vlan_push(ctx: u64, protocol: u64, tci: u64): i64 {
  const skb = <usize>ctx;
  const wanted = <u32>bswap<u16>(<u16>protocol);
  if (load<u32>(skb, SKB_VLAN_PRESENT)) {
    const status = openRoom(skb, ADDRESSES_BYTES, TAG_BYTES);
    if (status != 0) return status;
    const data = dataOf(skb);
    const outer = load<u16>(skb, SKB_VLAN_PROTO);
    store<u16>(data, outer, 12);
    store<u16>(data, bswap<u16>(load<u16>(skb, SKB_VLAN_TCI)), 14);
    setProtocol(skb, <u32>bswap<u16>(outer));
  }
  setTag(skb, isTag(wanted) ? wanted : ETH_P_8021Q, <u32>tci);
  return 0;
}

export function bpf_skb_vlan_pop(ctx: u64): i64 {
  const skb = <usize>ctx;
  if (load<u32>(skb, SKB_VLAN_PRESENT)) {
    store<u32>(skb, 0, SKB_VLAN_PRESENT);
    store<u32>(skb, 0, SKB_VLAN_TCI);
    store<u32>(skb, 0, SKB_VLAN_PROTO);
  } else if (isTag(protocolOf(skb))) {
    const tci = takeTag(skb);
    if (tci < 0) return tci;
  }
  const next = protocolOf(skb);
  if (!isTag(next)) return 0;
  const tci = takeTag(skb);
  if (tci < 0) return tci;
  setTag(skb, next, <u32>tci);
  return 0;
}
