/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counters, and what became of a packet. All counters are per CPU and plain additions; a slot that is missing costs the
 * count, never the packet.
 */
#pragma once
#include "maps.h"

/* What became of a packet, and for which VIP: reason in the low byte, above it the VIP's number or REASON_SLOT_NO_VIP. */
typedef __u32 outcome_t;
#define OUTCOME(reason, vip_num) ((outcome_t)(reason) | (__u32)(vip_num) << 8)
#define OUTCOME_NO_VIP(reason) OUTCOME(reason, REASON_SLOT_NO_VIP)
/* The outer header was taken off: the packet inside is to be balanced. Never leaves the program. */
#define OUTCOME_AGAIN 0xff

static __always_inline void count(__u32 index, __u64 v1, __u64 v2)
{
	struct lb_stats *slot;

	if (simulate)
		return;
	slot = bpf_map_lookup_elem(&stats, &index);
	if (likely(slot)) {
		slot->v1 += v1;
		slot->v2 += v2;
	}
}

static __always_inline void count_real(__u32 real, __u32 bytes)
{
	struct lb_stats *slot;

	if (simulate)
		return;
	slot = bpf_map_lookup_elem(&reals_stats, &real);
	if (likely(slot)) {
		slot->v1 += 1;
		slot->v2 += bytes;
	}
}

static __always_inline void count_new_flow(__u32 vip_num, __u32 real)
{
	__u64 *flows;

	if (simulate)
		return;
	flows = bpf_map_lookup_elem(&vip_new_flows, &vip_num);
	if (likely(flows))
		*flows += 1;
	flows = bpf_map_lookup_elem(&real_new_flows, &real);
	if (likely(flows))
		*flows += 1;
}

static __always_inline void count_server_id(__u32 vip_num, __u64 without_id, __u64 mismatches)
{
	struct lb_stats *slot;

	if (simulate)
		return;
	slot = bpf_map_lookup_elem(&server_id_stats, &vip_num);
	if (slot) {
		slot->v1 += without_id;
		slot->v2 += mismatches;
	}
}

/* The only row of a per-CPU map; NULL when nothing may be counted. */
static __always_inline void *only_row(void *map)
{
	__u32 zero = 0;

	return simulate ? NULL : bpf_map_lookup_elem(map, &zero);
}

/* A packet that is not forwarded. */
static __always_inline void count_reason(enum reason reason, __u32 slot, __u32 frame_bytes)
{
	__u32 row = slot == REASON_SLOT_NO_VIP ? reason : reason & (VIP_REASONS - 1);
	__u32 index = slot * VIP_REASONS + row;
	struct lb_stats *stats;

	if (simulate)
		return;
	stats = bpf_map_lookup_elem(&reason_stats, &index);
	if (likely(stats)) {
		stats->v1 += 1;
		stats->v2 += frame_bytes;
	}
}
