// BLOOM_FILTER (kernel/bpf/bloom_filter.c's semantics). Bits are only ever set, one atomic word at a time: there is no
// lock, and a value whose push has returned is never denied.
import { BLOOM_FUNCTIONS, BLOOM_MASK, MAP_DATA, MAP_VALUE_SIZE } from "../../memory/layout";
import { EINVAL, ENOENT } from "../uapi";
import { hashOf } from "./hash-function";

/** The bits of a value: the finaliser of splitmix64 (Steele, Lea, Flood 2014, §5) over its hash and their number. */
@inline function bitOf(map: usize, hash: u32, which: u32): u32 {
  let x = <u64>hash << 32 | <u64>(which + 1);
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
  x = (x ^ x >> 27) * 0x94d049bb133111eb;
  return <u32>(x ^ x >> 31) & load<u32>(map, BLOOM_MASK);
}

@inline function wordOf(map: usize, bit: u32): usize {
  return load<u32>(map, MAP_DATA) + (bit >> 5) * 4;
}

export function bloomPush(map: usize, value: usize, flags: u64): i32 {
  if (flags != 0) return -EINVAL;
  const hash = hashOf(map, value, load<u32>(map, MAP_VALUE_SIZE));
  for (let i: u32 = 0, n = load<u32>(map, BLOOM_FUNCTIONS); i < n; i++) {
    const bit = bitOf(map, hash, i);
    const at = wordOf(map, bit);
    const mask: u32 = 1 << (bit & 31);
    // Values that are there already take no line from other CPUs.
    if (!(atomic.load<u32>(at) & mask)) atomic.or<u32>(at, mask);
  }
  return 0;
}

/** 0 where the value may have been pushed, -ENOENT where it certainly was not. */
export function bloomPeek(map: usize, value: usize): i32 {
  const hash = hashOf(map, value, load<u32>(map, MAP_VALUE_SIZE));
  for (let i: u32 = 0, n = load<u32>(map, BLOOM_FUNCTIONS); i < n; i++) {
    const bit = bitOf(map, hash, i);
    if (!(atomic.load<u32>(wordOf(map, bit)) >> (bit & 31) & 1)) return -ENOENT;
  }
  return 0;
}
