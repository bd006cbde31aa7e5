/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* As other compilers leave it: no types, names with dots and signs, copies and comparisons as functions in .text. */
#include "sample.h"
#include "net.h"

struct map_def {
	__u32 type, key_size, value_size, max_entries, map_flags, id, pinning;
};

struct map_def BLOCKLIST SEC("maps") = { BPF_MAP_TYPE_HASH, 4, 4, 1024, 0, 0, 0 };
struct map_def EVENTS SEC("maps") = { BPF_MAP_TYPE_PERF_EVENT_ARRAY, 4, 4, 0, 0, 0, 0 };

__hidden __noinline void copy(__u8 *to, const __u8 *from, __u64 count) asm("_ZN17compiler_builtins3mem6memcpy17h0123456789abcdefE");
__hidden __noinline int try_xdp(struct xdp_md *ctx) asm("_ZN7example11try_example17h00112233445566E.llvm.123");

void copy(__u8 *to, const __u8 *from, __u64 count)
{
	for (__u64 i = 0; i < 8; i++) {
		if (i >= count)
			break;
		to[i] = from[i];
		barrier();
	}
}

int try_xdp(struct xdp_md *ctx)
{
	struct ethhdr *eth = XDP_DATA(ctx);
	struct iphdr *iph = (void *)(eth + 1);
	__u8 event[8] = {}, again[8] = {};
	__u32 source;

	if ((void *)(iph + 1) > XDP_DATA_END(ctx) || eth->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	source = iph->saddr;
	event[0] = iph->protocol;
	copy(again, event, 8);
	bpf_perf_event_output(ctx, &EVENTS, BPF_F_CURRENT_CPU, again, sizeof(again));
	if (!bpf_map_lookup_elem(&BLOCKLIST, &source))
		return again[0] == IPPROTO_UDP ? XDP_TX : XDP_PASS;
	return XDP_DROP;
}

SEC("xdp")
int example(struct xdp_md *ctx)
{
	return try_xdp(ctx);
}

char _license[] SEC("license") = "Dual MIT/GPL";
