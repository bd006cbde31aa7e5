/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A map of a type that does not exist. */
#include "bpf.h"

struct {
	__uint(type, 4242);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} strange SEC(".maps");

SEC("xdp")
int uses(struct xdp_md *ctx)
{
	__u32 key = 0;
	return bpf_map_lookup_elem(&strange, &key) ? PASS : DROP;
}
