/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* No map and no data: what even an unoptimised build can do. */
#include "sample.h"
#include "net.h"

SEC("xdp")
int swap_macs(struct xdp_md *ctx)
{
	unsigned char *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	unsigned short *words = (void *)data;
	unsigned short one, two, three;

	if (data + 14 > data_end)
		return XDP_DROP;
	one = words[0];
	two = words[1];
	three = words[2];
	words[0] = words[3];
	words[1] = words[4];
	words[2] = words[5];
	words[3] = one;
	words[4] = two;
	words[5] = three;
	return XDP_TX;
}

SEC("xdp")
int by_ethertype(struct xdp_md *ctx)
{
	struct ethhdr *eth = XDP_DATA(ctx);

	if ((void *)(eth + 1) > XDP_DATA_END(ctx))
		return XDP_ABORTED;
	switch (bpf_ntohs(eth->h_proto)) {
	case ETH_P_IP:
		return XDP_PASS;
	case ETH_P_IPV6:
		return XDP_TX;
	case ETH_P_8021Q:
	case ETH_P_8021AD:
		return XDP_ABORTED;
	default:
		return XDP_DROP;
	}
}

SEC("tc")
int by_length(struct __sk_buff *skb)
{
	return skb->len > 60 ? TC_ACT_SHOT : TC_ACT_OK;
}

char _license[] SEC("license") = "Dual MIT/GPL";
