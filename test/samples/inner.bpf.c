/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Inner maps of many kinds, reached through functions and loops, changed where they are. */
#include "sample.h"
#include "net.h"

struct lpm_key {
	__u32 bits;
	__be32 address;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct {
		__uint(type, BPF_MAP_TYPE_LPM_TRIE);
		__uint(max_entries, 16);
		__uint(map_flags, BPF_F_NO_PREALLOC);
		__uint(key_size, sizeof(struct lpm_key));
		__type(value, __u32);
	});
} tries SEC(".maps");

struct inner_percpu {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} first SEC(".maps"), second SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 3);
	__type(key, __u32);
	__array(values, struct inner_percpu);
} percpus SEC(".maps") = { .values = { [0] = &first, [2] = &second } };

struct inner_lru {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 128);
	__type(key, __be32);
	__type(value, __u64);
} seen SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(max_entries, 4);
	__type(key, __u32);
	__array(values, struct inner_lru);
} by_protocol SEC(".maps") = { .values = { [6] = &seen } };

struct inner_ring {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__type(key, __u32);
	__array(values, struct inner_ring);
} rings SEC(".maps") = { .values = { [1] = &ring } };

static __noinline __u32 longest(void *trie, __be32 address)
{
	struct lpm_key key = { 32, address };
	__u32 *value = trie ? bpf_map_lookup_elem(trie, &key) : NULL;

	return value ? *value : 0;
}

SEC("xdp")
int routed(struct xdp_md *ctx)
{
	struct iphdr *iph = XDP_DATA(ctx) + sizeof(struct ethhdr);
	__u32 best = 0;

	if ((void *)(iph + 1) > XDP_DATA_END(ctx) || iph->version != 4)
		return XDP_PASS;
	for (__u32 i = 0; i < 2; i++) {
		__u32 slot = i, found;
		void *trie = bpf_map_lookup_elem(&tries, &slot);

		found = longest(trie, iph->saddr);
		if (found > best)
			best = found;
	}
	return best;
}

SEC("xdp")
int counted(struct xdp_md *ctx)
{
	struct iphdr *iph = XDP_DATA(ctx) + sizeof(struct ethhdr);
	__u32 slot, zero = 0, one = 1;
	__u64 *count, start = 1;
	void *inner;

	if ((void *)(iph + 1) > XDP_DATA_END(ctx))
		return XDP_ABORTED;
	slot = iph->protocol & 3;
	inner = bpf_map_lookup_elem(&percpus, &slot);
	if (inner) {
		count = bpf_map_lookup_elem(inner, slot ? &one : &zero);
		if (count)
			*count += iph->ttl;
	}
	slot = iph->protocol;
	inner = bpf_map_lookup_elem(&by_protocol, &slot);
	if (!inner)
		return XDP_DROP;
	if (bpf_map_update_elem(inner, &iph->saddr, &start, BPF_NOEXIST) == 0)
		return XDP_PASS;
	count = bpf_map_lookup_elem(inner, &iph->saddr);
	if (count && ++*count < 4)
		return XDP_TX;
	return bpf_map_delete_elem(inner, &iph->saddr) ? XDP_ABORTED : XDP_DROP;
}

SEC("xdp")
int told(struct xdp_md *ctx)
{
	__u32 slot = ctx->data_end - ctx->data > 70;
	void *inner = bpf_map_lookup_elem(&rings, &slot);
	__u64 *record;

	if (!inner)
		return XDP_DROP;
	record = bpf_ringbuf_reserve(inner, sizeof(*record), 0);
	if (!record)
		return XDP_ABORTED;
	*record = slot;
	bpf_ringbuf_submit(record, 0);
	return bpf_ringbuf_output(inner, &slot, sizeof(slot), 0) ? XDP_TX : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
