/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What a packet carries: a word found in it, a line of text parsed, a byte pattern with a mask. */
#include "sample.h"
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} found SEC(".maps");

static __noinline int find(struct xdp_md *ctx, __u32 from)
{
	static const char wanted[] = "waggle";
	__u8 *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);

	if (from > 200)
		return -1;
	data += from;
	for (int i = 0; i < 32; i++) {
		__u32 difference = 0;

		if (data + i + 6 > data_end)
			return -1;
#pragma unroll
		for (int j = 0; j < 6; j++)
			difference |= data[i + j] ^ wanted[j];
		if (!difference)
			return from + i;
	}
	return -2;
}

SEC("xdp")
int search(struct xdp_md *ctx)
{
	int at = find(ctx, 14);
	__u32 key = at < 0 ? 0 : 1;
	__u64 *count;

	if (at == -2)
		at = find(ctx, 46);
	count = bpf_map_lookup_elem(&found, &key);
	if (count)
		*count += at;
	return at < 0 ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int masked(struct xdp_md *ctx)
{
	static const __u8 pattern[8] = { 0x45, 0x00, 0x00, 0x00, 0x12, 0x34, 0x40, 0x00 };
	static const __u8 mask[8] = { 0xff, 0xfc, 0x00, 0x00, 0xff, 0xff, 0xe0, 0x00 };
	__u8 *data = XDP_DATA(ctx) + sizeof(struct ethhdr);
	int i;

	if ((void *)(data + 8) > XDP_DATA_END(ctx))
		return XDP_PASS;
	for (i = 0; i < 8; i++)
		if ((data[i] & mask[i]) != pattern[i])
			break;
	return i == 8 ? XDP_TX : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
