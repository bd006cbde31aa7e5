/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Functions of the kernel itself: strong ones are refused by name, weak ones are not there. */
#include "sample.h"

struct bpf_xdp_metadata;
extern int bpf_xdp_metadata_rx_timestamp(const struct xdp_md *ctx, __u64 *timestamp) __ksym;
extern int bpf_xdp_metadata_rx_hash(const struct xdp_md *ctx, __u32 *hash, int *type) __ksym __weak;
extern int bpf_dynptr_from_xdp(struct xdp_md *ctx, __u64 flags, struct bpf_dynptr *ptr) __ksym;

SEC("xdp")
int timestamp(struct xdp_md *ctx)
{
	__u64 timestamp = 0;

	return bpf_xdp_metadata_rx_timestamp(ctx, &timestamp) ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int hash_if_there(struct xdp_md *ctx)
{
	__u32 hash = 0;
	int type = 0;

	if (bpf_xdp_metadata_rx_hash && bpf_xdp_metadata_rx_hash(ctx, &hash, &type) == 0)
		return XDP_TX;
	return XDP_PASS;
}

SEC("xdp")
int dynptr(struct xdp_md *ctx)
{
	struct bpf_dynptr ptr;

	return bpf_dynptr_from_xdp(ctx, 0, &ptr);
}

char _license[] SEC("license") = "GPL";
