/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps in maps: filled by the object and from outside, arrays and hashes, of arrays, hashes and LPM tries. */
#include "sample.h"
#include "net.h"

struct inner_hash {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} tenant_a SEC(".maps"), tenant_b SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 4);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
	__array(values, struct inner_hash);
} tenants SEC(".maps") = { .values = { &tenant_a, [2] = &tenant_b } };

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 8);
	__type(key, __u16);
	__type(value, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_ARRAY);
		__uint(max_entries, 2);
		__uint(map_flags, BPF_F_INNER_MAP);
		__type(key, __u32);
		__type(value, __u32);
	});
} by_port SEC(".maps");

SEC("xdp")
int count(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data, tenant = length & 3;
	void *inner = bpf_map_lookup_elem(&tenants, &tenant);
	__u64 one = 1, *known;

	if (!inner)
		return XDP_DROP;
	known = bpf_map_lookup_elem(inner, &length);
	if (known)
		__sync_fetch_and_add(known, 1);
	else
		bpf_map_update_elem(inner, &length, &one, BPF_NOEXIST);
	return known ? XDP_TX : XDP_PASS;
}

SEC("xdp")
int verdict_of_port(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct iphdr *iph = data + sizeof(struct ethhdr);
	struct udphdr *udp = (void *)(iph + 1);
	__u32 which = 1, *verdict;
	__u16 port;
	void *inner;

	if ((void *)(udp + 1) > data_end || iph->version != 4)
		return XDP_PASS;
	port = bpf_ntohs(udp->dest);
	inner = bpf_map_lookup_elem(&by_port, &port);
	if (!inner)
		return XDP_DROP;
	verdict = bpf_map_lookup_elem(inner, &which);
	return verdict ? *verdict : XDP_ABORTED;
}

char _license[] SEC("license") = "GPL";
