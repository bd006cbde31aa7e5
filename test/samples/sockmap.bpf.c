/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A map of sockets beside an XDP program. */
#include "sample.h"

struct {
	__uint(type, BPF_MAP_TYPE_SOCKHASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, __u64);
} sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} passed SEC(".maps");

SEC("sockops")
int remember(void *ops)
{
	__u32 key = 1;

	return bpf_sock_map_update(ops, &sockets, &key, BPF_ANY);
}

SEC("sk_msg")
int redirect(void *msg)
{
	__u32 key = 1;

	return bpf_msg_redirect_hash(msg, &sockets, &key, BPF_F_INGRESS);
}

SEC("xdp")
int pass(struct xdp_md *ctx)
{
	__u32 zero = 0, *count = bpf_map_lookup_elem(&passed, &zero);

	if (count)
		*count += 1;
	return XDP_PASS;
}

SEC("tc")
int is_known(struct __sk_buff *skb)
{
	__u32 key = 1;

	return bpf_map_delete_elem(&sockets, &key) ? TC_ACT_OK : TC_ACT_SHOT;
}

char _license[] SEC("license") = "GPL";
