/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Locks and counters among global variables, in sections of their own. */
#include "sample.h"
#include "net.h"

#define private(name) SEC(".data." #name) __hidden __aligned(8)

private(shared) struct bpf_spin_lock lock;
private(shared) __u64 guarded = 5;
private(other) __u64 sums[3];

SEC("xdp")
int guarded_sum(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data;
	__u64 before;

	bpf_spin_lock(&lock);
	before = guarded;
	guarded += length;
	bpf_spin_unlock(&lock);
	sums[length & 1] += before;
	return before & 1 ? XDP_TX : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
