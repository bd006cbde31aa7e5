/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A balancer in small: services, a hash of the flow (Jenkins' lookup3 by words), a ring of backends, IP in IP. */
#include "sample.h"
#include "net.h"

#define RING 16
#define rol32(word, shift) ((word) << (shift) | (word) >> (-(shift) & 31))

struct service {
	__be32 vip;
	__be16 port;
	__u16 proto;
};
struct service_info {
	__u32 id;
	__u32 flags;
};
struct backend {
	__be32 addr;
	__u8 mac[ETH_ALEN];
	__u16 weight;
};
struct counters {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32);
	__type(key, struct service);
	__type(value, struct service_info);
} services SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2 * RING);
	__type(key, __u32);
	__type(value, __u32);
} ring SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, struct counters);
} counters SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 1000);
	__type(key, __u64);
	__type(value, __u32);
} sessions SEC(".maps");

static __always_inline __u32 hash3(__u32 a, __u32 b, __u32 c)
{
	c ^= b; c -= rol32(b, 14);
	a ^= c; a -= rol32(c, 11);
	b ^= a; b -= rol32(a, 25);
	c ^= b; c -= rol32(b, 16);
	a ^= c; a -= rol32(c, 4);
	b ^= a; b -= rol32(a, 14);
	c ^= b; c -= rol32(b, 24);
	return c;
}

static __noinline int encapsulate(struct xdp_md *ctx, struct backend *backend, __u32 length)
{
	struct ethhdr kept, *eth = XDP_DATA(ctx);
	struct iphdr *outer;
	__u32 sum = 0;
	__u16 *word;

	if (!backend || (void *)(eth + 1) > XDP_DATA_END(ctx))
		return XDP_ABORTED;
	kept = *eth;
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*outer)))
		return XDP_DROP;
	eth = XDP_DATA(ctx);
	outer = (void *)(eth + 1);
	if ((void *)(outer + 1) > XDP_DATA_END(ctx))
		return XDP_DROP;
	memcpy(eth->h_dest, backend->mac, ETH_ALEN);
	memcpy(eth->h_source, kept.h_dest, ETH_ALEN);
	eth->h_proto = kept.h_proto;
	memset(outer, 0, sizeof(*outer));
	outer->version = 4;
	outer->ihl = 5;
	outer->tot_len = bpf_htons(length + sizeof(*outer));
	outer->ttl = 64;
	outer->protocol = IPPROTO_IPIP;
	outer->saddr = bpf_htonl(0xac100001);
	outer->daddr = backend->addr;
	word = (__u16 *)outer;
#pragma unroll
	for (int i = 0; i < 10; i++)
		sum += *word++;
	outer->check = ~((sum & 0xffff) + (sum >> 16));
	return XDP_TX;
}

SEC("xdp")
int balance(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct iphdr *iph = data + sizeof(struct ethhdr);
	struct udphdr *l4 = (void *)(iph + 1);
	struct service service = {};
	struct service_info *info;
	struct counters *count;
	struct backend *backend;
	__u32 slot, *real, number;
	__u64 flow;

	if ((void *)(l4 + 1) > data_end || iph->version != 4 || iph->ihl != 5 || iph->frag_off & bpf_htons(0x3fff))
		return XDP_PASS;
	service.vip = iph->daddr;
	service.port = l4->dest;
	service.proto = iph->protocol;
	info = bpf_map_lookup_elem(&services, &service);
	if (!info) {
		service.port = 0;
		info = bpf_map_lookup_elem(&services, &service);
		if (!info)
			return XDP_PASS;
	}
	flow = (__u64)iph->saddr << 32 | l4->source << 16 | l4->dest;
	real = bpf_map_lookup_elem(&sessions, &flow);
	if (!real) {
		slot = (info->id & 1) * RING + hash3(iph->saddr, l4->source, info->flags) % RING;
		real = bpf_map_lookup_elem(&ring, &slot);
		if (!real)
			return XDP_DROP;
		number = *real;
		bpf_map_update_elem(&sessions, &flow, &number, BPF_ANY);
	} else {
		number = *real;
	}
	backend = bpf_map_lookup_elem(&backends, &number);
	if (!backend || !backend->addr)
		return XDP_DROP;
	count = bpf_map_lookup_elem(&counters, &number);
	if (count) {
		count->packets++;
		count->bytes += data_end - data;
	}
	return encapsulate(ctx, backend, bpf_ntohs(iph->tot_len));
}

char _license[] SEC("license") = "GPL";
