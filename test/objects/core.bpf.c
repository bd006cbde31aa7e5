/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A CO-RE relocation. */
#include "bpf.h"

struct moved {
	int before;
	int wanted;
} __attribute__((preserve_access_index));

SEC("tc")
int reads(struct moved *ctx)
{
	return ctx->wanted;
}
