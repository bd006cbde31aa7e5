/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What there is from cpu v4 on: signed division, loads that extend the sign, swaps, long jumps. */
#include "sample.h"
#include "net.h"

__s64 signed_results[16];

SEC("xdp")
int extended(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	__s64 a, b;
	int n = 0;

	if (data + 48 > data_end)
		return XDP_PASS;
	memcpy(&a, data + 20, 8);
	memcpy(&b, data + 30, 8);
	signed_results[n++] += b ? a / b : 1;
	signed_results[n++] += b ? a % b : 2;
	signed_results[n++] += (__s32)b ? (__s32)a / (__s32)b : 3;
	signed_results[n++] += (__s32)a % 7;
	signed_results[n++] += *(__s8 *)(data + 13) + *(__s16 *)(data + 24) + *(__s32 *)(data + 28);
	signed_results[n++] += (__s8)a * (__s16)b;
	signed_results[n++] += __builtin_bswap64(a) ^ __builtin_bswap32(b) ^ __builtin_bswap16(a);
	signed_results[n++] += a / -3;
	asm volatile("gotol +1; goto +1; gotol -2;");
	asm volatile("%0 = bswap64 %0" : "+r"(a));
	asm volatile("%0 = (s16)%0" : "+r"(b));
	signed_results[n++] += a ^ b;
	return (signed_results[0] ^ signed_results[4]) & 3;
}

char _license[] SEC("license") = "GPL";
