/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A firewall in stages: a table of rules walked in order, constants from outside, counters by rule, a default. */
#include "sample.h"
#include "net.h"

#define MAX_RULES 8

struct rule {
	__be32 source, source_mask;
	__be32 destination, destination_mask;
	__u16 port_low, port_high;
	__u8 protocol;
	__u8 action;
	__u8 enabled;
	__u8 pad;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, MAX_RULES);
	__type(key, __u32);
	__type(value, struct rule);
} rules SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, MAX_RULES + 1);
	__type(key, __u32);
	__type(value, __u64);
} matched SEC(".maps");

const volatile __u32 default_action = XDP_PASS;
const volatile bool drop_fragments = true;

struct packet {
	__be32 source, destination;
	__u16 port;
	__u8 protocol;
};

static __always_inline bool matches(const struct rule *rule, const struct packet *packet)
{
	if (!rule->enabled || (rule->protocol && rule->protocol != packet->protocol))
		return false;
	if ((packet->source & rule->source_mask) != rule->source)
		return false;
	if ((packet->destination & rule->destination_mask) != rule->destination)
		return false;
	return packet->port >= rule->port_low && packet->port <= rule->port_high;
}

static __always_inline int done(__u32 rule, int action)
{
	__u64 *count = bpf_map_lookup_elem(&matched, &rule);

	if (count)
		++*count;
	return action;
}

SEC("xdp")
int firewall(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct ethhdr *eth = data;
	struct packet packet = {};
	struct udphdr *l4;
	struct iphdr *iph;

	if ((void *)(eth + 1) > data_end)
		return XDP_DROP;
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return done(MAX_RULES, default_action);
	iph = (void *)(eth + 1);
	if ((void *)(iph + 1) > data_end || iph->ihl < 5)
		return XDP_DROP;
	if (drop_fragments && iph->frag_off & bpf_htons(0x1fff))
		return XDP_DROP;
	packet.source = iph->saddr;
	packet.destination = iph->daddr;
	packet.protocol = iph->protocol;
	l4 = (void *)iph + iph->ihl * 4;
	if ((void *)(l4 + 1) <= data_end && (iph->protocol == IPPROTO_TCP || iph->protocol == IPPROTO_UDP))
		packet.port = bpf_ntohs(l4->dest);
	for (__u32 i = 0; i < MAX_RULES; i++) {
		__u32 key = i;
		struct rule *rule = bpf_map_lookup_elem(&rules, &key);

		if (rule && matches(rule, &packet))
			return done(key, rule->action);
	}
	return done(MAX_RULES, default_action);
}

char _license[] SEC("license") = "GPL";
