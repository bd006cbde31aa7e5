/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Events: records reserved, sent, dropped and copied, of a ring buffer and of perf's rings, with bytes of the packet. */
#include "sample.h"
#include "net.h"

#define MOST_BYTES 64ul
#define min(one, other) ((one) < (other) ? (one) : (other))

struct event {
	__u16 mark;
	__u16 length;
	__u8 source[ETH_ALEN];
} __packed;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 256 * 1024);
} ring SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(int));
	__uint(value_size, sizeof(__u32));
	__uint(max_entries, 128);
} samples SEC(".maps");

/* The number of CPUs is for the loader to fill in. */
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} perf_all SEC(".maps");

struct event *unused_event __maybe_unused;

SEC("xdp")
int submit(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct ethhdr *eth = data;
	struct event *e;

	if ((void *)(eth + 1) > data_end)
		return XDP_DROP;
	e = bpf_ringbuf_reserve(&ring, sizeof(*e), 0);
	if (!e)
		return XDP_ABORTED;
	e->mark = 0x5ea;
	e->length = data_end - data;
	memcpy(e->source, eth->h_source, ETH_ALEN);
	if (eth->h_proto == bpf_htons(ETH_P_ARP)) {
		bpf_ringbuf_discard(e, 0);
		return XDP_DROP;
	}
	bpf_ringbuf_submit(e, 0);
	/* BPF_RB_RING_SIZE */
	return bpf_ringbuf_query(&ring, 1) == 256 * 1024 ? XDP_PASS : XDP_ABORTED;
}

SEC("xdp")
int output(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	char copy[32];

	if (data + sizeof(copy) > data_end)
		return XDP_PASS;
	memcpy(copy, data, sizeof(copy));
	return bpf_ringbuf_output(&ring, copy, sizeof(copy), 0) ? XDP_ABORTED : XDP_TX;
}

SEC("xdp")
int dynptr(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data, back = 0;
	struct bpf_dynptr ptr;
	int verdict = XDP_ABORTED;

	if (!bpf_ringbuf_reserve_dynptr(&ring, 8, 0, &ptr) && !bpf_dynptr_write(&ptr, 4, &length, sizeof(length), 0) &&
	    !bpf_dynptr_read(&back, sizeof(back), &ptr, 4, 0))
		verdict = back == length ? XDP_PASS : XDP_DROP;
	bpf_ringbuf_submit_dynptr(&ptr, 0);
	return verdict;
}

SEC("xdp_samples")
int sample(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	__u64 flags = BPF_F_CURRENT_CPU;
	struct event header = {};
	__u16 taken;

	if (data >= data_end)
		return XDP_DROP;
	header.mark = 0x5ea;
	header.length = (__u16)(data_end - data);
	taken = min(header.length, MOST_BYTES);
	flags |= (__u64)taken << 32;
	/* Nobody reads it: -ENOENT. */
	return bpf_perf_event_output(ctx, &samples, flags, &header, sizeof(header)) == -2 ? XDP_PASS : XDP_TX;
}

SEC("tc")
int sample_skb(struct __sk_buff *skb)
{
	struct event header = { .mark = 1, .length = skb->len };

	bpf_perf_event_output(skb, &perf_all, ((__u64)skb->len << 32) | BPF_F_CURRENT_CPU, &header, sizeof(header));
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
