/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The flow hash: Bob Jenkins' lookup3 (2006, public domain) over little-endian words, and its place in a ring. */
#pragma once
#include "consts.h"

#define LOOKUP3_START 0xdeadbeefu

static __always_inline __u32 rotate_left(__u32 word, __u32 bits)
{
	return word << bits | word >> (32 - bits);
}

/* lookup3's final(): the third word is the hash. */
static __always_inline __u32 lookup3_final(__u32 a, __u32 b, __u32 c)
{
	c = (c ^ b) - rotate_left(b, 14);
	a = (a ^ c) - rotate_left(c, 11);
	b = (b ^ a) - rotate_left(a, 25);
	c = (c ^ b) - rotate_left(b, 16);
	a = (a ^ c) - rotate_left(c, 4);
	b = (b ^ a) - rotate_left(a, 14);
	c = (c ^ b) - rotate_left(b, 24);
	return c;
}

static __always_inline __u32 hash_2words(__u32 first, __u32 second, __u32 seed)
{
	__u32 start = LOOKUP3_START + (2 << 2) + seed;

	return lookup3_final(start + first, start + second, start);
}

static __always_inline __u32 hash_4words(const __u32 *words, __u32 seed)
{
	__u32 start = LOOKUP3_START + (4 << 2) + seed;
	__u32 a = start + words[0];
	__u32 b = start + words[1];
	__u32 c = start + words[2];

	/* lookup3's mix() */
	a = (a - c) ^ rotate_left(c, 4);
	c += b;
	b = (b - a) ^ rotate_left(a, 6);
	a += c;
	c = (c - b) ^ rotate_left(b, 8);
	b += a;
	a = (a - c) ^ rotate_left(c, 16);
	c += b;
	b = (b - a) ^ rotate_left(a, 19);
	a += c;
	c = (c - b) ^ rotate_left(b, 4);
	b += a;
	return lookup3_final(a + words[3], b, c);
}

/* hash mod 65537 without a division: 65536 is -1 modulo 65537, so the high half is subtracted. */
static __always_inline __u32 ring_slot(__u32 hash)
{
	__u32 low = hash & 0xffff;
	__u32 high = hash >> 16;

	return low >= high ? low - high : low + RING_SIZE - high;
}
