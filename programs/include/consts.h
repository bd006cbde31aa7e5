/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Sizes, flags and numbers that the control plane and the balancer must agree on. */
#pragma once
#include "bpf.h"

/* Slots of a ring, a prime (Maglev, NSDI '16, section 5.3). */
#define RING_SIZE 65537
#define MAX_VIPS 512
#define MAX_REALS 4096
#define MAX_CPUS 128
/* Entries of the table that a CPU without one of its own falls back to, and of the template of the others. */
#define FALLBACK_ENTRIES 1000
#define CTL_SLOTS 16
#define CTL_ROUTER_MAC 0

/* Seeds of the flow hash. They hold whatever the number of VIPs: all nodes of a fleet must agree. */
#define HASH_SEED (RING_SIZE * MAX_VIPS)
#define HASH_SEED_IPV6 MAX_VIPS

#define NS_PER_SECOND 1000000000ull

/* vip_meta.flags */
#define F_HASH_NO_SRC_PORT (1 << 0)
#define F_LRU_BYPASS (1 << 1)
#define F_HASH_DPORT_ONLY (1 << 3)
#define F_HASH_SRC_DST_PORT (1 << 7)

/* real_definition.flags */
#define F_REAL_IPV6 (1 << 0)

#define OUTER_TTL 64
/* 172.16.0.0/16, as the first two bytes of the word in the packet: outer IPv4 sources carry a flow's entropy. */
#define OUTER_IPV4_PREFIX 0x10ac
/* 0100::/64, the discard prefix (RFC 6666): outer IPv6 sources. */
#define OUTER_IPV6_PREFIX 0x01ull

/* Index in stats[], after the VIPs' own slots. */
enum global_counter {
	COUNTER_LRU = MAX_VIPS + 0,
	COUNTER_LRU_MISS = MAX_VIPS + 1,
	COUNTER_NEW_CONNECTION_RATE = MAX_VIPS + 2,
	COUNTER_FALLBACK_LRU = MAX_VIPS + 3,
	COUNTER_ENCAP_FAIL = MAX_VIPS + 7,
	COUNTER_RING_DROP = MAX_VIPS + 9,
	COUNTER_XDP_TOTAL = MAX_VIPS + 16,
	COUNTER_XDP_TX = MAX_VIPS + 17,
	COUNTER_XDP_DROP = MAX_VIPS + 18,
	COUNTER_XDP_PASS = MAX_VIPS + 19,
};
#define STATS_SLOTS 1024

/* Why a packet was dropped: every XDP_DROP of the balancer is counted under one of these. */
enum drop_reason {
	DROP_SHORT_FRAME,     /* no room for an Ethernet header */
	DROP_FRAGMENT,        /* a fragment, for a VIP's address: its ports cannot be known */
	DROP_IP_OPTIONS,      /* an IPv4 header that is not 20 bytes, for a VIP's address */
	DROP_TRUNCATED,       /* no room for the TCP or UDP header, for a VIP's address */
	DROP_TOO_LONG,        /* longer than max_frame_bytes: its encapsulated form would not fit the path */
	DROP_EMPTY_RING,      /* the VIP has no backend */
	DROP_NO_REAL,         /* the ring names a backend that does not exist */
	DROP_FAMILY_MISMATCH, /* an IPv6 packet, an IPv4 backend */
	DROP_NO_HEADROOM,     /* the driver left no room for the outer header */
	DROP_REASONS,
};
/* drop_stats: index = slot * DROP_REASONS_MAX + reason; slot = vip_num, or DROP_SLOT_NO_VIP. */
#define DROP_REASONS_MAX 32
#define DROP_SLOT_NO_VIP MAX_VIPS
