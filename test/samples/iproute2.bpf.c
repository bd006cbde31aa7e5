/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* As iproute2's loader has it: struct bpf_elf_map, tail calls by sections of id and slot, ingress and egress. */
#include "sample.h"
#include "net.h"

struct bpf_elf_map {
	__u32 type;
	__u32 size_key;
	__u32 size_value;
	__u32 max_elem;
	__u32 flags;
	__u32 id;
	__u32 pinning;
	__u32 inner_id;
	__u32 inner_idx;
};
#define TAIL(ID, KEY) SEC(#ID "/" #KEY)

struct bpf_elf_map SEC("maps") jumps = {
	.type = BPF_MAP_TYPE_PROG_ARRAY,
	.id = 1,
	.size_key = sizeof(__u32),
	.size_value = sizeof(__u32),
	.pinning = 2,
	.max_elem = 2,
};
struct bpf_elf_map SEC("maps") totals = {
	.type = BPF_MAP_TYPE_ARRAY,
	.size_key = sizeof(__u32),
	.size_value = sizeof(__u32),
	.pinning = 2,
	.max_elem = 2,
};

static __always_inline int add_up(struct __sk_buff *skb, __u32 direction)
{
	__u32 *bytes = bpf_map_lookup_elem(&totals, &direction);

	if (bytes)
		__sync_fetch_and_add(bytes, skb->len);
	return TC_ACT_OK;
}

SEC("ingress")
int tc_ingress(struct __sk_buff *skb)
{
	return add_up(skb, 0);
}

SEC("egress")
int tc_egress(struct __sk_buff *skb)
{
	bpf_tail_call(skb, &jumps, 0);
	return add_up(skb, 1);
}

TAIL(1, 0)
int tail_first(struct __sk_buff *skb)
{
	skb->cb[0] = 0xabc;
	bpf_tail_call(skb, &jumps, 1);
	return TC_ACT_OK;
}

TAIL(1, 1)
int tail_second(struct __sk_buff *skb)
{
	add_up(skb, 1);
	return skb->cb[0] == 0xabc ? TC_ACT_SHOT : TC_ACT_OK;
}

char __license[] SEC("license") = "GPL";
