// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What goes in front of AF_XDP sockets: a packet that the balancer has something to do with goes to the socket of the
 * queue that it came by, every other packet goes on to the host. The balancer runs behind the sockets, where a packet
 * that it lets pass cannot go back to the host: so the question here is the balancer's own, asked of copies of its maps.
 */
#include "include/parse.h"

#define MAP_TYPE_XSKMAP 17
#define XDP_REDIRECT 4
static long (*const bpf_redirect_map)(void *map, __u64 key, __u64 flags) = (void *)51;

#define MAX_VIPS 512
#define MAX_PREFIXES 256
#define MAX_TUNNELS 512
#define MAX_QUEUES 256

/*
 * Keys, values and names are the balancer's, programs/include/maps.h. Tunnels that end at this node's own addresses are not
 * among them: what comes out of those is the host's, which gets the packet as it came.
 */
struct {
	__uint(type, MAP_TYPE_HASH);
	__type(key, struct vip_definition);
	__type(value, struct vip_meta);
	__uint(max_entries, MAX_VIPS);
} vip_map SEC(".maps");

struct {
	__uint(type, MAP_TYPE_LPM_TRIE);
	__type(key, struct vip_lpm_key);
	__type(value, struct vip_meta);
	__uint(max_entries, MAX_PREFIXES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} vip_lpm_map SEC(".maps");

struct {
	__uint(type, MAP_TYPE_HASH);
	__type(key, struct ip_address);
	__type(value, __u32);
	__uint(max_entries, MAX_VIPS);
} vip_addresses SEC(".maps");

struct {
	__uint(type, MAP_TYPE_LPM_TRIE);
	__type(key, struct ipv6_prefix);
	__type(value, __u32);
	__uint(max_entries, MAX_PREFIXES);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} vip_prefixes SEC(".maps");

struct {
	__uint(type, MAP_TYPE_HASH);
	__type(key, struct ip_address);
	__type(value, __u32);
	__uint(max_entries, MAX_TUNNELS);
} decap_dst SEC(".maps");

/* Socket of each receive queue. */
struct {
	__uint(type, MAP_TYPE_XSKMAP);
	__type(key, __u32);
	__type(value, __u32);
	__uint(max_entries, MAX_QUEUES);
} sockets SEC(".maps");

/* Packets for the balancer that were dropped, since nobody serves their queue. What finds no room, its socket counts. */
struct {
	__uint(type, MAP_TYPE_PERCPU_ARRAY);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1);
} no_socket SEC(".maps");

/* Options of the balancer: constants when the program is loaded. */
const volatile bool prefix_vips = false;
const volatile bool vlan_tags = true;
const volatile bool ipip_decap = false;
const volatile bool gue_decap = false;
const volatile __u16 gue_port = 6080;

static __always_inline void count_no_socket(void)
{
	__u32 only = 0;
	__u64 *packets = bpf_map_lookup_elem(&no_socket, &only);

	if (packets)
		*packets += 1;
}

static __always_inline bool is_prefix_vip(const struct vip_definition *vip)
{
	struct vip_lpm_key key = { .prefix_bits = 32 + 128, .port = vip->port, .protocol = vip->protocol };

	__builtin_memcpy(key.address, vip->address, sizeof(key.address));
	return bpf_map_lookup_elem(&vip_lpm_map, &key) != NULL;
}

/* Whether an address has a VIP on this port, or on every port. */
static __noinline bool is_vip(struct vip_definition *vip, __u32 port, __u32 protocol, bool is_ipv6)
{
	set_service(vip, port, protocol);
	if (bpf_map_lookup_elem(&vip_map, vip) || (prefix_vips && is_ipv6 && is_prefix_vip(vip)))
		return true;
	set_service(vip, 0, protocol);
	return bpf_map_lookup_elem(&vip_map, vip) || (prefix_vips && is_ipv6 && is_prefix_vip(vip));
}

static __noinline bool is_vip_address(const struct ip_address *address, bool is_ipv6)
{
	struct ipv6_prefix key = { .prefix_bits = 128 };

	if (bpf_map_lookup_elem(&vip_addresses, address))
		return true;
	if (!prefix_vips || !is_ipv6)
		return false;
	__builtin_memcpy(key.address, address->address, sizeof(key.address));
	return bpf_map_lookup_elem(&vip_prefixes, &key) != NULL;
}

/* Whether GUE that ends here has IP inside: the version says it, or there is nothing left to say it. */
static __noinline bool is_gue_ours(struct xdp_md *ctx, const struct ip_address *dst, __u32 offset)
{
	__u8 *inner = (void *)(long)ctx->data + (offset & 0xff), version;

	if ((void *)inner + IPV4_BYTES <= (void *)(long)ctx->data_end) {
		version = *inner >> 4;
		if (version != 4 && version != 6)
			return false;
	}
	return bpf_map_lookup_elem(&decap_dst, dst) != NULL;
}

/* Whether an ICMP message is an error about a VIP's packet, which it holds the start of, or an echo request for a VIP. */
static __noinline bool is_icmp_ours(struct xdp_md *ctx, const struct ip_address *dst, __u32 offset, bool is_ipv6)
{
	struct vip_definition vip __attribute__((aligned(8))) = {};
	void *data_end = (void *)(long)ctx->data_end;
	void *message = (void *)(long)ctx->data + (offset & 0xff);
	struct icmp_header *icmp = message;
	void *inner = message + ICMP_BYTES, *transport;
	__u8 protocol, type;

	if (inner > data_end)
		return is_vip_address(dst, is_ipv6);
	type = icmp->type;
	if (type == (is_ipv6 ? ICMPV6_ECHO : ICMP_ECHO))
		return is_vip_address(dst, is_ipv6);
	if (is_ipv6 ? type != ICMPV6_UNREACHABLE && type != ICMPV6_TOO_BIG && type != ICMPV6_TIME_EXCEEDED
		    : type != ICMP_UNREACHABLE && type != ICMP_TIME_EXCEEDED)
		return false;
	transport = inner + (is_ipv6 ? IPV6_BYTES : IPV4_BYTES);
	if (transport > data_end)
		return is_vip_address(dst, is_ipv6);
	if (!is_ipv6 && ((((struct ipv4_header *)inner)->version_ihl & 0x0f) != IPV4_BYTES / 4 ||
			 (((struct ipv4_header *)inner)->fragment & IPV4_OFFSET_MASK)))
		return is_vip_address(dst, is_ipv6);
	protocol = is_ipv6 ? ((struct ipv6_header *)inner)->next_header : ((struct ipv4_header *)inner)->protocol;
	if (protocol != PROTOCOL_TCP && protocol != PROTOCOL_UDP)
		return false;
	if (transport + ICMP_BYTES > data_end)
		return is_vip_address(dst, is_ipv6);
	copy_address(vip.address, inner, is_ipv6, true);
	/* The source's: the packet inside went the other way. */
	return is_vip(&vip, *(__u16 *)transport, protocol, is_ipv6);
}

/* Whether the packet behind `offset` bytes of Ethernet header and tags is one that the balancer does not let pass. */
static __always_inline bool is_ours(struct xdp_md *ctx, __u32 offset, const bool is_ipv6)
{
	void *ip = (void *)(long)ctx->data + offset;
	void *data_end = (void *)(long)ctx->data_end;
	struct vip_definition vip __attribute__((aligned(8))) = {};
	struct ip_address dst __attribute__((aligned(8)));
	struct packet packet = {};
	enum parsed parsed;
	__be16 port;

	if (ip + (is_ipv6 ? IPV6_BYTES : IPV4_BYTES) > data_end)
		return false;
	parsed = is_ipv6 ? parse_ipv6(ip, data_end, &packet) : parse_ipv4(ip, data_end, &packet);
	if (parsed == PARSED_OTHER)
		return false;
	copy_address(dst.address, ip, is_ipv6, false);
	if (parsed == PARSED_TUNNEL)
		return ipip_decap && bpf_map_lookup_elem(&decap_dst, &dst);
	if (parsed == PARSED_ICMP)
		return is_icmp_ours(ctx, &dst, offset + (is_ipv6 ? IPV6_BYTES : IPV4_BYTES), is_ipv6);
	if (parsed != PARSED_TRANSPORT)
		return is_vip_address(&dst, is_ipv6);
	port = packet.ports >> 16;
	if (gue_decap && packet.protocol == PROTOCOL_UDP && port == be16(gue_port))
		return is_gue_ours(ctx, &dst, offset + (is_ipv6 ? IPV6_BYTES : IPV4_BYTES) + UDP_BYTES);
	__builtin_memcpy(vip.address, dst.address, sizeof(vip.address));
	return is_vip(&vip, port, packet.protocol, is_ipv6);
}

static __always_inline bool is_type_ours(struct xdp_md *ctx, __be16 type, __u32 offset)
{
	if (type == ETHERTYPE_IPV4)
		return is_ours(ctx, offset, false);
	return type == ETHERTYPE_IPV6 && is_ours(ctx, offset, true);
}

static __always_inline bool is_tag(__be16 type)
{
	return type == ETHERTYPE_VLAN || type == ETHERTYPE_SERVICE_VLAN;
}

/* Behind one tag or two (IEEE 802.1Q, 802.1ad). */
static __noinline bool is_tagged_ours(struct xdp_md *ctx)
{
	struct ethernet_header *ethernet = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	__be16 *types = &ethernet->type;

	if ((void *)ethernet + ETHERNET_BYTES + VLAN_TAG_BYTES > data_end)
		return false;
	if (!is_tag(types[2]))
		return is_type_ours(ctx, types[2], ETHERNET_BYTES + VLAN_TAG_BYTES);
	if ((void *)ethernet + ETHERNET_BYTES + 2 * VLAN_TAG_BYTES > data_end)
		return false;
	return is_type_ours(ctx, types[4], ETHERNET_BYTES + 2 * VLAN_TAG_BYTES);
}

SEC("xdp")
int steer_ingress(struct xdp_md *ctx)
{
	struct ethernet_header *ethernet = (void *)(long)ctx->data;
	bool ours;
	long verdict;

	if ((void *)ethernet + ETHERNET_BYTES > (void *)(long)ctx->data_end)
		return XDP_PASS;
	if (vlan_tags && unlikely(is_tag(ethernet->type)))
		ours = is_tagged_ours(ctx);
	else
		ours = is_type_ours(ctx, ethernet->type, ETHERNET_BYTES);
	if (!ours)
		return XDP_PASS;
	/* A VIP's packet never reaches the host: without a socket it is dropped. */
	verdict = bpf_redirect_map(&sockets, ctx->rx_queue_index, XDP_DROP);
	if (unlikely(verdict != XDP_REDIRECT))
		count_no_socket();
	return verdict;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
