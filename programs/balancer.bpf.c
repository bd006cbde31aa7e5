// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The balancer: a packet for a VIP gets an outer header and goes to a backend, every other packet passes.
 *
 * One pass: parse, find the VIP, find the backend (connection table, else ring), encapsulate, XDP_TX.
 * IPv4 and IPv6 share the text and not the code: `is_ipv6` is a constant wherever it is read.
 */
#include "include/encap.h"
#include "include/lookup.h"

/*
 * A packet whose flow cannot be read. It is dropped when it is for a VIP's address, where it would reach the
 * wrong host, and passes otherwise. Out of line: rare.
 */
static __noinline int judge_unreadable(const struct ip_address *dst, enum drop_reason reason, __u32 frame_bytes)
{
	if (!bpf_map_lookup_elem(&vip_addresses, dst))
		return XDP_PASS;
	return drop(DROP_SLOT_NO_VIP, reason, frame_bytes);
}

static __always_inline enum drop_reason reason_of(enum parsed parsed)
{
	return parsed == PARSED_FRAGMENT  ? DROP_FRAGMENT
	       : parsed == PARSED_OPTIONS ? DROP_IP_OPTIONS
					  : DROP_TRUNCATED;
}

/* MAC address of the next hop, in the low 48 bits: the backend's own, else the router's. */
static __always_inline __u64 find_next_hop(__u32 real)
{
	union next_hop *own = bpf_map_lookup_elem(&real_macs, &real);
	__u32 slot = CTL_ROUTER_MAC;
	union ctl_value *router;

	if (own && own->value)
		return own->value;
	router = bpf_map_lookup_elem(&ctl_array, &slot);
	return router ? router->value : 0;
}

/* Send to the backend: outer header and next hop. */
static __always_inline int forward(struct xdp_md *ctx, const struct packet *packet, struct tunnel *tunnel,
				   const struct flow *flow, const struct real_definition *real, bool is_ipv6)
{
	tunnel->traffic_class = packet->traffic_class;
	tunnel->inner_protocol = is_ipv6 ? PROTOCOL_IPV6 : PROTOCOL_IPIP;
	tunnel->inner_bytes = packet->ip_bytes + (is_ipv6 ? IPV6_BYTES : 0);
	if (real->flags & F_REAL_IPV6) {
		if (likely(encap_ipv6(ctx, tunnel, real->address)))
			return XDP_TX;
		count(COUNTER_ENCAP_FAIL, 0, 1);
	} else {
		if (likely(encap_ipv4(ctx, tunnel, real->address)))
			return XDP_TX;
		count(COUNTER_ENCAP_FAIL, 1, 0);
	}
	return drop(flow->vip_num, DROP_NO_HEADROOM, packet->frame_bytes);
}

static __always_inline void copy_address(__be32 *to, const void *ip, bool is_ipv6, bool is_src)
{
	if (is_ipv6) {
		const struct ipv6_header *ipv6 = ip;

		__builtin_memcpy(to, is_src ? ipv6->src : ipv6->dst, 16);
	} else {
		const struct ipv4_header *ipv4 = ip;

		to[0] = is_src ? ipv4->src : ipv4->dst;
		to[1] = 0;
		to[2] = 0;
		to[3] = 0;
	}
}

static __always_inline int balance(struct xdp_md *ctx, void *ip, void *data_end, __u32 frame_bytes, const bool is_ipv6)
{
	/* Aligned so that addresses move as two words of eight bytes. */
	struct flow_key key __attribute__((aligned(8))) = {};
	struct vip_definition vip __attribute__((aligned(8))) = {};
	struct packet packet = { .frame_bytes = frame_bytes };
	struct flow flow = { .key = &key };
	struct tunnel tunnel = {};
	struct real_definition *real = NULL;
	enum drop_reason reason = DROP_EMPTY_RING;
	enum parsed parsed;
	struct vip_meta *meta;
	__u32 index = 0, cpu;
	bool is_udp;

	if (ip + (is_ipv6 ? IPV6_BYTES : IPV4_BYTES) > data_end)
		return XDP_PASS;
	parsed = is_ipv6 ? parse_ipv6(ip, data_end, &packet) : parse_ipv4(ip, data_end, &packet);
	if (unlikely(parsed != PARSED_TRANSPORT)) {
		struct ip_address dst __attribute__((aligned(8)));

		if (parsed == PARSED_OTHER)
			return XDP_PASS;
		copy_address(dst.address, ip, is_ipv6, false);
		return judge_unreadable(&dst, reason_of(parsed), frame_bytes);
	}
	is_udp = packet.protocol == PROTOCOL_UDP;

	/* VIP: with its port, else with every port. */
	copy_address(vip.address, ip, is_ipv6, false);
	vip.port = packet.ports >> 16;
	vip.protocol = packet.protocol;
	meta = bpf_map_lookup_elem(&vip_map, &vip);
	if (!meta) {
		vip.port = 0;
		meta = bpf_map_lookup_elem(&vip_map, &vip);
		if (!meta)
			return XDP_PASS;
		/* A VIP of all ports sends a client's connections to one backend, unless told to tell ports apart. */
		if (!(meta->flags & (F_HASH_DPORT_ONLY | F_HASH_SRC_DST_PORT)))
			packet.ports &= 0xffff;
	}
	flow.vip_flags = meta->flags;
	flow.vip_num = meta->vip_num;
	if (unlikely(frame_bytes > max_frame_bytes))
		return drop(flow.vip_num, DROP_TOO_LONG, frame_bytes);
	count(COUNTER_LRU, 1, 0);
	if (flow.vip_flags & F_HASH_NO_SRC_PORT)
		packet.ports &= 0xffff0000;

	copy_address(key.src, ip, is_ipv6, true);
	copy_address(key.dst, ip, is_ipv6, false);
	key.sport = packet.ports;
	key.dport = packet.ports >> 16;
	key.protocol = packet.protocol;
	tunnel.sport = packet.ports & 0xffff;
	/* Clients share a backend under this flag, and so the outer source does not tell them apart either. */
	tunnel.client = flow.vip_flags & F_HASH_DPORT_ONLY ? 0 : key.src[is_ipv6 ? 3 : 0];

	cpu = bpf_get_smp_processor_id();
	flow.table = bpf_map_lookup_elem(&lru_mapping, &cpu);
	if (unlikely(!flow.table))
		count(COUNTER_FALLBACK_LRU, 1, 0);
	if (!(packet.tcp_flags & TCP_SYN) && !(flow.vip_flags & F_LRU_BYPASS))
		real = find_connection(&flow, is_udp, &index);
	if (!real) {
		if (!is_udp)
			count(COUNTER_LRU_MISS, !!(packet.tcp_flags & TCP_SYN), !(packet.tcp_flags & TCP_SYN));
		real = select_real(&flow, &packet, is_ipv6, &index, &reason);
		if (!real)
			return drop(flow.vip_num, reason, frame_bytes);
		count_watched_miss(&vip, index);
		count(COUNTER_LRU, 0, 1);
	}
	if (is_ipv6 && unlikely(!(real->flags & F_REAL_IPV6)))
		return drop(flow.vip_num, DROP_FAMILY_MISMATCH, frame_bytes);

	tunnel.next_hop = find_next_hop(index);
	count(flow.vip_num, 1, packet.ip_bytes);
	count_real(index, packet.ip_bytes);
	return forward(ctx, &packet, &tunnel, &flow, real, is_ipv6);
}

SEC("xdp")
int balancer_ingress(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	__u32 frame_bytes = data_end - data;
	struct ethernet_header *ethernet = data;
	int verdict = XDP_PASS;

	if (data + ETHERNET_BYTES > data_end)
		return drop(DROP_SLOT_NO_VIP, DROP_SHORT_FRAME, frame_bytes);
	count(COUNTER_XDP_TOTAL, 1, frame_bytes);
	if (ethernet->type == ETHERTYPE_IPV4)
		verdict = balance(ctx, data + ETHERNET_BYTES, data_end, frame_bytes, false);
	else if (ethernet->type == ETHERTYPE_IPV6)
		verdict = balance(ctx, data + ETHERNET_BYTES, data_end, frame_bytes, true);

	if (verdict == XDP_TX)
		count(COUNTER_XDP_TX, 1, frame_bytes);
	else if (verdict == XDP_PASS)
		count(COUNTER_XDP_PASS, 1, frame_bytes);
	else
		count(COUNTER_XDP_DROP, 1, frame_bytes);
	return verdict;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
