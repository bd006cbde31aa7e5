/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Maps in sections of their own, with room for a namespace. */
#include "sample.h"

struct bpf_map_def {
	unsigned int type;
	unsigned int key_size;
	unsigned int value_size;
	unsigned int max_entries;
	unsigned int map_flags;
	unsigned int pinning;
	char namespace[256];
};

struct bpf_map_def SEC("maps/counter") counter = {
	.type = BPF_MAP_TYPE_HASH,
	.key_size = 4,
	.value_size = 8,
	.max_entries = 32,
	.namespace = "waggle",
};
struct bpf_map_def SEC("maps/last") last = { BPF_MAP_TYPE_ARRAY, 4, 4, 1 };

SEC("xdp")
int counts(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data, zero = 0;
	__u64 one = 1;

	bpf_map_update_elem(&last, &zero, &length, BPF_ANY);
	return bpf_map_update_elem(&counter, &length, &one, BPF_NOEXIST) == -17 ? XDP_DROP : XDP_PASS;
}

char _license[] SEC("license") = "GPL";
__u32 _version SEC("version") = 0xFFFFFFFE;
