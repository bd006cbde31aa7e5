/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Variables of the kernel itself: refused, or not there where they are weak. */
#include "sample.h"

extern const int bpf_prog_active __ksym;
extern const void surely_not_there __ksym __weak;

SEC("xdp")
int strong(struct xdp_md *ctx)
{
	int *active = bpf_per_cpu_ptr(&bpf_prog_active, 0);

	return active ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int weak(struct xdp_md *ctx)
{
	return &surely_not_there ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
