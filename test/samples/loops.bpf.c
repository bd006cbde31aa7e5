/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Loops: unrolled, bounded, nested, that end early, over bytes of the packet. */
#include "sample.h"
#include "net.h"

__u64 histogram[16];

SEC("xdp")
int nested(struct xdp_md *ctx)
{
	__u64 sum = 0;
	int i, j;

	for (i = 0; i < 12; i++)
		for (j = 0; j < i; j++) {
			if ((i ^ j) == 5)
				continue;
			sum += i * j;
		}
	barrier();
	return sum % 5;
}

SEC("xdp")
int bytes(struct xdp_md *ctx)
{
	__u8 *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	__u32 i = 0;

#pragma clang loop unroll(disable)
	while (i < 200 && data + i + 1 <= data_end) {
		histogram[data[i] & 15]++;
		i++;
	}
	return histogram[0] > histogram[1] ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int unrolled(struct xdp_md *ctx)
{
	__u8 *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	__u32 sum = 0;

	if (data + 32 > data_end)
		return XDP_DROP;
#pragma clang loop unroll(full)
	for (int i = 0; i < 32; i++)
		sum = (sum << 1 | sum >> 31) ^ data[i];
	return sum & 3;
}

SEC("xdp")
int words(struct xdp_md *ctx)
{
	__u16 *data = XDP_DATA(ctx);
	void *data_end = XDP_DATA_END(ctx);
	__u32 sum = 0;

	for (int i = 0; i < 30; i++) {
		if ((void *)(data + 1) > data_end)
			break;
		sum += *data++;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 1) ? XDP_TX : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
