/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Flows by their five numbers: LRU, states, bytes, and what ends by FIN and RST taken out. */
#include "sample.h"
#include "net.h"

struct flow_key {
	union {
		__be32 src4;
		__be32 src6[4];
	};
	union {
		__be32 dst4;
		__be32 dst6[4];
	};
	__be16 sport, dport;
	__u8 proto;
	__u8 family;
	__u16 pad;
} __packed;

enum flow_state { NEW = 1, ESTABLISHED, CLOSING };

struct flow {
	enum flow_state state;
	__u32 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 10000);
	__type(key, struct flow_key);
	__type(value, struct flow);
} flows SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_PERCPU_HASH);
	__uint(max_entries, 1000);
	__uint(map_flags, BPF_F_NO_COMMON_LRU);
	__type(key, __be32);
	__type(value, __u64);
} sources SEC(".maps");

static __always_inline bool parse_tuple(void *data, void *data_end, struct flow_key *key, void **l4)
{
	struct ethhdr *eth = data;

	if ((void *)(eth + 1) > data_end)
		return false;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		struct iphdr *iph = (void *)(eth + 1);

		if ((void *)(iph + 1) > data_end || iph->ihl != 5 || iph->frag_off & bpf_htons(0x1fff))
			return false;
		key->src4 = iph->saddr;
		key->dst4 = iph->daddr;
		key->proto = iph->protocol;
		key->family = 2;
		*l4 = iph + 1;
	} else if (eth->h_proto == bpf_htons(ETH_P_IPV6)) {
		struct ipv6hdr *ip6h = (void *)(eth + 1);

		if ((void *)(ip6h + 1) > data_end)
			return false;
		memcpy(key->src6, &ip6h->saddr, 16);
		memcpy(key->dst6, &ip6h->daddr, 16);
		key->proto = ip6h->nexthdr;
		key->family = 10;
		*l4 = ip6h + 1;
	} else {
		return false;
	}
	return true;
}

SEC("xdp")
int track(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx), *l4;
	struct flow_key key;
	struct tcphdr *tcp;
	struct flow *flow;
	__u64 one = 1, *seen;

	memset(&key, 0, sizeof(key));
	if (!parse_tuple(data, data_end, &key, &l4))
		return XDP_PASS;
	seen = bpf_map_lookup_elem(&sources, &key.src4);
	if (seen)
		*seen += 1;
	else
		bpf_map_update_elem(&sources, &key.src4, &one, BPF_ANY);
	if (key.proto != IPPROTO_TCP)
		return XDP_PASS;
	tcp = l4;
	if ((void *)(tcp + 1) > data_end)
		return XDP_DROP;
	key.sport = tcp->source;
	key.dport = tcp->dest;
	flow = bpf_map_lookup_elem(&flows, &key);
	if (!flow) {
		struct flow fresh = { .state = NEW, .packets = 1, .bytes = data_end - data };

		if (!tcp->syn)
			return XDP_DROP;
		return bpf_map_update_elem(&flows, &key, &fresh, BPF_NOEXIST) ? XDP_ABORTED : XDP_TX;
	}
	if (tcp->rst) {
		bpf_map_delete_elem(&flows, &key);
		return XDP_PASS;
	}
	__sync_fetch_and_add(&flow->packets, 1);
	__sync_fetch_and_add(&flow->bytes, data_end - data);
	flow->state = tcp->fin ? CLOSING : ESTABLISHED;
	return XDP_PASS;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
