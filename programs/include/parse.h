/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the balancer needs of a packet's headers. Nothing here looks at a map. */
#pragma once
#include "packet.h"
#include "structs.h"

struct packet {
	__u32 ip_bytes;    /* IPv4: total length; IPv6: payload length, without the header */
	__u32 ports;       /* source port in the low half, destination port in the high half, bytes as in the packet */
	__u8 traffic_class;
	__u8 protocol;
	__u8 tcp_flags;    /* 0 for UDP */
	bool is_icmp;      /* an ICMP error: protocol, ports and flags are those of the flow that it is about */
	__u8 icmp_type;
	__u8 icmp_code;
};

enum parsed {
	PARSED_TRANSPORT, /* TCP or UDP: everything is known */
	PARSED_OTHER,     /* another protocol: nobody's business here */
	PARSED_TUNNEL,    /* IP in IP */
	PARSED_FRAGMENT,
	PARSED_OPTIONS,
	PARSED_TRUNCATED,
	PARSED_ICMP,       /* to be looked into; from here on what became of that */
	PARSED_ICMP_ECHO,  /* an echo request */
	PARSED_ICMP_INNER, /* the packet inside cannot be read */
	PARSED_ICMP_OTHER,
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
	} else if (packet->protocol == PROTOCOL_IPIP || packet->protocol == PROTOCOL_IPV6) {
		return PARSED_TUNNEL;
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
	if (unlikely(packet->protocol == PROTOCOL_ICMP))
		return PARSED_ICMP;
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
	if (unlikely(packet->protocol == PROTOCOL_ICMPV6))
		return PARSED_ICMP;
	return parse_transport((void *)ip + IPV6_BYTES, data_end, packet);
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

/* An address out of a key, in the words in which `copy_address` writes it. */
static __always_inline void copy_key_address(__be32 *to, const __be32 *from, bool is_ipv6)
{
	if (is_ipv6) {
		__builtin_memcpy(to, from, 16);
	} else {
		to[0] = from[0];
		to[1] = 0;
		to[2] = 0;
		to[3] = 0;
	}
}

/*
 * The rest of a key, padding included, in one store of four bytes: a load of four bytes waits for two stores of two.
 * A port has its bytes as in the packet.
 */
static __always_inline void set_service(struct vip_definition *vip, __u32 port, __u32 protocol)
{
	__u32 word = port | protocol << 16;

	__builtin_memcpy(&vip->port, &word, sizeof(word));
}

static __always_inline void set_ports(struct flow_key *key, __u32 ports, __u32 protocol)
{
	__builtin_memcpy(&key->sport, &ports, sizeof(ports));
	__builtin_memcpy(&key->protocol, &protocol, sizeof(protocol));
}
