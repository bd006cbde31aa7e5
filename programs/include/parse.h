/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the balancer needs of a packet's headers. Nothing here looks at a map. */
#pragma once
#include "packet.h"
#include "structs.h"

struct packet {
	__u32 frame_bytes; /* whole frame, as received */
	__u32 ip_bytes;    /* IPv4: total length; IPv6: payload length, without the header */
	__u32 ports;       /* source port in the low half, destination port in the high half, bytes as in the packet */
	__u8 traffic_class;
	__u8 protocol;
	__u8 tcp_flags; /* 0 for UDP */
};

enum parsed {
	PARSED_TRANSPORT, /* TCP or UDP: everything is known */
	PARSED_OTHER,     /* another protocol, or no room for an IP header: nobody's business here */
	PARSED_FRAGMENT,
	PARSED_OPTIONS,
	PARSED_TRUNCATED,
};

static __always_inline enum parsed parse_transport(void *transport, void *data_end, struct packet *packet)
{
	packet->tcp_flags = 0;
	if (packet->protocol == PROTOCOL_TCP) {
		if (transport + TCP_BYTES > data_end)
			return PARSED_TRUNCATED;
		packet->tcp_flags = ((struct tcp_header *)transport)->flags;
	} else if (packet->protocol == PROTOCOL_UDP) {
		if (transport + UDP_BYTES > data_end)
			return PARSED_TRUNCATED;
	} else {
		return PARSED_OTHER;
	}
	packet->ports = *(__u32 *)transport;
	return PARSED_TRANSPORT;
}

/* The caller has checked that the header is there. */
static __always_inline enum parsed parse_ipv4(struct ipv4_header *ip, void *data_end, struct packet *packet)
{
	/* Version is not looked at: the Ethernet type decides. */
	if (unlikely((ip->version_ihl & 0x0f) != IPV4_BYTES / 4))
		return PARSED_OPTIONS;
	if (unlikely(ip->fragment & IPV4_FRAGMENT_MASK))
		return PARSED_FRAGMENT;
	packet->traffic_class = ip->tos;
	packet->protocol = ip->protocol;
	packet->ip_bytes = be16(ip->total_bytes);
	return parse_transport((void *)ip + IPV4_BYTES, data_end, packet);
}

/* The caller has checked that the header is there. Extension headers are not walked. */
static __always_inline enum parsed parse_ipv6(struct ipv6_header *ip, void *data_end, struct packet *packet)
{
	__u32 first = __builtin_bswap32(ip->version_class_flow);

	if (unlikely(ip->next_header == PROTOCOL_FRAGMENT))
		return PARSED_FRAGMENT;
	packet->traffic_class = first >> 20;
	packet->protocol = ip->next_header;
	packet->ip_bytes = be16(ip->payload_bytes);
	return parse_transport((void *)ip + IPV6_BYTES, data_end, packet);
}
