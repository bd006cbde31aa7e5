/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which backend a flow goes to: the connection table first, then the ring. */
#pragma once
#include "hash.h"
#include "parse.h"
#include "stats.h"

/* What is known of a flow while its backend is looked for. Not the key itself: that must have an address. */
struct flow {
	struct flow_key *key;
	void *table; /* this CPU's connection table; NULL: fallback_cache */
	__u64 now;   /* 0: the clock has not been read */
	__u32 vip_num;
	__u32 vip_flags;
};

static __always_inline __u64 flow_now(struct flow *flow)
{
	if (flow->now == 0)
		flow->now = bpf_ktime_get_ns();
	return flow->now;
}

/* Row of a backend, NULL when there is none. A row of a live backend has an address word or the IPv6 flag. */
static __always_inline struct real_definition *find_real(__u32 index)
{
	struct real_definition *real = bpf_map_lookup_elem(&reals, &index);

	return real && (real->address[0] | real->flags) ? real : NULL;
}

/* The fallback's own calls are out of line: one map at each call, so that both can be compiled to its own code. */
static __noinline struct real_pos_lru *find_in_fallback(struct flow_key *key)
{
	return bpf_map_lookup_elem(&fallback_cache, key);
}

static __noinline int insert_in_fallback(struct flow_key *key, struct real_pos_lru *entry)
{
	return bpf_map_update_elem(&fallback_cache, key, entry, BPF_ANY);
}

/* Backend that the connection table holds for the flow: its row and, in *index, its number. */
static __always_inline struct real_definition *find_connection(struct flow *flow, bool is_udp, __u32 *index)
{
	struct real_pos_lru *entry;

	if (likely(flow->table))
		entry = bpf_map_lookup_elem(flow->table, flow->key);
	else
		entry = find_in_fallback(flow->key);
	if (!entry)
		return NULL;
	if (is_udp) {
		__u64 now = flow_now(flow);

		if (now - entry->atime > udp_timeout_ns)
			return NULL;
		entry->atime = now;
	}
	*index = entry->pos;
	return find_real(*index);
}

/* True when this CPU has noted its share of new connections in this second. Counts the call. */
static __always_inline bool is_flooded(__u64 now)
{
	__u32 index = COUNTER_NEW_CONNECTION_RATE;
	struct lb_stats *rate = bpf_map_lookup_elem(&stats, &index);

	if (!rate)
		return true;
	if (now - rate->v2 > NS_PER_SECOND) {
		rate->v1 = 1;
		rate->v2 = now;
		return false;
	}
	rate->v1 += 1;
	return rate->v1 > new_connections_per_second;
}

/* Hash of the flow. Destination address and protocol are not part of it, nor is the VIP. */
static __always_inline __u32 hash_flow(const struct flow *flow, __u32 ports, bool is_ipv6)
{
	__u32 source;

	if (flow->vip_flags & F_HASH_DPORT_ONLY) {
		const __u32 zeros[4] = {};

		ports = (ports >> 16) | (ports & 0xffff0000);
		source = is_ipv6 ? hash_4words(zeros, HASH_SEED_IPV6) : 0;
	} else {
		source = is_ipv6 ? hash_4words(flow->key->src, HASH_SEED_IPV6) : flow->key->src[0];
	}
	return hash_2words(source, ports, HASH_SEED);
}

/* Slot of the VIP's ring for a hash; 0: empty. */
static __always_inline __u32 read_ring(__u32 vip_num, __u32 hash)
{
	__u32 *named = bpf_map_lookup_elem(&vip_rings, &vip_num);
	__u32 ring = named && *named ? *named - 1 : vip_num;
	__u32 index = ring * RING_SIZE + ring_slot(hash);
	__u32 *real = bpf_map_lookup_elem(&ch_rings, &index);

	return real ? *real : 0;
}

/*
 * Backend of a new flow, by its VIP's ring: its row and, in *index, its number. NULL: drop for *reason.
 * Notes the flow in the table, unless its VIP, a reset or the rate of new connections says otherwise.
 */
static __always_inline struct real_definition *select_real(struct flow *flow, const struct packet *packet,
							   bool is_ipv6, __u32 *index, enum drop_reason *reason)
{
	bool flooded = is_flooded(flow_now(flow));
	struct real_pos_lru entry = {};
	struct real_definition *real;

	*index = read_ring(flow->vip_num, hash_flow(flow, packet->ports, is_ipv6));
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
	if (flooded || (flow->vip_flags & F_LRU_BYPASS) || (packet->tcp_flags & TCP_RST))
		return real;
	entry.pos = *index;
	if (packet->protocol == PROTOCOL_UDP)
		entry.atime = flow->now;
	if (likely(flow->table))
		bpf_map_update_elem(flow->table, flow->key, &entry, BPF_ANY);
	else
		insert_in_fallback(flow->key, &entry);
	return real;
}

/* Counts a new connection of the one VIP whose misses an operator watches. */
static __always_inline void count_watched_miss(const struct vip_definition *vip, __u32 real)
{
	__u32 zero = 0;
	struct vip_definition *watched = bpf_map_lookup_elem(&vip_miss_stats, &zero);
	__u32 *misses;

	if (!watched || watched->address[0] != vip->address[0] || watched->address[1] != vip->address[1] ||
	    watched->address[2] != vip->address[2] || watched->address[3] != vip->address[3] ||
	    watched->port != vip->port || watched->protocol != vip->protocol)
		return;
	misses = bpf_map_lookup_elem(&lru_miss_stats, &real);
	if (misses)
		*misses += 1;
}
