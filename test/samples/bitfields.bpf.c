/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Bit fields of headers, read and written, in the packet and in a map's value. */
#include "sample.h"
#include "net.h"

struct state {
	__u32 seen : 1;
	__u32 kind : 5;
	__u32 count : 20;
	__s32 balance : 6;
	__u64 wide : 40;
	__u64 rest : 24;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u8);
	__type(value, struct state);
} states SEC(".maps");

SEC("xdp")
int bitfields(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct iphdr *iph = data + sizeof(struct ethhdr);
	struct state fresh = { .seen = 1, .kind = 3, .balance = -5, .wide = 0x123456789a }, *state;
	struct tcphdr *tcp;
	__u8 key;

	if ((void *)(iph + 1) > data_end || iph->version != 4 || iph->ihl != 5)
		return XDP_PASS;
	key = iph->protocol;
	state = bpf_map_lookup_elem(&states, &key);
	if (!state) {
		bpf_map_update_elem(&states, &key, &fresh, BPF_ANY);
	} else {
		state->kind++;
		state->count += iph->ttl;
		state->balance -= 9;
		state->wide *= 3;
		state->rest = state->balance;
	}
	if (iph->protocol != IPPROTO_TCP)
		return XDP_DROP;
	tcp = (void *)(iph + 1);
	if ((void *)(tcp + 1) > data_end)
		return XDP_DROP;
	if (tcp->syn && !tcp->ack)
		tcp->ece = tcp->cwr = 1;
	tcp->doff = tcp->doff + 1;
	tcp->res1 ^= 5;
	return tcp->fin ? XDP_PASS : XDP_TX;
}

char _license[] SEC("license") = "GPL";
