// Helpers without a context: clocks, randomness, CPU number, checksum (bpf-helpers(7)).
import {
  CPU_BOOT_OFFSET_NS, CPU_CLOCK_NS, CPU_NUMA_NODE, CPU_PRANDOM, CPU_TAI_OFFSET_NS,
} from "../../memory/layout";
import { block, cpu } from "../../maps/wasm/memory";

/** A tick at 250 a second, which most distributions' kernels have (CONFIG_HZ). */
const NS_PER_JIFFY: u64 = 4000000;

export function bpf_ktime_get_ns(): u64 {
  return load<u64>(block, CPU_CLOCK_NS);
}

/** The clock's word is written once a batch of packets: it is coarse already. */
export function bpf_ktime_get_coarse_ns(): u64 {
  return load<u64>(block, CPU_CLOCK_NS);
}

export function bpf_ktime_get_boot_ns(): u64 {
  return load<u64>(block, CPU_CLOCK_NS) + load<u64>(block, CPU_BOOT_OFFSET_NS);
}

export function bpf_ktime_get_tai_ns(): u64 {
  return load<u64>(block, CPU_CLOCK_NS) + load<u64>(block, CPU_TAI_OFFSET_NS);
}

/** Ticks of the monotonic clock; Linux counts from five minutes below 2³², so only differences mean anything. */
export function bpf_jiffies64(): u64 {
  return load<u64>(block, CPU_CLOCK_NS) / NS_PER_JIFFY;
}

export function bpf_get_numa_node_id(): u64 {
  return load<u32>(block, CPU_NUMA_NODE);
}

/** xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators", 2016). */
export function bpf_get_prandom_u32(): u64 {
  let x = load<u64>(block, CPU_PRANDOM);
  x ^= x >> 12;
  x ^= x << 25;
  x ^= x >> 27;
  store<u64>(block, x, CPU_PRANDOM);
  return (x * 0x2545F4914F6CDD1D) >> 32;
}

export function bpf_get_smp_processor_id(): u64 {
  return <u64>cpu;
}

/**
 * seed + sum(to) − sum(from) in ones' complement (RFC 1071 §2, RFC 1624 §3), folded to 16 bits, of little
 * endian words. Any sizes, and zero as 0 or 0xffff just as Linux 6.18 answers: older kernels refuse sizes
 * that are no multiple of 4, and do not fold.
 */
export function bpf_csum_diff(from: u64, fromSize: u64, to: u64, toSize: u64, seed: u64): i64 {
  const removed = <u32>fromSize, added = <u32>toSize;
  let sum = <u32>seed;
  if (removed && added) {
    sum = fold32(<u64>partial(<usize>to, added, sum) + <u64>~partial(<usize>from, removed, 0));
  } else if (added) sum = partial(<usize>to, added, sum);
  else if (removed) sum = ~partial(<usize>from, removed, ~sum);
  sum = (sum & 0xffff) + (sum >> 16);
  return (sum & 0xffff) + (sum >> 16);
}

/** Sum with the carry put back in, which is 0 only if all the words are. */
@inline function fold32(sum: u64): u32 {
  sum = (sum & 0xffffffff) + (sum >> 32);
  return <u32>((sum & 0xffffffff) + (sum >> 32));
}

function partial(at: usize, bytes: u32, seed: u32): u32 {
  let sum: u64 = seed;
  for (; bytes >= 4; bytes -= 4, at += 4) sum += load<u32>(at);
  if (bytes & 2) {
    sum += load<u16>(at);
    at += 2;
  }
  if (bytes & 1) sum += load<u8>(at);
  return fold32(sum);
}
