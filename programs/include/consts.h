/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sizes, flags and numbers that the control plane and the balancer must agree on. */
#pragma once
#include "bpf.h"

/* Slots of a ring, a prime (Maglev, NSDI '16, section 5.3). */
#define RING_SIZE 65537
#define MAX_CPUS 128
/*
 * Numbers of VIPs are 0 to COUNTERS_START - 1, then STATS_SLOTS and up: between them stats[] has the global counters, and
 * "no VIP" is the first of those numbers.
 */
#define COUNTERS_START 512
#define STATS_SLOTS 1024
/* Entries of the table that a CPU without one of its own falls back to, and of the template of the others. */
#define FALLBACK_ENTRIES 1000
#define GLOBAL_FALLBACK_ENTRIES 10000
/* Entries unless the control plane sizes the map at load. */
#define DEFAULT_VIPS COUNTERS_START
#define DEFAULT_RINGS 512
#define DEFAULT_REALS 4096
#define MAX_CIDR_VIPS 256
#define MAX_SERVER_IDS 65536
#define MAX_SOURCE_ROUTES 65536
#define MAX_DECAP_DESTINATIONS 512
#define EVENT_BYTES (1 << 20)

/* Slots of pckt_srcs. */
#define OWN_IPV4 0
#define OWN_IPV6 1

/* Slots of ctl_array. */
#define CTL_SLOTS 16
#define CTL_ROUTER_MAC 0
/* Not 0: packets are reported as events. */
#define CTL_EVENTS 5

/* Seeds of the flow hash. They hold whatever the sizes of the maps: all nodes of a fleet must agree. */
#define HASH_SEED (RING_SIZE * 512)
#define HASH_SEED_IPV6 512

#define NS_PER_SECOND 1000000000ull

/* vip_meta.flags */
#define F_HASH_NO_SRC_PORT (1 << 0)
#define F_LRU_BYPASS (1 << 1)
#define F_QUIC_VIP (1 << 2)
#define F_HASH_DPORT_ONLY (1 << 3)
#define F_SRC_ROUTING (1 << 4)
#define F_LOCAL_VIP (1 << 5)
#define F_GLOBAL_LRU (1 << 6)
#define F_HASH_SRC_DST_PORT (1 << 7)
#define F_UDP_STABLE_ROUTING (1 << 8)
#define F_UDP_FLOW_MIGRATION (1 << 9)

/* real_definition.flags */
#define F_REAL_IPV6 (1 << 0)
#define F_REAL_LOCAL (1 << 1)

/* Flags of a tunnel destination (decap_dst). */
#define F_DECAP_EGRESS (1 << 1)

/* Ids below this are told apart by server_id_map; the two last of 24 bits are never mapped. */
#define SERVER_ID_LIMIT 0xfffffe

#define OUTER_TTL 64
/* 172.16.0.0/16, as the first two bytes of the word in the packet: outer IPv4 sources carry a flow's entropy. */
#define OUTER_IPV4_PREFIX 0x10ac
/* 0100::/64, the discard prefix (RFC 6666): outer IPv6 sources. */
#define OUTER_IPV6_PREFIX 0x01ull

/* Index in stats[], between the VIPs' own slots. */
enum global_counter {
	COUNTER_LRU = COUNTERS_START + 0,                  /* packets for a VIP; packets whose backend the ring gave */
	COUNTER_LRU_MISS = COUNTERS_START + 1,             /* TCP SYN without an entry; other TCP without an entry */
	COUNTER_NEW_CONNECTION_RATE = COUNTERS_START + 2,  /* connections in the current second; its start, ns */
	COUNTER_FALLBACK_LRU = COUNTERS_START + 3,         /* packets on a CPU without a table */
	COUNTER_TOO_BIG_SENT = COUNTERS_START + 4,         /* "packet too big" sent: IPv4; IPv6 */
	COUNTER_SOURCE_ROUTE = COUNTERS_START + 5,         /* no route for the client; a route */
	COUNTER_REMOTE_DECAP = COUNTERS_START + 6,         /* tunnel packets for an address of decap_dst */
	COUNTER_ENCAP_FAIL = COUNTERS_START + 7,           /* no room for the outer header: IPv4; IPv6 */
	COUNTER_GLOBAL_LRU = COUNTERS_START + 8,           /* no global table for the CPU; backends it gave */
	COUNTER_RING_DROP = COUNTERS_START + 9,            /* the backend does not exist; the ring is empty */
	COUNTER_DECAP = COUNTERS_START + 10,               /* outer headers taken off: IPv4; IPv6 */
	COUNTER_QUIC_ICMP = COUNTERS_START + 11,           /* ICMP errors for QUIC VIPs; with a code that may be ignored */
	COUNTER_TOO_BIG_SEEN_IPV6 = COUNTERS_START + 12,   /* ICMPv6 "packet too big"; with an MTU below 1280 */
	COUNTER_TOO_BIG_SEEN_IPV4 = COUNTERS_START + 13,   /* ICMP "fragmentation needed"; with an MTU below 1280 */
	COUNTER_REBALANCED = COUNTERS_START + 14,          /* decapsulated, then balanced: inner IPv4; IPv6 */
	COUNTER_FLOW_MIGRATED = COUNTERS_START + 15,       /* UDP flows taken from a backend that is down */
	COUNTER_XDP_TOTAL = COUNTERS_START + 16,           /* frames; bytes as received. These four */
	COUNTER_XDP_TX = COUNTERS_START + 17,
	COUNTER_XDP_DROP = COUNTERS_START + 18,
	COUNTER_XDP_PASS = COUNTERS_START + 19,
	COUNTER_EGRESS_DECAP = COUNTERS_START + 20,        /* decapsulated and sent back out: inner IPv4; IPv6 */
	COUNTER_EVENTS_LOST = COUNTERS_START + 21,         /* events for which the ring buffer had no room */
};

/* What became of a packet. Every packet that is not forwarded is counted under one of the drop or pass reasons. */
enum reason {
	REASON_FORWARDED,      /* to a backend, with an outer header */
	REASON_ECHO_REPLY,     /* answered: echo request for a VIP */
	REASON_TOO_BIG_SENT,   /* answered: the frame is longer than max_frame_bytes */
	REASON_EGRESS_DECAP,   /* outer header taken off, sent back where it came from */

	DROP_SHORT_FRAME = 8,  /* no room for an Ethernet header and its tags */
	DROP_FRAGMENT,         /* a fragment, for a VIP's address: its ports cannot be known */
	DROP_IP_OPTIONS,       /* an IPv4 header that is not 20 bytes, for a VIP's address */
	DROP_TRUNCATED,        /* no room for the transport header, for a VIP's address */
	DROP_TOO_LONG,         /* longer than max_frame_bytes, and no answer can be sent */
	DROP_EMPTY_RING,       /* the VIP has no backend */
	DROP_NO_REAL,          /* the ring or a route names a backend that does not exist */
	DROP_FAMILY_MISMATCH,  /* an IPv6 packet, an IPv4 backend */
	DROP_NO_HEADROOM,      /* no room for the outer header */
	DROP_UNKNOWN_SERVER,   /* a server id that is mapped to a backend which does not exist */
	DROP_ICMP_INNER,       /* an ICMP error for a VIP's address whose embedded packet cannot be read */
	DROP_INNER_TTL,        /* decapsulated, and its TTL has run out */
	DROP_DECAP_FAILED,     /* the outer header could not be taken off */

	PASS_NOT_IP = 32,      /* neither IPv4 nor IPv6 */
	PASS_NO_IP_HEADER,        /* too short to tell the address */
	PASS_NO_VIP,           /* no VIP has this address, protocol and port */
	PASS_UNREADABLE,       /* fragment, options or cut short, and not for a VIP's address */
	PASS_PROTOCOL,         /* neither TCP, UDP, ICMP nor a tunnel; IPv6 extension headers too */
	PASS_ICMP,             /* ICMP that is no echo request for a VIP and no error that is routed */
	PASS_DECAPSULATED,     /* outer header taken off: the packet is for this host */
	PASS_NOT_OUR_TUNNEL,   /* a tunnel packet for an address that is not in decap_dst and not our own */
	PASS_LOCAL,            /* the backend is this host */
	REASONS,
};
#define FIRST_DROP_REASON DROP_SHORT_FRAME
#define FIRST_PASS_REASON PASS_NOT_IP
/*
 * reason_stats: a VIP's rows start at vip_num * VIP_REASONS; the reasons that a packet can have once its VIP is known differ
 * in their lowest bits, which are the row. Packets without a VIP have REASONS_MAX rows, in the place of numbers that no VIP has.
 */
#define VIP_REASONS 16
#define REASONS_MAX 64
#define REASON_SLOT_NO_VIP COUNTERS_START
#define REASON_ROWS(vips) ((vips) * VIP_REASONS + REASONS_MAX)

/* Where the backend came from. */
enum table {
	TABLE_NONE,
	TABLE_RING,
	TABLE_LRU,
	TABLE_GLOBAL_LRU,
	TABLE_SOURCE_ROUTE,
	TABLE_QUIC,          /* server id of the connection id */
	TABLE_UDP_SERVER_ID, /* stable routing */
	TABLE_TCP_SERVER_ID, /* TCP option */
};

/* Kinds of events; the first three have the numbers that monitors of a compatible balancer know. */
enum event {
	EVENT_TCP_NONSYN_LRU_MISS = 0,
	EVENT_PACKET_TOO_BIG = 1,
	EVENT_QUIC_UNKNOWN_SERVER = 2,
	EVENT_DROP = 16,
};
#define EVENT_PACKET_BYTES 128
