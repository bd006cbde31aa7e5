/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The address of a function, and a static function in the program's own section. */
#include "bpf.h"

static long (*const bpf_loop)(__u32 count, void *callback, void *context, __u64 flags) = (void *)181;

static long step(__u32 index, __u64 *sum)
{
	*sum += index;
	return 0;
}

static SEC("xdp") NOINLINE int local(struct xdp_md *ctx)
{
	return ctx->rx_queue_index ? PASS : DROP;
}

SEC("xdp")
int loops(struct xdp_md *ctx)
{
	__u64 sum = 0;
	bpf_loop(4, step, &sum, 0);
	return sum == 6 ? local(ctx) : ABORTED;
}

char _license[] SEC("license") = "GPL";
