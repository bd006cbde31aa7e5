// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * For hosts whose GUE tunnel is taken apart further up: gives an IPv6 TCP packet in a GUE tunnel over IPv6 the outer
 * source address as its own, so that what sees the packet inside knows who sent the tunnel packet. The TCP checksum makes
 * up for the change, and so the outer UDP checksum stays right as it is. The packet always goes on to the next program.
 */
#include "include/packet.h"
#include "include/tc.h"

/* UDP port of the tunnel, host byte order. */
const volatile __u16 gue_port = 6080;

#define OUTER_OFFSET ETHERNET_BYTES
#define UDP_OFFSET (OUTER_OFFSET + IPV6_BYTES)
#define INNER_OFFSET (UDP_OFFSET + UDP_BYTES)
#define TCP_OFFSET (INNER_OFFSET + IPV6_BYTES)

SEC("tc")
int match_source(struct __sk_buff *skb)
{
	struct ipv6_header outer, inner;
	struct udp_header udp;
	struct tcp_header tcp;
	__s64 change;

	/* The TCP header last: when it is there, all of them are. */
	if (skb->protocol != ETHERTYPE_IPV6 || bpf_skb_load_bytes(skb, OUTER_OFFSET, &outer, IPV6_BYTES) ||
	    outer.next_header != PROTOCOL_UDP || bpf_skb_load_bytes(skb, UDP_OFFSET, &udp, UDP_BYTES) ||
	    udp.dport != be16(gue_port) || bpf_skb_load_bytes(skb, INNER_OFFSET, &inner, IPV6_BYTES) ||
	    (inner.version_class_flow & 0xf0) != 0x60 || inner.next_header != PROTOCOL_TCP ||
	    bpf_skb_load_bytes(skb, TCP_OFFSET, &tcp, TCP_BYTES))
		return TC_ACT_PIPE;

	change = bpf_csum_diff((void *)inner.src, sizeof(inner.src), (void *)outer.src, sizeof(outer.src), 0);
	/* Both tell the kernel's own sum over the frame, for devices that give one: what one adds the other takes away. */
	if (bpf_skb_store_bytes(skb, INNER_OFFSET + __builtin_offsetof(struct ipv6_header, src), outer.src,
				sizeof(outer.src), BPF_F_RECOMPUTE_CSUM))
		return TC_ACT_PIPE;
	bpf_l4_csum_replace(skb, TCP_OFFSET + __builtin_offsetof(struct tcp_header, checksum), 0, change,
			    BPF_F_PSEUDO_HDR);
	return TC_ACT_PIPE;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
