/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Headers as they stand in a packet. Fields are as wide as their natural alignment in the header allows, so
 * that the compiler moves words and not bytes; sizes are constants because of the padding that this brings.
 */
#pragma once
#include "bpf.h"

#define ETHERNET_BYTES 14
#define IPV4_BYTES 20
#define IPV6_BYTES 40
#define TCP_BYTES 20
#define UDP_BYTES 8
#define ICMP_BYTES 8

#define ETHERTYPE_IPV4 be16(0x0800)
#define ETHERTYPE_IPV6 be16(0x86dd)

/* Tags: 802.1Q and 802.1ad. */
#define ETHERTYPE_VLAN be16(0x8100)
#define ETHERTYPE_SERVICE_VLAN be16(0x88a8)
#define VLAN_TAG_BYTES 4

#define PROTOCOL_ICMP 1
#define PROTOCOL_IPIP 4
#define PROTOCOL_TCP 6
#define PROTOCOL_UDP 17
#define PROTOCOL_IPV6 41
#define PROTOCOL_FRAGMENT 44
#define PROTOCOL_ICMPV6 58

/* The two addresses, six bytes each, as the words that they fall into. */
struct ethernet_header {
	__u32 dst_0_3;
	__u16 dst_4_5;
	__u16 src_0_1;
	__u32 src_2_5;
	__be16 type;
};

struct ipv4_header {
	__u8 version_ihl;
	__u8 tos;
	__be16 total_bytes;
	__be16 id;
	__be16 fragment; /* 3 bits of flags, then the offset */
	__u8 ttl;
	__u8 protocol;
	__u16 checksum;
	__be32 src;
	__be32 dst;
};

/* More fragments, or an offset: the packet is a piece of one. Don't Fragment and the reserved bit do not count. */
#define IPV4_FRAGMENT_MASK be16(0x3fff)
/* An offset: a piece without transport header. */
#define IPV4_OFFSET_MASK be16(0x1fff)
#define IPV4_VERSION_IHL 0x45

struct ipv6_header {
	__be32 version_class_flow;
	__be16 payload_bytes;
	__u8 next_header;
	__u8 hop_limit;
	__u64 src[2];
	__u64 dst[2];
};

struct tcp_header {
	__be16 sport;
	__be16 dport;
	__be32 sequence;
	__be32 acknowledgement;
	__u8 data_offset;
	__u8 flags;
	__be16 window;
	__u16 checksum;
	__be16 urgent;
};

#define TCP_SYN 0x02
#define TCP_RST 0x04

struct udp_header {
	__be16 sport;
	__be16 dport;
	__be16 bytes;
	__u16 checksum;
};

struct icmp_header {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__be32 rest; /* ICMP "fragmentation needed": MTU in the second half; ICMPv6 "packet too big": MTU */
};

#define ICMP_ECHO_REPLY 0
#define ICMP_UNREACHABLE 3
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_CODE_HOST_UNREACHABLE 1
#define ICMP_CODE_PORT_UNREACHABLE 3
#define ICMP_CODE_FRAGMENTATION_NEEDED 4
#define ICMPV6_UNREACHABLE 1
#define ICMPV6_TOO_BIG 2
#define ICMPV6_TIME_EXCEEDED 3
#define ICMPV6_CODE_ADDRESS_UNREACHABLE 3
#define ICMPV6_CODE_PORT_UNREACHABLE 4
#define ICMPV6_ECHO 128
#define ICMPV6_ECHO_REPLY 129

/* The two addresses again, in a header that stands elsewhere. */
static __always_inline void put_macs(struct ethernet_header *to, const struct ethernet_header *from)
{
	to->dst_0_3 = from->dst_0_3;
	to->dst_4_5 = from->dst_4_5;
	to->src_0_1 = from->src_0_1;
	to->src_2_5 = from->src_2_5;
}

static __always_inline void swap_macs(struct ethernet_header *ethernet)
{
	__u32 dst_0_3 = ethernet->dst_0_3;
	__u32 dst_4_5 = ethernet->dst_4_5;
	__u32 src_0_1 = ethernet->src_0_1;
	__u32 src_2_5 = ethernet->src_2_5;

	ethernet->dst_0_3 = src_0_1 | src_2_5 << 16;
	ethernet->dst_4_5 = src_2_5 >> 16;
	ethernet->src_0_1 = dst_0_3;
	ethernet->src_2_5 = dst_0_3 >> 16 | dst_4_5 << 16;
}
