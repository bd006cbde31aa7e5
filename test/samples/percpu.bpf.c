/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Scratch memory that is too large for the stack, copies of other CPUs, an array of values of arrays. */
#include "sample.h"
#include "net.h"

struct heap {
	__u8 bytes[2048];
	__u32 used;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct heap));
} heap SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 4);
	__type(key, __u32);
	__type(value, __u64);
} per_queue SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__uint(map_flags, BPF_F_MMAPABLE);
	__type(key, __u32);
	__type(value, __u64[4]);
} sums SEC(".maps");

SEC("xdp")
int scratch(struct xdp_md *ctx)
{
	__u8 *data = XDP_DATA(ctx);
	__u32 zero = 0, length = 0;
	__u64 *sum;
	struct heap *h = bpf_map_lookup_elem(&heap, &zero);

	if (!h)
		return XDP_ABORTED;
	for (int i = 0; i < 128; i++) {
		if ((void *)(data + i + 1) > XDP_DATA_END(ctx))
			break;
		h->bytes[i & 2047] = data[i] ^ 0xff;
		length++;
	}
	h->used += length;
	zero = 1;
	sum = bpf_map_lookup_elem(&sums, &zero);
	if (sum)
		for (int i = 0; i < 4; i++)
			sum[i] += h->bytes[i * 7];
	return length == 128 ? XDP_TX : XDP_PASS;
}

SEC("xdp")
int other_cpus(struct xdp_md *ctx)
{
	__u32 queue = ctx->rx_queue_index, cpu = bpf_get_smp_processor_id();
	__u64 one = 1, *own, *again;

	own = bpf_map_lookup_elem(&per_queue, &queue);
	if (!own)
		return bpf_map_update_elem(&per_queue, &queue, &one, BPF_NOEXIST) ? XDP_ABORTED : XDP_PASS;
	*own += 1;
	again = bpf_map_lookup_percpu_elem(&per_queue, &queue, cpu);
	if (!again || *again != *own)
		return XDP_ABORTED;
	/* There is no such CPU. */
	return bpf_map_lookup_percpu_elem(&per_queue, &queue, 1 << 20) ? XDP_DROP : XDP_TX;
}

char _license[] SEC("license") = "GPL";
