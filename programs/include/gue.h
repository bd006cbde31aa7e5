/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The outer header as Generic UDP Encapsulation, variant 1 (draft-ietf-intarea-gue, section 5.1): UDP, then the IP packet
 * itself. The UDP source port carries bits of the flow.
 */
#pragma once
#include "encap.h"

#define SUM_CHUNK_BYTES 64
/* Longest sum: more than a jumbo frame holds. */
#define SUM_CHUNKS 256

/*
 * One's-complement sum of a part of the frame, for a UDP packet that has no checksum of its own. Global, so that it is
 * verified once.
 */
__noinline __u32 sum_frame(struct xdp_md *ctx, __u32 offset, __u32 bytes)
{
	__be32 chunk[SUM_CHUNK_BYTES / 4];
	__u32 sum = 0;

	for (int i = 0; i < SUM_CHUNKS && bytes >= SUM_CHUNK_BYTES; i++) {
		if (bpf_xdp_load_bytes(ctx, offset, chunk, SUM_CHUNK_BYTES))
			return 0;
		sum = bpf_csum_diff(NULL, 0, chunk, SUM_CHUNK_BYTES, sum);
		offset += SUM_CHUNK_BYTES;
		bytes -= SUM_CHUNK_BYTES;
	}
	if (bytes == 0 || bytes >= SUM_CHUNK_BYTES)
		return sum;
	__builtin_memset(chunk, 0, sizeof(chunk));
	if (bpf_xdp_load_bytes(ctx, offset, chunk, bytes))
		return 0;
	sum = bpf_csum_diff(NULL, 0, chunk, SUM_CHUNK_BYTES, sum);
	return sum;
}

/*
 * Sum of the packet inside. What its own checksum covers comes to nothing but the pseudo-header that this includes, so
 * that its data need not be read.
 */
static __always_inline __u64 sum_inner(struct xdp_md *ctx, void *ip, void *data_end, __u32 outer_bytes, bool is_ipv6)
{
	const __u32 header_bytes = is_ipv6 ? IPV6_BYTES : IPV4_BYTES;
	void *transport = ip + header_bytes;
	__u32 transport_bytes;
	__u8 protocol;
	__u64 sum, pseudo;

	/* The caller has checked it, the verifier has lost it. */
	if (transport + ICMP_BYTES > data_end)
		return 0;
	if (is_ipv6) {
		const struct ipv6_header *ipv6 = ip;

		protocol = ipv6->next_header;
		transport_bytes = be16(ipv6->payload_bytes);
		pseudo = sum_ipv6_addresses(ipv6);
		sum = pseudo + *(__u32 *)ip + ((__u32 *)ip)[1];
	} else {
		const struct ipv4_header *ipv4 = ip;

		protocol = ipv4->protocol;
		transport_bytes = be16(ipv4->total_bytes) - IPV4_BYTES;
		pseudo = (__u64)ipv4->src + ipv4->dst;
		sum = sum_ipv4_header(ipv4);
	}
	if (protocol == PROTOCOL_UDP && ((struct udp_header *)transport)->checksum == 0)
		return sum + sum_frame(ctx, ETHERNET_BYTES + outer_bytes + header_bytes, transport_bytes);
	/* ICMP for IPv4 has no pseudo-header. */
	if (protocol == PROTOCOL_ICMP)
		return sum;
	pseudo += be16(transport_bytes) + be16(protocol);
	return sum + fold_checksum(pseudo);
}

static __always_inline void write_udp(struct udp_header *udp, const struct tunnel *tunnel, __u16 sport, __u64 sum)
{
	udp->sport = sport;
	udp->dport = be16(gue_port);
	udp->bytes = be16(UDP_BYTES + tunnel->inner_bytes);
	sum += (__u64)udp->sport + udp->dport + udp->bytes;
	/* The pseudo-header: the length again. */
	sum += udp->bytes + be16(PROTOCOL_UDP);
	udp->checksum = fold_checksum(sum);
	/* Zero would say that there is none (RFC 768). */
	if (udp->checksum == 0)
		udp->checksum = 0xffff;
}

static __always_inline bool gue_encap_ipv4(struct xdp_md *ctx, const struct tunnel *tunnel, const __be32 *dst)
{
	const __u32 outer_bytes = IPV4_BYTES + UDP_BYTES;
	__u32 slot = OWN_IPV4, src = 0;
	struct real_definition *own = bpf_map_lookup_elem(&pckt_srcs, &slot);
	struct ipv4_header *outer;
	void *data, *data_end;

	if (own)
		src = own->address[0];
	if (bpf_xdp_adjust_head(ctx, -(int)outer_bytes))
		return false;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + ETHERNET_BYTES + outer_bytes + IPV4_BYTES + ICMP_BYTES > data_end)
		return false;
	write_ethernet(data, outer_bytes, tunnel->next_hop, ETHERTYPE_IPV4);
	outer = data + ETHERNET_BYTES;
	outer->version_ihl = IPV4_VERSION_IHL;
	outer->tos = tunnel->traffic_class;
	outer->total_bytes = be16(outer_bytes + tunnel->inner_bytes);
	outer->id = 0;
	outer->fragment = 0;
	outer->ttl = OUTER_TTL;
	outer->protocol = PROTOCOL_UDP;
	outer->checksum = 0;
	outer->src = src;
	outer->dst = *dst;
	outer->checksum = fold_checksum(sum_ipv4_header(outer));
	/* (s2 ^ port's second byte), (s3 ^ port's first byte) */
	write_udp((void *)outer + IPV4_BYTES, tunnel, (tunnel->client >> 16) ^ be16(tunnel->sport),
		  sum_inner(ctx, (void *)outer + outer_bytes, data_end, outer_bytes, false) + src + *dst);
	return true;
}

static __always_inline bool gue_encap_ipv6(struct xdp_md *ctx, const struct tunnel *tunnel, const __be32 *dst)
{
	const __u32 outer_bytes = IPV6_BYTES + UDP_BYTES;
	__u32 slot = OWN_IPV6;
	struct real_definition *own = bpf_map_lookup_elem(&pckt_srcs, &slot);
	__u32 traffic_class = tunnel->traffic_class;
	struct ipv6_header *outer;
	void *data, *data_end;
	__u64 sum;
	__u16 sport;

	if (!own || bpf_xdp_adjust_head(ctx, -(int)outer_bytes))
		return false;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if (data + ETHERNET_BYTES + outer_bytes + IPV4_BYTES + ICMP_BYTES > data_end)
		return false;
	write_ethernet(data, outer_bytes, tunnel->next_hop, ETHERTYPE_IPV6);
	outer = data + ETHERNET_BYTES;
	outer->version_class_flow = 0x60 | traffic_class >> 4 | (traffic_class & 0x0f) << 12;
	outer->payload_bytes = be16(UDP_BYTES + tunnel->inner_bytes);
	outer->next_header = PROTOCOL_UDP;
	outer->hop_limit = OUTER_TTL;
	__builtin_memcpy(outer->src, own->address, sizeof(outer->src));
	__builtin_memcpy(outer->dst, dst, sizeof(outer->dst));
	sum = sum_ipv6_addresses(outer);
	if (tunnel->is_inner_ipv6) {
		/* (s0 ^ port's first byte), (s1 ^ port's second byte) */
		sport = tunnel->client ^ tunnel->sport;
		sum += sum_inner(ctx, (void *)outer + outer_bytes, data_end, outer_bytes, true);
	} else {
		/* (s2 ^ port's first byte), (s3 ^ port's second byte) */
		sport = (tunnel->client >> 16) ^ tunnel->sport;
		sum += sum_inner(ctx, (void *)outer + outer_bytes, data_end, outer_bytes, false);
	}
	write_udp((void *)outer + IPV6_BYTES, tunnel, sport, sum);
	return true;
}
