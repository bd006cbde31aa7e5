/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A symbol that no section of the object defines. */
#include "bpf.h"

extern int missing(struct xdp_md *ctx);

SEC("xdp")
int calls(struct xdp_md *ctx)
{
	return missing(ctx);
}
