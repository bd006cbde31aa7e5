/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Several programs in several sections, static and global sub-programs, data sections. */
#include "bpf.h"

struct flow {
	__u32 address;
	union {
		__u32 ports;
		__u16 port[2];
	};
	__u8 protocol;
	__u8 kind : 3;
	__u8 spare : 5;
	__u16 pad;
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, MAP_LRU_HASH);
	__uint(max_entries, 1024);
	__type(key, struct flow);
	__type(value, __u32);
} flows SEC(".maps");

struct {
	__uint(type, MAP_PERCPU_ARRAY);
	__uint(max_entries, 4);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct counter));
	__uint(pinning, 1);
} counters SEC(".maps");

struct {
	__uint(type, MAP_HASH);
	__uint(max_entries, 8);
	__uint(map_flags, 1);
	__type(key, __u64);
	__type(value, struct counter);
} unused SEC(".maps");

const volatile __u32 limit = 64;
static volatile const __u16 weights[4] = {10, 20, 30, 40};
__u64 seen = 7;
static volatile __u32 calls;

static NOINLINE int count(__u32 slot, __u64 bytes)
{
	struct counter *counter = bpf_map_lookup_elem(&counters, &slot);
	if (!counter)
		return -1;
	counter->packets++;
	counter->bytes += bytes;
	calls++;
	return 0;
}

/* Global: reached from two sections, and itself calls a static one. */
NOINLINE int classify(struct xdp_md *ctx)
{
	__u64 bytes = ctx->data_end - ctx->data;
	count(bytes > limit, bytes);
	return bytes > limit ? TX : PASS;
}

SEC("xdp")
int first(struct xdp_md *ctx)
{
	seen++;
	return classify(ctx);
}

SEC("xdp")
int second(struct xdp_md *ctx)
{
	struct flow flow = {.address = ctx->ingress_ifindex, .protocol = 6, .kind = 1};
	__u32 *value = bpf_map_lookup_elem(&flows, &flow);
	return value ? weights[*value & 3] : DROP;
}

SEC("xdp/named")
int third(struct xdp_md *ctx)
{
	return classify(ctx) == TX ? DROP : PASS;
}

SEC("tc")
int shaper(struct xdp_md *ctx)
{
	return weights[1];
}

SEC("sensor")
int other(void *ctx)
{
	return 0;
}

char _license[] SEC("license") = "Dual BSD/GPL";
