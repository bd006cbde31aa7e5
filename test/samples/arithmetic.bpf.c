/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Arithmetic of every width and sign on numbers out of the packet: what clang makes of it differs by -mcpu. */
#include "sample.h"
#include "net.h"

__u64 results[32];

SEC("xdp")
int arithmetic(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	__u64 a, b;
	__s64 sa;
	__u32 wa, wb;
	__s32 swa;
	__s16 ha;
	__s8 ba;
	int n = 0;

	if (data + 48 > data_end)
		return XDP_PASS;
	memcpy(&a, data + 20, 8);
	memcpy(&b, data + 30, 8);
	sa = a;
	wa = a;
	wb = b;
	swa = wa;
	ha = a;
	ba = a;
	results[n++] += a + b;
	results[n++] += a - b;
	results[n++] += a * b;
	results[n++] += b ? a / b : 1;
	results[n++] += a / 7;
	results[n++] += a % 1000003;
	results[n++] += wb ? wa % wb : 2;
	results[n++] += wa / 10;
	results[n++] += (a << (b & 63)) | (wa << (b & 31));
	results[n++] += (a >> (b & 63)) ^ (wa >> (b & 31));
	results[n++] += (sa >> (b & 63)) + (swa >> (b & 31));
	results[n++] += ha * 3 + ba;
	results[n++] += (__s64)(__s32)(a * 5);
	results[n++] += -sa;
	results[n++] += ~wa & 0xff00ff00;
	results[n++] += sa < (__s64)b ? 11 : 13;
	results[n++] += swa <= (__s32)wb ? 17 : 19;
	results[n++] += wa > wb ? 23 : 29;
	results[n++] += a & 0x8000000000000000ULL ? 31 : 37;
	results[n++] += (wa | 0x80000001) ^ 0xdeadbeefcafeULL;
	results[n++] += (__s64)ha << 33;
	results[n++] += (__u8)a + (__u16)b;
	return (results[2] ^ results[5]) & 3;
}

char _license[] SEC("license") = "GPL";
