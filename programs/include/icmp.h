/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * ICMP (RFC 792, RFC 4443): an error is about a flow, whose packet it holds the start of, and goes where the flow goes;
 * an echo request for a VIP is answered here.
 */
#pragma once
#include "csum.h"
#include "parse.h"
#include "stats.h"

#define LEAST_IPV6_MTU 1280

/* The flow that an error is about, seen from the client: the packet inside went the other way. */
static __always_inline enum parsed parse_inner(void *ip, void *data_end, struct packet *packet, struct flow_key *key,
					       const bool is_ipv6)
{
	void *transport = ip + (is_ipv6 ? IPV6_BYTES : IPV4_BYTES);

	if (transport > data_end)
		return PARSED_ICMP_INNER;
	if (!is_ipv6 && ((((struct ipv4_header *)ip)->version_ihl & 0x0f) != IPV4_BYTES / 4 ||
			 (((struct ipv4_header *)ip)->fragment & IPV4_OFFSET_MASK)))
		return PARSED_ICMP_INNER;
	packet->protocol = is_ipv6 ? ((struct ipv6_header *)ip)->next_header : ((struct ipv4_header *)ip)->protocol;
	if (packet->protocol != PROTOCOL_TCP && packet->protocol != PROTOCOL_UDP)
		return PARSED_ICMP_OTHER;
	copy_address(key->src, ip, is_ipv6, false);
	copy_address(key->dst, ip, is_ipv6, true);
	/* Eight bytes are all that RFC 792 has to be there: the ports, and not TCP's flags. */
	if (transport + ICMP_BYTES > data_end)
		return PARSED_ICMP_INNER;
	packet->ports = *(__u32 *)transport << 16 | *(__u32 *)transport >> 16;
	packet->tcp_flags = 0;
	if (packet->protocol == PROTOCOL_TCP && transport + TCP_BYTES <= data_end)
		packet->tcp_flags = ((struct tcp_header *)transport)->flags;
	return PARSED_TRANSPORT;
}

/* Looks into an ICMP message behind an IP header of constant length. Out of line: rare. */
static __noinline enum parsed parse_icmp(struct xdp_md *ctx, struct packet *packet, struct flow_key *key, bool is_ipv6)
{
	void *data_end = (void *)(long)ctx->data_end;
	struct icmp_header *icmp = (void *)(long)ctx->data + ETHERNET_BYTES + (is_ipv6 ? IPV6_BYTES : IPV4_BYTES);
	__u32 mtu;

	if ((void *)icmp + ICMP_BYTES > data_end)
		return PARSED_TRUNCATED;
	packet->is_icmp = true;
	packet->icmp_type = icmp->type;
	packet->icmp_code = icmp->code;
	if (is_ipv6) {
		if (icmp->type == ICMPV6_ECHO)
			return PARSED_ICMP_ECHO;
		if (icmp->type == ICMPV6_TOO_BIG) {
			mtu = __builtin_bswap32(icmp->rest);
			count(COUNTER_TOO_BIG_SEEN_IPV6, 1, mtu < LEAST_IPV6_MTU);
		} else if (icmp->type != ICMPV6_UNREACHABLE && icmp->type != ICMPV6_TIME_EXCEEDED) {
			return PARSED_ICMP_OTHER;
		}
		return parse_inner((void *)icmp + ICMP_BYTES, data_end, packet, key, true);
	}
	if (icmp->type == ICMP_ECHO)
		return PARSED_ICMP_ECHO;
	if (icmp->type != ICMP_UNREACHABLE && icmp->type != ICMP_TIME_EXCEEDED)
		return PARSED_ICMP_OTHER;
	if (icmp->type == ICMP_UNREACHABLE && icmp->code == ICMP_CODE_FRAGMENTATION_NEEDED) {
		mtu = be16(icmp->rest >> 16);
		count(COUNTER_TOO_BIG_SEEN_IPV4, 1, mtu < LEAST_IPV6_MTU);
	}
	return parse_inner((void *)icmp + ICMP_BYTES, data_end, packet, key, false);
}

/* Turns an echo request around in place. Global, so that it is verified once. */
__noinline int answer_echo(struct xdp_md *ctx, bool is_ipv6)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct icmp_header *icmp;

	if (is_ipv6) {
		struct ipv6_header *ip = data + ETHERNET_BYTES;
		__u64 src[2];

		icmp = (void *)ip + IPV6_BYTES;
		if ((void *)icmp + ICMP_BYTES > data_end)
			return 0;
		__builtin_memcpy(src, ip->src, sizeof(src));
		__builtin_memcpy(ip->src, ip->dst, sizeof(src));
		__builtin_memcpy(ip->dst, src, sizeof(src));
		ip->hop_limit = OUTER_TTL;
		icmp->type = ICMPV6_ECHO_REPLY;
		/* The type is the low byte of its word: RFC 1624, equation 3. */
		icmp->checksum = fold_checksum((__u16)~icmp->checksum + ICMPV6_ECHO_REPLY - ICMPV6_ECHO);
	} else {
		struct ipv4_header *ip = data + ETHERNET_BYTES;
		__u32 sum;
		__be32 src;

		icmp = (void *)ip + IPV4_BYTES;
		if ((void *)icmp + ICMP_BYTES > data_end)
			return 0;
		src = ip->src;
		ip->src = ip->dst;
		ip->dst = src;
		ip->ttl = OUTER_TTL;
		ip->checksum = 0;
		ip->checksum = fold_checksum(sum_ipv4_header(ip));
		icmp->type = ICMP_ECHO_REPLY;
		/* The same, without the two complements: a message of zeros has ffff then, as it must. */
		sum = icmp->checksum + ICMP_ECHO - ICMP_ECHO_REPLY;
		icmp->checksum = sum + (sum >> 16);
	}
	swap_macs(data);
	return 0;
}
