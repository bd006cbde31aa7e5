/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The connection tables: which backend a flow has. */
#pragma once
#include "explain.h"
#include "parse.h"

/*
 * What is known of a flow while its backend is looked for. Not the key, and no pointer to it: an address that is stored
 * anywhere makes all of the stack memory that must be written.
 */
struct flow {
	void *table; /* this CPU's connection table; NULL: fallback_cache */
	__u64 now;   /* 0: the clock has not been read */
	__u32 vip_num;
	__u32 vip_flags;
	__u32 is_udp; /* a word: a copy of the whole is a copy of words */
};

/* Beside the indices of backends: the packet is to be dropped. */
#define REAL_DROP 0xffffffff

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

static __always_inline struct real_pos_lru *find_entry(const struct flow *flow, struct flow_key *key)
{
	return likely(flow->table) ? bpf_map_lookup_elem(flow->table, key) : find_in_fallback(key);
}

/* Note the flow's backend. UDP has a time, whatever chose the backend: it ends by silence. */
static __always_inline void insert_entry(struct flow *flow, struct flow_key *key, __u32 real)
{
	struct real_pos_lru entry = { .pos = real };

	note_flag(DECISION_INSERTED);
	if (simulate)
		return;
	if (flow->is_udp)
		entry.atime = flow_now(flow);
	if (likely(flow->table))
		bpf_map_update_elem(flow->table, key, &entry, BPF_ANY);
	else
		insert_in_fallback(key, &entry);
}

/* Backend that the connection table holds for the flow: its row and, in *index, its number. */
static __always_inline struct real_definition *find_connection(struct flow *flow, struct flow_key *key,
							       __u32 *index)
{
	struct real_pos_lru *entry = find_entry(flow, key);

	if (!entry)
		return NULL;
	if (flow->is_udp) {
		__u64 now = flow_now(flow);

		if (now - entry->atime > udp_timeout_ns)
			return NULL;
		if (!simulate)
			entry->atime = now;
	}
	*index = entry->pos;
	return find_real(*index);
}

/* Backend that a table from outside has for the flow. A hit stays there. Out of line: rare. */
static __noinline __u32 find_global_connection(struct flow_key *key)
{
	__u32 cpu = bpf_get_smp_processor_id();
	void *table = bpf_map_lookup_elem(&global_lru_maps, &cpu);
	__u32 *real;

	if (table) {
		real = bpf_map_lookup_elem(table, key);
	} else {
		count(COUNTER_GLOBAL_LRU, 1, 0);
		real = bpf_map_lookup_elem(&fallback_glru, key);
	}
	if (!real || !find_real(*real))
		return 0;
	count(COUNTER_GLOBAL_LRU, 0, 1);
	return *real;
}

/* True when this CPU has noted its share of new connections in this second. Counts the call. */
static __always_inline bool is_flooded(__u64 now)
{
	__u32 index = COUNTER_NEW_CONNECTION_RATE;
	struct lb_stats *rate;

	if (simulate)
		return false;
	rate = bpf_map_lookup_elem(&stats, &index);
	if (!rate)
		return true;
	if (now - rate->v2 > NS_PER_SECOND) {
		rate->v1 = 1;
		rate->v2 = now;
		return false;
	}
	rate->v1 += 1;
	if (likely(rate->v1 <= new_connections_per_second))
		return false;
	note_flag(DECISION_FLOODED);
	return true;
}

enum reconciled { RECONCILED_MATCH, RECONCILED_MISMATCH, RECONCILED_NOT_FOUND };

/* Have the connection table say what a server id says. */
static __always_inline enum reconciled reconcile(struct flow *flow, struct flow_key *key, __u32 real)
{
	struct real_pos_lru *entry = find_entry(flow, key);
	enum reconciled found = RECONCILED_MATCH;

	if (!entry) {
		if (!is_flooded(flow_now(flow)))
			insert_entry(flow, key, real);
		return RECONCILED_NOT_FOUND;
	}
	if (entry->pos != real) {
		found = RECONCILED_MISMATCH;
		count_server_id(flow->vip_num, 0, 1);
		if (!simulate)
			entry->pos = real;
	}
	if (flow->is_udp && !simulate)
		entry->atime = flow_now(flow);
	return found;
}
