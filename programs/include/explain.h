/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Why the last packet went where it went, for those who ask. Nothing here is code unless `explain` is set. */
#pragma once
#include "stats.h"

static __always_inline struct decision *decision_of(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&decisions, &zero);
}

/* A packet comes: nothing is known of it. */
static __always_inline void forget_decision(void)
{
	struct decision *decision = explain ? decision_of() : NULL;

	if (!decision)
		return;
	decision->reason = 0;
	decision->table = TABLE_NONE;
	decision->vip_num = REASON_SLOT_NO_VIP;
	decision->real = 0;
	decision->hash = 0;
	decision->slot = 0;
	decision->flags = 0;
}

static __always_inline void note_flag(__u32 flag)
{
	struct decision *decision = explain ? decision_of() : NULL;

	if (decision)
		decision->flags |= flag;
}

static __always_inline void note_hash(__u32 hash, __u32 slot)
{
	struct decision *decision = explain ? decision_of() : NULL;

	if (!decision)
		return;
	decision->hash = hash;
	decision->slot = slot;
	decision->flags |= DECISION_HASHED;
}

static __always_inline void note_real(enum table table, __u32 real)
{
	struct decision *decision = explain ? decision_of() : NULL;

	if (!decision)
		return;
	decision->table = table;
	decision->real = real;
}

static __always_inline void note_outcome(outcome_t outcome)
{
	struct decision *decision = explain ? decision_of() : NULL;

	if (!decision)
		return;
	decision->reason = outcome & 0xff;
	decision->vip_num = outcome >> 8;
}

/* Whose connection table a simulation asks. */
static __always_inline __u32 simulated_cpu(void)
{
	struct decision *decision = decision_of();

	return decision ? decision->cpu : 0;
}
