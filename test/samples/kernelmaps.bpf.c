/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps that only the kernel has, beside programs that run. */
#include "sample.h"

struct tcp_congestion_ops {
	void (*init)(void *sk);
	__u32 (*ssthresh)(void *sk);
	char name[16];
};

struct {
	__uint(type, BPF_MAP_TYPE_USER_RINGBUF);
	__uint(max_entries, 4096);
} from_user SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_STACK_TRACE);
	__uint(max_entries, 16);
	__uint(key_size, 4);
	__uint(value_size, 127 * 8);
} stacks SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_CGROUP_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, 4);
	__uint(value_size, 4);
} cgroups SEC(".maps");

static long (*const bpf_get_stackid)(void *ctx, void *map, __u64 flags) HELPER(27);
static long (*const bpf_skb_under_cgroup)(struct __sk_buff *skb, void *map, __u32 index) HELPER(33);
static long (*const bpf_user_ringbuf_drain)(void *map, void *callback, void *ctx, __u64 flags) HELPER(209);

__u64 seen;

SEC("perf_event")
int sampled(void *ctx)
{
	return bpf_get_stackid(ctx, &stacks, 0);
}

SEC("tc")
int in_cgroup(struct __sk_buff *skb)
{
	return bpf_skb_under_cgroup(skb, &cgroups, 0) ? TC_ACT_OK : TC_ACT_SHOT;
}

static long take(struct bpf_dynptr *record, void *context)
{
	seen++;
	return 0;
}

SEC("xdp")
int drains(struct xdp_md *ctx)
{
	return bpf_user_ringbuf_drain(&from_user, take, NULL, 0);
}

SEC("struct_ops/init")
void own_init(void *sk)
{
}

SEC("struct_ops/ssthresh")
__u32 own_ssthresh(void *sk)
{
	return 10;
}

SEC(".struct_ops")
struct tcp_congestion_ops own = { .init = (void *)own_init, .ssthresh = (void *)own_ssthresh, .name = "own" };

SEC("xdp")
int counts(struct xdp_md *ctx)
{
	return ++seen & 1 ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
