/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A token bucket for each source, by the clock. */
#include "sample.h"
#include "net.h"

#define NSEC_PER_SEC 1000000000ULL

const volatile __u64 rate = 100;
const volatile __u64 burst = 3;

struct bucket {
	__u64 tokens;
	__u64 last_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, __be32);
	__type(value, struct bucket);
} buckets SEC(".maps");

SEC("xdp")
int limit(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct iphdr *iph = data + sizeof(struct ethhdr);
	__u64 now = bpf_ktime_get_ns(), elapsed, earned;
	struct bucket *bucket;
	__be32 source;

	if ((void *)(iph + 1) > data_end || iph->version != 4)
		return XDP_PASS;
	source = iph->saddr;
	bucket = bpf_map_lookup_elem(&buckets, &source);
	if (!bucket) {
		struct bucket first = { burst - 1, now };

		bpf_map_update_elem(&buckets, &source, &first, BPF_ANY);
		return XDP_PASS;
	}
	elapsed = now - bucket->last_ns;
	/* Nothing is earned by packets that come within a moment: verdicts do not depend on how fast the machine is. */
	earned = elapsed < NSEC_PER_SEC * 60 ? 0 : elapsed / (NSEC_PER_SEC / rate);
	bucket->tokens = bucket->tokens + earned > burst ? burst : bucket->tokens + earned;
	bucket->last_ns = now;
	if (bucket->tokens == 0)
		return XDP_DROP;
	bucket->tokens--;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
