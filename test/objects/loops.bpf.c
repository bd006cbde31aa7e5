/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Bounded loops over packet bytes, a table in .rodata, an encapsulation of 20 bytes. */
#include "bpf.h"

static const __u32 table[16] = {
	0x00000000, 0x1db71064, 0x3b6e20c8, 0x26d930ac, 0x76dc4190, 0x6b6b51f4, 0x4db26158, 0x5005713c,
	0xedb88320, 0xf00f9344, 0xd6d6a3e8, 0xcb61b38c, 0x9b64c2b0, 0x86d3d2d4, 0xa00ae278, 0xbdbdf21c,
};

struct {
	__uint(type, MAP_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} crc SEC(".maps");

/* CRC-32 of the first `count` bytes, a nibble at a time; -1 when they are not all there. */
static NOINLINE __u32 checksum(struct xdp_md *ctx, __u32 count)
{
	__u8 *data = (__u8 *)(unsigned long)ctx->data;
	__u8 *end = (__u8 *)(unsigned long)ctx->data_end;
	__u32 sum = ~0u;

#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 64; i++) {
		if (i >= count)
			break;
		if (data + i + 1 > end)
			return ~0u;
		sum ^= data[i];
		sum = table[sum & 15] ^ (sum >> 4);
		sum = table[sum & 15] ^ (sum >> 4);
	}
	return ~sum;
}

SEC("xdp")
int digest(struct xdp_md *ctx)
{
	__u32 zero = 0;
	__u32 *slot = bpf_map_lookup_elem(&crc, &zero);
	if (!slot)
		return ABORTED;
	*slot = checksum(ctx, 32);
	return *slot == ~0u ? DROP : PASS;
}

SEC("xdp")
int prepend(struct xdp_md *ctx)
{
	if (bpf_xdp_adjust_head(ctx, -20))
		return ABORTED;
	__u8 *data = (__u8 *)(unsigned long)ctx->data;
	__u8 *end = (__u8 *)(unsigned long)ctx->data_end;
	if (data + 20 > end)
		return ABORTED;
#pragma clang loop unroll(disable)
	for (__u32 i = 0; i < 20; i++)
		data[i] = i;
	return TX;
}

char _license[] SEC("license") = "Dual BSD/GPL";
