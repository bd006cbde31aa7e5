// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The balancer: a packet for a VIP gets an outer header and goes to a backend, every other packet passes.
 *
 * One pass: parse, find the VIP, find the backend (server id, connection table, ring), encapsulate, XDP_TX.
 * IPv4 and IPv6 share the text and not the code: `is_ipv6` is a constant wherever it is read.
 * What one step finds out is an outcome: a reason, of which the verdict follows, and the VIP.
 */
#include "include/events.h"
#include "include/gue.h"
#include "include/icmp.h"
#include "include/lookup.h"
#include "include/server_id.h"
#include "include/too_big.h"
#include "include/tunnel.h"

/* Tunnels in tunnels, at most. */
#define MAX_PASSES 4

/*
 * A packet whose flow cannot be read. It is dropped when it is for a VIP's address, where it would reach the
 * wrong host, and passes otherwise. Out of line: rare.
 */
static __noinline outcome_t judge_unreadable(const struct ip_address *dst, enum parsed parsed, bool is_ipv6)
{
	if (!is_vip_address(dst, is_ipv6))
		return OUTCOME_NO_VIP(PASS_UNREADABLE);
	return OUTCOME_NO_VIP(parsed == PARSED_FRAGMENT	    ? DROP_FRAGMENT
			      : parsed == PARSED_OPTIONS    ? DROP_IP_OPTIONS
			      : parsed == PARSED_ICMP_INNER ? DROP_ICMP_INNER
							    : DROP_TRUNCATED);
}

/* What is left when a packet is neither TCP nor UDP, nor an error about one. Out of line: rare. */
static __noinline outcome_t judge_other(struct xdp_md *ctx, enum parsed parsed, bool is_ipv6)
{
	void *ip = (void *)(long)ctx->data + ETHERNET_BYTES;
	struct ip_address dst __attribute__((aligned(8)));

	if (parsed == PARSED_OTHER)
		return OUTCOME_NO_VIP(PASS_PROTOCOL);
	if (parsed == PARSED_ICMP_OTHER)
		return OUTCOME_NO_VIP(PASS_ICMP);
	if (parsed == PARSED_TUNNEL)
		return ipip_decap ? take_apart_ipip(ctx, is_ipv6) : OUTCOME_NO_VIP(PASS_PROTOCOL);
	if (ip + (is_ipv6 ? IPV6_BYTES : IPV4_BYTES) > (void *)(long)ctx->data_end)
		return OUTCOME_NO_VIP(PASS_NO_IP_HEADER);
	copy_address(dst.address, ip, is_ipv6, false);
	if (parsed != PARSED_ICMP_ECHO)
		return judge_unreadable(&dst, parsed, is_ipv6);
	if (!is_vip_address(&dst, is_ipv6))
		return OUTCOME_NO_VIP(PASS_ICMP);
	answer_echo(ctx, is_ipv6);
	return OUTCOME_NO_VIP(REASON_ECHO_REPLY);
}

/* A frame for a VIP that would not fit in its outer header. Errors are not answered (RFC 1122, section 3.2.2). */
static __noinline outcome_t judge_too_long(struct xdp_md *ctx, __u32 vip_num, bool is_icmp, bool is_ipv6)
{
	report(ctx, EVENT_PACKET_TOO_BIG, OUTCOME(DROP_TOO_LONG, vip_num));
	if (!send_too_big || is_icmp || answer_too_big(ctx, is_ipv6))
		return OUTCOME(DROP_TOO_LONG, vip_num);
	return OUTCOME(REASON_TOO_BIG_SENT, vip_num);
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
static __always_inline outcome_t forward(struct xdp_md *ctx, struct tunnel *tunnel, __u32 vip_num,
					 const struct real_definition *real, const bool is_ipv6)
{
	/* The caller has refused an IPv4 backend for an IPv6 packet. */
	if (is_ipv6 || (real->flags & F_REAL_IPV6)) {
		if (likely(gue ? gue_encap_ipv6(ctx, tunnel, real->address) : encap_ipv6(ctx, tunnel, real->address)))
			return OUTCOME(REASON_FORWARDED, vip_num);
		count(COUNTER_ENCAP_FAIL, 0, 1);
	} else {
		if (likely(gue ? gue_encap_ipv4(ctx, tunnel, real->address) : encap_ipv4(ctx, tunnel, real->address)))
			return OUTCOME(REASON_FORWARDED, vip_num);
		count(COUNTER_ENCAP_FAIL, 1, 0);
	}
	return OUTCOME(DROP_NO_HEADROOM, vip_num);
}

/* Backend by what the packet itself says, under a VIP that has such packets; 0: it says nothing. */
static __always_inline __u32 route_by_datagram(struct xdp_md *ctx, const struct flow *flow, struct flow_key *key,
					       const struct packet *packet, enum table *table, const bool is_ipv6)
{
	__u32 real = 0, stable;

	if (quic_routing && (flow->vip_flags & F_QUIC_VIP)) {
		struct flow copy = *flow;

		*table = TABLE_QUIC;
		if (packet->is_icmp)
			count_quic_icmp(packet, is_ipv6);
		else
			real = route_quic(ctx, &copy, key, is_ipv6);
		if (real == REAL_DROP)
			return REAL_DROP;
	}
	if (udp_stable_routing && (flow->vip_flags & F_UDP_STABLE_ROUTING) && !packet->is_icmp) {
		stable = route_stable(ctx, is_ipv6);
		if (stable) {
			*table = TABLE_UDP_SERVER_ID;
			real = stable;
		}
	}
	return real;
}

/* Balances the packet behind an Ethernet header. */
static __always_inline outcome_t balance(struct xdp_md *ctx, const bool is_ipv6)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	void *ip = data + ETHERNET_BYTES;
	/* Aligned so that addresses move as two words of eight bytes. */
	struct flow_key key __attribute__((aligned(8))) = {};
	struct flow_key inner __attribute__((aligned(8))); /* of an ICMP error alone */
	struct vip_definition vip __attribute__((aligned(8))) = {};
	struct packet packet = {};
	struct flow flow = {};
	struct tunnel tunnel = {};
	struct real_definition *real = NULL;
	enum reason reason = DROP_EMPTY_RING;
	enum table table = TABLE_NONE;
	enum parsed parsed;
	struct vip_meta *meta;
	__u32 index = 0, cpu;

	if (ip + (is_ipv6 ? IPV6_BYTES : IPV4_BYTES) > data_end)
		return OUTCOME_NO_VIP(PASS_NO_IP_HEADER);
	parsed = is_ipv6 ? parse_ipv6(ip, data_end, &packet) : parse_ipv4(ip, data_end, &packet);
	if (unlikely(parsed == PARSED_ICMP)) {
		/* A copy: what has its address given away is no longer kept in registers. */
		struct packet message = packet;

		__builtin_memset(&inner, 0, sizeof(inner));
		parsed = parse_icmp(ctx, &message, &inner, is_ipv6);
		packet = message;
		note_flag(DECISION_ICMP);
	}
	if (unlikely(parsed != PARSED_TRANSPORT))
		return judge_other(ctx, parsed, is_ipv6);
	flow.is_udp = packet.protocol == PROTOCOL_UDP;
	if (gue_decap && flow.is_udp && !packet.is_icmp && packet.ports >> 16 == be16(gue_port))
		return take_apart_gue(ctx, is_ipv6);

	if (likely(!packet.is_icmp))
		copy_address(vip.address, ip, is_ipv6, false);
	else
		copy_key_address(vip.address, inner.dst, is_ipv6);
	set_service(&vip, packet.ports >> 16, packet.protocol);
	meta = find_vip(&vip, &packet, is_ipv6);
	if (!meta)
		return OUTCOME_NO_VIP(PASS_NO_VIP);
	flow.vip_flags = meta->flags;
	flow.vip_num = meta->vip_num;
	if (unlikely(data_end - data > max_frame_bytes))
		return judge_too_long(ctx, flow.vip_num, packet.is_icmp, is_ipv6);
	count(COUNTER_LRU, 1, 0);
	if (flow.vip_flags & F_HASH_NO_SRC_PORT)
		packet.ports &= 0xffff0000;

	if (likely(!packet.is_icmp)) {
		copy_address(key.src, ip, is_ipv6, true);
		copy_address(key.dst, ip, is_ipv6, false);
	} else {
		copy_key_address(key.src, inner.src, is_ipv6);
		copy_key_address(key.dst, inner.dst, is_ipv6);
	}
	set_ports(&key, packet.ports, packet.protocol);
	tunnel.sport = packet.ports & 0xffff;

	cpu = bpf_get_smp_processor_id();
	if (simulate)
		cpu = simulated_cpu();
	flow.table = bpf_map_lookup_elem(&lru_mapping, &cpu);
	if (unlikely(!flow.table))
		count(COUNTER_FALLBACK_LRU, 1, 0);

	if (flow.is_udp) {
		index = route_by_datagram(ctx, &flow, &key, &packet, &table, is_ipv6);
		if (unlikely(index == REAL_DROP))
			return OUTCOME(DROP_UNKNOWN_SERVER, flow.vip_num);
	} else if (tcp_server_ids && !packet.is_icmp) {
		struct flow copy = flow;

		table = TABLE_TCP_SERVER_ID;
		index = route_tcp(ctx, &copy, &key, packet.tcp_flags, is_ipv6);
	}
	if (index)
		real = find_real(index);
	if (!real && !(packet.tcp_flags & TCP_SYN)) {
		if (!(flow.vip_flags & F_LRU_BYPASS)) {
			table = TABLE_LRU;
			real = find_connection(&flow, &key, &index);
		}
		if (global_lru && !real && (flow.vip_flags & F_GLOBAL_LRU)) {
			table = TABLE_GLOBAL_LRU;
			index = find_global_connection(&key);
			if (index)
				real = find_real(index);
		}
		if (udp_flow_migration && real && flow.is_udp && (flow.vip_flags & F_UDP_FLOW_MIGRATION) &&
		    is_down(&vip, index)) {
			count(COUNTER_FLOW_MIGRATED, 1, 0);
			note_flag(DECISION_MIGRATED);
			real = NULL;
		}
	}
	if (!real) {
		if (!flow.is_udp) {
			count(COUNTER_LRU_MISS, !!(packet.tcp_flags & TCP_SYN), !(packet.tcp_flags & TCP_SYN));
			if (!(packet.tcp_flags & TCP_SYN))
				report(ctx, EVENT_TCP_NONSYN_LRU_MISS, OUTCOME(REASON_FORWARDED, flow.vip_num));
		}
		real = select_real(&flow, &key, &packet, is_ipv6, &index, &table, &reason);
		if (!real)
			return OUTCOME(reason, flow.vip_num);
		count_watched_miss(&vip, index);
		if (!packet.is_icmp && (flow.is_udp || packet.tcp_flags & TCP_SYN))
			count_new_flow(flow.vip_num, index);
		count(COUNTER_LRU, 0, 1);
	}
	note_real(table, index);
	if (is_ipv6 && unlikely(!(real->flags & F_REAL_IPV6)))
		return OUTCOME(DROP_FAMILY_MISMATCH, flow.vip_num);

	/* Where the destination port alone decided, the outer source does not tell clients apart either. */
	if (!(flow.vip_flags & F_HASH_DPORT_ONLY) || (table != TABLE_RING && table != TABLE_LRU))
		tunnel.client = key.src[is_ipv6 ? 3 : 0];
	tunnel.next_hop = find_next_hop(index);
	count(flow.vip_num, 1, packet.ip_bytes);
	count_real(index, packet.ip_bytes);
	if (local_delivery && (flow.vip_flags & F_LOCAL_VIP) && (real->flags & F_REAL_LOCAL))
		return OUTCOME(PASS_LOCAL, flow.vip_num);
	tunnel.traffic_class = packet.traffic_class;
	tunnel.is_inner_ipv6 = is_ipv6;
	tunnel.inner_bytes = packet.ip_bytes + (is_ipv6 ? IPV6_BYTES : 0);
	return forward(ctx, &tunnel, flow.vip_num, real, is_ipv6);
}

/* Global, so that each is verified once, whoever calls. */
__noinline outcome_t balance_ipv4(struct xdp_md *ctx)
{
	return balance(ctx, false);
}

__noinline outcome_t balance_ipv6(struct xdp_md *ctx)
{
	return balance(ctx, true);
}

/* What comes out of a tunnel may be another one. */
static __noinline outcome_t balance_again(struct xdp_md *ctx)
{
	for (int pass = 1; pass < MAX_PASSES; pass++) {
		struct ethernet_header *ethernet = (void *)(long)ctx->data;
		outcome_t outcome;

		if ((void *)ethernet + ETHERNET_BYTES > (void *)(long)ctx->data_end)
			return OUTCOME_NO_VIP(DROP_DECAP_FAILED);
		outcome = ethernet->type == ETHERTYPE_IPV6 ? balance_ipv6(ctx) : balance_ipv4(ctx);
		if (outcome != OUTCOME_AGAIN)
			return outcome;
	}
	return OUTCOME_NO_VIP(PASS_DECAPSULATED);
}

static __always_inline outcome_t balance_type(struct xdp_md *ctx, __be16 type)
{
	outcome_t outcome;

	if (type == ETHERTYPE_IPV4)
		outcome = balance_ipv4(ctx);
	else if (type == ETHERTYPE_IPV6)
		outcome = balance_ipv6(ctx);
	else
		return OUTCOME_NO_VIP(PASS_NOT_IP);
	if ((ipip_decap || gue_decap) && unlikely(outcome == OUTCOME_AGAIN))
		outcome = balance_again(ctx);
	return outcome;
}

static __always_inline bool is_tag(__be16 type)
{
	return type == ETHERTYPE_VLAN || type == ETHERTYPE_SERVICE_VLAN;
}

/*
 * Balances the packet behind `tag_bytes` of tags: they are taken off and put back in front of what came out. `tags`
 * starts with the type that says so, and ends before the type of the packet.
 */
static __always_inline outcome_t balance_behind(struct xdp_md *ctx, int tag_bytes)
{
	struct ethernet_header *ethernet = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethernet_header kept;
	__u16 tags[4] = {}, *in_frame;
	outcome_t outcome;
	__be16 type;

	if ((void *)ethernet + ETHERNET_BYTES + tag_bytes > data_end)
		return OUTCOME_NO_VIP(DROP_SHORT_FRAME);
	in_frame = &ethernet->type;
	tags[0] = in_frame[0];
	tags[1] = in_frame[1];
	if (tag_bytes == 2 * VLAN_TAG_BYTES) {
		tags[2] = in_frame[2];
		tags[3] = in_frame[3];
	}
	type = in_frame[tag_bytes / 2];
	if (type != ETHERTYPE_IPV4 && type != ETHERTYPE_IPV6)
		return OUTCOME_NO_VIP(PASS_NOT_IP);
	kept = *ethernet;
	if (bpf_xdp_adjust_head(ctx, tag_bytes))
		return OUTCOME_NO_VIP(DROP_NO_HEADROOM);
	ethernet = (void *)(long)ctx->data;
	if ((void *)ethernet + ETHERNET_BYTES > (void *)(long)ctx->data_end)
		return OUTCOME_NO_VIP(DROP_NO_HEADROOM);
	put_macs(ethernet, &kept);
	ethernet->type = type;

	outcome = balance_type(ctx, type);

	ethernet = (void *)(long)ctx->data;
	if ((void *)ethernet + ETHERNET_BYTES > (void *)(long)ctx->data_end)
		return OUTCOME_NO_VIP(DROP_NO_HEADROOM);
	kept = *ethernet;
	if (bpf_xdp_adjust_head(ctx, -tag_bytes))
		return OUTCOME(DROP_NO_HEADROOM, outcome >> 8);
	ethernet = (void *)(long)ctx->data;
	if ((void *)ethernet + ETHERNET_BYTES + tag_bytes > (void *)(long)ctx->data_end)
		return OUTCOME_NO_VIP(DROP_NO_HEADROOM);
	put_macs(ethernet, &kept);
	in_frame = &ethernet->type;
	in_frame[0] = tags[0];
	in_frame[1] = tags[1];
	if (tag_bytes == 2 * VLAN_TAG_BYTES) {
		in_frame[2] = tags[2];
		in_frame[3] = tags[3];
	}
	in_frame[tag_bytes / 2] = kept.type;
	return outcome;
}

/* A frame with one tag, or two (IEEE 802.1Q, 802.1ad). Global, so that it is verified once. */
__noinline outcome_t balance_tagged(struct xdp_md *ctx)
{
	struct ethernet_header *ethernet = (void *)(long)ctx->data;
	__be16 *types;

	if ((void *)ethernet + ETHERNET_BYTES + VLAN_TAG_BYTES > (void *)(long)ctx->data_end)
		return OUTCOME_NO_VIP(DROP_SHORT_FRAME);
	types = &ethernet->type;
	if (is_tag(types[VLAN_TAG_BYTES / 2]))
		return balance_behind(ctx, 2 * VLAN_TAG_BYTES);
	return balance_behind(ctx, VLAN_TAG_BYTES);
}

/* Verdict of an outcome; what was not forwarded is counted. Out of line: packets for backends do not come here. */
static __noinline int conclude(struct xdp_md *ctx, outcome_t outcome, __u32 frame_bytes)
{
	__u32 reason = outcome & 0xff;

	count_reason(reason, outcome >> 8, frame_bytes);
	if (reason < FIRST_DROP_REASON)
		return XDP_TX;
	if (reason >= FIRST_PASS_REASON)
		return XDP_PASS;
	sample_drop(ctx, outcome);
	return XDP_DROP;
}

SEC("xdp")
int balancer_ingress(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	__u32 frame_bytes = data_end - data;
	struct ethernet_header *ethernet = data;
	int verdict = XDP_TX;
	outcome_t outcome;

	forget_decision();
	if (data + ETHERNET_BYTES > data_end) {
		note_outcome(OUTCOME_NO_VIP(DROP_SHORT_FRAME));
		return conclude(ctx, OUTCOME_NO_VIP(DROP_SHORT_FRAME), frame_bytes);
	}
	count(COUNTER_XDP_TOTAL, 1, frame_bytes);
	if (likely(ethernet->type == ETHERTYPE_IPV4 || ethernet->type == ETHERTYPE_IPV6))
		outcome = balance_type(ctx, ethernet->type);
	else if (vlan_tags && is_tag(ethernet->type))
		outcome = balance_tagged(ctx);
	else
		outcome = OUTCOME_NO_VIP(PASS_NOT_IP);
	note_outcome(outcome);
	if (unlikely((outcome & 0xff) != REASON_FORWARDED))
		verdict = conclude(ctx, outcome, frame_bytes);

	if (verdict == XDP_TX)
		count(COUNTER_XDP_TX, 1, frame_bytes);
	else if (verdict == XDP_PASS)
		count(COUNTER_XDP_PASS, 1, frame_bytes);
	else
		count(COUNTER_XDP_DROP, 1, frame_bytes);
	return verdict;
}

char program_license[] SEC("license") = "Dual BSD/GPL";
