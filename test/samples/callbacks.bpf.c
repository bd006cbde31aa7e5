/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Functions that helpers call: bpf_loop, and walks of arrays, hashes and per-CPU maps. */
#include "sample.h"
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32);
	__type(key, __u32);
	__type(value, __u32);
} numbers SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} percpu SEC(".maps");

struct loop_ctx {
	struct xdp_md *xdp;
	__u64 sum;
	__u32 stop;
};

static long add_byte(__u32 index, struct loop_ctx *loop)
{
	__u8 byte;

	if (index >= loop->stop)
		return 1;
	if (bpf_xdp_load_bytes(loop->xdp, index, &byte, 1))
		return 1;
	loop->sum += byte;
	return 0;
}

SEC("xdp")
int sum_bytes(struct xdp_md *ctx)
{
	struct loop_ctx loop = { .xdp = ctx, .stop = 40 };
	long rounds = bpf_loop(64, add_byte, &loop, 0);

	return (loop.sum + rounds) & 3;
}

static int fill_one(__u32 index, void *unused)
{
	__u32 value = index * index;

	bpf_map_update_elem(&numbers, &index, &value, BPF_ANY);
	return 0;
}

static long add_entry(void *map, __u32 *key, __u32 *value, __u64 *sum)
{
	*sum += *value;
	/* The walk goes on when its element goes. */
	if (*key & 1)
		bpf_map_delete_elem(&numbers, key);
	return 0;
}

static __u64 add_slot(void *map, __u32 *key, __u64 *value, __u64 *sum)
{
	*value += *key + 1;
	*sum += *value;
	return *key == 5;
}

static long outer_step(__u32 index, __u64 *sum)
{
	bpf_for_each_map_elem(&slots, add_slot, sum, 0);
	return 0;
}

SEC("xdp")
int walk_hash(struct xdp_md *ctx)
{
	__u64 sum = 0;
	long visited;

	bpf_loop(10, fill_one, NULL, 0);
	visited = bpf_for_each_map_elem(&numbers, add_entry, &sum, 0);
	return visited == 10 && sum == 285 ? XDP_PASS : XDP_DROP;
}

SEC("xdp")
int walk_array(struct xdp_md *ctx)
{
	__u64 sum = 0;

	if (bpf_loop(3, outer_step, &sum, 0) != 3)
		return XDP_ABORTED;
	return sum % 5;
}

SEC("xdp")
int walk_percpu(struct xdp_md *ctx)
{
	__u64 sum = 0;

	if (bpf_for_each_map_elem(&percpu, add_slot, &sum, 0) != 4)
		return XDP_ABORTED;
	return XDP_PASS;
}

SEC("tc")
int loop_skb(struct __sk_buff *skb)
{
	__u64 sum = 0;
	/* More rounds than the kernel allows, and flags that there are not. */
	if ((int)bpf_loop(1 << 24, outer_step, &sum, 0) != -7 || (int)bpf_loop(1, outer_step, &sum, 1) != -22)
		return TC_ACT_SHOT;
	return bpf_loop(0, outer_step, &sum, 0) == 0 ? TC_ACT_OK : TC_ACT_SHOT;
}

char _license[] SEC("license") = "GPL";
