/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Loads of a socket buffer by offset, as classic filters have them. */
#include "sample.h"
#include "net.h"

unsigned long long load_byte(void *skb, unsigned long long offset) asm("llvm.bpf.load.byte");
unsigned long long load_half(void *skb, unsigned long long offset) asm("llvm.bpf.load.half");
unsigned long long load_word(void *skb, unsigned long long offset) asm("llvm.bpf.load.word");

SEC("tc")
int filter(struct __sk_buff *skb)
{
	__u32 offset;

	if (load_half(skb, 12) != ETH_P_IP)
		return TC_ACT_OK;
	offset = ETH_HLEN + ((load_byte(skb, ETH_HLEN) & 15) << 2);
	if (load_byte(skb, ETH_HLEN + 9) == IPPROTO_UDP && load_half(skb, offset + 2) == 53)
		return TC_ACT_SHOT;
	if (load_word(skb, ETH_HLEN + 12) == 0x0a000001)
		return TC_ACT_PIPE;
	/* Beyond the end: the program ends with 0. */
	return load_byte(skb, 5000) ? TC_ACT_STOLEN : TC_ACT_QUEUED;
}

SEC("socket")
int socket_filter(struct __sk_buff *skb)
{
	return load_byte(skb, 23) == IPPROTO_UDP ? -1 : 0;
}

char _license[] SEC("license") = "GPL";
