/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Checksums kept right: an answer to a ping, a rewritten address and port, a smaller TTL. */
#include "sample.h"
#include "net.h"

static __always_inline void csum_replace2(__sum16 *sum, __be16 old, __be16 new)
{
	__u32 csum = (__u16)~*sum + (__u16)~old + new;

	csum = (csum & 0xffff) + (csum >> 16);
	*sum = ~((csum & 0xffff) + (csum >> 16));
}

SEC("xdp")
int echo_reply(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct ethhdr *eth = data;
	struct iphdr *iph = data + sizeof(*eth);
	struct icmphdr *icmp = (void *)(iph + 1);
	__u8 mac[ETH_ALEN];
	__be32 address;

	if ((void *)(icmp + 1) > data_end || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	if (iph->protocol != IPPROTO_ICMP || icmp->type != 8)
		return XDP_PASS;
	memcpy(mac, eth->h_dest, ETH_ALEN);
	memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	memcpy(eth->h_source, mac, ETH_ALEN);
	address = iph->saddr;
	iph->saddr = iph->daddr;
	iph->daddr = address;
	icmp->type = 0;
	csum_replace2(&icmp->checksum, bpf_htons(0x0800), 0);
	return XDP_TX;
}

SEC("xdp")
int dnat(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct iphdr *iph = data + sizeof(struct ethhdr);
	struct udphdr *udp = (void *)(iph + 1);
	__be32 to = bpf_htonl(0xc0a80105), from;
	__s64 sum;

	if ((void *)(udp + 1) > data_end || iph->version != 4 || iph->protocol != IPPROTO_UDP)
		return XDP_PASS;
	from = iph->daddr;
	sum = bpf_csum_diff(&from, 4, &to, 4, (__u16)~iph->check);
	iph->check = csum_fold_helper(sum);
	sum = bpf_csum_diff(&from, 4, &to, 4, (__u16)~udp->check);
	udp->check = csum_fold_helper(sum);
	if (!udp->check)
		udp->check = 0xffff;
	iph->daddr = to;
	return XDP_TX;
}

SEC("xdp")
int decrease_ttl(struct xdp_md *ctx)
{
	struct iphdr *iph = XDP_DATA(ctx) + sizeof(struct ethhdr);
	__u32 check;

	if ((void *)(iph + 1) > XDP_DATA_END(ctx) || iph->version != 4)
		return XDP_PASS;
	if (iph->ttl <= 1)
		return XDP_DROP;
	check = iph->check;
	check += bpf_htons(1 << 8);
	iph->check = check > 0xfffe ? check + 1 : check;
	iph->ttl--;
	return XDP_TX;
}

SEC("xdp")
int recompute(struct xdp_md *ctx)
{
	struct iphdr *iph = XDP_DATA(ctx) + sizeof(struct ethhdr);

	if ((void *)(iph + 1) > XDP_DATA_END(ctx) || iph->version != 4 || iph->ihl != 5)
		return XDP_PASS;
	iph->check = 0;
	iph->check = csum_fold_helper(bpf_csum_diff(0, 0, (__be32 *)iph, sizeof(*iph), 0));
	return XDP_TX;
}

char _license[] SEC("license") = "GPL";
