/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Internet checksum (RFC 1071), over words as a little-endian machine reads them. */
#pragma once
#include "packet.h"

/* Checksum of a one's-complement sum of words, little endian as the header is read and written. */
static __always_inline __u16 fold_checksum(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~(sum + (sum >> 16));
}

static __always_inline __u64 sum_ipv4_header(const struct ipv4_header *ip)
{
	const __u32 *words = (const void *)ip;

	return (__u64)words[0] + words[1] + words[2] + words[3] + words[4];
}

/* Two IPv6 addresses in a row. */
static __always_inline __u64 sum_ipv6_addresses(const struct ipv6_header *ip)
{
	const __u32 *words = (const void *)ip->src;

	return (__u64)words[0] + words[1] + words[2] + words[3] + words[4] + words[5] + words[6] + words[7];
}
