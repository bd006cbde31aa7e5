/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Atomic operations of both widths, with and without what was there before. */
#include "sample.h"

struct cell {
	__u64 wide;
	__u32 narrow;
	__u32 other;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cell);
} cells SEC(".maps");

__u64 before[8];

SEC("xdp")
int atomics(struct xdp_md *ctx)
{
	__u32 zero = 0, length = ctx->data_end - ctx->data;
	struct cell *cell = bpf_map_lookup_elem(&cells, &zero);

	if (!cell)
		return XDP_ABORTED;
	__sync_fetch_and_add(&cell->wide, length);
	__sync_fetch_and_add(&cell->narrow, length);
	before[0] = __sync_fetch_and_add(&cell->wide, 0x100000001ULL);
	before[1] = __sync_fetch_and_or(&cell->wide, 0xf0);
	before[2] = __sync_fetch_and_and(&cell->wide, ~0x10ULL);
	before[3] = __sync_fetch_and_xor(&cell->narrow, 0xffff0000);
	before[4] = __sync_lock_test_and_set(&cell->other, length);
	before[5] = __sync_val_compare_and_swap(&cell->other, length, 7);
	before[6] = __sync_val_compare_and_swap(&cell->wide, 1, 2);
	before[7] = __sync_fetch_and_sub(&cell->narrow, 3);
	return before[5] == length ? XDP_PASS : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
