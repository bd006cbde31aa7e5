/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The balancer's maps. Names, types, layouts and sizes are an interface: tools and other nodes rely on them. */
#pragma once
#include "consts.h"
#include "structs.h"

struct {
	__uint(type, MAP_TYPE_HASH);
	__type(key, struct vip_definition);
	__type(value, struct vip_meta);
	__uint(max_entries, MAX_VIPS);
} vip_map SEC(".maps");

/* Addresses that carry a VIP, and how many: tells odd packets for a VIP from the host's own. */
struct {
	__uint(type, MAP_TYPE_HASH);
	__type(key, struct ip_address);
	__type(value, __u32);
	__uint(max_entries, MAX_VIPS);
} vip_addresses SEC(".maps");

/* Ring of a VIP: 0 = the ring of the VIP's own number, else ring number + 1. */
struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, MAX_VIPS);
} vip_rings SEC(".maps");

/* Slot s of ring r at r * RING_SIZE + s: index in reals, 0 = empty. */
struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, MAX_VIPS * RING_SIZE);
} ch_rings SEC(".maps");

struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct real_definition);
	__uint(max_entries, MAX_REALS);
} reals SEC(".maps");

/* Next hop of a backend. */
struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, union next_hop);
	__uint(max_entries, MAX_REALS);
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

struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, union ctl_value);
	__uint(max_entries, CTL_SLOTS);
} ctl_array SEC(".maps");

/* Packets and bytes of each VIP by number, then the global counters. */
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
	__uint(max_entries, MAX_REALS);
} reals_stats SEC(".maps");

struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct lb_stats);
	__uint(max_entries, (MAX_VIPS + 1) * DROP_REASONS_MAX);
} drop_stats SEC(".maps");

/* New connections by backend, for the one VIP that vip_miss_stats[0] names. */
struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, MAX_REALS);
} lru_miss_stats SEC(".maps");

struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct vip_definition);
	__uint(max_entries, 1);
} vip_miss_stats SEC(".maps");

/* Options: constants when the program is loaded. */

/* Whole Ethernet frame as received, bytes; longer frames for a VIP are dropped. */
const volatile __u32 max_frame_bytes = 1514;
/* New connections that a CPU notes in its table in a second; past it they are balanced but not noted. */
const volatile __u64 new_connections_per_second = 125000;
/* A UDP flow that was silent for longer is a new one. */
const volatile __u64 udp_timeout_ns = 30 * NS_PER_SECOND;
