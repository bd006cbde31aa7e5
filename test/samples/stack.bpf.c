/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The stack: filled to its 512 bytes, indexed by numbers that are not constant, shared with callees, sorted in. */
#include "sample.h"
#include "net.h"

__u64 medians[4];

SEC("xdp")
int full(struct xdp_md *ctx)
{
	__u8 *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	volatile __u8 buffer[480];
	__u32 sum = 0;

	for (int i = 0; i < 480; i++)
		buffer[i] = i;
	if (data + 20 > data_end)
		return XDP_PASS;
	for (int i = 0; i < 16; i++)
		sum += buffer[data[i]];
	return sum % 5;
}

static __noinline void swap(__u32 *values, __u32 one, __u32 other)
{
	__u32 kept;

	if (one > 6 || other > 6)
		return;
	kept = values[one];
	values[one] = values[other];
	values[other] = kept;
}

SEC("xdp")
int sorted(struct xdp_md *ctx)
{
	__u8 *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	__u32 values[7];

	if (data + 40 > data_end)
		return XDP_PASS;
	for (int i = 0; i < 7; i++)
		values[i] = data[20 + i * 2] << 8 | data[21 + i * 2];
	for (int i = 0; i < 6; i++)
		for (int j = 0; j < 6; j++)
			if (values[j] > values[j + 1])
				swap(values, j, j + 1);
	medians[values[3] & 3] += values[3];
	return values[0] == values[6] ? XDP_ABORTED : (values[3] & 1) + 1;
}

struct wide {
	__u64 words[12];
};

static __noinline __u64 fill(struct wide *wide, __u64 seed)
{
	for (int i = 0; i < 12; i++)
		wide->words[i] = seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
	return seed;
}

SEC("xdp")
int structs(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data;
	struct wide one, two;

	fill(&one, length);
	two = one;
	fill(&one, two.words[length & 7]);
	return (one.words[3] ^ two.words[5]) % 5;
}

char _license[] SEC("license") = "GPL";
