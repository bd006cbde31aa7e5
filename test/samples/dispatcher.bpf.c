/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A chain of programs in one: a configuration in .rodata, weak functions to be replaced, options beside in BTF. */
#include "sample.h"

#define METADATA "xdp_metadata"
#define XDP_RUN_CONFIG(function) _CONFIG(function)
#define _CONFIG(function) _##function SEC(".xdp_run_config")

struct {
	__uint(priority, 10);
	__uint(XDP_PASS, 1);
	__uint(XDP_DROP, 1);
} XDP_RUN_CONFIG(dispatch);

/* What follows a verdict is said by constants, filled in before loading. */
const volatile struct {
	__u16 stages;
	__u16 goes_on[3];
} plan = { .stages = 2, .goes_on = { 1 << XDP_PASS, 1 << XDP_TX } };

/* Programs take the places of these; results are not to be foreseen. */
__noinline int stage0(struct xdp_md *ctx)
{
	volatile int verdict = XDP_PASS;

	return ctx && ctx->data_end - ctx->data > 100 ? XDP_DROP : verdict;
}

__weak __noinline int stage1(struct xdp_md *ctx)
{
	volatile int verdict = XDP_TX;

	return ctx ? verdict : XDP_ABORTED;
}

__noinline int stage2(struct xdp_md *ctx)
{
	volatile int verdict = XDP_REDIRECT;

	return ctx ? verdict : XDP_ABORTED;
}

#define STAGE(n) do { \
	if (plan.stages <= n) \
		return XDP_PASS; \
	verdict = stage##n(ctx); \
	if (!(plan.goes_on[n] >> (verdict & 15) & 1)) \
		return verdict; \
} while (0)

SEC("xdp")
int dispatch(struct xdp_md *ctx)
{
	int verdict;

	STAGE(0);
	STAGE(1);
	STAGE(2);
	return XDP_PASS;
}

SEC("xdp")
int xdp_pass(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
__u32 layout_version SEC(METADATA) = 2;
