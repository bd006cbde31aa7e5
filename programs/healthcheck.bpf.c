// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Puts health checks into the tunnel that the balancer's traffic takes: a prober on this host connects to a VIP with a
 * mark on its socket, the mark names the backend, and the packet goes there with an outer header, on its way out (TC
 * egress). The backend thus answers for the VIP over the whole path. What is no health check goes on untouched.
 */
#include "include/csum.h"
#include "include/healthcheck.h"
#include "include/tc.h"

#define OUTER_TTL 64
/* Source ports of GUE are never the well-known ones. */
#define GUE_SPORT_LEAST 0x400
/* IPv4 has 16 bits for the length of it all, IPv6 for what is behind its header. */
#define MAX_IP_BYTES 65535

/* Both ends of a packet's flow. */
struct probe {
	struct hc_match_key src;
	struct hc_match_key dst;
	__u8 protocol;
	bool is_ip; /* false: nothing else here is set */
	bool is_ipv6;
};

static __always_inline int drop(struct hc_stats *stats)
{
	stats->dropped += 1;
	return TC_ACT_SHOT;
}

static __always_inline int skip(struct hc_stats *stats)
{
	stats->skipped += 1;
	return TC_ACT_UNSPEC;
}

/* Ports of TCP and UDP; 0 where they are in no place that the protocol gives (options, later fragments). */
static __always_inline void read_ports(struct __sk_buff *skb, struct probe *probe, __u32 ip_bytes)
{
	__be16 ports[2];

	if (probe->protocol != PROTOCOL_TCP && probe->protocol != PROTOCOL_UDP)
		return;
	if (bpf_skb_load_bytes(skb, ETHERNET_BYTES + ip_bytes, ports, sizeof(ports)))
		return;
	probe->src.port = ports[0];
	probe->dst.port = ports[1];
}

/* Nothing is read of what is not an IP packet, or has no whole header. */
static __always_inline void read_probe(struct __sk_buff *skb, __be16 type, struct probe *probe)
{
	if (type == ETHERTYPE_IPV4) {
		struct ipv4_header ip;

		if (bpf_skb_load_bytes(skb, ETHERNET_BYTES, &ip, IPV4_BYTES))
			return;
		probe->protocol = ip.protocol;
		probe->src.address[0] = ip.src;
		probe->dst.address[0] = ip.dst;
		if (ip.version_ihl == IPV4_VERSION_IHL && !(ip.fragment & be16(0x1fff)))
			read_ports(skb, probe, IPV4_BYTES);
		probe->is_ip = true;
	} else if (type == ETHERTYPE_IPV6) {
		struct ipv6_header ip;

		if (bpf_skb_load_bytes(skb, ETHERNET_BYTES, &ip, IPV6_BYTES))
			return;
		probe->is_ipv6 = true;
		probe->protocol = ip.next_header;
		__builtin_memcpy(probe->src.address, ip.src, sizeof(ip.src));
		__builtin_memcpy(probe->dst.address, ip.dst, sizeof(ip.dst));
		probe->src.flags = F_HC_IPV6;
		probe->dst.flags = F_HC_IPV6;
		read_ports(skb, probe, IPV6_BYTES);
		probe->is_ip = true;
	}
}

/* The row for address and port, or else for the address alone. */
static __always_inline struct hc_real_definition *find_match(void *map, const struct hc_match_key *end)
{
	struct hc_match_key key = *end;
	struct hc_real_definition *real = bpf_map_lookup_elem(map, &key);

	if (real)
		return real;
	key.port = 0;
	return bpf_map_lookup_elem(map, &key);
}

static __always_inline struct hc_real_definition *find_backend(__u32 mark, const struct probe *probe,
							       struct hc_stats *stats)
{
	struct hc_real_definition *real = NULL;

	if (mark)
		real = bpf_map_lookup_elem(&hc_reals_map, &mark);
	if (!real && match_destinations && probe->is_ip) {
		real = find_match(&hc_dst_reals_map, &probe->dst);
		if (real)
			stats->dst_matched += 1;
	}
	if (!real && match_sources && probe->is_ip) {
		real = find_match(&hc_src_reals_map, &probe->src);
		if (real)
			stats->src_matched += 1;
	}
	return real;
}

static __always_inline void count_key(const struct probe *probe)
{
	struct hc_key key = { .port = probe->dst.port, .protocol = probe->protocol };
	__u64 *packets;
	__u32 *index;

	__builtin_memcpy(key.address, probe->dst.address, sizeof(key.address));
	index = bpf_map_lookup_elem(&hc_key_map, &key);
	if (!index)
		return;
	packets = bpf_map_lookup_elem(&per_hckey_stats, index);
	if (packets)
		*packets += 1;
}

/* Ethernet header and outer headers, in one piece as they go into the frame. */
#define OUTER_BYTES_MAX (ETHERNET_BYTES + IPV6_BYTES + UDP_BYTES)

static __always_inline void write_udp(void *at, __u32 inner_bytes)
{
	__be16 *words = at;

	words[0] = be16((__u16)bpf_get_prandom_u32() | GUE_SPORT_LEAST);
	words[1] = be16(gue_port);
	words[2] = be16(UDP_BYTES + inner_bytes);
	words[3] = 0;
}

static __always_inline void write_ipv4(void *at, __be32 src, __be32 dst, __u32 behind_bytes, __u8 protocol)
{
	struct ipv4_header outer = {
		.version_ihl = IPV4_VERSION_IHL,
		.total_bytes = be16(IPV4_BYTES + behind_bytes),
		.ttl = OUTER_TTL,
		.protocol = protocol,
		.src = src,
		.dst = dst,
	};

	outer.checksum = fold_checksum(sum_ipv4_header(&outer));
	__builtin_memcpy(at, &outer, IPV4_BYTES);
}

static __always_inline void write_ipv6(void *at, const __be32 *src, const __be32 *dst, __u32 behind_bytes,
				       __u8 protocol)
{
	__u32 *words = at;

	words[0] = 0x60;
	words[1] = (__u32)be16(behind_bytes) | protocol << 16 | OUTER_TTL << 24;
	__builtin_memcpy(words + 2, src, 16);
	__builtin_memcpy(words + 6, dst, 16);
}

/*
 * Open the room and fill it; 0, or an error that has changed nothing but perhaps the frame, which is dropped then.
 * macs: NULL leaves the Ethernet addresses to whoever sends the frame on.
 */
static __always_inline long encapsulate(struct __sk_buff *skb, const struct hc_real_definition *real,
					const struct hc_mac **macs, bool is_inner_ipv6)
{
	const bool is_outer_ipv6 = real->flags & F_HC_IPV6;
	__u32 slot = is_outer_ipv6 ? HC_SOURCE_IPV6 : HC_SOURCE_IPV4;
	struct hc_real_definition *own = bpf_map_lookup_elem(&hc_pckt_srcs_map, &slot);
	__u32 inner_bytes = skb->len - ETHERNET_BYTES;
	__u32 udp_bytes = gue ? UDP_BYTES : 0;
	__u8 protocol = gue ? PROTOCOL_UDP : is_inner_ipv6 ? PROTOCOL_IPV6 : PROTOCOL_IPIP;
	__u64 flags = gue ? BPF_F_ADJ_ROOM_ENCAP_L4_UDP : 0;
	/* Two bytes in front align what is behind the Ethernet header. */
	struct {
		__u8 align[2];
		__u8 bytes[OUTER_BYTES_MAX];
	} outer __attribute__((aligned(8)));
	__u8 *ip = outer.bytes + ETHERNET_BYTES;
	long failed;

	if (!own || inner_bytes + IPV6_BYTES + UDP_BYTES > MAX_IP_BYTES)
		return -1;
	if (macs) {
		__builtin_memcpy(outer.bytes, macs[HC_MAC_DESTINATION]->mac, 6);
		__builtin_memcpy(outer.bytes + 6, macs[HC_MAC_SOURCE]->mac, 6);
	} else {
		__builtin_memset(outer.bytes, 0, 12);
	}
	*(__be16 *)(outer.bytes + 12) = is_outer_ipv6 ? ETHERTYPE_IPV6 : ETHERTYPE_IPV4;
	if (is_outer_ipv6) {
		write_ipv6(ip, own->address, real->address, udp_bytes + inner_bytes, protocol);
		if (gue)
			write_udp(ip + IPV6_BYTES, inner_bytes);
		failed = bpf_skb_adjust_room(skb, IPV6_BYTES + udp_bytes, BPF_ADJ_ROOM_MAC,
					     flags | BPF_F_ADJ_ROOM_ENCAP_L3_IPV6);
		return failed ? failed : bpf_skb_store_bytes(skb, 0, outer.bytes,
							     ETHERNET_BYTES + IPV6_BYTES + udp_bytes, 0);
	}
	write_ipv4(ip, own->address[0], real->address[0], udp_bytes + inner_bytes, protocol);
	if (gue)
		write_udp(ip + IPV4_BYTES, inner_bytes);
	failed = bpf_skb_adjust_room(skb, IPV4_BYTES + udp_bytes, BPF_ADJ_ROOM_MAC,
				     flags | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4);
	return failed ? failed
		      : bpf_skb_store_bytes(skb, 0, outer.bytes, ETHERNET_BYTES + IPV4_BYTES + udp_bytes, 0);
}

static __always_inline bool is_set(const struct hc_mac *mac)
{
	return mac->mac[0] | mac->mac[1] | mac->mac[2] | mac->mac[3] | mac->mac[4] | mac->mac[5];
}

SEC("tc")
int healthcheck_egress(struct __sk_buff *skb)
{
	__u32 zero = 0, slot;
	struct hc_stats *stats = bpf_map_lookup_elem(&hc_stats_map, &zero);
	const struct hc_mac *macs[2];
	struct hc_real_definition *real;
	struct probe probe = {};
	__u32 *interface;
	__be16 type;

	if (!stats)
		return TC_ACT_UNSPEC;
	if (bpf_skb_load_bytes(skb, ETHERNET_BYTES - sizeof(type), &type, sizeof(type)))
		return drop(stats);
	read_probe(skb, type, &probe);
	real = find_backend(skb->mark, &probe, stats);
	if (!real)
		return skip(stats);
	if (max_frame_bytes && skb->len > max_frame_bytes) {
		stats->too_big += 1;
		return drop(stats);
	}
	/* No tunnel of ours has IPv6 in IPv4, or anything that is not IP. */
	if (!probe.is_ip || (probe.is_ipv6 && !(real->flags & F_HC_IPV6)))
		return drop(stats);
	slot = HC_INTERFACE;
	interface = bpf_map_lookup_elem(&hc_ctrl_map, &slot);
	slot = HC_MAC_SOURCE;
	macs[HC_MAC_SOURCE] = bpf_map_lookup_elem(&hc_pckt_macs, &slot);
	slot = HC_MAC_DESTINATION;
	macs[HC_MAC_DESTINATION] = bpf_map_lookup_elem(&hc_pckt_macs, &slot);
	if (!interface || !*interface || !macs[0] || !macs[1] || !is_set(macs[0]) || !is_set(macs[1]))
		return drop(stats);
	/* The packet comes by here again. */
	skb->mark = 0;
	if (encapsulate(skb, real, macs, probe.is_ipv6))
		return drop(stats);
	stats->processed += 1;
	count_key(&probe);
	return bpf_redirect(*interface, 0);
}

/*
 * The same without MAC addresses of its own: the host's routing and neighbour tables lead the packet to the backend, each to
 * its own next hop. It knows marks alone.
 */
SEC("tc")
int healthcheck_routed(struct __sk_buff *skb)
{
	__u32 zero = 0, mark = skb->mark, slot = HC_INTERFACE;
	struct hc_stats *stats = bpf_map_lookup_elem(&hc_stats_map, &zero);
	struct hc_real_definition *real = NULL;
	struct probe probe = {};
	__u32 *interface;
	__be16 type;

	if (!stats)
		return TC_ACT_UNSPEC;
	if (mark)
		real = bpf_map_lookup_elem(&hc_reals_map, &mark);
	if (!real)
		return skip(stats);
	if (bpf_skb_load_bytes(skb, ETHERNET_BYTES - sizeof(type), &type, sizeof(type)))
		return drop(stats);
	read_probe(skb, type, &probe);
	if (max_frame_bytes && skb->len > max_frame_bytes) {
		stats->too_big += 1;
		return drop(stats);
	}
	if (!probe.is_ip || (probe.is_ipv6 && !(real->flags & F_HC_IPV6)))
		return drop(stats);
	interface = bpf_map_lookup_elem(&hc_ctrl_map, &slot);
	if (!interface || !*interface)
		return drop(stats);
	/* The packet comes by here again. */
	skb->mark = 0;
	if (encapsulate(skb, real, NULL, probe.is_ipv6))
		return drop(stats);
	stats->processed += 1;
	count_key(&probe);
	return bpf_redirect_neigh(*interface, NULL, 0, 0);
}

/* The same by a tunnel interface of the kernel, which writes the outer header. It knows marks alone. */
SEC("tc")
int healthcheck_tunnel(struct __sk_buff *skb)
{
	__u32 zero = 0, mark = skb->mark, slot;
	struct hc_stats *stats = bpf_map_lookup_elem(&hc_stats_map, &zero);
	struct bpf_tunnel_key key = { .tunnel_ttl = OUTER_TTL };
	struct hc_real_definition *real = NULL;
	__u32 *interface;
	bool is_ipv6;

	if (!stats)
		return TC_ACT_UNSPEC;
	if (mark)
		real = bpf_map_lookup_elem(&hc_reals_map, &mark);
	if (!real)
		return skip(stats);
	if (skb->len > max_tunnel_frame_bytes) {
		stats->too_big += 1;
		return drop(stats);
	}
	is_ipv6 = real->flags & F_HC_IPV6;
	slot = is_ipv6 ? HC_TUNNEL_IPV6 : HC_TUNNEL_IPV4;
	interface = bpf_map_lookup_elem(&hc_ctrl_map, &slot);
	if (!interface || !*interface)
		return drop(stats);
	if (is_ipv6)
		__builtin_memcpy(key.remote, real->address, sizeof(key.remote));
	else
		key.remote[0] = real->address[0];
	skb->mark = 0;
	if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), is_ipv6 ? BPF_F_TUNINFO_IPV6 : 0))
		return drop(stats);
	stats->processed += 1;
	return bpf_redirect(*interface, 0);
}

char program_license[] SEC("license") = "Dual BSD/GPL";
