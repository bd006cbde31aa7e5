/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Counting without keys: a count-min sketch, a bitmap, an exponential histogram of lengths. */
#include "sample.h"
#include "net.h"

#define ROWS 4
#define COLUMNS 64

struct sketch {
	__u32 cells[ROWS][COLUMNS];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct sketch);
} sketch SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 32);
	__type(key, __u32);
	__type(value, __u64);
} bitmap SEC(".maps");

static const __u64 seeds[ROWS] = { 0x9e3779b97f4a7c15ULL, 0xbf58476d1ce4e5b9ULL, 0x94d049bb133111ebULL, 0xd6e8feb86659fd93ULL };
__u64 log2_lengths[16];

static __always_inline __u32 log2(__u32 v)
{
	__u32 r, shift;

	r = (v > 0xffff) << 4; v >>= r;
	shift = (v > 0xff) << 3; v >>= shift; r |= shift;
	shift = (v > 0xf) << 2; v >>= shift; r |= shift;
	shift = (v > 0x3) << 1; v >>= shift; r |= shift;
	return r | (v >> 1);
}

SEC("xdp")
int count(struct xdp_md *ctx)
{
	struct iphdr *iph = XDP_DATA(ctx) + sizeof(struct ethhdr);
	__u32 zero = 0, least = 0xffffffff, word;
	struct sketch *cells;
	__u64 hash, *bits;

	log2_lengths[log2(ctx->data_end - ctx->data) & 15]++;
	if ((void *)(iph + 1) > XDP_DATA_END(ctx))
		return XDP_PASS;
	cells = bpf_map_lookup_elem(&sketch, &zero);
	if (!cells)
		return XDP_ABORTED;
#pragma unroll
	for (int row = 0; row < ROWS; row++) {
		hash = (iph->saddr ^ iph->protocol) * seeds[row];
		hash ^= hash >> 29;
		word = ++cells->cells[row][hash % COLUMNS];
		if (word < least)
			least = word;
	}
	hash = iph->daddr * seeds[0];
	word = hash >> 59;
	bits = bpf_map_lookup_elem(&bitmap, &word);
	if (bits)
		__sync_fetch_and_or(bits, 1ULL << (hash & 63));
	return least > 3 ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
