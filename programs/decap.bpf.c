// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The backend's side of the tunnel: takes the outer header off packets for one of the host's tunnel addresses, IP in IP
 * and GUE (variant 1) alike. MAC addresses, TTL and everything inside stay as they are. Any other packet passes
 * untouched; a piece of a tunnel packet, or one with IP options, is dropped: what is inside could not be told.
 */
#include "include/consts.h"
#include "include/packet.h"
#include "include/structs.h"
#include "include/tcp_option.h"

/* Addresses of this host that tunnels end at; the value is kept for flags, of which there are none yet. */
struct {
	__uint(type, MAP_TYPE_HASH);
	__type(key, struct ip_address);
	__type(value, __u32);
	__uint(max_entries, MAX_DECAP_DESTINATIONS);
} decap_dst SEC(".maps");

struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, struct decap_stats);
	__uint(max_entries, 1);
} decap_counters SEC(".maps");

/* Tunnel packets for this host that were dropped, and why: index in decap_drops. */
enum decap_drop {
	DECAP_DROP_FRAGMENT,
	DECAP_DROP_IP_OPTIONS,
	DECAP_DROPS,
};

struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, DECAP_DROPS);
} decap_drops SEC(".maps");

/* This host's id, as its TCP option has it; 0: none. */
struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, 1);
} tpr_server_id SEC(".maps");

/* Take tunnels for every address apart, not those of decap_dst alone. */
const volatile bool any_destination = false;
/* UDP port of GUE, host byte order; 0: IP in IP alone. */
const volatile __u16 gue_port = 6080;
/* Count TCP packets whose server id is another host's. */
const volatile bool check_server_id = false;

static __always_inline bool is_ours(const struct ip_address *dst)
{
	return any_destination || bpf_map_lookup_elem(&decap_dst, dst);
}

static __always_inline struct decap_stats *decap_row(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&decap_counters, &zero);
}

/* Out of line, for it is rare, and so that its type carries the enum into BTF. */
static __noinline int drop(enum decap_drop reason)
{
	__u32 index = reason;
	__u64 *dropped = bpf_map_lookup_elem(&decap_drops, &index);

	if (dropped)
		*dropped += 1;
	return XDP_DROP;
}

static __always_inline bool is_gue(const struct udp_header *udp, const void *data_end)
{
	return (void *)udp + UDP_BYTES <= data_end && udp->dport == be16(gue_port);
}

/* An IPv4 packet that is a fragment or has options: part of a tunnel, as far as that can be told. */
static __always_inline bool is_odd_tunnel(const struct ipv4_header *outer, __u32 header_bytes, void *data_end)
{
	if (outer->protocol == PROTOCOL_IPIP || outer->protocol == PROTOCOL_IPV6)
		return true;
	/* Only a first fragment has the ports; the others come to nothing without it. */
	return gue_port && outer->protocol == PROTOCOL_UDP && header_bytes >= IPV4_BYTES &&
	       !(outer->fragment & IPV4_OFFSET_MASK) && is_gue((void *)outer + header_bytes, data_end);
}

struct fragment_header {
	__u8 next_header;
	__u8 reserved;
	__be16 offset; /* 13 bits, two that are reserved, more fragments */
	__be32 id;
};
#define FRAGMENT_OFFSET_MASK be16(0xfff8)

static __always_inline bool is_tunnel_fragment(const struct fragment_header *fragment, void *data_end)
{
	if ((void *)(fragment + 1) > data_end)
		return false;
	if (fragment->next_header == PROTOCOL_IPIP || fragment->next_header == PROTOCOL_IPV6)
		return true;
	return gue_port && fragment->next_header == PROTOCOL_UDP && !(fragment->offset & FRAGMENT_OFFSET_MASK) &&
	       is_gue((void *)(fragment + 1), data_end);
}

/* A tunnel's packet: how much of it is outer header, and the Ethernet type of what is inside; type 0: none. */
struct tunnelled {
	__u32 outer_bytes;
	__be16 type;
};

/* What is behind an outer IP header. The packet inside must have its IP header whole, of the version that is said. */
static __always_inline struct tunnelled look_inside(__u8 protocol, void *behind, __u32 ip_bytes, void *data_end)
{
	struct tunnelled found = { .outer_bytes = ip_bytes };
	__u8 version;

	if (gue_port && protocol == PROTOCOL_UDP) {
		if (!is_gue(behind, data_end))
			return found;
		behind += UDP_BYTES;
		found.outer_bytes += UDP_BYTES;
	} else if (protocol != PROTOCOL_IPIP && protocol != PROTOCOL_IPV6) {
		return found;
	}
	if (behind + IPV4_BYTES > data_end)
		return found;
	version = *(__u8 *)behind >> 4;
	if (version == 4 && protocol != PROTOCOL_IPV6)
		found.type = ETHERTYPE_IPV4;
	else if (version == 6 && protocol != PROTOCOL_IPIP && behind + IPV6_BYTES <= data_end)
		found.type = ETHERTYPE_IPV6;
	return found;
}

/* Take `outer_bytes` off between Ethernet header and packet. */
static __always_inline int strip(struct xdp_md *ctx, struct tunnelled tunnelled)
{
	struct ethernet_header *old = (void *)(long)ctx->data;
	struct ethernet_header *new;
	struct ethernet_header kept;

	if ((void *)old + ETHERNET_BYTES > (void *)(long)ctx->data_end)
		return -1;
	kept = *old;
	if (bpf_xdp_adjust_head(ctx, tunnelled.outer_bytes))
		return -1;
	new = (void *)(long)ctx->data;
	if ((void *)new + ETHERNET_BYTES > (void *)(long)ctx->data_end)
		return -1;
	put_macs(new, &kept);
	new->type = tunnelled.type;
	return 0;
}

/*
 * Was the packet, now without its outer header, meant for this host? By the id in its TCP header, if it has one. Out of
 * line: there is one of it for all kinds of tunnels.
 */
static __noinline void count_server_id(struct xdp_md *ctx, struct decap_stats *stats, bool is_ipv6)
{
	void *ip = (void *)(long)ctx->data + ETHERNET_BYTES;
	void *data_end = (void *)(long)ctx->data_end;
	__u32 header_bytes = is_ipv6 ? IPV6_BYTES : IPV4_BYTES;
	struct tcp_header *tcp = ip + header_bytes;
	__u32 zero = 0, *own, id;

	if ((void *)tcp + TCP_BYTES > data_end)
		return;
	if (is_ipv6) {
		if (((struct ipv6_header *)ip)->next_header != PROTOCOL_TCP)
			return;
	} else {
		const struct ipv4_header *ipv4 = ip;

		if (ipv4->protocol != PROTOCOL_TCP || ipv4->version_ihl != IPV4_VERSION_IHL ||
		    (ipv4->fragment & IPV4_FRAGMENT_MASK))
			return;
	}
	/* A client that opens a connection has no id yet. */
	if (tcp->flags & TCP_SYN)
		return;
	own = bpf_map_lookup_elem(&tpr_server_id, &zero);
	if (!own || *own == 0)
		return;
	id = tcp_option_server_id(ctx, ETHERNET_BYTES + header_bytes);
	if (id == 0)
		return;
	stats->server_id_checked += 1;
	if (id != *own)
		stats->server_id_misrouted += 1;
}

static __always_inline int take_off(struct xdp_md *ctx, struct tunnelled tunnelled, bool is_outer_ipv6)
{
	struct decap_stats *stats;

	/* It cannot fail: what is taken off is less than the frame by a whole IP header. */
	if (strip(ctx, tunnelled))
		return XDP_PASS;
	stats = decap_row();
	if (!stats)
		return XDP_PASS;
	if (is_outer_ipv6)
		stats->outer_ipv6 += 1;
	else
		stats->outer_ipv4 += 1;
	stats->total += 1;
	if (check_server_id)
		count_server_id(ctx, stats, tunnelled.type == ETHERTYPE_IPV6);
	return XDP_PASS;
}

static __always_inline int decap_ipv4(struct xdp_md *ctx, void *data, void *data_end)
{
	struct ipv4_header *outer = data + ETHERNET_BYTES;
	struct ip_address dst = {};
	struct tunnelled tunnelled;
	__u32 header_bytes;

	if ((void *)outer + IPV4_BYTES > data_end || outer->version_ihl >> 4 != 4)
		return XDP_PASS;
	dst.address[0] = outer->dst;
	header_bytes = (outer->version_ihl & 0x0f) * 4;
	if (header_bytes != IPV4_BYTES || (outer->fragment & IPV4_FRAGMENT_MASK)) {
		if (!is_odd_tunnel(outer, header_bytes, data_end) || !is_ours(&dst))
			return XDP_PASS;
		return drop(header_bytes != IPV4_BYTES ? DECAP_DROP_IP_OPTIONS : DECAP_DROP_FRAGMENT);
	}
	tunnelled = look_inside(outer->protocol, (void *)outer + IPV4_BYTES, IPV4_BYTES, data_end);
	if (!tunnelled.type || !is_ours(&dst))
		return XDP_PASS;
	return take_off(ctx, tunnelled, false);
}

static __always_inline int decap_ipv6(struct xdp_md *ctx, void *data, void *data_end)
{
	struct ipv6_header *outer = data + ETHERNET_BYTES;
	struct ip_address dst __attribute__((aligned(8)));
	struct tunnelled tunnelled;

	if ((void *)outer + IPV6_BYTES > data_end)
		return XDP_PASS;
	__builtin_memcpy(dst.address, outer->dst, sizeof(dst.address));
	if (outer->next_header == PROTOCOL_FRAGMENT) {
		if (!is_tunnel_fragment((void *)outer + IPV6_BYTES, data_end) || !is_ours(&dst))
			return XDP_PASS;
		return drop(DECAP_DROP_FRAGMENT);
	}
	tunnelled = look_inside(outer->next_header, (void *)outer + IPV6_BYTES, IPV6_BYTES, data_end);
	if (!tunnelled.type || !is_ours(&dst))
		return XDP_PASS;
	return take_off(ctx, tunnelled, true);
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
