/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Tunnels that end here: the outer header is taken off, and the packet inside is balanced, sent back or left to the host.
 * For addresses of decap_dst ("remote") and this node's own alone. The outer header's TTL is its own; the packet
 * inside is forwarded, so its TTL goes down.
 */
#pragma once
#include "csum.h"
#include "explain.h"
#include "packet.h"

/* Ethernet type of the packet inside; 0: none that is known. The caller has checked that an IPv4 header fits. */
static __always_inline __be16 inner_type(const void *inner, __u8 outer_protocol)
{
	__u8 version = *(const __u8 *)inner >> 4;

	if (outer_protocol == PROTOCOL_IPIP)
		return ETHERTYPE_IPV4;
	if (outer_protocol == PROTOCOL_IPV6)
		return ETHERTYPE_IPV6;
	/* GUE, variant 1: the version of IP says it. */
	return version == 4 ? ETHERTYPE_IPV4 : version == 6 ? ETHERTYPE_IPV6 : 0;
}

/* The number of the VIP that the packet inside is for, exactly; REASON_SLOT_NO_VIP: none. */
static __noinline __u32 inner_vip(struct xdp_md *ctx, bool is_ipv6)
{
	void *ip = (void *)(long)ctx->data + ETHERNET_BYTES;
	void *data_end = (void *)(long)ctx->data_end;
	struct vip_definition vip = {};
	struct vip_meta *meta;
	void *transport;

	transport = ip + (is_ipv6 ? IPV6_BYTES : IPV4_BYTES);
	if (transport + UDP_BYTES > data_end)
		return REASON_SLOT_NO_VIP;
	if (is_ipv6) {
		vip.protocol = ((struct ipv6_header *)ip)->next_header;
	} else {
		const struct ipv4_header *ipv4 = ip;

		if (ipv4->version_ihl != IPV4_VERSION_IHL || (ipv4->fragment & IPV4_FRAGMENT_MASK))
			return REASON_SLOT_NO_VIP;
		vip.protocol = ipv4->protocol;
	}
	if (vip.protocol != PROTOCOL_TCP && vip.protocol != PROTOCOL_UDP)
		return REASON_SLOT_NO_VIP;
	copy_address(vip.address, ip, is_ipv6, false);
	vip.port = ((struct udp_header *)transport)->dport;
	meta = bpf_map_lookup_elem(&vip_map, &vip);
	return meta ? meta->vip_num : REASON_SLOT_NO_VIP;
}

/* Takes `outer_bytes` off; false when the packet inside ends there, for want of TTL. */
static __always_inline int take_off(struct xdp_md *ctx, int outer_bytes, __be16 type, bool *is_alive)
{
	struct ethernet_header *old = (void *)(long)ctx->data, *new;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethernet_header kept;

	if ((void *)old + ETHERNET_BYTES > data_end)
		return -1;
	kept = *old;
	if (bpf_xdp_adjust_head(ctx, outer_bytes))
		return -1;
	new = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	if ((void *)new + ETHERNET_BYTES + IPV4_BYTES > data_end)
		return -1;
	put_macs(new, &kept);
	new->type = type;
	if (type == ETHERTYPE_IPV4) {
		struct ipv4_header *ip = (void *)new + ETHERNET_BYTES;
		__u32 sum = ip->checksum + 1;

		*is_alive = ip->ttl > 1;
		if (ip->ttl == 0)
			return 0;
		/* TTL is the low byte of its word: RFC 1141. */
		ip->ttl -= 1;
		ip->checksum = sum + (sum >> 16);
	} else {
		struct ipv6_header *ip = (void *)new + ETHERNET_BYTES;

		*is_alive = ip->hop_limit > 1;
		if (ip->hop_limit != 0)
			ip->hop_limit -= 1;
	}
	return 0;
}

static __always_inline outcome_t take_apart(struct xdp_md *ctx, const bool is_outer_ipv6, const bool is_gue)
{
	const __u32 ip_bytes = is_outer_ipv6 ? IPV6_BYTES : IPV4_BYTES;
	const __u32 outer_bytes = ip_bytes + (is_gue ? UDP_BYTES : 0);
	void *outer = (void *)(long)ctx->data + ETHERNET_BYTES;
	void *data_end = (void *)(long)ctx->data_end;
	void *inner = outer + outer_bytes;
	struct ip_address dst __attribute__((aligned(8)));
	bool is_alive = true, is_inner_ipv6;
	__u32 *flags, remote_flags = 0;
	bool is_remote;
	__be16 type;

	if (outer + ip_bytes > data_end)
		return OUTCOME_NO_VIP(PASS_NO_IP_HEADER);
	copy_address(dst.address, outer, is_outer_ipv6, false);
	flags = bpf_map_lookup_elem(&decap_dst, &dst);
	is_remote = flags != NULL;
	if (flags) {
		remote_flags = *flags;
		count(COUNTER_REMOTE_DECAP, 1, 0);
	} else {
		__u32 slot = is_outer_ipv6 ? OWN_IPV6 : OWN_IPV4;
		struct real_definition *own = bpf_map_lookup_elem(&pckt_srcs, &slot);

		if (!own || own->address[0] != dst.address[0] || own->address[1] != dst.address[1] ||
		    own->address[2] != dst.address[2] || own->address[3] != dst.address[3])
			return OUTCOME_NO_VIP(PASS_NOT_OUR_TUNNEL);
	}
	if (inner + IPV4_BYTES > data_end)
		return OUTCOME_NO_VIP(DROP_TRUNCATED);
	type = inner_type(inner, is_gue		? PROTOCOL_UDP
				 : is_outer_ipv6 ? ((struct ipv6_header *)outer)->next_header
						 : ((struct ipv4_header *)outer)->protocol);
	if (!type)
		return OUTCOME_NO_VIP(PASS_NOT_OUR_TUNNEL);
	is_inner_ipv6 = type == ETHERTYPE_IPV6;
	if (is_inner_ipv6 && inner + IPV6_BYTES > data_end)
		return OUTCOME_NO_VIP(DROP_TRUNCATED);
	if (take_off(ctx, outer_bytes, type, &is_alive))
		return OUTCOME_NO_VIP(DROP_DECAP_FAILED);
	count(COUNTER_DECAP, !is_outer_ipv6, is_outer_ipv6);
	note_flag(DECISION_DECAPSULATED);
	if (!is_alive)
		return OUTCOME_NO_VIP(DROP_INNER_TTL);
	if (!is_remote) {
		__u32 vip_num = is_gue ? inner_vip(ctx, is_inner_ipv6) : REASON_SLOT_NO_VIP;
		struct lb_stats *slot = simulate ? NULL : bpf_map_lookup_elem(&decap_vip_stats, &vip_num);

		if (slot)
			slot->v1 += 1;
		return OUTCOME(PASS_DECAPSULATED, vip_num);
	}
	if (is_gue && (remote_flags & F_DECAP_EGRESS)) {
		void *data = (void *)(long)ctx->data;

		if (data + ETHERNET_BYTES > (void *)(long)ctx->data_end)
			return OUTCOME_NO_VIP(DROP_DECAP_FAILED);
		swap_macs(data);
		count(COUNTER_EGRESS_DECAP, !is_inner_ipv6, is_inner_ipv6);
		return OUTCOME_NO_VIP(REASON_EGRESS_DECAP);
	}
	count(COUNTER_REBALANCED, !is_inner_ipv6, is_inner_ipv6);
	return OUTCOME_AGAIN;
}

/* Global, so that each is verified once. */
__noinline outcome_t take_apart_ipip(struct xdp_md *ctx, bool is_outer_ipv6)
{
	return is_outer_ipv6 ? take_apart(ctx, true, false) : take_apart(ctx, false, false);
}

__noinline outcome_t take_apart_gue(struct xdp_md *ctx, bool is_outer_ipv6)
{
	return is_outer_ipv6 ? take_apart(ctx, true, true) : take_apart(ctx, false, true);
}
