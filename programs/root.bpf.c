// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * One XDP program for an interface that several share: it hands each packet to the first slot of root_array that has a
 * program, and lets it pass when none has one. The map is pinned, so that programs come and go without touching the
 * interface; a packet recorder takes a lower slot than the balancer and hands on by itself.
 */
#include "include/bpf.h"

#define ROOT_SLOTS 3

struct {
	__uint(type, MAP_TYPE_PROG_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, ROOT_SLOTS);
} root_array SEC(".maps");

SEC("xdp")
int root_ingress(struct xdp_md *ctx)
{
	/* A tail call returns only from a slot that is empty. */
	bpf_tail_call(ctx, &root_array, 0);
	bpf_tail_call(ctx, &root_array, 1);
	bpf_tail_call(ctx, &root_array, 2);
	return XDP_PASS;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
