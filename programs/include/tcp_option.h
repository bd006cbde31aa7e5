/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The TCP option that carries a server's id: kind 0xb7, six bytes, the id in little endian. */
#pragma once
#include "packet.h"

#define TCP_OPTION_END 0
#define TCP_OPTION_NOP 1
#define TCP_OPTION_SERVER_ID 0xb7
#define TCP_OPTION_SERVER_ID_BYTES 6
/* Most options that are looked at. */
#define TCP_OPTIONS 15
#define TCP_OPTIONS_STOP 0xffff

/*
 * One step through the options of a TCP header: from `offset` in the frame, of a header that ends at `end`, to the next
 * option or TCP_OPTIONS_STOP; above 32 bits the id, when it was found. Global, so that it is verified once for all steps.
 */
__noinline __u64 next_tcp_option(struct xdp_md *ctx, __u32 offset, __u32 end)
{
	const __u8 *option = (void *)(long)ctx->data;
	const void *data_end = (void *)(long)ctx->data_end;
	__u8 bytes;

	if (offset >= end || offset > ETHERNET_BYTES + IPV6_BYTES + 60)
		return TCP_OPTIONS_STOP;
	option += offset;
	if ((void *)option + 1 > data_end || option[0] == TCP_OPTION_END)
		return TCP_OPTIONS_STOP;
	if (option[0] == TCP_OPTION_NOP)
		return offset + 1;
	if ((void *)option + 2 > data_end)
		return TCP_OPTIONS_STOP;
	bytes = option[1];
	if (bytes < 2 || offset + bytes > end)
		return TCP_OPTIONS_STOP;
	if (option[0] != TCP_OPTION_SERVER_ID)
		return offset + bytes;
	if (bytes != TCP_OPTION_SERVER_ID_BYTES || (void *)option + TCP_OPTION_SERVER_ID_BYTES > data_end)
		return TCP_OPTIONS_STOP;
	return TCP_OPTIONS_STOP | (__u64)(option[2] | option[3] << 8 | option[4] << 16 | (__u32)option[5] << 24) << 32;
}

/* Id in the options of the TCP header at `offset` of the frame; 0: none. */
static __always_inline __u32 tcp_option_server_id(struct xdp_md *ctx, __u32 offset)
{
	struct tcp_header *tcp = (void *)(long)ctx->data + offset;
	__u64 step = offset + TCP_BYTES;
	__u32 end;

	if ((void *)tcp + TCP_BYTES > (void *)(long)ctx->data_end)
		return 0;
	end = offset + (tcp->data_offset >> 4) * 4;
	if (end < offset + TCP_BYTES + TCP_OPTION_SERVER_ID_BYTES)
		return 0;
	/* A loop: fifteen copies would be most of the program. */
#pragma clang loop unroll(disable)
	for (int i = 0; i < TCP_OPTIONS; i++) {
		step = next_tcp_option(ctx, step, end);
		if ((__u32)step == TCP_OPTIONS_STOP)
			break;
	}
	return step >> 32;
}
