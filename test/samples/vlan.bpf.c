/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* VLAN tags: found under one another, taken off, put on. */
#include "sample.h"
#include "net.h"

#define MAX_TAGS 2
#define ID_MASK 0x0fff

struct tags {
	__u16 id[MAX_TAGS];
};

static __always_inline int is_tag(__u16 h_proto)
{
	return !!(h_proto == bpf_htons(ETH_P_8021Q) || h_proto == bpf_htons(ETH_P_8021AD));
}

static __always_inline __be16 read_tags(void *pos, void *data_end, struct ethhdr *eth, struct tags *tags)
{
	struct vlan_hdr *tag = pos;
	__u16 h_proto = eth->h_proto;

#pragma unroll
	for (int i = 0; i < MAX_TAGS; i++) {
		if (!is_tag(h_proto))
			break;
		if ((void *)(tag + 1) > data_end)
			break;
		h_proto = tag->h_vlan_encapsulated_proto;
		tags->id[i] = bpf_ntohs(tag->h_vlan_TCI) & ID_MASK;
		tag++;
	}
	return h_proto;
}

SEC("xdp_tags_filter")
int filter(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct tags tags = {};
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > data_end)
		return XDP_ABORTED;
	if (read_tags(eth + 1, data_end, eth, &tags) == bpf_htons(ETH_P_ARP))
		return XDP_DROP;
	return tags.id[1] == 7 ? XDP_DROP : tags.id[0] == 100 ? XDP_TX : XDP_PASS;
}

SEC("xdp_tags_pop")
int pop(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct ethhdr *eth = data, kept;
	struct vlan_hdr *tag = data + sizeof(*eth);
	__be16 h_proto;

	if ((void *)(tag + 1) > data_end || !is_tag(eth->h_proto))
		return XDP_PASS;
	h_proto = tag->h_vlan_encapsulated_proto;
	memcpy(&kept, eth, sizeof(kept));
	if (bpf_xdp_adjust_head(ctx, (int)sizeof(*tag)))
		return XDP_ABORTED;
	eth = XDP_DATA(ctx);
	if ((void *)(eth + 1) > XDP_DATA_END(ctx))
		return XDP_ABORTED;
	memcpy(eth, &kept, sizeof(*eth));
	eth->h_proto = h_proto;
	return XDP_PASS;
}

SEC("xdp_tags_push")
int push(struct xdp_md *ctx)
{
	struct ethhdr *eth = XDP_DATA(ctx), kept;
	struct vlan_hdr *tag;

	if ((void *)(eth + 1) > XDP_DATA_END(ctx))
		return XDP_ABORTED;
	__builtin_memcpy(&kept, eth, sizeof(kept));
	if (bpf_xdp_adjust_head(ctx, 0 - (int)sizeof(*tag)))
		return XDP_ABORTED;
	eth = XDP_DATA(ctx);
	if ((void *)(eth + 1) > XDP_DATA_END(ctx))
		return XDP_ABORTED;
	__builtin_memcpy(eth, &kept, sizeof(*eth));
	tag = (void *)(eth + 1);
	if ((void *)(tag + 1) > XDP_DATA_END(ctx))
		return XDP_ABORTED;
	tag->h_vlan_TCI = bpf_htons(42);
	tag->h_vlan_encapsulated_proto = eth->h_proto;
	eth->h_proto = bpf_htons(ETH_P_8021Q);
	return XDP_TX;
}

char _license[] SEC("license") = "GPL";
