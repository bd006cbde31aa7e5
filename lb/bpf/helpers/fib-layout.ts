// Keys and values of the maps that bpf_fib_lookup and bpf_check_mtu read. Read by TypeScript and, unchanged, by the
// AssemblyScript modules: plain integer constants, no annotation.

/** A route; u32 each unless noted. The key is a struct bpf_lpm_trie_key with an address of 4 or 16 bytes. */
export const ROUTE_KIND = 0;
export const ROUTE_UNICAST = 0;
export const ROUTE_BLACKHOLE = 1;
export const ROUTE_UNREACHABLE = 2;
export const ROUTE_PROHIBIT = 3;
/** An address of the host's own: nothing is forwarded. */
export const ROUTE_LOCAL = 4;
export const ROUTE_IFINDEX = 4;
/** Bytes of an IP packet; 0: as many as the interface takes. */
export const ROUTE_MTU = 8;
export const ROUTE_METRIC = 12;
/** Length of the prefix, bits. */
export const ROUTE_BITS = 16;
/** Bytes of the gateway's address, 4 or 16, or 0 where the destination is the next hop; of the source address, or 0. */
export const ROUTE_GATEWAY_BYTES = 20;
export const ROUTE_SOURCE_BYTES = 24;
/** 16 bytes each, filled from the front. */
export const ROUTE_GATEWAY = 32;
export const ROUTE_SOURCE = 48;
export const ROUTE_BYTES = 64;

/** An interface, by its number (u32). */
export const LINK_MTU = 0;
/** u32: 1 where packets that come in by it are forwarded. */
export const LINK_FORWARDS = 4;
/** 6 bytes. */
export const LINK_MAC = 8;
export const LINK_BYTES = 16;

/** A neighbour: the key is u32 interface, u32 bytes of the address, 16 bytes; the value 6 bytes of MAC address. */
export const NEIGHBOUR_IFINDEX = 0;
export const NEIGHBOUR_ADDRESS_BYTES = 4;
export const NEIGHBOUR_ADDRESS = 8;
export const NEIGHBOUR_KEY_BYTES = 24;
export const NEIGHBOUR_VALUE_BYTES = 8;
