/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Routing by an id that the server put into what its client sends back: it holds when the client's address changes, and
 * when another node gets the packet. Each finder gives the index of a backend, 0 when the packet has no such id, or
 * REAL_DROP. Out of line: the VIPs that want it are few.
 */
#pragma once
#include "connections.h"
#include "events.h"
#include "tcp_option.h"

/* Backend of an id; 0 where there is none. */
static __always_inline __u32 real_of_server(__u32 id)
{
	__u32 *real = bpf_map_lookup_elem(&server_id_map, &id);

	return real ? *real : 0;
}

#define QUIC_LONG_HEADER 0x80
#define QUIC_TYPE_MASK 0x30
#define QUIC_TYPE_HANDSHAKE 0x20 /* Initial and 0-RTT are below */
#define QUIC_LEAST_CID_BYTES 8
#define QUIC_LONG_CID_OFFSET 6
#define QUIC_SHORT_CID_OFFSET 1

struct quic_id {
	bool is_initial;
	__u8 version; /* of the connection id */
	__u32 id;     /* 0: none */
};

/* Server id of a QUIC packet (RFC 8999: the form of headers; the connection id is the servers' own). */
static __always_inline struct quic_id parse_quic(const __u8 *payload, const void *data_end)
{
	struct quic_id found = {};
	const __u8 *cid;

	if ((void *)payload + 1 > data_end)
		return found;
	if (payload[0] & QUIC_LONG_HEADER) {
		if ((void *)payload + QUIC_LONG_CID_OFFSET + QUIC_LEAST_CID_BYTES > data_end)
			return found;
		/* The client chose this id, not a server. */
		if ((payload[0] & QUIC_TYPE_MASK) < QUIC_TYPE_HANDSHAKE) {
			found.is_initial = true;
			return found;
		}
		if (payload[QUIC_LONG_CID_OFFSET - 1] < QUIC_LEAST_CID_BYTES)
			return found;
		cid = payload + QUIC_LONG_CID_OFFSET;
	} else {
		if ((void *)payload + QUIC_SHORT_CID_OFFSET + QUIC_LEAST_CID_BYTES > data_end)
			return found;
		cid = payload + QUIC_SHORT_CID_OFFSET;
	}
	found.version = cid[0] >> 6;
	if (found.version == 1)
		found.id = (cid[0] & 0x3f) << 10 | cid[1] << 2 | cid[2] >> 6;
	else if (found.version == 2)
		found.id = cid[1] << 16 | cid[2] << 8 | cid[3];
	else if (found.version == 3)
		found.id = (__u32)cid[1] << 24 | cid[2] << 16 | cid[3] << 8 | cid[4];
	/* Ids are signed: the upper half of them is none. */
	if ((__s32)found.id < 0)
		found.id = 0;
	return found;
}

static __noinline __u32 route_quic(struct xdp_md *ctx, struct flow *flow, struct flow_key *key, bool is_ipv6)
{
	void *payload = (void *)(long)ctx->data + ETHERNET_BYTES + (is_ipv6 ? IPV6_BYTES : IPV4_BYTES) + UDP_BYTES;
	struct quic_id found = parse_quic(payload, (void *)(long)ctx->data_end);
	struct quic_stats *stats = only_row(&quic_stats_map);
	enum reconciled reconciled;
	__u32 real;

	if (found.is_initial) {
		if (stats)
			stats->cid_initial += 1;
		count_server_id(flow->vip_num, 1, 0);
		return 0;
	}
	if (found.id == 0) {
		if (stats)
			stats->ch_routed += 1;
		return 0;
	}
	if (stats) {
		if (found.version == 1)
			stats->cid_v1 += 1;
		else if (found.version == 2)
			stats->cid_v2 += 1;
		else
			stats->cid_v3 += 1;
	}
	real = real_of_server(found.id);
	if (real == 0) {
		if (stats) {
			stats->cid_invalid_server_id += 1;
			stats->cid_invalid_server_id_sample = found.id;
			stats->ch_routed += 1;
		}
		return 0;
	}
	if (!find_real(real)) {
		if (stats)
			stats->cid_unknown_real_dropped += 1;
		report(ctx, EVENT_QUIC_UNKNOWN_SERVER, OUTCOME(DROP_UNKNOWN_SERVER, flow->vip_num));
		return REAL_DROP;
	}
	reconciled = reconcile(flow, key, real);
	if (stats) {
		if (reconciled == RECONCILED_MATCH)
			stats->dst_match_in_lru += 1;
		else if (reconciled == RECONCILED_MISMATCH)
			stats->dst_mismatch_in_lru += 1;
		else
			stats->dst_not_found_in_lru += 1;
		stats->cid_routed += 1;
	}
	return real;
}

/* An ICMP error has no connection id: its flow decides. */
static __always_inline void count_quic_icmp(const struct packet *packet, bool is_ipv6)
{
	bool can_be_ignored = is_ipv6 ? packet->icmp_code == ICMPV6_CODE_ADDRESS_UNREACHABLE ||
						packet->icmp_code == ICMPV6_CODE_PORT_UNREACHABLE
				      : packet->icmp_code == ICMP_CODE_HOST_UNREACHABLE ||
						packet->icmp_code == ICMP_CODE_PORT_UNREACHABLE;

	count(COUNTER_QUIC_ICMP, 1, can_be_ignored);
}

/* A datagram of stable routing: the marker, three bytes of id, and no fewer than four that are the application's. */
#define STABLE_ROUTING_MARKER 0x52
#define STABLE_ROUTING_BYTES 8

static __noinline __u32 route_stable(struct xdp_md *ctx, bool is_ipv6)
{
	const __u8 *payload =
		(void *)(long)ctx->data + ETHERNET_BYTES + (is_ipv6 ? IPV6_BYTES : IPV4_BYTES) + UDP_BYTES;
	const void *data_end = (void *)(long)ctx->data_end;
	struct stable_routing_stats *stats = only_row(&stable_rt_stats);
	__u32 id = 0, real;

	if ((void *)payload + STABLE_ROUTING_BYTES <= data_end && payload[0] == STABLE_ROUTING_MARKER)
		id = payload[1] << 16 | payload[2] << 8 | payload[3];
	else if (stats)
		stats->invalid_packet_type += 1;
	if (id == 0) {
		if (stats)
			stats->ch_routed += 1;
		return 0;
	}
	real = real_of_server(id);
	if (real == 0) {
		if (stats && id >= SERVER_ID_LIMIT) {
			stats->cid_invalid_server_id += 1;
			stats->ch_routed += 1;
		}
		return 0;
	}
	if (!find_real(real)) {
		if (stats)
			stats->cid_unknown_real_dropped += 1;
		return REAL_DROP;
	}
	if (stats)
		stats->cid_routed += 1;
	return real;
}

static __noinline __u32 route_tcp(struct xdp_md *ctx, struct flow *flow, struct flow_key *key, __u8 tcp_flags,
				bool is_ipv6)
{
	struct tcp_server_id_stats *stats = only_row(&tpr_stats_map);
	__u32 id, real;

	if (tcp_flags & TCP_SYN) {
		if (stats)
			stats->tcp_syn += 1;
		count_server_id(flow->vip_num, 1, 0);
		return 0;
	}
	id = tcp_option_server_id(ctx, ETHERNET_BYTES + (is_ipv6 ? IPV6_BYTES : IPV4_BYTES));
	real = id ? real_of_server(id) : 0;
	if (real == 0 || !find_real(real)) {
		if (stats)
			stats->ch_routed += 1;
		return 0;
	}
	if (!(flow->vip_flags & F_LRU_BYPASS) && reconcile(flow, key, real) == RECONCILED_MISMATCH && stats)
		stats->dst_mismatch_in_lru += 1;
	if (stats)
		stats->sid_routed += 1;
	return real;
}
