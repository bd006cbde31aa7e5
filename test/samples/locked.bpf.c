/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Values under a lock, and queues, stacks and sets. */
#include "sample.h"
#include "net.h"

struct account {
	struct bpf_spin_lock lock;
	__u32 longest;
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct account);
} accounts SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u16);
	__type(value, struct account);
} by_protocol SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 4);
	__uint(key_size, 0);
	__uint(value_size, 4);
} lengths SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 4);
	__type(value, __u32);
} recent SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 1000);
	__uint(map_extra, 3);
	__type(value, __u16);
} known SEC(".maps");

static __always_inline void add(struct account *account, __u32 length)
{
	bpf_spin_lock(&account->lock);
	account->packets++;
	account->bytes += length;
	if (length > account->longest)
		account->longest = length;
	bpf_spin_unlock(&account->lock);
}

SEC("xdp")
int accounting(struct xdp_md *ctx)
{
	struct ethhdr *eth = XDP_DATA(ctx);
	__u32 zero = 0, length = ctx->data_end - ctx->data;
	struct account first = { .packets = 1, .bytes = length, .longest = length }, *account;
	__u16 protocol;

	if ((void *)(eth + 1) > XDP_DATA_END(ctx))
		return XDP_DROP;
	protocol = eth->h_proto;
	account = bpf_map_lookup_elem(&accounts, &zero);
	if (account)
		add(account, length);
	account = bpf_map_lookup_elem(&by_protocol, &protocol);
	if (account)
		add(account, length);
	else
		bpf_map_update_elem(&by_protocol, &protocol, &first, BPF_ANY);
	return XDP_PASS;
}

SEC("xdp")
int queues(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data, top = 0, oldest = 0;

	/* The stack drops its oldest when it is full, the queue refuses. */
	bpf_map_push_elem(&recent, &length, BPF_EXIST);
	bpf_map_peek_elem(&recent, &top);
	if (bpf_map_push_elem(&lengths, &length, BPF_ANY) < 0) {
		bpf_map_pop_elem(&lengths, &oldest);
		return oldest;
	}
	return top == length ? XDP_PASS : XDP_ABORTED;
}

SEC("xdp")
int seen_before(struct xdp_md *ctx)
{
	struct ethhdr *eth = XDP_DATA(ctx);
	__u16 protocol;

	if ((void *)(eth + 1) > XDP_DATA_END(ctx))
		return XDP_DROP;
	protocol = eth->h_proto;
	if (bpf_map_peek_elem(&known, &protocol) == 0)
		return XDP_TX;
	bpf_map_push_elem(&known, &protocol, BPF_ANY);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
