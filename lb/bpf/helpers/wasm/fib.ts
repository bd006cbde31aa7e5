// bpf_fib_lookup over the arena's own routes, interfaces and neighbours (helpers/fib.ts writes them; bpf-helpers(7),
// struct bpf_fib_lookup of uapi/linux/bpf.h; answers in the order in which the kernel finds them).
import { CPU_LOOKUP_KEY, DIR_FIB4, DIR_FIB6, DIR_NEIGHBOURS, DIRECTORY_OFFSET } from "../../memory/layout";
import { hash_lookup } from "../../maps/wasm/hash";
import { lpm_trie_lookup } from "../../maps/wasm/lpm-trie";
import { block } from "../../maps/wasm/memory";
import { EINVAL, ENODEV } from "../../maps/uapi";
import {
  LINK_FORWARDS, LINK_MAC, LINK_MTU, NEIGHBOUR_ADDRESS, NEIGHBOUR_ADDRESS_BYTES, NEIGHBOUR_IFINDEX, ROUTE_BITS,
  ROUTE_BLACKHOLE, ROUTE_GATEWAY, ROUTE_GATEWAY_BYTES, ROUTE_IFINDEX, ROUTE_KIND, ROUTE_METRIC, ROUTE_MTU,
  ROUTE_PROHIBIT, ROUTE_SOURCE, ROUTE_SOURCE_BYTES, ROUTE_UNICAST, ROUTE_UNREACHABLE,
} from "../fib-layout";
import {
  AF_INET, AF_INET6, BPF_FIB_LKUP_RET_BLACKHOLE, BPF_FIB_LKUP_RET_FRAG_NEEDED, BPF_FIB_LKUP_RET_FWD_DISABLED,
  BPF_FIB_LKUP_RET_NO_NEIGH, BPF_FIB_LKUP_RET_NO_SRC_ADDR, BPF_FIB_LKUP_RET_NOT_FWDED, BPF_FIB_LKUP_RET_PROHIBIT,
  BPF_FIB_LKUP_RET_SUCCESS, BPF_FIB_LKUP_RET_UNREACHABLE, BPF_FIB_LOOKUP_DIRECT, BPF_FIB_LOOKUP_MARK,
  BPF_FIB_LOOKUP_OUTPUT, BPF_FIB_LOOKUP_SKIP_NEIGH, BPF_FIB_LOOKUP_SRC, BPF_FIB_LOOKUP_TBID, EAFNOSUPPORT, ETH_HLEN,
} from "../uapi";
import { isSkb, linkOf } from "./links";
import { lengthOf } from "./skb";

// struct bpf_fib_lookup.
const FAMILY: usize = 0;
const TOTAL_LENGTH: usize = 6;
const MTU_RESULT: usize = 6;
const IFINDEX: usize = 8;
const METRIC: usize = 12;
const SOURCE: usize = 16;
const DESTINATION: usize = 32;
/** The VLAN's type and tag on return, or the number of the table to look in. */
const VLAN: usize = 48;
const SOURCE_MAC: usize = 52;
const DESTINATION_MAC: usize = 58;
const PARAMETERS_BYTES: u32 = 64;

const FLAGS: u32 = BPF_FIB_LOOKUP_DIRECT | BPF_FIB_LOOKUP_OUTPUT | BPF_FIB_LOOKUP_SKIP_NEIGH | BPF_FIB_LOOKUP_TBID |
  BPF_FIB_LOOKUP_SRC | BPF_FIB_LOOKUP_MARK;
/** The one table that there is (RT_TABLE_MAIN), and the default one's other name. */
const TABLE_MAIN: u32 = 254;
const MAC_BYTES: usize = 6;
const VLAN_HEADER_BYTES: u32 = 4;

export function bpf_fib_lookup(ctx: u64, params: u64, bytes: u64, flags: u64): i64 {
  const p = <usize>params, how = <u32>flags;
  if (<u32>bytes < PARAMETERS_BYTES || how & ~FLAGS) return -EINVAL;
  const family = load<u8>(p, FAMILY);
  const isIpv6 = family == AF_INET6;
  if (!isIpv6 && family != AF_INET) return -EAFNOSUPPORT;
  const routes = <usize>atomic.load<u32>(DIRECTORY_OFFSET + (isIpv6 ? DIR_FIB6 : DIR_FIB4));
  if (!routes) return BPF_FIB_LKUP_RET_NOT_FWDED;
  // A TC program that says no length has the packet's own checked, against the interface that it is to leave by.
  const checksLength = !isSkb(<usize>ctx) || load<u16>(p, TOTAL_LENGTH) != 0;
  const status = look(p, routes, isIpv6, how, checksLength);
  if (status != BPF_FIB_LKUP_RET_SUCCESS || checksLength) return status;
  const link = linkOf(load<u32>(p, IFINDEX));
  if (!link) return status;
  const mtu = load<u32>(link, LINK_MTU);
  store<u16>(p, <u16>mtu, MTU_RESULT);
  return lengthOf(<usize>ctx) > mtu + ETH_HLEN + VLAN_HEADER_BYTES ? BPF_FIB_LKUP_RET_FRAG_NEEDED : status;
}

function look(p: usize, routes: usize, isIpv6: bool, flags: u32, checksLength: bool): i64 {
  const ingress = load<u32>(p, IFINDEX);
  const from = linkOf(ingress);
  if (!from) return -ENODEV;
  if (!load<u32>(from, LINK_FORWARDS)) return BPF_FIB_LKUP_RET_FWD_DISABLED;
  if (isIpv6 && (staysOnLink(p + DESTINATION) || staysOnLink(p + SOURCE))) return BPF_FIB_LKUP_RET_NOT_FWDED;
  if ((flags & (BPF_FIB_LOOKUP_DIRECT | BPF_FIB_LOOKUP_TBID)) == (BPF_FIB_LOOKUP_DIRECT | BPF_FIB_LOOKUP_TBID)) {
    const table = load<u32>(p, VLAN);
    store<u32>(p, 0, VLAN);
    if (table != TABLE_MAIN) return BPF_FIB_LKUP_RET_NOT_FWDED;
  }
  // IPv6 takes the interface for a wish: the longest prefix wins.
  const by = flags & BPF_FIB_LOOKUP_OUTPUT && !isIpv6 ? ingress : 0;
  const route = longest(routes, p + DESTINATION, isIpv6, by);
  if (!route) return BPF_FIB_LKUP_RET_NOT_FWDED;
  switch (load<u32>(route, ROUTE_KIND)) {
    case ROUTE_UNICAST: return forward(p, route, isIpv6, flags, checksLength);
    case ROUTE_BLACKHOLE: return BPF_FIB_LKUP_RET_BLACKHOLE;
    case ROUTE_UNREACHABLE: return BPF_FIB_LKUP_RET_UNREACHABLE;
    case ROUTE_PROHIBIT: return BPF_FIB_LKUP_RET_PROHIBIT;
    default: return BPF_FIB_LKUP_RET_NOT_FWDED;
  }
}

/** Multicast, link-local and loopback addresses (RFC 4291 §2.4) are not forwarded. */
function staysOnLink(address: usize): bool {
  const first = load<u8>(address);
  if (first == 0xff) return true;
  if (first == 0xfe && (load<u8>(address, 1) & 0xc0) == 0x80) return true;
  return !load<u64>(address) && bswap<u64>(load<u64>(address, 8)) == 1;
}

/**
 * The route with the longest prefix; of those by the interface `by`, where it is not 0.
 * @returns 0 where there is none
 */
function longest(routes: usize, address: usize, isIpv6: bool, by: u32): usize {
  const key = block + CPU_LOOKUP_KEY;
  memory.copy(key + 4, address, isIpv6 ? 16 : 4);
  let bits: u32 = isIpv6 ? 128 : 32;
  while (true) {
    store<u32>(key, bits);
    const route = <usize>lpm_trie_lookup(routes, key);
    if (!route || !by || load<u32>(route, ROUTE_IFINDEX) == by) return route;
    const matched = load<u32>(route, ROUTE_BITS);
    if (!matched) return 0;
    bits = matched - 1;
  }
}

function forward(p: usize, route: usize, isIpv6: bool, flags: u32, checksLength: bool): i64 {
  const ifindex = load<u32>(route, ROUTE_IFINDEX);
  const link = linkOf(ifindex);
  if (!link) return BPF_FIB_LKUP_RET_NOT_FWDED;
  let mtu = load<u32>(route, ROUTE_MTU);
  if (!mtu) mtu = load<u32>(link, LINK_MTU);
  if (checksLength && load<u16>(p, TOTAL_LENGTH) > mtu) {
    store<u16>(p, <u16>mtu, MTU_RESULT);
    return BPF_FIB_LKUP_RET_FRAG_NEEDED;
  }
  const gateway = load<u32>(route, ROUTE_GATEWAY_BYTES);
  const address = isIpv6 ? 16 : 4;
  store<u32>(p, load<u32>(route, ROUTE_METRIC), METRIC);
  store<u32>(p, ifindex, IFINDEX);
  if (flags & BPF_FIB_LOOKUP_SRC) {
    if (load<u32>(route, ROUTE_SOURCE_BYTES) != address) return BPF_FIB_LKUP_RET_NO_SRC_ADDR;
    memory.copy(p + SOURCE, route + ROUTE_SOURCE, address);
  }
  if (gateway) {
    memory.copy(p + DESTINATION, route + ROUTE_GATEWAY, gateway);
    // An IPv4 route may go by an IPv6 gateway (RFC 9229).
    store<u8>(p, gateway == 16 ? AF_INET6 : AF_INET, FAMILY);
  }
  if (!(flags & BPF_FIB_LOOKUP_SKIP_NEIGH)) {
    const mac = neighbourOf(ifindex, p + DESTINATION, gateway ? gateway : address);
    if (!mac) return BPF_FIB_LKUP_RET_NO_NEIGH;
    memory.copy(p + DESTINATION_MAC, mac, MAC_BYTES);
    memory.copy(p + SOURCE_MAC, link + LINK_MAC, MAC_BYTES);
  }
  store<u32>(p, 0, VLAN);
  if (checksLength) store<u16>(p, <u16>min<u32>(mtu, 0xffff), MTU_RESULT);
  return BPF_FIB_LKUP_RET_SUCCESS;
}

/** The MAC address of a neighbour, or 0. */
function neighbourOf(ifindex: u32, address: usize, bytes: u32): usize {
  const neighbours = <usize>atomic.load<u32>(DIRECTORY_OFFSET + DIR_NEIGHBOURS);
  if (!neighbours) return 0;
  const key = block + CPU_LOOKUP_KEY;
  store<u32>(key, ifindex, NEIGHBOUR_IFINDEX);
  store<u32>(key, bytes, NEIGHBOUR_ADDRESS_BYTES);
  store<u64>(key, 0, NEIGHBOUR_ADDRESS);
  store<u64>(key, 0, NEIGHBOUR_ADDRESS + 8);
  memory.copy(key + NEIGHBOUR_ADDRESS, address, <usize>bytes);
  return <usize>hash_lookup(neighbours, key);
}
