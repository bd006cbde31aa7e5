/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The packet made longer and shorter at both ends, metadata in front of it. */
#include "sample.h"
#include "net.h"

struct meta {
	__u32 mark;
	__u16 queue;
	__u16 spare;
};

SEC("xdp")
int head_grow(struct xdp_md *ctx)
{
	__u8 *data;

	if (bpf_xdp_adjust_head(ctx, -18))
		return XDP_ABORTED;
	data = XDP_DATA(ctx);
	if ((void *)data + 18 > XDP_DATA_END(ctx))
		return XDP_ABORTED;
	memset(data, 0x11, 18);
	return XDP_TX;
}

SEC("xdp")
int head_shrink(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, 14) ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int head_too_far(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_head(ctx, -300) == -22 ? XDP_PASS : XDP_ABORTED;
}

SEC("xdp")
int tail_cut(struct xdp_md *ctx)
{
	int length = ctx->data_end - ctx->data;

	if (length > 60 && bpf_xdp_adjust_tail(ctx, 60 - length))
		return XDP_ABORTED;
	return XDP_PASS;
}

SEC("xdp")
int tail_grow(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_tail(ctx, 32) ? XDP_DROP : XDP_TX;
}

SEC("xdp")
int tail_all(struct xdp_md *ctx)
{
	return bpf_xdp_adjust_tail(ctx, -10000) == -22 ? XDP_PASS : XDP_ABORTED;
}

SEC("xdp")
int metadata(struct xdp_md *ctx)
{
	struct meta *meta;

	if (bpf_xdp_adjust_meta(ctx, -(int)sizeof(*meta)))
		return XDP_ABORTED;
	meta = (void *)(long)ctx->data_meta;
	if ((void *)(meta + 1) > XDP_DATA(ctx))
		return XDP_ABORTED;
	meta->mark = 42;
	meta->queue = ctx->rx_queue_index;
	meta->spare = 0;
	return bpf_xdp_adjust_meta(ctx, -3) == -22 ? XDP_PASS : XDP_DROP;
}

SEC("tc")
int classify(struct __sk_buff *skb)
{
	struct meta *meta = (void *)(long)skb->data_meta;

	if ((void *)(meta + 1) > (void *)(long)skb->data)
		return TC_ACT_OK;
	skb->mark = meta->mark;
	return TC_ACT_SHOT;
}

char _license[] SEC("license") = "GPL";
