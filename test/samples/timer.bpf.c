/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What needs the kernel's own timers and sockets. */
#include "sample.h"
#include "net.h"

struct element {
	__u64 count;
	struct bpf_timer timer;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct element);
} elements SEC(".maps");

SEC("xdp")
int start_timer(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct element *element = bpf_map_lookup_elem(&elements, &zero);

	if (element)
		bpf_timer_init(&element->timer, &elements, 1);
	return XDP_PASS;
}

SEC("xdp")
int without_timer(struct xdp_md *ctx)
{
	__u32 zero = 0;
	struct element *element = bpf_map_lookup_elem(&elements, &zero);

	if (element)
		element->count++;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
