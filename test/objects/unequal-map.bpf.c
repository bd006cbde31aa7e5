/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A map whose key has two sizes. */
#include "bpf.h"

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 8);
	__type(key, __u32);
	__type(value, __u32);
} mismatched SEC(".maps");

SEC("xdp")
int uses(struct xdp_md *ctx)
{
	__u32 key = 0;
	return bpf_map_lookup_elem(&mismatched, &key) ? PASS : DROP;
}
