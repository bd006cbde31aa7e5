/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Packets in packets: IP in IP of both families, on and off, GRE and VXLAN. */
#include "sample.h"
#include "net.h"

static __always_inline __u16 ip_checksum(struct iphdr *iph)
{
	__u16 *word = (__u16 *)iph;
	__u32 sum = 0;

#pragma unroll
	for (int i = 0; i < (int)sizeof(*iph) / 2; i++)
		sum += word[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

static __always_inline void outer4(struct iphdr *iph, __u8 protocol, __u16 payload)
{
	iph->version = 4;
	iph->ihl = 5;
	iph->tos = 0;
	iph->tot_len = bpf_htons(payload + sizeof(*iph));
	iph->id = 0;
	iph->frag_off = bpf_htons(0x4000);
	iph->ttl = 64;
	iph->protocol = protocol;
	iph->check = 0;
	iph->saddr = bpf_htonl(0x0a000001);
	iph->daddr = bpf_htonl(0x0a000002);
	iph->check = ip_checksum(iph);
}

SEC("xdp")
int ipip(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct ethhdr *old, *new = data;
	struct iphdr *iph = data + sizeof(*new);
	__u16 payload;

	if ((void *)(iph + 1) > data_end || new->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	payload = bpf_ntohs(iph->tot_len);
	if (bpf_xdp_adjust_head(ctx, 0 - (int)sizeof(struct iphdr)))
		return XDP_DROP;
	data = XDP_DATA(ctx);
	data_end = XDP_DATA_END(ctx);
	new = data;
	iph = data + sizeof(*new);
	old = data + sizeof(*iph);
	if ((void *)(iph + 1) > data_end || (void *)(old + 1) > data_end)
		return XDP_DROP;
	memcpy(new->h_source, old->h_dest, ETH_ALEN);
	memset(new->h_dest, 0x22, ETH_ALEN);
	new->h_proto = bpf_htons(ETH_P_IP);
	outer4(iph, IPPROTO_IPIP, payload);
	return XDP_TX;
}

SEC("xdp")
int ip6ip6(struct xdp_md *ctx)
{
	struct ethhdr kept, *eth = XDP_DATA(ctx);
	struct ipv6hdr *outer;
	__u16 length = ctx->data_end - ctx->data - sizeof(*eth);

	if ((void *)(eth + 1) > XDP_DATA_END(ctx) || eth->h_proto != bpf_htons(ETH_P_IPV6))
		return XDP_PASS;
	kept = *eth;
	if (bpf_xdp_adjust_head(ctx, -40))
		return XDP_DROP;
	eth = XDP_DATA(ctx);
	outer = (void *)(eth + 1);
	if ((void *)(outer + 1) > XDP_DATA_END(ctx))
		return XDP_DROP;
	*eth = kept;
	memset(outer, 0, sizeof(*outer));
	outer->version = 6;
	outer->payload_len = bpf_htons(length);
	outer->nexthdr = IPPROTO_IPV6;
	outer->hop_limit = 64;
	outer->saddr.s6_addr16[0] = bpf_htons(0xfd00);
	outer->daddr.s6_addr32[0] = bpf_htonl(0xfd010000);
	outer->daddr.s6_addr[15] = 9;
	return XDP_TX;
}

SEC("xdp")
int decap(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct ethhdr *eth = data, kept;
	struct iphdr *iph = data + sizeof(*eth);

	if ((void *)(iph + 1) > data_end || eth->h_proto != bpf_htons(ETH_P_IP) || iph->protocol != IPPROTO_IPIP)
		return XDP_PASS;
	memcpy(&kept, eth, sizeof(kept));
	if (bpf_xdp_adjust_head(ctx, sizeof(*iph)))
		return XDP_DROP;
	eth = XDP_DATA(ctx);
	if ((void *)(eth + 1) > XDP_DATA_END(ctx))
		return XDP_DROP;
	memcpy(eth, &kept, sizeof(kept));
	return XDP_PASS;
}

SEC("xdp")
int vxlan(struct xdp_md *ctx)
{
	int room = sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr) + sizeof(struct vxlanhdr);
	__u16 length = ctx->data_end - ctx->data;
	struct vxlanhdr *vxlan;
	struct udphdr *udp;
	struct ethhdr *eth;
	struct iphdr *iph;

	if (bpf_xdp_adjust_head(ctx, -room))
		return XDP_ABORTED;
	eth = XDP_DATA(ctx);
	iph = (void *)(eth + 1);
	udp = (void *)(iph + 1);
	vxlan = (void *)(udp + 1);
	if ((void *)(vxlan + 1) > XDP_DATA_END(ctx))
		return XDP_ABORTED;
	memset(eth->h_dest, 0x33, ETH_ALEN);
	memset(eth->h_source, 0x44, ETH_ALEN);
	eth->h_proto = bpf_htons(ETH_P_IP);
	outer4(iph, IPPROTO_UDP, length + sizeof(*udp) + sizeof(*vxlan));
	udp->source = bpf_htons(0xc000 | (length & 0xff));
	udp->dest = bpf_htons(4789);
	udp->len = bpf_htons(length + sizeof(*udp) + sizeof(*vxlan));
	udp->check = 0;
	vxlan->vx_flags = bpf_htonl(0x08000000);
	vxlan->vx_vni = bpf_htonl(77 << 8);
	return XDP_TX;
}

SEC("xdp")
int gre(struct xdp_md *ctx)
{
	struct ethhdr *eth = XDP_DATA(ctx), kept;
	__u16 length = ctx->data_end - ctx->data - sizeof(*eth);
	struct gre_base_hdr *gre;
	struct iphdr *iph;

	if ((void *)(eth + 1) > XDP_DATA_END(ctx))
		return XDP_DROP;
	kept = *eth;
	if (bpf_xdp_adjust_head(ctx, -(int)(sizeof(*iph) + sizeof(*gre))))
		return XDP_ABORTED;
	eth = XDP_DATA(ctx);
	iph = (void *)(eth + 1);
	gre = (void *)(iph + 1);
	if ((void *)(gre + 1) > XDP_DATA_END(ctx))
		return XDP_ABORTED;
	*eth = kept;
	eth->h_proto = bpf_htons(ETH_P_IP);
	gre->flags = 0;
	gre->protocol = kept.h_proto;
	outer4(iph, IPPROTO_GRE, length + sizeof(*gre));
	return XDP_TX;
}

char _license[] SEC("license") = "GPL";
