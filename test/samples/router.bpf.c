/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A router by the routes of the host: fib_lookup in XDP and TC, MTU checks, redirects to peers and neighbours. */
#include "sample.h"
#include "net.h"

/* The sum of the header stays right: TTL is the high byte of its word (RFC 1624). */
static __always_inline void one_hop_less(struct iphdr *iph)
{
	__u32 sum = (__u16)~iph->check + (__u16)~bpf_htons(1 << 8);

	sum = (sum & 0xffff) + (sum >> 16);
	iph->check = ~((sum & 0xffff) + (sum >> 16));
	iph->ttl--;
}

SEC("xdp")
int forward(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct bpf_fib_lookup fib = {};
	struct ethhdr *eth = data;
	struct ipv6hdr *ip6h;
	struct iphdr *iph;

	if ((void *)(eth + 1) > data_end)
		return XDP_DROP;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		iph = (void *)(eth + 1);
		if ((void *)(iph + 1) > data_end)
			return XDP_DROP;
		if (iph->ttl <= 1)
			return XDP_PASS;
		fib.family = AF_INET;
		fib.tos = iph->tos;
		fib.l4_protocol = iph->protocol;
		fib.tot_len = bpf_ntohs(iph->tot_len);
		fib.ipv4_src = iph->saddr;
		fib.ipv4_dst = iph->daddr;
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		ip6h = (void *)(eth + 1);
		if ((void *)(ip6h + 1) > data_end)
			return XDP_DROP;
		fib.family = AF_INET6;
		fib.flowinfo = *(__be32 *)ip6h & bpf_htonl(0x0fffffff);
		fib.l4_protocol = ip6h->nexthdr;
		fib.tot_len = bpf_ntohs(ip6h->payload_len);
		memcpy(fib.ipv6_src, &ip6h->saddr, 16);
		memcpy(fib.ipv6_dst, &ip6h->daddr, 16);
	} else {
		return XDP_PASS;
	}
	fib.ifindex = ctx->ingress_ifindex;
	switch (bpf_fib_lookup(ctx, &fib, sizeof(fib), BPF_FIB_LOOKUP_DIRECT)) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		if (eth->h_proto == bpf_htons(ETH_P_IP))
			one_hop_less((struct iphdr *)(eth + 1));
		memcpy(eth->h_dest, fib.dmac, ETH_ALEN);
		memcpy(eth->h_source, fib.smac, ETH_ALEN);
		return bpf_redirect(fib.ifindex, 0);
	case BPF_FIB_LKUP_RET_BLACKHOLE:
	case BPF_FIB_LKUP_RET_UNREACHABLE:
	case BPF_FIB_LKUP_RET_PROHIBIT:
		return XDP_DROP;
	default:
		return XDP_PASS;
	}
}

SEC("tc")
int tc_forward(struct __sk_buff *skb)
{
	struct bpf_fib_lookup fib = { .family = AF_INET, .ifindex = 1, .ipv4_dst = bpf_htonl(0x7f000001) };

	switch (bpf_fib_lookup(skb, &fib, sizeof(fib), BPF_FIB_LOOKUP_SKIP_NEIGH)) {
	case BPF_FIB_LKUP_RET_SUCCESS:
	case BPF_FIB_LKUP_RET_NO_NEIGH:
		return bpf_redirect(fib.ifindex, 0);
	case BPF_FIB_LKUP_RET_NOT_FWDED:
		return TC_ACT_OK;
	}
	return TC_ACT_SHOT;
}

SEC("tc")
int to_neighbour(struct __sk_buff *skb)
{
	struct bpf_redir_neigh nh = { .nh_family = AF_INET, .ipv4_nh = bpf_htonl(0x0a000001) };

	return bpf_redirect_neigh(1, &nh, sizeof(nh), 0);
}

/* What does not depend on routes: a family that there is not, an interface that there is not. */
SEC("xdp")
int wrong_lookups(struct xdp_md *ctx)
{
	struct bpf_fib_lookup fib = { .family = 99, .ifindex = 1 };

	if (bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) != -97)
		return XDP_ABORTED;
	fib.family = AF_INET;
	if (bpf_fib_lookup(ctx, &fib, 4, 0) != -22 || bpf_fib_lookup(ctx, &fib, sizeof(fib), 1 << 30) != -22)
		return XDP_DROP;
	fib.ifindex = 0x7ffffff0;
	return bpf_fib_lookup(ctx, &fib, sizeof(fib), 0) == -19 ? XDP_PASS : XDP_TX;
}

SEC("xdp")
int check_mtu(struct xdp_md *ctx)
{
	__u32 mtu = 0;

	/* The loopback interface's, 65536. */
	switch (bpf_check_mtu(ctx, 0, &mtu, 70000, 0)) {
	case 0:
		return XDP_PASS;
	case 1:
		return mtu > 60000 ? XDP_DROP : XDP_TX;
	default:
		return XDP_ABORTED;
	}
}

SEC("tc")
int redirects(struct __sk_buff *skb)
{
	switch (skb->len & 3) {
	case 0:
		return bpf_redirect(1, BPF_F_INGRESS);
	case 1:
		return bpf_redirect(1, 0);
	default:
		return bpf_redirect(1, 1ULL << 40);
	}
}

SEC("tc")
int to_peer(struct __sk_buff *skb)
{
	return bpf_redirect_peer(1, 0);
}

SEC("tc")
int mirror(struct __sk_buff *skb)
{
	return bpf_clone_redirect(skb, 1, 0) ? TC_ACT_SHOT : TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
