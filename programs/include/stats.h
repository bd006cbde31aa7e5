/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counters. All are per CPU and plain additions; a slot that is missing costs the count, never the packet. */
#pragma once
#include "maps.h"

static __always_inline void count(__u32 index, __u64 v1, __u64 v2)
{
	struct lb_stats *slot = bpf_map_lookup_elem(&stats, &index);

	if (likely(slot)) {
		slot->v1 += v1;
		slot->v2 += v2;
	}
}

static __always_inline void count_real(__u32 real, __u32 bytes)
{
	struct lb_stats *slot = bpf_map_lookup_elem(&reals_stats, &real);

	if (likely(slot)) {
		slot->v1 += 1;
		slot->v2 += bytes;
	}
}

/* Out of line: drops are rare, and the function's type carries the enum into BTF. */
static __noinline int drop(__u32 vip_slot, enum drop_reason reason, __u32 frame_bytes)
{
	__u32 index = vip_slot * DROP_REASONS_MAX + reason;
	struct lb_stats *slot = bpf_map_lookup_elem(&drop_stats, &index);

	if (likely(slot)) {
		slot->v1 += 1;
		slot->v2 += frame_bytes;
	}
	return XDP_DROP;
}
