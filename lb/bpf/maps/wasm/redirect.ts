// DEVMAP, DEVMAP_HASH, CPUMAP, XSKMAP and the helpers that send a frame through them (kernel/bpf/devmap.c, cpumap.c,
// net/xdp/xskmap.c, net/core/filter.c). The helper leaves the way in its CPU's block; who acts on the verdict goes it.
import {
  CPU_REDIRECT, CURSOR_ELEMENT, CURSOR_GENERATION, CURSOR_INDEX, CURSOR_TARGET, CURSOR_VALUE, MAP_DATA,
  MAP_MAX_ENTRIES, MAP_TYPE, MAP_VALUE_SIZE, REDIRECT_FLAGS, REDIRECT_KEY, REDIRECT_MAP, REDIRECT_PROGRAM,
  REDIRECT_TARGET, TARGET_BYTES,
} from "../../memory/layout";
import {
  BPF_F_BROADCAST, BPF_F_EXCLUDE_INGRESS, BPF_MAP_TYPE_CPUMAP, BPF_MAP_TYPE_DEVMAP, BPF_MAP_TYPE_DEVMAP_HASH,
  BPF_MAP_TYPE_XSKMAP, BPF_F_INGRESS, E2BIG, EINVAL, ENOENT, TC_ACT_REDIRECT, TC_ACT_SHOT, XDP_ABORTED, XDP_REDIRECT,
} from "../uapi";
import { copiedWhole, hashIterate, hashWord } from "./hash";
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

/** Both words of an element, read at once; 0 where the key is beyond the end or the element is empty. */
@inline function targetWord(map: usize, index: u32): u64 {
  if (index >= load<u32>(map, MAP_MAX_ENTRIES)) return 0;
  return atomic.load<u64>(<usize>load<u32>(map, MAP_DATA) + index * TARGET_BYTES);
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

/**
 * One step of a walk over the elements of a DEVMAP or DEVMAP_HASH: 1 and the element's two words at CURSOR_TARGET, or 0
 * at the end. An element that changes meanwhile is shown as it was or as it is, or passed over.
 */
export function target_iterate(map: usize, cursor: usize): i32 {
  if (load<u32>(map, MAP_TYPE) == BPF_MAP_TYPE_DEVMAP_HASH) {
    while (hashIterate(map, cursor) == 1) {
      const word = atomic.load<u64>(load<u32>(cursor, CURSOR_VALUE));
      if (!copiedWhole(load<u32>(cursor, CURSOR_ELEMENT), load<u32>(cursor, CURSOR_GENERATION))) continue;
      store<u64>(cursor, word, CURSOR_TARGET);
      return 1;
    }
    return 0;
  }
  const end = load<u32>(map, MAP_MAX_ENTRIES);
  for (let index = load<u32>(cursor, CURSOR_INDEX); index < end; index++) {
    const word = targetWord(map, index);
    if (!word) continue;
    store<u32>(cursor, index + 1, CURSOR_INDEX);
    store<u64>(cursor, word, CURSOR_TARGET);
    return 1;
  }
  store<u32>(cursor, end, CURSOR_INDEX);
  return 0;
}

@inline function leave(map: usize, key: u32, flags: u64, target: u32, program: u32): void {
  const at = block + CPU_REDIRECT;
  store<u32>(at, <u32>map, REDIRECT_MAP);
  store<u32>(at, key, REDIRECT_KEY);
  store<u64>(at, flags, REDIRECT_FLAGS);
  store<u32>(at, target, REDIRECT_TARGET);
  store<u32>(at, program, REDIRECT_PROGRAM);
}

/** XDP's form: another interface, no flags. TC's is bpf_skb_redirect. */
export function bpf_redirect(ifindex: u64, flags: u64): i64 {
  if (flags) return XDP_ABORTED;
  leave(0, <u32>ifindex, 0, <u32>ifindex, 0);
  return XDP_REDIRECT;
}

/** TC's form: to another interface, or back in on it (BPF_F_INGRESS). */
export function bpf_skb_redirect(ifindex: u64, flags: u64): i64 {
  if (flags & ~<u64>BPF_F_INGRESS) return TC_ACT_SHOT;
  leave(0, <u32>ifindex, flags, <u32>ifindex, 0);
  return TC_ACT_REDIRECT;
}

export function bpf_redirect_map(map: u64, key: u64, flags: u64): i64 {
  const at = <usize>map;
  const type = load<u32>(at, MAP_TYPE);
  const isDevice = type == BPF_MAP_TYPE_DEVMAP || type == BPF_MAP_TYPE_DEVMAP_HASH;
  const known: u64 = isDevice ? BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS : 0;
  if (flags & ~(ACTION_MASK | known)) return XDP_ABORTED;
  if (flags & BPF_F_BROADCAST) {
    leave(at, <u32>key, flags, 0, 0);
    return XDP_REDIRECT;
  }
  // The key has to lie in memory for the lookup; nothing else uses this word meanwhile.
  const place = block + CPU_REDIRECT + REDIRECT_KEY;
  store<u32>(place, <u32>key);
  const target = type == BPF_MAP_TYPE_DEVMAP_HASH ? hashWord(at, place) : targetWord(at, <u32>key);
  if (!target) {
    leave(0, 0, 0, 0, 0);
    return flags & ACTION_MASK;
  }
  // A CPU's element holds the length of its queue: its number is the key. A socket's second word is no program.
  const number = type == BPF_MAP_TYPE_CPUMAP ? <u32>key : <u32>target;
  leave(at, <u32>key, 0, number, type == BPF_MAP_TYPE_XSKMAP ? 0 : <u32>(target >> 32));
  return XDP_REDIRECT;
}
