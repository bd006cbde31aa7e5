// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The backend's side of the tunnel: takes the outer header off packets for one of the host's tunnel addresses.
 * MAC addresses, TTL and everything inside stay as they are. Any other packet passes untouched.
 */
#include "include/consts.h"
#include "include/packet.h"
#include "include/structs.h"

/* Addresses of this host that tunnels end at; the value is kept for flags, of which there are none yet. */
struct {
	__uint(type, MAP_TYPE_HASH);
	__type(key, struct ip_address);
	__type(value, __u32);
	__uint(max_entries, 512);
} decap_dst SEC(".maps");

struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct decap_stats);
	__uint(max_entries, 1);
} decap_counters SEC(".maps");

static __always_inline void count_decap(bool is_outer_ipv6)
{
	__u32 zero = 0;
	struct decap_stats *stats = bpf_map_lookup_elem(&decap_counters, &zero);

	if (!stats)
		return;
	if (is_outer_ipv6)
		stats->outer_ipv6 += 1;
	else
		stats->outer_ipv4 += 1;
	stats->total += 1;
}

/* Ethernet type of the packet inside; 0 when it is none, or its header is not all there. */
static __always_inline __be16 inner_type(__u8 protocol, void *inner, void *data_end)
{
	if (inner + IPV4_BYTES > data_end)
		return 0;
	if (protocol == PROTOCOL_IPIP)
		return *(__u8 *)inner >> 4 == 4 ? ETHERTYPE_IPV4 : 0;
	if (protocol == PROTOCOL_IPV6 && inner + IPV6_BYTES <= data_end)
		return *(__u8 *)inner >> 4 == 6 ? ETHERTYPE_IPV6 : 0;
	return 0;
}

/* Take `outer_bytes` off between Ethernet header and packet. */
static __always_inline int strip(struct xdp_md *ctx, int outer_bytes, __be16 type)
{
	struct ethernet_header *old = (void *)(long)ctx->data;
	struct ethernet_header *new;
	struct ethernet_header kept;

	if ((void *)old + ETHERNET_BYTES > (void *)(long)ctx->data_end)
		return XDP_PASS;
	kept.dst_0_3 = old->dst_0_3;
	kept.dst_4_5 = old->dst_4_5;
	kept.src_0_1 = old->src_0_1;
	kept.src_2_5 = old->src_2_5;
	if (bpf_xdp_adjust_head(ctx, outer_bytes))
		return XDP_PASS;
	new = (void *)(long)ctx->data;
	if ((void *)new + ETHERNET_BYTES > (void *)(long)ctx->data_end)
		return XDP_DROP;
	new->dst_0_3 = kept.dst_0_3;
	new->dst_4_5 = kept.dst_4_5;
	new->src_0_1 = kept.src_0_1;
	new->src_2_5 = kept.src_2_5;
	new->type = type;
	return XDP_PASS;
}

static __always_inline int decap_ipv4(struct xdp_md *ctx, void *data, void *data_end)
{
	struct ipv4_header *outer = data + ETHERNET_BYTES;
	struct ip_address dst = {};
	__be16 type;

	if ((void *)outer + IPV4_BYTES > data_end)
		return XDP_PASS;
	if (outer->version_ihl != IPV4_VERSION_IHL || (outer->fragment & IPV4_FRAGMENT_MASK))
		return XDP_PASS;
	type = inner_type(outer->protocol, (void *)outer + IPV4_BYTES, data_end);
	if (!type)
		return XDP_PASS;
	dst.address[0] = outer->dst;
	if (!bpf_map_lookup_elem(&decap_dst, &dst))
		return XDP_PASS;
	count_decap(false);
	return strip(ctx, IPV4_BYTES, type);
}

static __always_inline int decap_ipv6(struct xdp_md *ctx, void *data, void *data_end)
{
	struct ipv6_header *outer = data + ETHERNET_BYTES;
	struct ip_address dst __attribute__((aligned(8)));
	__be16 type;

	if ((void *)outer + IPV6_BYTES > data_end)
		return XDP_PASS;
	type = inner_type(outer->next_header, (void *)outer + IPV6_BYTES, data_end);
	if (!type)
		return XDP_PASS;
	__builtin_memcpy(dst.address, outer->dst, sizeof(dst.address));
	if (!bpf_map_lookup_elem(&decap_dst, &dst))
		return XDP_PASS;
	count_decap(true);
	return strip(ctx, IPV6_BYTES, type);
}

SEC("xdp")
int decap_ingress(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethernet_header *ethernet = data;

	if (data + ETHERNET_BYTES > data_end)
		return XDP_PASS;
	if (ethernet->type == ETHERTYPE_IPV4)
		return decap_ipv4(ctx, data, data_end);
	if (ethernet->type == ETHERTYPE_IPV6)
		return decap_ipv6(ctx, data, data_end);
	return XDP_PASS;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
