/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Fields found by the target's types: in programs that run, what exists is asked, and the context is read. */
#include "sample.h"

#define bpf_core_field_exists(type, field) __builtin_preserve_field_info(((type *)0)->field, 2)
#define bpf_core_field_offset(type, field) __builtin_preserve_field_info(((type *)0)->field, 0)
#define bpf_core_field_size(type, field) __builtin_preserve_field_info(((type *)0)->field, 1)
#define bpf_core_type_exists(type) __builtin_preserve_type_info(*(type *)0, 0)
#define bpf_core_type_size(type) __builtin_preserve_type_info(*(type *)0, 1)
#define bpf_core_enum_value_exists(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, 0)
#define bpf_core_enum_value(type, value) __builtin_preserve_enum_value(*(typeof(type) *)value, 1)

struct xdp_md___mine {
	__u32 data_end;
	__u32 rx_queue_index;
	__u32 data;
	__u32 surely_missing;
} __core;

struct __sk_buff___old {
	__u32 mark;
	__u32 len;
} __core;

struct surely_no_such_type {
	int field;
} __core;

enum xdp_action___target { XDP_TX___target = 33, XDP_NEVER___target = 34 };

SEC("xdp")
int moved(struct xdp_md___mine *ctx)
{
	__u32 length;

	if (bpf_core_field_exists(struct xdp_md___mine, surely_missing))
		return ctx->surely_missing;
	if (bpf_core_type_exists(struct surely_no_such_type))
		return XDP_ABORTED;
	length = (void *)(long)ctx->data_end - (void *)(long)ctx->data;
	return length > 60 && ctx->rx_queue_index == 0 ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int asks(struct xdp_md *ctx)
{
	if (bpf_core_field_offset(struct xdp_md___mine, data) != 0 || bpf_core_field_size(struct xdp_md___mine, data) != 4)
		return XDP_ABORTED;
	if (bpf_core_enum_value_exists(enum xdp_action___target, XDP_NEVER___target))
		return XDP_ABORTED;
	return bpf_core_enum_value(enum xdp_action___target, XDP_TX___target);
}

SEC("tc")
int marked(struct __sk_buff___old *skb)
{
	return skb->len & 1 ? skb->mark : TC_ACT_SHOT;
}

SEC("xdp")
int misses(struct xdp_md___mine *ctx)
{
	return ctx->surely_missing;
}

char _license[] SEC("license") = "GPL";
