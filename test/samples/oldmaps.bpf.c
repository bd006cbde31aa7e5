/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Map definitions of the kernel's old samples: seven words; their old section names. */
#include "sample.h"
#include "net.h"

struct bpf_map_def {
	unsigned int type;
	unsigned int key_size;
	unsigned int value_size;
	unsigned int max_entries;
	unsigned int map_flags;
	unsigned int inner_map_idx;
	unsigned int numa_node;
};

struct bpf_map_def SEC("maps") dropcnt = {
	.type = BPF_MAP_TYPE_LRU_PERCPU_HASH,
	.key_size = sizeof(__u32),
	.value_size = sizeof(__u64),
	.max_entries = 64,
};
struct bpf_map_def SEC("maps") cpus = {
	.type = BPF_MAP_TYPE_CPUMAP,
	.key_size = sizeof(__u32),
	.value_size = sizeof(__u32),
	.max_entries = 4,
};
struct bpf_map_def SEC("maps") queue = {
	.type = BPF_MAP_TYPE_PERF_EVENT_ARRAY,
	.key_size = sizeof(int),
	.value_size = sizeof(__u32),
	.max_entries = 4,
};

SEC("xdp_ddos")
int drops(struct xdp_md *ctx)
{
	struct ethhdr *eth = XDP_DATA(ctx);
	__u64 one = 1, *count;
	__u32 key;

	if ((void *)(eth + 1) > XDP_DATA_END(ctx))
		return XDP_ABORTED;
	key = eth->h_proto;
	count = bpf_map_lookup_elem(&dropcnt, &key);
	if (count)
		*count += 1;
	else
		bpf_map_update_elem(&dropcnt, &key, &one, 0);
	return key == bpf_htons(ETH_P_IPV6) ? XDP_DROP : XDP_PASS;
}

SEC("xdp_cpu_map0")
int spread(struct xdp_md *ctx)
{
	return bpf_redirect_map(&cpus, 5, XDP_TX);
}

char _license[] SEC("license") = "GPL";
