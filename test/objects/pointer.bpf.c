/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A pointer in data: its value is known only where the map lives. */
#include "bpf.h"

static int target = 3;
int *volatile pointer = &target;

SEC("xdp")
int reads(struct xdp_md *ctx)
{
	return *pointer;
}
