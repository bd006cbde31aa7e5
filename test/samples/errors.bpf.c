/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What maps answer to what they cannot do: each result is kept. */
#include "sample.h"
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} hash SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 2);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} sparse SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} percpu SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} array SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, 2);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(key_size, 8);
	__uint(value_size, 4);
} trie SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_QUEUE);
	__uint(max_entries, 2);
	__type(value, __u32);
} queue SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 2);
	__type(value, __u32);
} stack SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_BLOOM_FILTER);
	__uint(max_entries, 10);
	__type(value, __u32);
} bloom SEC(".maps");

int results[64];

#define KEEP(call) results[n++] = (call)

SEC("xdp")
int hashes(struct xdp_md *ctx)
{
	__u32 key = 1, other = 2, third = 3, value = 7;
	int n = 0;

#define ON(map) do { \
	KEEP(bpf_map_delete_elem(&map, &key)); \
	KEEP(bpf_map_update_elem(&map, &key, &value, BPF_EXIST)); \
	KEEP(bpf_map_update_elem(&map, &key, &value, BPF_NOEXIST)); \
	KEEP(bpf_map_update_elem(&map, &key, &value, BPF_NOEXIST)); \
	KEEP(bpf_map_update_elem(&map, &key, &value, 3)); \
	KEEP(bpf_map_update_elem(&map, &key, &value, BPF_F_LOCK)); \
	KEEP(bpf_map_update_elem(&map, &key, &value, 1ULL << 32)); \
	KEEP(bpf_map_update_elem(&map, &other, &value, BPF_ANY)); \
	KEEP(bpf_map_update_elem(&map, &third, &value, BPF_ANY)); \
	KEEP(bpf_map_update_elem(&map, &other, &value, BPF_EXIST)); \
	KEEP(bpf_map_delete_elem(&map, &other)); \
	KEEP(bpf_map_delete_elem(&map, &third)); \
} while (0)
	ON(hash);
	ON(sparse);
	ON(percpu);
	KEEP(bpf_map_update_elem(&array, &key, &value, BPF_NOEXIST));
	KEEP(bpf_map_update_elem(&array, &key, &value, BPF_EXIST));
	KEEP(bpf_map_update_elem(&array, &third, &value, BPF_ANY));
	KEEP(bpf_map_update_elem(&array, &key, &value, 99));
	KEEP(bpf_map_delete_elem(&array, &key));
	KEEP(bpf_map_delete_elem(&array, &third));
	KEEP(bpf_map_lookup_elem(&array, &other) == NULL);
	return XDP_PASS;
}

SEC("xdp")
int others(struct xdp_md *ctx)
{
	struct {
		__u32 bits, address;
	} wide = { 33, 1 }, one = { 8, 10 }, two = { 16, 10 }, three = { 24, 10 }, root = {};
	__u32 value = 5, out = 0;
	int n = 0;

	KEEP(bpf_map_update_elem(&trie, &wide, &value, BPF_ANY));
	KEEP(bpf_map_lookup_elem(&trie, &wide) == NULL);
	KEEP(bpf_map_delete_elem(&trie, &wide));
	KEEP(bpf_map_update_elem(&trie, &one, &value, BPF_EXIST));
	KEEP(bpf_map_update_elem(&trie, &one, &value, BPF_NOEXIST));
	KEEP(bpf_map_update_elem(&trie, &one, &value, BPF_NOEXIST));
	KEEP(bpf_map_update_elem(&trie, &one, &value, 7));
	KEEP(bpf_map_update_elem(&trie, &two, &value, BPF_ANY));
	KEEP(bpf_map_update_elem(&trie, &three, &value, BPF_ANY));
	KEEP(bpf_map_delete_elem(&trie, &three));
	KEEP(bpf_map_delete_elem(&trie, &two));
	KEEP(bpf_map_update_elem(&trie, &root, &value, BPF_ANY));
	KEEP(bpf_map_delete_elem(&trie, &root));
	KEEP(bpf_map_pop_elem(&queue, &out));
	KEEP(bpf_map_peek_elem(&queue, &out));
	KEEP(bpf_map_push_elem(&queue, &value, BPF_NOEXIST));
	KEEP(bpf_map_push_elem(&queue, &value, BPF_ANY));
	KEEP(bpf_map_push_elem(&queue, &value, BPF_ANY));
	KEEP(bpf_map_push_elem(&queue, &value, BPF_ANY));
	KEEP(bpf_map_push_elem(&queue, &value, BPF_EXIST));
	KEEP(bpf_map_pop_elem(&queue, &out));
	KEEP(out);
	KEEP(bpf_map_push_elem(&stack, &value, BPF_EXIST));
	KEEP(bpf_map_push_elem(&stack, &value, 4));
	KEEP(bpf_map_peek_elem(&stack, &out));
	KEEP(bpf_map_pop_elem(&stack, &out));
	KEEP(bpf_map_pop_elem(&stack, &out));
	KEEP(bpf_map_peek_elem(&bloom, &value));
	KEEP(bpf_map_push_elem(&bloom, &value, BPF_NOEXIST));
	KEEP(bpf_map_push_elem(&bloom, &value, BPF_ANY));
	KEEP(bpf_map_peek_elem(&bloom, &value));
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
