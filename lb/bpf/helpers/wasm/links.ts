// Interfaces as helpers see them, and bpf_check_mtu (net/core/filter.c's rules).
import {
  CPU_LOOKUP_KEY, CPU_SKB, DIR_LINKS, DIRECTORY_OFFSET, XDP_MD_DATA, XDP_MD_DATA_END, XDP_MD_INGRESS_IFINDEX,
} from "../../memory/layout";
import { hash_lookup } from "../../maps/wasm/hash";
import { block } from "../../maps/wasm/memory";
import { EINVAL, ENODEV } from "../../maps/uapi";
import { LINK_MTU } from "../fib-layout";
import { BPF_MTU_CHK_RET_FRAG_NEEDED, BPF_MTU_CHK_SEGS, ETH_HLEN } from "../uapi";
import { lengthOf } from "./skb";

/** __sk_buff's ifindex. */
const SKB_IFINDEX: usize = 40;

/** TC programs and XDP programs call the same helpers: the context's place in the CPU's block tells them apart. */
@inline export function isSkb(ctx: usize): bool { return ctx == block + CPU_SKB; }

/** The interface of a number, or 0 where none is known (fib-layout.ts, LINK_…). */
export function linkOf(ifindex: u32): usize {
  const links = <usize>atomic.load<u32>(DIRECTORY_OFFSET + DIR_LINKS);
  if (!links) return 0;
  store<u32>(block + CPU_LOOKUP_KEY, ifindex);
  return <usize>hash_lookup(links, block + CPU_LOOKUP_KEY);
}

/**
 * Does the packet, longer by `difference` (an int), fit the interface's MTU? `mtuAt`: in, the length of the IP packet
 * where it is not the packet's own; out, the MTU.
 */
export function bpf_check_mtu(ctx: u64, ifindex: u64, mtuAt: u64, difference: u64, flags: u64): i64 {
  const at = <usize>ctx, skb = isSkb(at);
  const asked = <i32>load<u32>(<usize>mtuAt);
  if (flags & ~<u64>(skb ? BPF_MTU_CHK_SEGS : 0)) return -EINVAL;
  if (flags & BPF_MTU_CHK_SEGS && (<i32>difference || asked)) return -EINVAL;
  const own = skb ? load<u32>(at, SKB_IFINDEX) : load<u32>(at, XDP_MD_INGRESS_IFINDEX);
  const link = linkOf(<u32>ifindex ? <u32>ifindex : own);
  if (!link) return -ENODEV;
  const mtu = load<u32>(link, LINK_MTU);
  const length = skb ? lengthOf(at) : load<u32>(at, XDP_MD_DATA_END) - load<u32>(at, XDP_MD_DATA);
  const bytes = (asked ? asked + ETH_HLEN : <i32>length) + <i32>difference;
  store<u32>(<usize>mtuAt, mtu);
  return bytes <= <i32>mtu + ETH_HLEN ? 0 : BPF_MTU_CHK_RET_FRAG_NEEDED;
}
