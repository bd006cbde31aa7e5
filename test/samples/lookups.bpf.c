/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Sockets looked up from XDP, SYN cookies: what there is of them. */
#include "sample.h"
#include "net.h"

struct bpf_sock_tuple {
	__be32 saddr, daddr;
	__be16 sport, dport;
};

SEC("xdp")
int find_socket(struct xdp_md *ctx)
{
	struct bpf_sock_tuple tuple = { .saddr = 1, .dport = 2 };
	void *sock = bpf_sk_lookup_tcp(ctx, &tuple, sizeof(tuple), -1, 0);

	if (!sock)
		return XDP_DROP;
	bpf_sk_release(sock);
	return XDP_PASS;
}

SEC("xdp")
int cookie(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct iphdr *iph = data + sizeof(struct ethhdr);
	struct tcphdr *tcp = (void *)(iph + 1);
	__s64 value;

	if ((void *)(tcp + 1) > data_end || iph->version != 4 || iph->ihl != 5 || iph->protocol != IPPROTO_TCP)
		return XDP_PASS;
	if (!tcp->syn)
		return bpf_tcp_raw_check_syncookie_ipv4(iph, tcp) ? XDP_DROP : XDP_PASS;
	value = bpf_tcp_raw_gen_syncookie_ipv4(iph, tcp, sizeof(*tcp));
	if (value < 0)
		return XDP_ABORTED;
	tcp->seq = bpf_htonl((__u32)value);
	return XDP_TX;
}

char _license[] SEC("license") = "GPL";
