/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A door that opens after knocks at the right ports: a state machine for each source, a table of constants. */
#include "sample.h"
#include "net.h"

enum door { CLOSED, KNOCKED_ONCE, KNOCKED_TWICE, OPEN };
static const __u16 secret[] = { 80, 53, 80 };

struct visitor {
	enum door door;
	__u16 wrong;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 32);
	__type(key, __be32);
	__type(value, struct visitor);
} visitors SEC(".maps");

SEC("xdp/knock")
int knock(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct iphdr *iph = data + sizeof(struct ethhdr);
	struct udphdr *udp = (void *)(iph + 1);
	struct visitor fresh = {}, *visitor;
	__be32 source;
	__u32 at;

	if ((void *)(udp + 1) > data_end || iph->version != 4)
		return XDP_PASS;
	source = 0;
	visitor = bpf_map_lookup_elem(&visitors, &source);
	if (!visitor) {
		bpf_map_update_elem(&visitors, &source, &fresh, BPF_NOEXIST);
		visitor = bpf_map_lookup_elem(&visitors, &source);
		if (!visitor)
			return XDP_ABORTED;
	}
	at = visitor->door;
	if (at >= OPEN)
		return XDP_TX;
	if (at < 3 && bpf_ntohs(udp->dest) == secret[at]) {
		visitor->door++;
	} else {
		visitor->door = CLOSED;
		visitor->wrong++;
	}
	return XDP_DROP;
}

char _license[] SEC("license") = "GPL";
