/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* IPv6 extension headers: a loop that is unrolled, and one that is not. */
#include "sample.h"
#include "net.h"

#define MAX_HEADERS 8

SEC("xdp")
int unrolled(struct xdp_md *ctx)
{
	void *data_end = XDP_DATA_END(ctx), *pos = XDP_DATA(ctx) + sizeof(struct ethhdr);
	struct ipv6hdr *ip6h = pos;
	__u8 next;

	if ((void *)(ip6h + 1) > data_end || ip6h->version != 6)
		return XDP_PASS;
	next = ip6h->nexthdr;
	pos = ip6h + 1;
#pragma unroll
	for (int i = 0; i < MAX_HEADERS; i++) {
		struct ipv6_opt_hdr *header = pos;

		if ((void *)(header + 1) > data_end)
			return XDP_DROP;
		switch (next) {
		case IPPROTO_HOPOPTS:
		case IPPROTO_DSTOPTS:
		case IPPROTO_ROUTING:
			pos = (char *)header + (header->hdrlen + 1) * 8;
			break;
		case IPPROTO_AH:
			pos = (char *)header + (header->hdrlen + 2) * 4;
			break;
		case IPPROTO_FRAGMENT:
			pos = (char *)header + 8;
			break;
		default:
			return next == IPPROTO_TCP ? XDP_TX : next == IPPROTO_UDP ? XDP_PASS : XDP_DROP;
		}
		next = header->nexthdr;
	}
	return XDP_ABORTED;
}

SEC("xdp")
int bounded(struct xdp_md *ctx)
{
	void *data_end = XDP_DATA_END(ctx), *data = XDP_DATA(ctx);
	struct ipv6hdr *ip6h = data + sizeof(struct ethhdr);
	__u32 offset = sizeof(struct ethhdr) + sizeof(*ip6h);
	__u8 next;

	if ((void *)(ip6h + 1) > data_end || ip6h->version != 6)
		return XDP_PASS;
	next = ip6h->nexthdr;
	for (int i = 0; i < MAX_HEADERS; i++) {
		struct ipv6_opt_hdr *header = data + (offset & 0xfff);

		if ((void *)(header + 1) > data_end)
			return XDP_DROP;
		if (next == IPPROTO_TCP)
			return XDP_TX;
		if (next == IPPROTO_UDP)
			return XDP_PASS;
		if (next != IPPROTO_HOPOPTS && next != IPPROTO_DSTOPTS && next != IPPROTO_ROUTING)
			return XDP_DROP;
		next = header->nexthdr;
		offset += (header->hdrlen + 1) * 8;
	}
	return XDP_ABORTED;
}

char _license[] SEC("license") = "Dual BSD/GPL";
