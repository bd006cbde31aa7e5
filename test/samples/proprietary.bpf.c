/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A license that is not compatible with the GPL, and helpers that want one. */
#include "sample.h"
#include "net.h"

SEC("xdp")
int needs_nothing(struct xdp_md *ctx)
{
	return bpf_get_prandom_u32() == 0x12345678 && ctx->data == 0 ? XDP_DROP : XDP_PASS;
}

SEC("xdp")
int needs_gpl(struct xdp_md *ctx)
{
	static const char format[] = "hello";

	bpf_trace_printk(format, sizeof(format));
	return XDP_PASS;
}

char _license[] SEC("license") = "Proprietary";
