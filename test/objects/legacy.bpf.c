/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps and programs as before BTF: iproute2's ids, programs in sections of id and slot, static entry functions. */
#include "bpf.h"

struct bpf_elf_map {
	__u32 type, size_key, size_value, max_elem, flags, id, pinning, inner_id, inner_idx;
};

struct bpf_elf_map SEC("maps") jumps = { .type = 3, .size_key = 4, .size_value = 4, .max_elem = 4, .id = 9 };
struct bpf_elf_map SEC("maps") outer = {
	.type = MAP_ARRAY_OF_MAPS, .size_key = 4, .size_value = 4, .max_elem = 2, .inner_id = 7, .inner_idx = -1,
};
struct bpf_elf_map SEC("maps") inner = {
	.type = MAP_ARRAY, .size_key = 4, .size_value = 8, .max_elem = 1, .id = 7, .inner_idx = 1, .pinning = 2,
};

static long (*const bpf_tail_call)(void *ctx, void *map, __u32 index) = (void *)12;

SEC("classifier/first")
static int first(void *ctx)
{
	__u32 key = 1;
	void *in = bpf_map_lookup_elem(&outer, &key);

	if (in)
		bpf_tail_call(ctx, &jumps, 2);
	return 0;
}

SEC("9/2")
int second(void *ctx)
{
	__u32 key = 0;
	__u64 *count = bpf_map_lookup_elem(&inner, &key);

	return count ? *count : 0;
}

char _license[] SEC("license") = "GPL";
