/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Callbacks within callbacks, with the packet, with deleted elements, over maps of every kind that can be walked. */
#include "sample.h"
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} lru SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} percpu SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 64);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, 8);
	__uint(value_size, 8);
} trie SEC(".maps");

struct context {
	struct xdp_md *xdp;
	__u64 sum;
	__u32 depth;
	__u8 bytes[64];
};

static long inner(__u32 index, struct context *context)
{
	struct xdp_md *xdp = context->xdp;
	__u8 *byte = XDP_DATA(xdp) + (index & 63);

	if ((void *)(byte + 1) > XDP_DATA_END(xdp))
		return 1;
	context->bytes[index & 63] ^= *byte;
	context->sum += *byte * context->depth;
	return context->sum > 100000;
}

static long outer(__u32 index, struct context *context)
{
	context->depth = index + 1;
	context->sum += bpf_loop(20, inner, context, 0);
	return 0;
}

SEC("xdp")
int nested(struct xdp_md *ctx)
{
	struct context context = { .xdp = ctx };
	long rounds = bpf_loop(7, outer, &context, 0);

	return (context.sum + rounds + context.bytes[13]) % 5;
}

static __u64 add(void *map, __u32 *key, __u64 *value, struct context *context)
{
	context->sum += *key * *value;
	*value += 1;
	bpf_map_delete_elem(map, key);
	return 0;
}

SEC("xdp")
int kinds(struct xdp_md *ctx)
{
	struct context context = {};
	__u64 value = ctx->data_end - ctx->data;

	for (__u32 key = 1; key < 5; key++) {
		__u32 k = key;

		bpf_map_update_elem(&lru, &k, &value, BPF_NOEXIST);
		bpf_map_update_elem(&percpu, &k, &value, BPF_NOEXIST);
	}
	if (bpf_for_each_map_elem(&lru, add, &context, 0) != 4 || bpf_for_each_map_elem(&percpu, add, &context, 0) != 4)
		return XDP_ABORTED;
	return context.sum & 3;
}

SEC("xdp")
int not_walked(struct xdp_md *ctx)
{
	struct context context = {};

	return bpf_for_each_map_elem(&trie, add, &context, 0) == 0 ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
