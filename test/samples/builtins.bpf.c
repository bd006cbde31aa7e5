/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What the compiler makes of its builtins: copies, comparisons, byte orders, counts of bits. */
#include "sample.h"
#include "net.h"

struct blob {
	__u8 bytes[48];
	__u64 tail;
};
struct result {
	struct blob copy;
	__u64 counts[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct result);
} results SEC(".maps");

static const __u8 wanted[6] = { 0x02, 0xaa, 0xbb, 0xcc, 0xdd, 0xee };

SEC("xdp")
int builtins(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct blob blob;
	struct result *result;
	__u32 zero = 0;
	__u64 word;

	if (data + 54 > data_end)
		return XDP_PASS;
	__builtin_memset(&blob, 0xa5, sizeof(blob));
	__builtin_memcpy(blob.bytes, data, sizeof(blob.bytes));
	__builtin_memmove(blob.bytes + 4, blob.bytes, 16);
	memcpy(&word, data + 14, 8);
	result = bpf_map_lookup_elem(&results, &zero);
	if (!result)
		return XDP_ABORTED;
	result->copy = blob;
	result->counts[0] += __builtin_popcountll(word);
	result->counts[1] = __builtin_bswap64(word);
	result->counts[2] = __builtin_bswap32(word) + __builtin_bswap16(word >> 32);
	result->counts[3] = word ? __builtin_ctzll(word) : 64;
	result->counts[4] = word ? __builtin_clzll(word) : 64;
	result->counts[5] = bpf_cpu_to_be64(word);
	result->counts[6] = __builtin_memcmp(data, data + 6, 6) == 0;
	result->counts[7] = (__s64)word >> 7;
	return memcmp(data, wanted, sizeof(wanted)) == 0 ? XDP_TX : XDP_DROP;
}

char _license[] SEC("license") = "GPL";
