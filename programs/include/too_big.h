/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A frame that would not fit the path in its outer header: its sender is told the MTU (RFC 1191, RFC 8201). The answer
 * holds the start of the packet.
 */
#pragma once
#include "csum.h"
#include "stats.h"

/* Frame that is kept of what came, and what of it is inside the answer. */
#define KEPT_IPV4 98
#define KEPT_IPV6 262
#define INNER_IPV4 (KEPT_IPV4 - ETHERNET_BYTES)
#define INNER_IPV6 (KEPT_IPV6 - ETHERNET_BYTES)

struct too_big_ipv4 {
	struct ipv4_header ip;
	struct icmp_header icmp;
};

struct too_big_ipv6 {
	struct ipv6_header ip;
	struct icmp_header icmp;
};

/* The Ethernet header again, turned around, in front of what grew. */
static __always_inline void write_answer_ethernet(void *data, __u32 growth)
{
	struct ethernet_header *old = data + growth;
	struct ethernet_header *new = data;
	__u32 dst_0_3 = old->dst_0_3, dst_4_5 = old->dst_4_5, src_0_1 = old->src_0_1, src_2_5 = old->src_2_5;
	__be16 type = old->type;

	new->dst_0_3 = src_0_1 | src_2_5 << 16;
	new->dst_4_5 = src_2_5 >> 16;
	new->src_0_1 = dst_0_3;
	new->src_2_5 = dst_0_3 >> 16 | dst_4_5 << 16;
	new->type = type;
}

static __always_inline bool answer_too_big_ipv4(struct xdp_md *ctx)
{
	struct too_big_ipv4 *answer;
	struct ipv4_header *inner;
	void *data, *data_end;
	__u32 bytes = ctx->data_end - ctx->data;

	if (bytes < KEPT_IPV4 || bpf_xdp_adjust_tail(ctx, KEPT_IPV4 - (int)bytes))
		return false;
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*answer)))
		return false;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	answer = data + ETHERNET_BYTES;
	inner = (void *)answer + sizeof(*answer);
	if ((void *)inner + INNER_IPV4 > data_end)
		return false;
	write_answer_ethernet(data, sizeof(*answer));
	answer->ip.version_ihl = IPV4_VERSION_IHL;
	answer->ip.tos = 0;
	answer->ip.total_bytes = be16(sizeof(*answer) + INNER_IPV4);
	answer->ip.id = 0;
	answer->ip.fragment = 0;
	answer->ip.ttl = OUTER_TTL;
	answer->ip.protocol = PROTOCOL_ICMP;
	answer->ip.checksum = 0;
	answer->ip.src = inner->dst;
	answer->ip.dst = inner->src;
	answer->ip.checksum = fold_checksum(sum_ipv4_header(&answer->ip));
	answer->icmp.type = ICMP_UNREACHABLE;
	answer->icmp.code = ICMP_CODE_FRAGMENTATION_NEEDED;
	answer->icmp.checksum = 0;
	answer->icmp.rest = (__u32)be16(max_frame_bytes - ETHERNET_BYTES) << 16;
	answer->icmp.checksum =
		fold_checksum(bpf_csum_diff(NULL, 0, (void *)&answer->icmp, ICMP_BYTES + INNER_IPV4, 0));
	return true;
}

static __always_inline bool answer_too_big_ipv6(struct xdp_md *ctx)
{
	struct too_big_ipv6 *answer;
	struct ipv6_header *inner;
	void *data, *data_end;
	__u32 bytes = ctx->data_end - ctx->data;
	__u64 sum;

	if (bytes < KEPT_IPV6 || bpf_xdp_adjust_tail(ctx, KEPT_IPV6 - (int)bytes))
		return false;
	if (bpf_xdp_adjust_head(ctx, -(int)sizeof(*answer)))
		return false;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	answer = data + ETHERNET_BYTES;
	inner = (void *)answer + sizeof(*answer);
	if ((void *)inner + INNER_IPV6 > data_end)
		return false;
	write_answer_ethernet(data, sizeof(*answer));
	answer->ip.version_class_flow = 0x60;
	answer->ip.payload_bytes = be16(ICMP_BYTES + INNER_IPV6);
	answer->ip.next_header = PROTOCOL_ICMPV6;
	answer->ip.hop_limit = OUTER_TTL;
	__builtin_memcpy(answer->ip.src, inner->dst, sizeof(inner->dst));
	__builtin_memcpy(answer->ip.dst, inner->src, sizeof(inner->src));
	answer->icmp.type = ICMPV6_TOO_BIG;
	answer->icmp.code = 0;
	answer->icmp.checksum = 0;
	answer->icmp.rest = __builtin_bswap32(max_frame_bytes - ETHERNET_BYTES);
	sum = bpf_csum_diff(NULL, 0, (void *)&answer->icmp, ICMP_BYTES + INNER_IPV6, 0);
	/* Pseudo-header, RFC 8200 section 8.1. */
	sum += sum_ipv6_addresses(&answer->ip) + be16(ICMP_BYTES + INNER_IPV6) + be16(PROTOCOL_ICMPV6);
	answer->icmp.checksum = fold_checksum(sum);
	return true;
}

/* 0: the answer stands in the frame. Global, so that it is verified once. */
__noinline int answer_too_big(struct xdp_md *ctx, bool is_ipv6)
{
	if (is_ipv6 ? answer_too_big_ipv6(ctx) : answer_too_big_ipv4(ctx)) {
		count(COUNTER_TOO_BIG_SENT, !is_ipv6, is_ipv6);
		return 0;
	}
	return -1;
}
