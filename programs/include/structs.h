/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Keys and values of the maps. The kernel compares keys byte by byte: padding is zero, always. */
#pragma once
#include "bpf.h"

/* 40 bytes. An IPv4 address is in the first word, the others are zero. */
struct flow_key {
	__be32 src[4];
	__be32 dst[4];
	__be16 sport;
	__be16 dport;
	__u8 protocol;
	__u8 pad[3];
};

/* 16 bytes. atime: bpf_ktime_get_ns of the last packet for UDP, 0 for TCP. */
struct real_pos_lru {
	__u32 pos;
	__u32 pad;
	__u64 atime;
};

/* 20 bytes. port 0: every port. */
struct vip_definition {
	__be32 address[4];
	__be16 port;
	__u8 protocol;
	__u8 pad;
};

struct vip_meta {
	__u32 flags;
	__u32 vip_num;
};

/* 20 bytes. All zero: no such backend. */
struct real_definition {
	__be32 address[4];
	__u8 flags;
	__u8 pad[3];
};

struct lb_stats {
	__u64 v1;
	__u64 v2;
};

union ctl_value {
	__u64 value;
	__u32 ifindex;
	__u8 mac[6];
};

/* 8 bytes. All zero: use ctl_array[CTL_ROUTER_MAC]. */
union next_hop {
	__u64 value;
	__u8 mac[6];
};

struct ip_address {
	__be32 address[4];
};

/* The last two words are the place of counters of the server-id check. */
struct decap_stats {
	__u64 outer_ipv4;
	__u64 outer_ipv6;
	__u64 total;
	__u64 reserved[2];
};
