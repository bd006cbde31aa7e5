// LD_ABS and LD_IND (RFC 9669 §5.5 leaves them to Linux): big-endian loads of a socket buffer by offset.

/** Offsets from here on count from the network header (uapi/linux/filter.h, SKF_NET_OFF). */
export const SKF_NET_OFF = -0x100000;
/** Offsets from here up to SKF_NET_OFF count from the link layer's header; lower ones are nothing. */
export const SKF_LL_OFF = -0x200000;
/** Ethernet header in front of the network header: where TC programs see the packet begin. */
export const ETHERNET_HEADER_BYTES = 14;

/**
 * Where a load of a socket buffer reads, relative to its data (the kernel's bpf_internal_load_pointer_neg_helper).
 * @param offset signed 32 bits
 * @returns undefined where an offset has no meaning; what is returned may be outside of the packet
 */
export function packetOffset(offset: number): number | undefined {
  if (offset >= 0) return offset;
  if (offset >= SKF_NET_OFF) return offset - SKF_NET_OFF + ETHERNET_HEADER_BYTES;
  return offset >= SKF_LL_OFF ? offset - SKF_LL_OFF : undefined;
}
