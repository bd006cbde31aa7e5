/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What TC programs share with the kernel beside bpf.h (uapi/linux/bpf.h and uapi/linux/pkt_cls.h, which are stable):
 * context, actions, helpers on the packet.
 */
#pragma once
#include "bpf.h"

/* Only what is read or written here; the kernel knows the fields by their offsets. */
struct __sk_buff {
	__u32 len; /* from the Ethernet header on, whether in one piece of memory or in several */
	__u32 pkt_type;
	__u32 mark;
	__u32 queue_mapping;
	__be32 protocol; /* Ethernet type of what is behind a tag that the network device adds */
};

enum tc_action {
	TC_ACT_UNSPEC = -1, /* as if there were no program */
	TC_ACT_OK = 0,
	TC_ACT_SHOT = 2,
	TC_ACT_PIPE = 3, /* on to the next program */
	TC_ACT_REDIRECT = 7,
};

#define BPF_F_RECOMPUTE_CSUM (1 << 0)
#define BPF_F_PSEUDO_HDR (1 << 4)
#define BPF_ADJ_ROOM_MAC 1
#define BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 (1 << 1)
#define BPF_F_ADJ_ROOM_ENCAP_L3_IPV6 (1 << 2)
#define BPF_F_ADJ_ROOM_ENCAP_L4_UDP (1 << 4)
#define BPF_F_TUNINFO_IPV6 (1 << 0)

/* Where the network device's tunnel is to lead to. An IPv4 address is a number, an IPv6 address is bytes. */
struct bpf_tunnel_key {
	__u32 tunnel_id;
	__u32 remote[4];
	__u8 tunnel_tos;
	__u8 tunnel_ttl;
	__u16 tunnel_ext;
	__u32 tunnel_label;
	__u32 local[4];
};

static long (*const bpf_skb_store_bytes)(struct __sk_buff *skb, __u32 offset, const void *from, __u32 bytes,
					 __u64 flags) = (void *)9;
static long (*const bpf_l4_csum_replace)(struct __sk_buff *skb, __u32 offset, __u64 from, __u64 to,
					 __u64 flags) = (void *)11;
static long (*const bpf_skb_set_tunnel_key)(struct __sk_buff *skb, const struct bpf_tunnel_key *key, __u32 bytes,
					    __u64 flags) = (void *)21;
static long (*const bpf_redirect)(__u32 ifindex, __u64 flags) = (void *)23;
static long (*const bpf_skb_load_bytes)(const struct __sk_buff *skb, __u32 offset, void *to, __u32 bytes) = (void *)26;
static long (*const bpf_skb_adjust_room)(struct __sk_buff *skb, __s32 difference, __u32 mode,
					 __u64 flags) = (void *)50;
static long (*const bpf_redirect_neigh)(__u32 ifindex, void *params, __s32 bytes, __u64 flags) = (void *)152;
