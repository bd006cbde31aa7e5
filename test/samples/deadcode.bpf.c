/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What constants switch off: helpers of other programs, types that are not there, loops without end. */
#include "sample.h"
#include "net.h"

const volatile bool use_sockets = false;
const volatile struct {
	__u32 mode;
	bool tagged;
} features = { .mode = 2 };
static volatile const __u8 modes[4] = { 0, 0, 1, 0 };

SEC("xdp")
int switched(struct xdp_md *ctx)
{
	__u32 one = 1;

	if (use_sockets) {
		/* TC's, and one that no program has. */
		bpf_skb_vlan_push((void *)ctx, bpf_htons(ETH_P_8021Q), 1);
		((long (*)(void))54321)();
	}
	if (features.tagged)
		return bpf_skb_vlan_pop((void *)ctx);
	switch (features.mode) {
	case 0:
		while (one)
			barrier();
		return XDP_ABORTED;
	case 1:
		return bpf_get_current_comm(&one, 4);
	default:
		return XDP_TX;
	}
}

/* An element of a constant array by a constant number. */
SEC("xdp")
int folded(struct xdp_md *ctx)
{
	__u32 one = 1;

	return modes[features.mode] ? XDP_TX : bpf_setsockopt(ctx, 1, 1, &one, 4);
}

char _license[] SEC("license") = "GPL";
