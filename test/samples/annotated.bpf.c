/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Old definitions of maps whose types are told to BTF beside them. */
#include "sample.h"
#include "net.h"

struct bpf_map_def {
	unsigned int type, key_size, value_size, max_entries, map_flags;
};
#define BPF_ANNOTATE_KV_PAIR(name, type_key, type_val) \
	struct ____btf_map_##name { \
		type_key key; \
		type_val value; \
	}; \
	struct ____btf_map_##name __attribute__((section(".maps." #name), used)) ____btf_map_##name = {}

struct vip {
	__be32 address;
	__u16 port;
	__u16 protocol;
};
struct vip_meta {
	__u32 flags;
	__u32 number;
};

struct bpf_map_def SEC("maps") vip_map = {
	.type = BPF_MAP_TYPE_HASH,
	.key_size = sizeof(struct vip),
	.value_size = sizeof(struct vip_meta),
	.max_entries = 512,
};
BPF_ANNOTATE_KV_PAIR(vip_map, struct vip, struct vip_meta);
struct bpf_map_def SEC("maps") stats = {
	.type = BPF_MAP_TYPE_PERCPU_ARRAY,
	.key_size = sizeof(__u32),
	.value_size = sizeof(__u64),
	.max_entries = 4,
};
BPF_ANNOTATE_KV_PAIR(stats, __u32, __u64);

SEC("xdp-balancer")
int by_vip(struct xdp_md *ctx)
{
	struct iphdr *iph = XDP_DATA(ctx) + sizeof(struct ethhdr);
	struct vip vip = {};
	struct vip_meta *meta;
	__u64 *count;
	__u32 key;

	if ((void *)(iph + 1) > XDP_DATA_END(ctx))
		return XDP_DROP;
	vip.address = iph->daddr;
	vip.protocol = iph->protocol;
	meta = bpf_map_lookup_elem(&vip_map, &vip);
	if (!meta)
		return XDP_PASS;
	key = meta->number;
	count = bpf_map_lookup_elem(&stats, &key);
	if (count)
		*count += 1;
	return meta->flags & 1 ? XDP_TX : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
