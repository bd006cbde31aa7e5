/**
 * One's-complement sum of 16-bit big-endian words (RFC 1071 §1), not inverted, folded to 16 bits.
 * An odd last byte counts as the high byte of a word. `start` is a sum to go on from.
 */
export function sum16(bytes: Uint8Array, start = 0): number {
  let sum = start;
  const even = bytes.length & ~1;
  for (let i = 0; i < even; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  if (even < bytes.length) sum += bytes[even]! << 8;
  return fold16(sum);
}

/** Add the carries back in until 16 bits are left (RFC 1071 §2 (1)); exact for any sum below 2^53. */
export function fold16(sum: number): number {
  let folded = sum;
  while (folded > 0xffff) folded = Math.floor(folded / 0x10000) + (folded & 0xffff);
  return folded;
}

/** The Internet checksum of bytes: what stands in an IPv4, ICMP, UDP or TCP header (RFC 1071 §1). */
export function checksum16(bytes: Uint8Array, start = 0): number {
  return ~sum16(bytes, start) & 0xffff;
}

/**
 * Checksum after a 16-bit word that it covers changed from `from` to `to` (RFC 1624 §3, equation 3:
 * HC' = ~(~HC + ~m + m')).
 */
export function updateChecksum16(checksum: number, from: number, to: number): number {
  return ~fold16((~checksum & 0xffff) + (~from & 0xffff) + to) & 0xffff;
}

/**
 * Sum of the pseudo-header that TCP, UDP and ICMPv6 checksums start from (RFC 9293 §3.1, RFC 8200 §8.1).
 * Addresses are 4 or 16 bytes each; `length` is that of the upper-layer header and data, bytes.
 */
export function pseudoHeaderSum(
  source: Uint8Array,
  destination: Uint8Array,
  protocol: number,
  length: number,
): number {
  return sum16(source, sum16(destination, fold16(protocol + length)));
}
