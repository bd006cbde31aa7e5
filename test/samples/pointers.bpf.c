/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Pointers that go far: one of two maps, through the stack, through functions, into callbacks, to values and packets. */
#include "sample.h"
#include "net.h"

static struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} tcp SEC(".maps"), udp SEC(".maps");

struct counters {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
};
static struct counters even SEC(".maps");
struct counters odd SEC(".maps");

struct state {
	void *map;
	__u64 *value;
	struct ethhdr *eth;
	void *data_end;
};

static __noinline __u64 *find(void *map, __u32 key)
{
	return bpf_map_lookup_elem(map, &key);
}

SEC("xdp")
int either(struct xdp_md *ctx)
{
	struct iphdr *iph = XDP_DATA(ctx) + sizeof(struct ethhdr);
	__u64 one = 1, *value;
	__u32 key;
	void *map;

	if ((void *)(iph + 1) > XDP_DATA_END(ctx))
		return XDP_DROP;
	key = iph->tot_len & 7;
	map = iph->protocol == IPPROTO_TCP ? (void *)&tcp : (void *)&udp;
	value = bpf_map_lookup_elem(map, &key);
	if (!value)
		return bpf_map_update_elem(map, &key, &one, BPF_ANY) ? XDP_ABORTED : XDP_PASS;
	*value += 1;
	return *value > 2 ? XDP_TX : XDP_DROP;
}

SEC("xdp")
int selected(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data, key = (length >> 1) & 3;
	__u64 *value = length & 1 ? bpf_map_lookup_elem(&odd, &key) : bpf_map_lookup_elem(&even, &key);

	if (!value)
		return XDP_ABORTED;
	__sync_fetch_and_add(value, length);
	value = find(length & 1 ? (void *)&even : (void *)&odd, key);
	return value && *value ? XDP_TX : XDP_PASS;
}

static long visit(__u32 index, struct state *state)
{
	__u32 key = index;
	__u64 *value = bpf_map_lookup_elem(state->map, &key);

	if (value)
		*value += index;
	if (state->value)
		*state->value += 1;
	return 0;
}

SEC("xdp")
int spilled(struct xdp_md *ctx)
{
	struct state state = { .eth = XDP_DATA(ctx), .data_end = XDP_DATA_END(ctx) };
	__u32 zero = 0;

	state.map = &odd;
	state.value = bpf_map_lookup_elem(&even, &zero);
	bpf_loop(3, visit, &state, 0);
	if ((void *)(state.eth + 1) > state.data_end)
		return XDP_DROP;
	state.eth->h_source[0] ^= 0x80;
	return state.value && *state.value > 9 ? XDP_TX : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
