/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps as before BTF: struct bpf_map_def in the section maps. */
#include "sample.h"
#include "net.h"

struct bpf_map_def {
	unsigned int type;
	unsigned int key_size;
	unsigned int value_size;
	unsigned int max_entries;
	unsigned int map_flags;
};

struct bpf_map_def SEC("maps") received = {
	.type = BPF_MAP_TYPE_PERCPU_ARRAY,
	.key_size = sizeof(__u32),
	.value_size = sizeof(long),
	.max_entries = 256,
};
struct bpf_map_def SEC("maps") sources = {
	.type = BPF_MAP_TYPE_HASH,
	.key_size = sizeof(__be32),
	.value_size = sizeof(__u64),
	.max_entries = 1000,
	.map_flags = BPF_F_NO_PREALLOC,
};
struct bpf_map_def SEC("maps") ports = {
	.type = BPF_MAP_TYPE_DEVMAP,
	.key_size = sizeof(int),
	.value_size = sizeof(int),
	.max_entries = 100,
};
struct bpf_map_def SEC("maps") jumps = {
	.type = BPF_MAP_TYPE_PROG_ARRAY,
	.key_size = sizeof(__u32),
	.value_size = sizeof(__u32),
	.max_entries = 8,
};

SEC("xdp2")
int count(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct iphdr *iph = data + sizeof(struct ethhdr);
	__u64 first = 1, *known;
	__u32 protocol;
	__be32 source;
	long *value;

	if ((void *)(iph + 1) > data_end)
		return XDP_DROP;
	protocol = iph->protocol;
	value = bpf_map_lookup_elem(&received, &protocol);
	if (value)
		*value += 1;
	source = iph->saddr;
	known = bpf_map_lookup_elem(&sources, &source);
	if (known)
		__sync_fetch_and_add(known, 1);
	else
		bpf_map_update_elem(&sources, &source, &first, BPF_ANY);
	return protocol == IPPROTO_UDP ? XDP_DROP : XDP_PASS;
}

SEC("xdp_to_port")
int to_port(struct xdp_md *ctx)
{
	return bpf_redirect_map(&ports, 0, 0);
}

SEC("xdp_tail")
int tail(struct xdp_md *ctx)
{
	bpf_tail_call(ctx, &jumps, 1);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
__u32 _version SEC("version") = 0x60c00;
