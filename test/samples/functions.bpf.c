/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Functions: static, not inlined, global, weak, hidden, of five arguments, in another section, eight frames deep. */
#include "sample.h"
#include "net.h"

struct tuple {
	__u32 source;
	__u32 destination;
	__u16 ports[2];
};

__u64 deepest;

static __noinline int is_large(struct xdp_md *ctx)
{
	return ctx->data_end - ctx->data > 80;
}

static __noinline __u64 mix(__u64 a, __u64 b, __u32 c, __u16 d, __u8 e)
{
	return (a ^ b) * 31 + c + (d << e);
}

__noinline int fill(struct xdp_md *ctx, struct tuple *tuple)
{
	struct iphdr *iph = XDP_DATA(ctx) + sizeof(struct ethhdr);

	if (!tuple || (void *)(iph + 1) > XDP_DATA_END(ctx))
		return -1;
	tuple->source = iph->saddr;
	tuple->destination = iph->daddr;
	tuple->ports[0] = iph->id;
	tuple->ports[1] = iph->tot_len;
	return 0;
}

__weak __noinline int overridable(__u32 number)
{
	return number * 3 + 1;
}

/* Hidden functions are as static ones: they may return pointers, or nothing. */
__hidden __noinline int hidden(__u64 number)
{
	return number >> 3;
}

__hidden __noinline void *first_byte(struct xdp_md *ctx)
{
	return XDP_DATA(ctx);
}

SEC(".text.elsewhere")
__noinline int elsewhere(__u32 number)
{
	return number ^ 0x55;
}

static __noinline int depth7(__u32 n) { deepest += n; return n + 7; }
static __noinline int depth6(__u32 n) { return depth7(n + 1) ^ 6; }
static __noinline int depth5(__u32 n) { return depth6(n + 1) + 5; }
static __noinline int depth4(__u32 n) { return depth5(n + 1) ^ 4; }
static __noinline int depth3(__u32 n) { return depth4(n + 1) + 3; }
static __noinline int depth2(__u32 n) { return depth3(n + 1) ^ 2; }
static __noinline int depth1(__u32 n) { return depth2(n + 1) + 1; }

SEC("xdp")
int calls(struct xdp_md *ctx)
{
	struct tuple tuple = {};
	__u64 mixed;

	if (is_large(ctx))
		return XDP_DROP;
	if (first_byte(ctx) + 14 <= XDP_DATA_END(ctx))
		deepest += *(__u8 *)first_byte(ctx);
	if (fill(ctx, &tuple) < 0)
		return XDP_PASS;
	mixed = mix(tuple.source, tuple.destination, tuple.ports[0], tuple.ports[1], 3);
	mixed += overridable(mixed) + hidden(mixed) + elsewhere(mixed);
	return mixed % 5;
}

SEC("xdp")
int deep(struct xdp_md *ctx)
{
	return depth1(ctx->data_end - ctx->data) & 3;
}

SEC("tc")
int shared_by_types(struct __sk_buff *skb)
{
	return overridable(skb->len) & 1 ? TC_ACT_OK : TC_ACT_SHOT;
}

char _license[] SEC("license") = "GPL";
