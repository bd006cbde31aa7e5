/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The balancer's maps. Names, types and layouts are an interface: tools and other nodes rely on them. */
#pragma once
#include "consts.h"
#include "structs.h"

struct {
	__uint(type, MAP_TYPE_HASH);
	__type(key, struct vip_definition);
	__type(value, struct vip_meta);
	__uint(max_entries, DEFAULT_VIPS);
} vip_map SEC(".maps");

/* Addresses that carry a VIP, and how many: tells odd packets for a VIP from the host's own. */
struct {
	__uint(type, MAP_TYPE_HASH);
	__type(key, struct ip_address);
	__type(value, __u32);
	__uint(max_entries, DEFAULT_VIPS);
} vip_addresses SEC(".maps");

/* VIPs that are IPv6 prefixes. Only with `prefix_vips`. */
struct {
	__uint(type, MAP_TYPE_LPM_TRIE);
	__type(key, struct vip_lpm_key);
	__type(value, struct vip_meta);
	__uint(max_entries, MAX_CIDR_VIPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} vip_lpm_map SEC(".maps");

/* Their prefixes, and how many VIPs each has. */
struct {
	__uint(type, MAP_TYPE_LPM_TRIE);
	__type(key, struct ipv6_prefix);
	__type(value, __u32);
	__uint(max_entries, MAX_CIDR_VIPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} vip_prefixes SEC(".maps");

/* Ring of a VIP: 0 = the ring of the VIP's own number, else ring number + 1. */
struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, DEFAULT_VIPS);
} vip_rings SEC(".maps");

/* Slot s of ring r at r * RING_SIZE + s: index in reals, 0 = empty. Rings are written by their memory. */
struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, DEFAULT_RINGS * RING_SIZE);
	__uint(map_flags, BPF_F_MMAPABLE);
} ch_rings SEC(".maps");

struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct real_definition);
	__uint(max_entries, DEFAULT_REALS);
} reals SEC(".maps");

/* Next hop of a backend. */
struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, union next_hop);
	__uint(max_entries, DEFAULT_REALS);
} real_macs SEC(".maps");

struct connection_table {
	__uint(type, MAP_TYPE_LRU_HASH);
	__type(key, struct flow_key);
	__type(value, struct real_pos_lru);
	__uint(max_entries, FALLBACK_ENTRIES);
};

struct connection_table fallback_cache SEC(".maps");

/* Connection table of each CPU. */
struct {
	__uint(type, MAP_TYPE_ARRAY_OF_MAPS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
	__uint(max_entries, MAX_CPUS);
	__array(values, struct connection_table);
} lru_mapping SEC(".maps");

/* Tables that were filled from outside, by another node say. Only with `global_lru`, for VIPs with F_GLOBAL_LRU. */
struct global_table {
	__uint(type, MAP_TYPE_LRU_HASH);
	__type(key, struct flow_key);
	__type(value, __u32);
	__uint(max_entries, GLOBAL_FALLBACK_ENTRIES);
};

struct global_table fallback_glru SEC(".maps");

struct {
	__uint(type, MAP_TYPE_ARRAY_OF_MAPS);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
	__uint(max_entries, MAX_CPUS);
	__array(values, struct global_table);
} global_lru_maps SEC(".maps");

/* Backend of a server id. */
struct {
	__uint(type, MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, MAX_SERVER_IDS);
} server_id_map SEC(".maps");

/* Backend of a client's prefix. Only with `source_routing`, for VIPs with F_SRC_ROUTING. */
struct {
	__uint(type, MAP_TYPE_LPM_TRIE);
	__type(key, struct ipv4_prefix);
	__type(value, __u32);
	__uint(max_entries, MAX_SOURCE_ROUTES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} lpm_src_v4 SEC(".maps");

struct {
	__uint(type, MAP_TYPE_LPM_TRIE);
	__type(key, struct ipv6_prefix);
	__type(value, __u32);
	__uint(max_entries, MAX_SOURCE_ROUTES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} lpm_src_v6 SEC(".maps");

/* Backends of a VIP that are down: its UDP flows leave them. */
struct down_reals {
	__uint(type, MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u8);
	__uint(max_entries, DEFAULT_REALS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
};

struct {
	__uint(type, MAP_TYPE_HASH_OF_MAPS);
	__uint(key_size, sizeof(struct vip_definition));
	__uint(value_size, sizeof(__u32));
	__uint(max_entries, DEFAULT_VIPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__array(values, struct down_reals);
} vip_to_down_reals_map SEC(".maps");

/* Addresses whose tunnel packets are taken apart and balanced; F_DECAP_*. */
struct {
	__uint(type, MAP_TYPE_HASH);
	__type(key, struct ip_address);
	__type(value, __u32);
	__uint(max_entries, MAX_DECAP_DESTINATIONS);
} decap_dst SEC(".maps");

/* This node's own addresses, IPv4 and IPv6: sources of GUE, and where tunnels for this host end. */
struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct real_definition);
	__uint(max_entries, 2);
} pckt_srcs SEC(".maps");

struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, union ctl_value);
	__uint(max_entries, CTL_SLOTS);
} ctl_array SEC(".maps");

/* Packets and bytes of each VIP by number, with the global counters between them. */
struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct lb_stats);
	__uint(max_entries, STATS_SLOTS);
} stats SEC(".maps");

struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct lb_stats);
	__uint(max_entries, DEFAULT_REALS);
} reals_stats SEC(".maps");

/* New connections: TCP packets that open one, and UDP packets that no table knows, by VIP and by backend. */
struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, DEFAULT_VIPS);
} vip_new_flows SEC(".maps");

struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, DEFAULT_REALS);
} real_new_flows SEC(".maps");

/* Packets and bytes by VIP and reason: see VIP_REASONS. */
struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct lb_stats);
	__uint(max_entries, REASON_ROWS(DEFAULT_VIPS));
} reason_stats SEC(".maps");

struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct quic_stats);
	__uint(max_entries, 1);
} quic_stats_map SEC(".maps");

struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct stable_routing_stats);
	__uint(max_entries, 1);
} stable_rt_stats SEC(".maps");

struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct tcp_server_id_stats);
	__uint(max_entries, 1);
} tpr_stats_map SEC(".maps");

/* By VIP: packets that could not have an id yet; those whose entry in the connection table was another backend. */
struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct lb_stats);
	__uint(max_entries, DEFAULT_VIPS);
} server_id_stats SEC(".maps");

/* By VIP: packets for it that came in a tunnel for this host. */
struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct lb_stats);
	__uint(max_entries, DEFAULT_VIPS);
} decap_vip_stats SEC(".maps");

/* Events for monitors. Only with `events`, while ctl_array[CTL_EVENTS] is not 0. */
struct {
	__uint(type, MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENT_BYTES);
} events SEC(".maps");

/* Only with `explain`. */
struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct decision);
	__uint(max_entries, 1);
} decisions SEC(".maps");

/* New connections by backend, for the one VIP that vip_miss_stats[0] names. */
struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, DEFAULT_REALS);
} lru_miss_stats SEC(".maps");

struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct vip_definition);
	__uint(max_entries, 1);
} vip_miss_stats SEC(".maps");

/* Options: constants when the program is loaded. What is off is no code. */

/* Whole Ethernet frame as received, bytes, without VLAN tags; longer frames for a VIP are answered or dropped. */
const volatile __u32 max_frame_bytes = 1514;
/* New connections that a CPU notes in its table in a second; past it they are balanced but not noted. */
const volatile __u64 new_connections_per_second = 125000;
/* A UDP flow that was silent for longer is a new one. */
const volatile __u64 udp_timeout_ns = 30 * NS_PER_SECOND;
/* Outer header: IP in IP, or GUE (UDP). */
const volatile bool gue = false;
/* UDP port of GUE, host byte order: destination of what is sent, and where `gue_decap` listens. */
const volatile __u16 gue_port = 6080;
/* Answer too long frames with ICMP "fragmentation needed" or "packet too big". */
const volatile bool send_too_big = true;
/* Take frames with 802.1Q and 802.1ad tags, two at most. */
const volatile bool vlan_tags = true;
/* Server ids in QUIC connection ids, for VIPs with F_QUIC_VIP. */
const volatile bool quic_routing = true;
/* Server ids in a TCP option. */
const volatile bool tcp_server_ids = false;
/* Server ids in a UDP header, for VIPs with F_UDP_STABLE_ROUTING. */
const volatile bool udp_stable_routing = false;
const volatile bool udp_flow_migration = false;
const volatile bool source_routing = false;
const volatile bool prefix_vips = false;
const volatile bool global_lru = false;
const volatile bool ipip_decap = false;
const volatile bool gue_decap = false;
const volatile bool local_delivery = false;
const volatile bool events_enabled = false;
/* Report one drop in so many as an event; 0: none. */
const volatile __u32 drop_sample_rate = 0;
/* Say in `decisions` why the packet went where it went. */
const volatile bool explain = false;
/* Change nothing but `decisions`: no counter, no connection. */
const volatile bool simulate = false;
