/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Access by longest prefix, of both families, with what was hit counted. */
#include "sample.h"
#include "net.h"

struct lpm_key4 {
	__u32 prefixlen;
	__be32 addr;
};
struct lpm_key6 {
	__u32 prefixlen;
	struct in6_addr addr;
};
struct rule {
	__u32 action;
	__u32 id;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct lpm_key4);
	__type(value, struct rule);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(pinning, LIBBPF_PIN_BY_NAME);
} rules4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__type(key, struct lpm_key6);
	__type(value, struct rule);
	__uint(max_entries, 1024);
	__uint(map_flags, BPF_F_NO_PREALLOC);
} rules6 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__type(key, __u32);
	__type(value, __u64);
	__uint(max_entries, 1024);
} hits SEC(".maps");

static __always_inline int apply(const struct rule *rule)
{
	__u64 one = 1, *count;
	__u32 id;

	if (!rule)
		return XDP_PASS;
	id = rule->id;
	count = bpf_map_lookup_elem(&hits, &id);
	if (count)
		__sync_fetch_and_add(count, 1);
	else
		bpf_map_update_elem(&hits, &id, &one, BPF_ANY);
	return rule->action;
}

SEC("xdp")
int xdp_acl(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct ethhdr *eth = data;

	if (data + sizeof(*eth) > data_end)
		return XDP_DROP;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *iph = data + sizeof(*eth);
		struct lpm_key4 key = { .prefixlen = 32 };

		if ((void *)(iph + 1) > data_end)
			return XDP_DROP;
		key.addr = iph->saddr;
		return apply(bpf_map_lookup_elem(&rules4, &key));
	}
	if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip6h = data + sizeof(*eth);
		struct lpm_key6 key = { .prefixlen = 128 };

		if ((void *)(ip6h + 1) > data_end)
			return XDP_DROP;
		key.addr = ip6h->saddr;
		return apply(bpf_map_lookup_elem(&rules6, &key));
	}
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
