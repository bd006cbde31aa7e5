/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Keys, values, maps and options of the health checks' programs. Names, types and layouts are an interface. */
#pragma once
#include "packet.h"

#define MAX_MARKS 4096
#define MAX_HC_KEYS 512
#define MAX_HC_MATCHES 100

/* Slots of hc_ctrl_map: numbers of interfaces. */
#define HC_TUNNEL_IPV4 1
#define HC_TUNNEL_IPV6 2
#define HC_INTERFACE 3
#define HC_CTRL_SLOTS 4
/* Slots of hc_pckt_srcs_map. */
#define HC_SOURCE_IPV4 0
#define HC_SOURCE_IPV6 1
/* Slots of hc_pckt_macs. */
#define HC_MAC_SOURCE 0
#define HC_MAC_DESTINATION 1

#define F_HC_IPV6 (1 << 0)

/* 20 bytes. For healthcheck_tunnel an IPv4 address is a number, elsewhere it is bytes as in the packet. */
struct hc_real_definition {
	__be32 address[4];
	__u8 flags; /* F_HC_* */
	__u8 pad[3];
};

struct hc_mac {
	__u8 mac[6];
};

/* 20 bytes. What a health check tries: destination, its port (0 unless TCP or UDP), protocol. */
struct hc_key {
	__be32 address[4];
	__be16 port;
	__u8 protocol;
	__u8 pad;
};

/* 20 bytes. Address and port of one end; port 0: any. */
struct hc_match_key {
	__be32 address[4];
	__be16 port;
	__u8 flags; /* F_HC_* */
	__u8 pad;
};

struct hc_stats {
	__u64 processed;
	__u64 dropped;
	__u64 skipped;
	__u64 too_big; /* dropped for their length; among `dropped` too */
	__u64 dst_matched;
	__u64 src_matched;
};

/* Backend of a mark (SO_MARK of the prober's socket). */
struct {
	__uint(type, MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, struct hc_real_definition);
	__uint(max_entries, MAX_MARKS);
} hc_reals_map SEC(".maps");

/* Backend by destination, or by source, of packets that no mark tells. Only with the options of these names. */
struct {
	__uint(type, MAP_TYPE_HASH);
	__type(key, struct hc_match_key);
	__type(value, struct hc_real_definition);
	__uint(max_entries, MAX_HC_MATCHES);
} hc_dst_reals_map SEC(".maps");

struct {
	__uint(type, MAP_TYPE_HASH);
	__type(key, struct hc_match_key);
	__type(value, struct hc_real_definition);
	__uint(max_entries, MAX_HC_MATCHES);
} hc_src_reals_map SEC(".maps");

struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, HC_CTRL_SLOTS);
} hc_ctrl_map SEC(".maps");

/* Outer source addresses. */
struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct hc_real_definition);
	__uint(max_entries, 2);
} hc_pckt_srcs_map SEC(".maps");

struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct hc_mac);
	__uint(max_entries, 2);
} hc_pckt_macs SEC(".maps");

struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct hc_stats);
	__uint(max_entries, 1);
} hc_stats_map SEC(".maps");

/* Index in per_hckey_stats of what is tried. */
struct {
	__uint(type, MAP_TYPE_HASH);
	__type(key, struct hc_key);
	__type(value, __u32);
	__uint(max_entries, MAX_HC_KEYS);
} hc_key_map SEC(".maps");

struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, MAX_HC_KEYS);
} per_hckey_stats SEC(".maps");

const volatile bool match_destinations = false;
const volatile bool match_sources = false;
/* Longer frames are dropped, Ethernet header included, bytes; 0: none. */
const volatile __u32 max_frame_bytes = 0;
/* The same for healthcheck_tunnel. */
const volatile __u32 max_tunnel_frame_bytes = 1474;
/* Outer header: IP in IP, or GUE (UDP). */
const volatile bool gue = false;
/* Destination port of GUE, host byte order. */
const volatile __u16 gue_port = 6080;
