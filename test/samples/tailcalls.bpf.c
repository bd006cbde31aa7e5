/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Tail calls: slots that the object fills, slots that it leaves, a chain through itself, state on the way. */
#include "sample.h"
#include "net.h"

int parse_ip(struct xdp_md *ctx);
int parse_ip6(struct xdp_md *ctx);

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 8);
	__uint(key_size, sizeof(__u32));
	__array(values, int(struct xdp_md *));
} parsers SEC(".maps") = {
	.values = {
		[4] = (void *)&parse_ip,
		[6] = (void *)&parse_ip6,
	},
};

int chained(struct xdp_md *ctx);
struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
	__array(values, int(struct xdp_md *));
} itself SEC(".maps") = { .values = { [0] = (void *)&chained } };

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64[2]);
} scratch SEC(".maps");

__u64 rounds;

SEC("xdp")
int entry(struct xdp_md *ctx)
{
	__u8 *version = XDP_DATA(ctx) + sizeof(struct ethhdr);
	__u32 zero = 0;
	__u64 *left;

	if ((void *)(version + 1) > XDP_DATA_END(ctx))
		return XDP_DROP;
	left = bpf_map_lookup_elem(&scratch, &zero);
	if (left)
		left[0] = *version;
	bpf_tail_call(ctx, &parsers, *version >> 4);
	/* Nothing stands there. */
	return XDP_ABORTED;
}

SEC("xdp/ip")
int parse_ip(struct xdp_md *ctx)
{
	__u32 zero = 0;
	__u64 *left = bpf_map_lookup_elem(&scratch, &zero);

	if (!left)
		return XDP_ABORTED;
	left[1] += left[0];
	bpf_tail_call(ctx, &parsers, 100);
	bpf_tail_call(ctx, &parsers, 3);
	return left[0] == 0x45 ? XDP_TX : XDP_PASS;
}

SEC("xdp/ip6")
int parse_ip6(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &parsers, 4);
	return XDP_DROP;
}

SEC("xdp")
int chained(struct xdp_md *ctx)
{
	rounds++;
	bpf_tail_call(ctx, &itself, 0);
	return XDP_PASS;
}

static __noinline int call_through(struct xdp_md *ctx, __u32 slot)
{
	bpf_tail_call(ctx, &parsers, slot);
	return XDP_DROP;
}

SEC("xdp")
int from_function(struct xdp_md *ctx)
{
	__u8 *version = XDP_DATA(ctx) + sizeof(struct ethhdr);
	int verdict;

	if ((void *)(version + 1) > XDP_DATA_END(ctx))
		return XDP_DROP;
	verdict = call_through(ctx, *version >> 4);
	return verdict == XDP_TX ? XDP_PASS : verdict;
}

char _license[] SEC("license") = "GPL";
