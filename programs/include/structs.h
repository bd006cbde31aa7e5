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

/* 24 bytes. prefix_bits = 32 + those of the address; lookups use 160. */
struct vip_lpm_key {
	__u32 prefix_bits;
	__be16 port;
	__u8 protocol;
	__u8 pad;
	__be32 address[4];
};

/* 20 bytes; also an IPv6 source route. */
struct ipv6_prefix {
	__u32 prefix_bits;
	__be32 address[4];
};

struct ipv4_prefix {
	__u32 prefix_bits;
	__be32 address;
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

/* Server ids in QUIC connection ids. */
struct quic_stats {
	__u64 ch_routed;
	__u64 cid_initial;
	__u64 cid_invalid_server_id;
	__u64 cid_invalid_server_id_sample; /* the last one, not a count */
	__u64 cid_routed;
	__u64 cid_unknown_real_dropped;
	__u64 cid_v0;
	__u64 cid_v1;
	__u64 cid_v2;
	__u64 cid_v3;
	__u64 dst_match_in_lru;
	__u64 dst_mismatch_in_lru;
	__u64 dst_not_found_in_lru;
};

/* Server ids in a TCP option. */
struct tcp_server_id_stats {
	__u64 ch_routed;
	__u64 dst_mismatch_in_lru;
	__u64 sid_routed;
	__u64 tcp_syn;
};

/* Server ids in a UDP stable-routing header. */
struct stable_routing_stats {
	__u64 ch_routed;
	__u64 cid_routed;
	__u64 cid_invalid_server_id;
	__u64 cid_unknown_real_dropped;
	__u64 invalid_packet_type;
};

/*
 * Record of the ring buffer: 16 bytes, then data_bytes of the frame as it came; without its VLAN tags where the event is
 * not that of a drop.
 */
struct event_record {
	__u32 event;
	__u32 packet_bytes;
	__u32 data_bytes;
	__u16 vip_num; /* REASON_SLOT_NO_VIP: none */
	__u8 reason;
	__u8 pad;
};

/* Why the last packet went where it went; written under the option `explain` alone. */
struct decision {
	__u32 reason; /* enum reason */
	__u32 table;  /* enum table */
	__u32 vip_num; /* REASON_SLOT_NO_VIP: none */
	__u32 real;   /* 0: none */
	__u32 hash;
	__u32 slot;   /* of the ring; both 0 unless the ring was asked */
	__u32 flags;  /* DECISION_* */
	__u32 cpu;    /* with `simulate`: whose connection table is asked (set by the caller) */
};
#define DECISION_HASHED (1 << 0)    /* hash and slot are set */
#define DECISION_INSERTED (1 << 1)  /* the flow was noted in the connection table */
#define DECISION_FLOODED (1 << 2)   /* too many new connections: not noted */
#define DECISION_MIGRATED (1 << 3)  /* taken from a backend that is down */
#define DECISION_DECAPSULATED (1 << 4)
#define DECISION_ICMP (1 << 5)      /* the flow is that of the packet inside an ICMP error */

/* Counters of the backend's program. */
struct decap_stats {
	__u64 outer_ipv4;
	__u64 outer_ipv6;
	__u64 total;
	__u64 server_id_checked;
	__u64 server_id_misrouted;
};
