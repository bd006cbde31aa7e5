/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which VIP a packet is for, and which backend a new flow gets. */
#pragma once
#include "connections.h"
#include "hash.h"

/* A VIP that is a prefix. */
static __noinline struct vip_meta *find_prefix_vip(const struct vip_definition *vip)
{
	struct vip_lpm_key key = { .prefix_bits = 32 + 128, .port = vip->port, .protocol = vip->protocol };

	__builtin_memcpy(key.address, vip->address, sizeof(key.address));
	return bpf_map_lookup_elem(&vip_lpm_map, &key);
}

/* The VIP of a packet: with its port, else with every port; its address, else a prefix. */
static __always_inline struct vip_meta *find_vip(struct vip_definition *vip, struct packet *packet, bool is_ipv6)
{
	struct vip_meta *meta = bpf_map_lookup_elem(&vip_map, vip);

	if (likely(meta))
		return meta;
	if (prefix_vips && is_ipv6)
		meta = find_prefix_vip(vip);
	if (!meta) {
		set_service(vip, 0, packet->protocol);
		meta = bpf_map_lookup_elem(&vip_map, vip);
		if (!meta && prefix_vips && is_ipv6)
			meta = find_prefix_vip(vip);
		if (!meta)
			return NULL;
	}
	/* Sends a client's connections to one backend, unless told to tell ports apart. */
	if (!(meta->flags & (F_HASH_DPORT_ONLY | F_HASH_SRC_DST_PORT)))
		packet->ports &= 0xffff;
	return meta;
}

/* Whether an address carries a VIP, whatever port and protocol. */
static __noinline bool is_vip_address(const struct ip_address *address, bool is_ipv6)
{
	struct ipv6_prefix key = { .prefix_bits = 128 };

	if (bpf_map_lookup_elem(&vip_addresses, address))
		return true;
	if (!prefix_vips || !is_ipv6)
		return false;
	__builtin_memcpy(key.address, address->address, sizeof(key.address));
	return bpf_map_lookup_elem(&vip_prefixes, &key) != NULL;
}

/* Backend of the client's prefix; 0: none. */
static __noinline __u32 find_source_route(const struct flow_key *flow, bool is_ipv6)
{
	__u32 *real;

	if (is_ipv6) {
		struct ipv6_prefix key = { .prefix_bits = 128 };

		__builtin_memcpy(key.address, flow->src, sizeof(key.address));
		real = bpf_map_lookup_elem(&lpm_src_v6, &key);
	} else {
		struct ipv4_prefix key = { .prefix_bits = 32, .address = flow->src[0] };

		real = bpf_map_lookup_elem(&lpm_src_v4, &key);
	}
	count(COUNTER_SOURCE_ROUTE, !real, !!real);
	return real ? *real : 0;
}

/* Whether a backend of the VIP is down, and its UDP flows are to leave it. */
static __noinline bool is_down(const struct vip_definition *vip, __u32 real)
{
	void *down = bpf_map_lookup_elem(&vip_to_down_reals_map, vip);

	return down && bpf_map_lookup_elem(down, &real);
}

/* Hash of the flow. Destination address and protocol are not part of it, nor is the VIP. */
static __always_inline __u32 hash_flow(const struct flow *flow, const struct flow_key *key, __u32 ports, bool is_ipv6)
{
	__u32 source;

	if (flow->vip_flags & F_HASH_DPORT_ONLY) {
		const __u32 zeros[4] = {};

		ports = (ports >> 16) | (ports & 0xffff0000);
		source = is_ipv6 ? hash_4words(zeros, HASH_SEED_IPV6) : 0;
	} else {
		source = is_ipv6 ? hash_4words(key->src, HASH_SEED_IPV6) : key->src[0];
	}
	return hash_2words(source, ports, HASH_SEED);
}

/* Slot of the VIP's ring for a hash; 0: empty. */
static __always_inline __u32 read_ring(__u32 vip_num, __u32 hash)
{
	__u32 *named = bpf_map_lookup_elem(&vip_rings, &vip_num);
	__u32 ring = named && *named ? *named - 1 : vip_num;
	__u32 slot = ring_slot(hash);
	__u32 index = ring * RING_SIZE + slot;
	__u32 *real = bpf_map_lookup_elem(&ch_rings, &index);

	note_hash(hash, slot);
	return real ? *real : 0;
}

/*
 * Backend of a new flow, by its client's prefix or its VIP's ring: its row and, in *index, its number. NULL: drop for
 * *reason. The flow is noted in the connection table, unless the table is spared: by the VIP, in a flood, or
 * because the connection ends here.
 */
static __always_inline struct real_definition *select_real(struct flow *flow, struct flow_key *key,
							   const struct packet *packet, bool is_ipv6, __u32 *index,
							   enum table *table, enum reason *reason)
{
	bool flooded = is_flooded(flow_now(flow));
	struct real_definition *real;

	*index = 0;
	*table = TABLE_SOURCE_ROUTE;
	if (source_routing && (flow->vip_flags & F_SRC_ROUTING) && !flooded)
		*index = find_source_route(key, is_ipv6);
	if (likely(*index == 0)) {
		*table = TABLE_RING;
		*index = read_ring(flow->vip_num, hash_flow(flow, key, packet->ports, is_ipv6));
	}
	if (unlikely(*index == 0)) {
		count(COUNTER_RING_DROP, 0, 1);
		*reason = DROP_EMPTY_RING;
		return NULL;
	}
	real = find_real(*index);
	if (unlikely(!real)) {
		count(COUNTER_RING_DROP, 1, 0);
		*reason = DROP_NO_REAL;
		return NULL;
	}
	if (!flooded && !(flow->vip_flags & F_LRU_BYPASS) && !(packet->tcp_flags & TCP_RST))
		insert_entry(flow, key, *index);
	return real;
}

/* Counts a new connection of the one VIP whose misses an operator watches. */
static __always_inline void count_watched_miss(const struct vip_definition *vip, __u32 real)
{
	struct vip_definition *watched = only_row(&vip_miss_stats);
	__u32 *misses;

	if (!watched || watched->address[0] != vip->address[0] || watched->address[1] != vip->address[1] ||
	    watched->address[2] != vip->address[2] || watched->address[3] != vip->address[3] ||
	    watched->port != vip->port || watched->protocol != vip->protocol)
		return;
	misses = bpf_map_lookup_elem(&lru_miss_stats, &real);
	if (misses)
		*misses += 1;
}
