/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A ring that nobody reads: it fills, and what is thrown away takes room too. */
#include "sample.h"

struct record {
	__u8 bytes[300];
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

__u64 positions[4];
__u32 dropped;

SEC("xdp")
int fills(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data;
	struct record *record = bpf_ringbuf_reserve(&ring, sizeof(*record), 0);

	/* Available data, the consumer's and the producer's position. */
	positions[0] = bpf_ringbuf_query(&ring, 0);
	positions[2] = bpf_ringbuf_query(&ring, 2);
	positions[3] = bpf_ringbuf_query(&ring, 3);
	if (!record) {
		dropped++;
		return XDP_DROP;
	}
	record->bytes[0] = length;
	if (length & 1)
		bpf_ringbuf_discard(record, 1);
	else
		bpf_ringbuf_submit(record, 2);
	return XDP_PASS;
}

SEC("xdp")
int too_large(struct xdp_md *ctx)
{
	void *whole = bpf_ringbuf_reserve(&ring, 4096, 0);

	if (whole) {
		bpf_ringbuf_discard(whole, 0);
		return XDP_DROP;
	}
	whole = bpf_ringbuf_reserve(&ring, 4088, 0);
	if (!whole)
		return XDP_TX;
	bpf_ringbuf_discard(whole, 0);
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
