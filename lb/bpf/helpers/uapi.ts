// Numbers of uapi/linux/bpf.h and asm-generic/errno.h that only helpers use. Read by TypeScript and, unchanged, by the
// AssemblyScript modules: plain integer constants, no annotation.

export const ERANGE = 34;
export const EAFNOSUPPORT = 97;
export const EALREADY = 114;

/** uapi/linux/if_ether.h, as numbers; ETH_P_… in network order are their bytes swapped. */
export const ETH_HLEN = 14;
export const ETH_P_802_3 = 1;
export const ETH_P_802_2 = 4;
/** Below, the field is a length. */
export const ETH_P_802_3_MIN = 0x600;
export const ETH_P_IP = 0x0800;
export const ETH_P_8021Q = 0x8100;
export const ETH_P_IPV6 = 0x86dd;
export const ETH_P_8021AD = 0x88a8;
export const AF_INET = 2;
export const AF_INET6 = 10;

/** bpf_skb_store_bytes. */
export const BPF_F_RECOMPUTE_CSUM = 1;
export const BPF_F_INVALIDATE_HASH = 2;
/** bpf_l3_csum_replace and bpf_l4_csum_replace: length of the field that changed, and more. */
export const BPF_F_HDR_FIELD_MASK = 0xf;
export const BPF_F_PSEUDO_HDR = 0x10;
export const BPF_F_MARK_MANGLED_0 = 0x20;
export const BPF_F_MARK_ENFORCE = 0x40;
export const BPF_F_IPV6 = 0x80;

/** bpf_skb_set_tunnel_key: the tunnel is of IPv6, and how the tunnel's device is to send. */
export const BPF_F_TUNINFO_IPV6 = 1;
export const BPF_F_ZERO_CSUM_TX = 2;
export const BPF_F_DONT_FRAGMENT = 4;
export const BPF_F_SEQ_NUMBER = 8;
export const BPF_F_NO_TUNNEL_KEY = 16;

/** bpf_skb_adjust_room: where, and what the room is for. */
export const BPF_ADJ_ROOM_NET = 0;
export const BPF_ADJ_ROOM_MAC = 1;
export const BPF_F_ADJ_ROOM_FIXED_GSO = 1;
export const BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 = 2;
export const BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 = 4;
export const BPF_F_ADJ_ROOM_ENCAP_L4_GRE = 8;
export const BPF_F_ADJ_ROOM_ENCAP_L4_UDP = 16;
export const BPF_F_ADJ_ROOM_NO_CSUM_RESET = 32;
export const BPF_F_ADJ_ROOM_ENCAP_L2_ETH = 64;
export const BPF_F_ADJ_ROOM_DECAP_L3_IPV4 = 128;
export const BPF_F_ADJ_ROOM_DECAP_L3_IPV6 = 256;
/** The inner link-layer header's length stands in the flags' top byte. */
export const BPF_ADJ_ROOM_ENCAP_L2_SHIFT = 56;

/** bpf_skb_load_bytes_relative. */
export const BPF_HDR_START_MAC = 0;
export const BPF_HDR_START_NET = 1;

/** bpf_csum_level. */
export const BPF_CSUM_LEVEL_QUERY = 0;
export const BPF_CSUM_LEVEL_INC = 1;
export const BPF_CSUM_LEVEL_DEC = 2;
export const BPF_CSUM_LEVEL_RESET = 3;

/** bpf_skb_set_tstamp. */
export const BPF_SKB_CLOCK_REALTIME = 0;
export const BPF_SKB_CLOCK_MONOTONIC = 1;
export const BPF_SKB_CLOCK_TAI = 2;

/** bpf_check_mtu. */
export const BPF_MTU_CHK_SEGS = 1;
export const BPF_MTU_CHK_RET_FRAG_NEEDED = 1;

/** bpf_fib_lookup: flags and answers. */
export const BPF_FIB_LOOKUP_DIRECT = 1;
export const BPF_FIB_LOOKUP_OUTPUT = 2;
export const BPF_FIB_LOOKUP_SKIP_NEIGH = 4;
export const BPF_FIB_LOOKUP_TBID = 8;
export const BPF_FIB_LOOKUP_SRC = 16;
export const BPF_FIB_LOOKUP_MARK = 32;
export const BPF_FIB_LKUP_RET_SUCCESS = 0;
export const BPF_FIB_LKUP_RET_BLACKHOLE = 1;
export const BPF_FIB_LKUP_RET_UNREACHABLE = 2;
export const BPF_FIB_LKUP_RET_PROHIBIT = 3;
export const BPF_FIB_LKUP_RET_NOT_FWDED = 4;
export const BPF_FIB_LKUP_RET_FWD_DISABLED = 5;
export const BPF_FIB_LKUP_RET_NO_NEIGH = 7;
export const BPF_FIB_LKUP_RET_FRAG_NEEDED = 8;
export const BPF_FIB_LKUP_RET_NO_SRC_ADDR = 9;
