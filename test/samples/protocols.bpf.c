/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A cursor through the headers, and per-CPU counters of packets and bytes by protocol. */
#include "sample.h"
#include "net.h"

struct cursor {
	void *pos;
};

struct traffic {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct traffic);
	__uint(max_entries, 256);
} stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(key_size, sizeof(__u16));
	__uint(value_size, sizeof(__u64));
	__uint(max_entries, 64);
} ports SEC(".maps");

static __always_inline int take_ethernet(struct cursor *at, void *data_end, struct ethhdr **ethhdr)
{
	struct ethhdr *eth = at->pos;

	if (at->pos + sizeof(*eth) > data_end)
		return -1;
	at->pos += sizeof(*eth);
	*ethhdr = eth;
	return eth->h_proto;
}

static __always_inline int take_ipv4(struct cursor *at, void *data_end, struct iphdr **iphdr)
{
	struct iphdr *iph = at->pos;
	int header_bytes;

	if ((void *)(iph + 1) > data_end)
		return -1;
	header_bytes = iph->ihl * 4;
	if (header_bytes < sizeof(*iph))
		return -1;
	if (at->pos + header_bytes > data_end)
		return -1;
	at->pos += header_bytes;
	*iphdr = iph;
	return iph->protocol;
}

static __always_inline int take_ipv6(struct cursor *at, void *data_end, struct ipv6hdr **ipv6)
{
	struct ipv6hdr *ip6h = at->pos;

	if ((void *)(ip6h + 1) > data_end)
		return -1;
	at->pos = ip6h + 1;
	*ipv6 = ip6h;
	return ip6h->nexthdr;
}

static __always_inline __u32 record(struct xdp_md *ctx, __u32 protocol)
{
	struct traffic *traffic = bpf_map_lookup_elem(&stats, &protocol);

	if (!traffic)
		return XDP_ABORTED;
	traffic->packets++;
	traffic->bytes += ctx->data_end - ctx->data;
	return XDP_PASS;
}

static __always_inline void count_port(struct cursor *at, void *data_end)
{
	__be16 *dport = at->pos + 2;
	__u64 init = 1, *count;
	__u16 port;

	if ((void *)(dport + 1) > data_end)
		return;
	port = bpf_ntohs(*dport);
	count = bpf_map_lookup_elem(&ports, &port);
	if (count)
		(*count)++;
	else
		bpf_map_update_elem(&ports, &port, &init, BPF_NOEXIST);
}

SEC("xdp")
int count_protocols(struct xdp_md *ctx)
{
	void *data_end = XDP_DATA_END(ctx);
	struct cursor at = { .pos = XDP_DATA(ctx) };
	struct ipv6hdr *ip6h;
	struct ethhdr *eth;
	struct iphdr *iph;
	int type, protocol;

	type = take_ethernet(&at, data_end, &eth);
	if (type == bpf_htons(ETH_P_IP))
		protocol = take_ipv4(&at, data_end, &iph);
	else if (type == bpf_htons(ETH_P_IPV6))
		protocol = take_ipv6(&at, data_end, &ip6h);
	else
		return XDP_PASS;
	if (protocol < 0)
		return XDP_DROP;
	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP)
		count_port(&at, data_end);
	return record(ctx, protocol);
}

char _license[] SEC("license") = "GPL";
