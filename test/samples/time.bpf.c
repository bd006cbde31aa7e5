/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Clocks, chance and the CPU: not the same anywhere twice. */
#include "sample.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, __u64);
} latencies SEC(".maps");

SEC("xdp")
int clocks(struct xdp_md *ctx)
{
	__u64 now = bpf_ktime_get_ns(), boot = bpf_ktime_get_boot_ns(), coarse = bpf_ktime_get_coarse_ns();
	__u64 jiffies = bpf_jiffies64(), elapsed = bpf_ktime_get_ns() - now;
	__u32 bucket = bpf_get_prandom_u32() & 15, cpu = bpf_get_smp_processor_id();

	bpf_map_update_elem(&latencies, &bucket, &elapsed, BPF_ANY);
	return (now ^ boot ^ coarse ^ jiffies ^ cpu) & 1 ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int sampled(struct xdp_md *ctx)
{
	return bpf_get_prandom_u32() < 0x10000000 ? XDP_DROP : XDP_PASS;
}

SEC("tc")
int hashed(struct __sk_buff *skb)
{
	return bpf_get_hash_recalc(skb) & 1 ? TC_ACT_OK : TC_ACT_PIPE;
}

char _license[] SEC("license") = "GPL";
