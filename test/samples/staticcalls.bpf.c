/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Tail calls whose slot is a constant in assembly, and maps of programs that only the loader fills. */
#include "sample.h"
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} calls SEC(".maps");

static __always_inline void tail_call_static(void *ctx, const void *map, const __u32 slot)
{
	asm volatile("r1 = %[ctx]\n\t"
		     "r2 = %[map]\n\t"
		     "r3 = %[slot]\n\t"
		     "call 12"
		     :
		     : [ctx] "r"(ctx), [map] "r"(map), [slot] "i"(slot)
		     : "r0", "r1", "r2", "r3", "r4", "r5");
}

SEC("tc/entry")
int entry(struct __sk_buff *skb)
{
	skb->cb[0] = skb->len;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		tail_call_static(skb, &calls, 1);
	else
		tail_call_static(skb, &calls, 2);
	return TC_ACT_PIPE;
}

SEC("tc/policy")
int policy(struct __sk_buff *skb)
{
	skb->mark = skb->cb[0];
	tail_call_static(skb, &calls, 3);
	return skb->mark > 70 ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc/next")
int drop(struct __sk_buff *skb)
{
	return TC_ACT_STOLEN;
}

char _license[] SEC("license") = "GPL";
