/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Keys and values that lie in the packet, in other maps' values, in constants; elements deleted while in use. */
#include "sample.h"
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u8[6]);
	__type(value, __u8[8]);
} by_mac SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __be32);
	__type(value, __u32);
} by_address SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u32);
} table SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} ring SEC(".maps");

static const __u32 constant_key = 3;
__u32 global_key = 4;
int sent;

SEC("xdp")
int from_packet(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct ethhdr *eth = data;
	struct iphdr *iph = (void *)(eth + 1);
	__u32 *count;

	if ((void *)(iph + 1) > data_end)
		return XDP_PASS;
	bpf_map_update_elem(&by_mac, eth->h_source, data + 14, BPF_ANY);
	count = bpf_map_lookup_elem(&by_address, &iph->daddr);
	if (!count) {
		bpf_map_update_elem(&by_address, &iph->daddr, &iph->saddr, BPF_NOEXIST);
		return XDP_DROP;
	}
	*count += 1;
	sent += bpf_ringbuf_output(&ring, count, sizeof(*count), 0);
	return bpf_map_lookup_elem(&by_mac, eth->h_dest) ? XDP_TX : XDP_PASS;
}

SEC("xdp")
int from_maps(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data, *first, *second;

	bpf_map_update_elem(&table, &constant_key, &length, BPF_ANY);
	bpf_map_update_elem(&table, &global_key, &constant_key, BPF_ANY);
	first = bpf_map_lookup_elem(&table, &global_key);
	if (!first)
		return XDP_ABORTED;
	second = bpf_map_lookup_elem(&table, first);
	if (!second)
		return XDP_DROP;
	global_key = (global_key + 1) & 0xff;
	*second ^= 0x55;
	return bpf_map_update_elem(&table, second, second, BPF_ANY) ? XDP_TX : XDP_PASS;
}

SEC("xdp")
int deleted(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data, key = length & 3, *value;

	bpf_map_update_elem(&by_address, &key, &length, BPF_ANY);
	value = bpf_map_lookup_elem(&by_address, &key);
	if (!value)
		return XDP_ABORTED;
	bpf_map_delete_elem(&by_address, &key);
	if (bpf_map_lookup_elem(&by_address, &key))
		return XDP_ABORTED;
	/* Nobody has taken its place yet. */
	*value += 1;
	return *value == length + 1 ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
