// DEVMAP, DEVMAP_HASH, CPUMAP, XSKMAP and the helpers that send a frame through them (kernel/bpf/devmap.c, cpumap.c,
// net/xdp/xskmap.c, net/core/filter.c). The helper leaves the way in its CPU's block; who acts on the verdict goes it.
import {
  CPU_REDIRECT, MAP_DATA, MAP_MAX_ENTRIES, MAP_TYPE, MAP_VALUE_SIZE, REDIRECT_FLAGS, REDIRECT_KEY, REDIRECT_MAP,
  REDIRECT_TARGET, TARGET_BYTES, TARGET_NUMBER,
} from "../../memory/layout";
import {
  BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS, BPF_MAP_TYPE_CPUMAP, BPF_MAP_TYPE_DEVMAP, BPF_MAP_TYPE_DEVMAP_HASH,
  BPF_F_INGRESS, E2BIG, EINVAL, ENOENT, TC_ACT_REDIRECT, TC_ACT_SHOT, XDP_ABORTED, XDP_REDIRECT,
} from "../uapi";
import { hash_lookup } from "./hash";
import { block, copy } from "./memory";

/** What redirect_map returns in place of XDP_REDIRECT stands in these bits of its flags: XDP_ABORTED to XDP_TX. */
const ACTION_MASK: u64 = 3;

/** The element, or 0 where the key is beyond the end or the element is empty. */
export function target_lookup(map: usize, key: usize): usize {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return 0;
  const at = <usize>load<u32>(map, MAP_DATA) + index * TARGET_BYTES;
  return atomic.load<u64>(at) ? at : 0;
}

/**
 * Fill an element with the two words at `value`, or empty it where both are 0. The host has checked what they name, and
 * writes two also where a value of the map has one.
 */
export function targetUpdate(map: usize, key: usize, value: usize): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return -E2BIG;
  atomic.store<u64>(<usize>load<u32>(map, MAP_DATA) + index * TARGET_BYTES, load<u64>(value));
  return 0;
}

export function targetRead(map: usize, key: usize, value: usize): i32 {
  const at = target_lookup(map, key);
  if (!at) return -ENOENT;
  copy(value, at, load<u32>(map, MAP_VALUE_SIZE));
  return 0;
}

/** As in the kernel, an empty element is no error. */
export function targetDelete(map: usize, key: usize): i32 {
  const index = load<u32>(key);
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return -EINVAL;
  atomic.store<u64>(<usize>load<u32>(map, MAP_DATA) + index * TARGET_BYTES, 0);
  return 0;
}

@inline function leave(map: usize, key: u32, flags: u64, target: u32): void {
  const at = block + CPU_REDIRECT;
  store<u32>(at, <u32>map, REDIRECT_MAP);
  store<u32>(at, key, REDIRECT_KEY);
  store<u64>(at, flags, REDIRECT_FLAGS);
  store<u32>(at, target, REDIRECT_TARGET);
}

/** XDP's form: another interface, no flags. TC's is bpf_skb_redirect. */
export function bpf_redirect(ifindex: u64, flags: u64): i64 {
  if (flags) return XDP_ABORTED;
  leave(0, <u32>ifindex, 0, <u32>ifindex);
  return XDP_REDIRECT;
}

/** TC's form: to another interface, or back in on it (BPF_F_INGRESS). */
export function bpf_skb_redirect(ifindex: u64, flags: u64): i64 {
  if (flags & ~<u64>BPF_F_INGRESS) return TC_ACT_SHOT;
  leave(0, <u32>ifindex, flags, <u32>ifindex);
  return TC_ACT_REDIRECT;
}

export function bpf_redirect_map(map: u64, key: u64, flags: u64): i64 {
  const at = <usize>map;
  const type = load<u32>(at, MAP_TYPE);
  const isDevice = type == BPF_MAP_TYPE_DEVMAP || type == BPF_MAP_TYPE_DEVMAP_HASH;
  const known: u64 = isDevice ? BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS : 0;
  if (flags & ~(ACTION_MASK | known)) return XDP_ABORTED;
  // The key has to lie in memory for the lookup; nothing else uses this word meanwhile.
  const place = block + CPU_REDIRECT + REDIRECT_KEY;
  store<u32>(place, <u32>key);
  const target = type == BPF_MAP_TYPE_DEVMAP_HASH ? hash_lookup(at, place) : target_lookup(at, place);
  const broadcast = (flags & BPF_F_BROADCAST) != 0;
  if (!target && !broadcast) {
    leave(0, 0, 0, 0);
    return flags & ACTION_MASK;
  }
  let number: u32 = 0;
  // A CPU's element holds the length of its queue: its number is the key.
  if (target) number = type == BPF_MAP_TYPE_CPUMAP ? <u32>key : load<u32>(target, TARGET_NUMBER);
  leave(at, <u32>key, broadcast ? flags : 0, number);
  return XDP_REDIRECT;
}
