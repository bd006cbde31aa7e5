/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Switches that become tables, chains of ternaries, comparisons of text by words, computed gotos of constants. */
#include "sample.h"
#include "net.h"

const char *const never_printed = "a pointer to a string";

static __noinline const char *name_of(__u32 protocol)
{
	switch (protocol) {
	case IPPROTO_ICMP:
		return "icmp";
	case IPPROTO_TCP:
		return "tcp";
	case IPPROTO_UDP:
		return "udp";
	case IPPROTO_IPIP:
		return "ipip";
	default:
		return "other";
	}
}

static __always_inline __u32 weight(__u8 class)
{
	switch (class) {
	case 0: return 17;
	case 1: return 4;
	case 2: return 99;
	case 3: return 1234;
	case 4: return 3;
	case 5: return 77;
	case 6: return 5;
	case 7: return 60000;
	default: return 0;
	}
}

SEC("xdp")
int switches(struct xdp_md *ctx)
{
	struct iphdr *iph = XDP_DATA(ctx) + sizeof(struct ethhdr);
	__u32 sum;

	if ((void *)(iph + 1) > XDP_DATA_END(ctx))
		return XDP_ABORTED;
	sum = weight(iph->protocol & 15) + weight(iph->ttl & 7);
	return sum % 5;
}

SEC("xdp")
int names(struct xdp_md *ctx)
{
	struct iphdr *iph = XDP_DATA(ctx) + sizeof(struct ethhdr);
	const char *name;

	if ((void *)(iph + 1) > XDP_DATA_END(ctx))
		return XDP_ABORTED;
	name = name_of(iph->protocol);
	return name[0] == 'u' ? XDP_DROP : name[1] == 'c' ? XDP_TX : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
