/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Map in map: a template, and slots filled by the object. */
#include "bpf.h"

struct inner {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
};

struct inner one SEC(".maps");
struct inner two SEC(".maps");

struct {
	__uint(type, MAP_ARRAY_OF_MAPS);
	__uint(max_entries, 8);
	__type(key, __u32);
	__array(values, struct inner);
} outer SEC(".maps") = {
	.values = {[1] = &one, [5] = &two},
};

struct {
	__uint(type, MAP_ARRAY_OF_MAPS);
	__uint(max_entries, 2);
	__uint(key_size, sizeof(__u32));
	__array(values, struct {
		__uint(type, MAP_LRU_HASH);
		__uint(max_entries, 16);
		__type(key, __u64);
		__type(value, __u32);
	});
} empty SEC(".maps");

SEC("xdp")
int nested(struct xdp_md *ctx)
{
	__u32 key = ctx->rx_queue_index & 7;
	void *map = bpf_map_lookup_elem(&outer, &key);
	if (!map)
		return DROP;
	__u32 zero = 0;
	__u64 *value = bpf_map_lookup_elem(map, &zero);
	if (!value)
		return PASS;
	*value += 1;
	return TX;
}

char _license[] SEC("license") = "Dual BSD/GPL";
