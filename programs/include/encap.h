/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The outer header: IP in IP (RFC 2003, RFC 2473). The packet inside is not changed.
 * The outer source carries bits of the flow, so that routers and backends spread flows by it.
 */
#pragma once
#include "csum.h"
#include "stats.h"

/* What goes into the outer header. Words are little-endian reads of packet bytes. */
struct tunnel {
	__u64 next_hop;      /* MAC address in the low 48 bits */
	__u32 client;        /* a word of the client's address, 0 when the VIP's hash leaves it out */
	__u32 sport;         /* source port, as in the packet */
	__u32 inner_bytes;   /* of the packet inside, its IP header included */
	__u8 traffic_class;
	bool is_inner_ipv6;
};

/* New Ethernet header in front; source is the destination of the frame that came in, `growth` bytes further on. */
static __always_inline void write_ethernet(void *data, __u32 growth, __u64 next_hop, __be16 type)
{
	struct ethernet_header *old = data + growth;
	struct ethernet_header *new = data;
	__u32 own_0_3 = old->dst_0_3;
	__u32 own_4_5 = old->dst_4_5;

	new->dst_0_3 = next_hop;
	new->dst_4_5 = next_hop >> 32;
	new->src_0_1 = own_0_3;
	new->src_2_5 = own_0_3 >> 16 | own_4_5 << 16;
	new->type = type;
}

static __always_inline bool encap_ipv4(struct xdp_md *ctx, const struct tunnel *tunnel, const __be32 *dst)
{
	void *data, *data_end;
	__u32 first_word, ttl_word, src;

	if (bpf_xdp_adjust_head(ctx, -IPV4_BYTES))
		return false;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + ETHERNET_BYTES + IPV4_BYTES > data_end)
		return false;
	write_ethernet(data, IPV4_BYTES, tunnel->next_hop, ETHERTYPE_IPV4);

	/* Version, IHL, ToS and total length; TTL and protocol; as words of the packet. */
	first_word = IPV4_VERSION_IHL | tunnel->traffic_class << 8 | (__u32)be16(IPV4_BYTES + tunnel->inner_bytes) << 16;
	ttl_word = OUTER_TTL | (tunnel->is_inner_ipv6 ? PROTOCOL_IPV6 : PROTOCOL_IPIP) << 8;
	/* 172.16.(s2 ^ port's second byte).(s3 ^ port's first byte) */
	src = OUTER_IPV4_PREFIX | ((tunnel->client >> 16) ^ be16(tunnel->sport)) << 16;

	__u32 *words = data + ETHERNET_BYTES;
	words[0] = first_word;
	words[1] = 0; /* identification, flags, offset */
	words[2] = ttl_word | (__u32)fold_checksum((__u64)first_word + ttl_word + src + *dst) << 16;
	words[3] = src;
	words[4] = *dst;
	return true;
}

static __always_inline bool encap_ipv6(struct xdp_md *ctx, const struct tunnel *tunnel, const __be32 *dst)
{
	void *data, *data_end;
	__u32 traffic_class = tunnel->traffic_class;

	if (bpf_xdp_adjust_head(ctx, -IPV6_BYTES))
		return false;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + ETHERNET_BYTES + IPV6_BYTES > data_end)
		return false;
	write_ethernet(data, IPV6_BYTES, tunnel->next_hop, ETHERTYPE_IPV6);

	struct ipv6_header *outer = data + ETHERNET_BYTES;
	/* Version 6, the traffic class across two bytes, flow label 0. */
	outer->version_class_flow = 0x60 | traffic_class >> 4 | (traffic_class & 0x0f) << 12;
	outer->payload_bytes = be16(tunnel->inner_bytes);
	outer->next_header = tunnel->is_inner_ipv6 ? PROTOCOL_IPV6 : PROTOCOL_IPIP;
	outer->hop_limit = OUTER_TTL;
	outer->src[0] = OUTER_IPV6_PREFIX;
	outer->src[1] = (__u64)(tunnel->client ^ tunnel->sport) << 32;
	__builtin_memcpy(outer->dst, dst, sizeof(outer->dst));
	return true;
}
