// bpf_tcp_raw_gen_syncookie_… and bpf_tcp_raw_check_syncookie_…: SYN cookies (Bernstein, cr.yp.to/syncookies.html;
// RFC 4987 §3.6) in the form that Linux gives them:
//
//   H₀ + the client's sequence number + (minute << 24) + (H₁(minute) + index of the segment size, modulo 2²⁴)
//
// H₀ and H₁ are hashes of addresses and ports with a secret. The secret is the arena's own: cookies of a kernel are
// none here, nor the other way round.
import { CPU_CLOCK_NS, DIR_COOKIE_SECRET, DIRECTORY_OFFSET } from "../../memory/layout";
import { block } from "../../maps/wasm/memory";
import { EACCES, EINVAL } from "../../maps/uapi";
import { sipAdd, sipBegin, sipEnd } from "./siphash";

const NS_PER_MINUTE: u64 = 60000000000;
const MINUTE_SHIFT: u32 = 24;
const DATA_MASK: u32 = 0xffffff;
/** A cookie is good in the minute that it was made in and in the next. */
const AGE_MAX: u32 = 2;
const SEGMENT_SIZES: u32 = 4;
/** Segment size of a SYN without the option: RFC 9293 §3.7.1; over IPv6, what the least MTU of 1280 leaves. */
const DEFAULT_IPV4: u32 = 536;
const DEFAULT_IPV6: u32 = 1220;

const IPV4_ADDRESSES: usize = 12;
const IPV6_ADDRESSES: usize = 8;
const TCP_HEADER_BYTES: u32 = 20;
const TCP_SEQUENCE: usize = 4;
const TCP_ACKNOWLEDGED: usize = 8;
const TCP_LENGTH: usize = 12;
const OPTION_END: u8 = 0;
const OPTION_NOTHING: u8 = 1;
const OPTION_SEGMENT_SIZE: u8 = 2;
const OPTION_SEGMENT_SIZE_BYTES: u32 = 4;

/** The segment sizes that a cookie can say, smallest first. */
function segmentSize(index: u32, isIpv6: bool): u32 {
  switch (index) {
    case 0: return isIpv6 ? 1220 : 536;
    case 1: return isIpv6 ? 1420 : 1300;
    case 2: return 1440;
    default: return isIpv6 ? 8940 : 1460;
  }
}

function hash(ip: usize, tcp: usize, isIpv6: bool, minute: u32, variant: u32): u32 {
  sipBegin(DIRECTORY_OFFSET + DIR_COOKIE_SECRET);
  if (isIpv6) {
    for (let at: usize = 0; at < 32; at += 8) sipAdd(load<u64>(ip + at, IPV6_ADDRESSES));
  } else sipAdd(load<u64>(ip, IPV4_ADDRESSES));
  sipAdd(<u64>load<u32>(tcp) | <u64>variant << 32);
  sipAdd(minute);
  return <u32>sipEnd();
}

@inline function minuteNow(): u32 { return <u32>(load<u64>(block, CPU_CLOCK_NS) / NS_PER_MINUTE); }

/** The option's segment size, or 0 where the header has none. */
function optionOf(tcp: usize, bytes: u32): u32 {
  let size: u32 = 0;
  let at = TCP_HEADER_BYTES;
  while (at < bytes) {
    const kind = load<u8>(tcp + at);
    if (kind == OPTION_END) break;
    if (kind == OPTION_NOTHING) { at++; continue; }
    if (at + 2 > bytes) break;
    const length: u32 = load<u8>(tcp + at, 1);
    if (length < 2 || at + length > bytes) break;
    if (kind == OPTION_SEGMENT_SIZE && length == OPTION_SEGMENT_SIZE_BYTES) {
      const asked: u32 = bswap<u16>(load<u16>(tcp + at, 2));
      if (asked) size = asked;
    }
    at += length;
  }
  return size;
}

/** @returns the cookie, and above it the segment size that it stands for */
function make(ip: usize, tcp: usize, bytes: u32, isIpv6: bool): i64 {
  if (bytes < TCP_HEADER_BYTES || bytes != <u32>(load<u8>(tcp, TCP_LENGTH) >> 4) * 4) return -EINVAL;
  const asked = optionOf(tcp, bytes) || (isIpv6 ? DEFAULT_IPV6 : DEFAULT_IPV4);
  let index = SEGMENT_SIZES - 1;
  while (index && asked < segmentSize(index, isIpv6)) index--;
  const minute = minuteNow();
  const data = hash(ip, tcp, isIpv6, minute, 1) + index & DATA_MASK;
  const sequence = bswap<u32>(load<u32>(tcp, TCP_SEQUENCE));
  const cookie = hash(ip, tcp, isIpv6, 0, 0) + sequence + (minute << MINUTE_SHIFT) + data;
  return <i64>segmentSize(index, isIpv6) << 32 | <i64>cookie;
}

/** Is the number that an ACK acknowledges one that `make` gave to the SYN before it? */
function check(ip: usize, tcp: usize, isIpv6: bool): i64 {
  const cookie = bswap<u32>(load<u32>(tcp, TCP_ACKNOWLEDGED)) - 1;
  const sequence = bswap<u32>(load<u32>(tcp, TCP_SEQUENCE)) - 1;
  const rest = cookie - hash(ip, tcp, isIpv6, 0, 0) - sequence;
  const minute = minuteNow();
  const age = minute - (rest >> MINUTE_SHIFT) & 0xff;
  if (age >= AGE_MAX) return -EACCES;
  const index = rest - hash(ip, tcp, isIpv6, minute - age, 1) & DATA_MASK;
  return index < SEGMENT_SIZES ? 0 : -EACCES;
}

export function bpf_tcp_raw_gen_syncookie_ipv4(ip: u64, tcp: u64, length: u64): i64 {
  return make(<usize>ip, <usize>tcp, <u32>length, false);
}

export function bpf_tcp_raw_gen_syncookie_ipv6(ip: u64, tcp: u64, length: u64): i64 {
  return make(<usize>ip, <usize>tcp, <u32>length, true);
}

export function bpf_tcp_raw_check_syncookie_ipv4(ip: u64, tcp: u64): i64 {
  return check(<usize>ip, <usize>tcp, false);
}

export function bpf_tcp_raw_check_syncookie_ipv6(ip: u64, tcp: u64): i64 {
  return check(<usize>ip, <usize>tcp, true);
}
