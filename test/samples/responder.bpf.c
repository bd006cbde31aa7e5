/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Answers made in place: to ARP requests, and ICMP errors with the packet that they are about. */
#include "sample.h"
#include "net.h"

struct arp_body {
	__u8 sha[ETH_ALEN];
	__u8 spa[4];
	__u8 tha[ETH_ALEN];
	__u8 tpa[4];
} __packed;

const volatile __u8 own_mac[ETH_ALEN] = { 2, 0, 0, 0, 0, 1 };

SEC("xdp")
int arp_reply(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct ethhdr *eth = data;
	struct arphdr *arp = (void *)(eth + 1);
	struct arp_body *body = (void *)(arp + 1);
	__u8 asked[4];

	if ((void *)(body + 1) > data_end || eth->h_proto != bpf_htons(ETH_P_ARP))
		return XDP_PASS;
	if (arp->ar_op != bpf_htons(1) || arp->ar_hln != ETH_ALEN || arp->ar_pln != 4)
		return XDP_DROP;
	memcpy(asked, body->tpa, 4);
	memcpy(eth->h_dest, eth->h_source, ETH_ALEN);
	for (int i = 0; i < ETH_ALEN; i++)
		eth->h_source[i] = own_mac[i];
	arp->ar_op = bpf_htons(2);
	memcpy(body->tha, body->sha, ETH_ALEN);
	memcpy(body->tpa, body->spa, 4);
	memcpy(body->sha, eth->h_source, ETH_ALEN);
	memcpy(body->spa, asked, 4);
	return XDP_TX;
}

SEC("xdp")
int too_big(struct xdp_md *ctx)
{
	int room = sizeof(struct iphdr) + sizeof(struct icmphdr);
	void *data, *data_end;
	struct ethhdr *eth, kept;
	struct iphdr *iph, *inner;
	struct icmphdr *icmp;
	__s64 sum;

	if (ctx->data_end - ctx->data < 60 || bpf_xdp_adjust_tail(ctx, 60 - (int)(ctx->data_end - ctx->data)))
		return XDP_PASS;
	eth = XDP_DATA(ctx);
	if ((void *)(eth + 1) > XDP_DATA_END(ctx) || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	kept = *eth;
	if (bpf_xdp_adjust_head(ctx, -room))
		return XDP_DROP;
	data = XDP_DATA(ctx);
	data_end = XDP_DATA_END(ctx);
	eth = data;
	iph = (void *)(eth + 1);
	icmp = (void *)(iph + 1);
	inner = (void *)(icmp + 1);
	if ((void *)(inner + 1) > data_end)
		return XDP_DROP;
	memcpy(eth->h_dest, kept.h_source, ETH_ALEN);
	memcpy(eth->h_source, kept.h_dest, ETH_ALEN);
	eth->h_proto = kept.h_proto;
	icmp->type = 3;
	icmp->code = 4;
	icmp->un.frag.mtu = bpf_htons(1400);
	icmp->un.frag.__unused = 0;
	icmp->checksum = 0;
	if ((void *)icmp + 54 > data_end)
		return XDP_DROP;
	sum = bpf_csum_diff(0, 0, (void *)icmp, 52, 0);
	icmp->checksum = csum_fold_helper(sum);
	memset(iph, 0, sizeof(*iph));
	iph->version = 4;
	iph->ihl = 5;
	iph->ttl = 64;
	iph->protocol = IPPROTO_ICMP;
	iph->saddr = inner->daddr;
	iph->daddr = inner->saddr;
	iph->tot_len = bpf_htons(data_end - (void *)iph);
	iph->check = csum_fold_helper(bpf_csum_diff(0, 0, (void *)iph, sizeof(*iph), 0));
	return XDP_TX;
}

char _license[] SEC("license") = "GPL";
