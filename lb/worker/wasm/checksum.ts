// Checksums of TCP and UDP that a local sender left to its NIC (RFC 1071; CHECKSUM_PARTIAL of the kernel's skbuff.h).
import { COUNTER_CHECKSUM_FILLED } from "../layout";
import { count } from "./block";

const ETHERNET_BYTES: u32 = 14;
const IPV4_BYTES: u32 = 20;
const IPV6_BYTES: u32 = 40;
// Words of the packet as a little-endian machine reads them.
const ETHERTYPE_IPV4: u16 = 0x0008;
const ETHERTYPE_IPV6: u16 = 0xdd86;
const PROTOCOL_TCP: u32 = 6;
const PROTOCOL_UDP: u32 = 17;

@inline function folded(sum: u64): u32 {
  sum = (sum & 0xffffffff) + (sum >> 32);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return <u32>((sum & 0xffff) + (sum >> 16));
}

/**
 * Whether the checksum of an untagged TCP segment or UDP datagram may have been left to a NIC, where nobody says so: its
 * field holds the sum of the pseudo-header. One that is whole and happens to be that sum is the same when it is filled in.
 */
export function mayLackChecksum(data: u32, end: u32): bool {
  const ip = data + ETHERNET_BYTES;
  const type = load<u16>(data + 12);
  let sum: u64, length: u32, protocol: u32, transport: u32;
  if (type == ETHERTYPE_IPV4 && ip + IPV4_BYTES <= end) {
    const header = <u32>(load<u8>(ip) & 0x0f) << 2;
    protocol = load<u8>(ip + 9);
    transport = ip + header;
    length = <u32>bswap<u16>(load<u16>(ip + 2)) - header;
    sum = <u64>load<u32>(ip + 12) + load<u32>(ip + 16);
  } else if (type == ETHERTYPE_IPV6 && ip + IPV6_BYTES <= end) {
    protocol = load<u8>(ip + 6);
    transport = ip + IPV6_BYTES;
    length = bswap<u16>(load<u16>(ip + 4));
    sum = <u64>load<u32>(ip + 8) + load<u32>(ip + 12) + load<u32>(ip + 16) + load<u32>(ip + 20);
    sum += <u64>load<u32>(ip + 24) + load<u32>(ip + 28) + load<u32>(ip + 32) + load<u32>(ip + 36);
  } else {
    return false;
  }
  if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP) return false;
  const field = transport + (protocol == PROTOCOL_TCP ? 16 : 6);
  if (field + 2 > end) return false;
  return folded(sum + bswap<u16>(<u16>protocol) + bswap<u16>(<u16>length)) == <u32>load<u16>(field);
}

/**
 * Fills in the checksum of a TCP segment or UDP datagram that a local sender left to its NIC: the field holds the sum
 * of the pseudo-header, so the sum over all of it is what is missing.
 * @returns false where it is neither, or not all there
 */
export function fillChecksum(data: u32, end: u32): bool {
  const ip = data + ETHERNET_BYTES;
  if (ip + IPV4_BYTES > end) return false;
  const type = load<u16>(data + 12);
  let protocol: u32, transport: u32, stop: u32;
  if (type == ETHERTYPE_IPV4) {
    protocol = load<u8>(ip + 9);
    transport = ip + (<u32>(load<u8>(ip) & 0x0f) << 2);
    if (transport < ip + IPV4_BYTES) return false;
    stop = ip + <u32>bswap<u16>(load<u16>(ip + 2));
  } else if (type == ETHERTYPE_IPV6 && ip + IPV6_BYTES <= end) {
    protocol = load<u8>(ip + 6);
    transport = ip + IPV6_BYTES;
    stop = transport + <u32>bswap<u16>(load<u16>(ip + 4));
  } else {
    return false;
  }
  const field = transport + (protocol == PROTOCOL_TCP ? 16 : 6);
  if ((protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP) || stop > end || field + 2 > stop) return false;
  let sum: u64 = 0;
  let at = transport;
  for (; at + 4 <= stop; at += 4) sum += load<u32>(at);
  if (at + 2 <= stop) {
    sum += load<u16>(at);
    at += 2;
  }
  if (at < stop) sum += load<u8>(at);
  let checksum = <u16>~folded(sum);
  // 0 says that there is none (RFC 768).
  if (checksum == 0 && protocol == PROTOCOL_UDP) checksum = 0xffff;
  store<u16>(field, checksum);
  count(COUNTER_CHECKSUM_FILLED, 1);
  return true;
}
