/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* TC: departure times, lengths on the wire, and what only the kernel knows of a packet. */
#include "sample.h"
#include "net.h"

static long (*const bpf_skb_get_tunnel_key)(struct __sk_buff *skb, void *key, __u32 size, __u64 flags) HELPER(20);
static __u32 (*const bpf_get_cgroup_classid)(struct __sk_buff *skb) HELPER(17);
static __u32 (*const bpf_get_route_realm)(struct __sk_buff *skb) HELPER(24);
static __u64 (*const bpf_get_socket_cookie)(void *ctx) HELPER(46);
static long (*const bpf_skb_set_tstamp)(struct __sk_buff *skb, __u64 tstamp, __u32 type) HELPER(192);

struct flow_state {
	__u64 last;
	__u64 bytes;
};
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct flow_state);
} flows SEC(".maps");

SEC("tc")
int pace(struct __sk_buff *skb)
{
	struct flow_state first = {}, *state;
	__u32 key = skb->protocol;
	__u64 delay;

	state = bpf_map_lookup_elem(&flows, &key);
	if (!state) {
		bpf_map_update_elem(&flows, &key, &first, BPF_ANY);
		return TC_ACT_OK;
	}
	delay = (__u64)skb->wire_len * 1000000000 / (1 << 20);
	state->last += delay;
	state->bytes += skb->wire_len;
	if (skb->tstamp < state->last)
		skb->tstamp = state->last;
	return skb->tstamp == state->last ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("tc")
int stamp(struct __sk_buff *skb)
{
	return bpf_skb_set_tstamp(skb, 1000, 1) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int tunnel(struct __sk_buff *skb)
{
	__u32 key[4] = {};

	return bpf_skb_get_tunnel_key(skb, key, sizeof(key), 0) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int class(struct __sk_buff *skb)
{
	return bpf_get_cgroup_classid(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int realm(struct __sk_buff *skb)
{
	return bpf_get_route_realm(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int socket(struct __sk_buff *skb)
{
	return bpf_get_socket_cookie(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
