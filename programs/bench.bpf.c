// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The balancer under a wrapper that puts the frame back as it was, so that one frame can be run millions of
 * times in place: BPF_PROG_TEST_RUN hands the next run what the last one left. All engines pay for it alike.
 */
#include "balancer.bpf.c"

/* Each run is a connection that was not there before: the wrapper changes the client's address. */
struct bench_control {
	__u32 new_connections;
	__u32 runs;
	/* Clients before the first comes again; 0: each is new. */
	__u32 clients;
};

struct {
	__uint(type, MAP_TYPE_ARRAY);
	__type(key, __u32);
	__type(value, struct bench_control);
	__uint(max_entries, 1);
} bench_control SEC(".maps");

SEC("xdp")
int bench_ingress(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *data_end = (void *)(long)ctx->data_end;
	struct ethernet_header *ethernet = data;
	struct ipv4_header *ip = data + ETHERNET_BYTES;
	struct ethernet_header kept;
	__u32 zero = 0;
	struct bench_control *control = bpf_map_lookup_elem(&bench_control, &zero);
	int verdict, growth;

	if (!control || data + ETHERNET_BYTES + IPV4_BYTES > data_end)
		return XDP_ABORTED;
	if (control->new_connections) {
		control->runs += 1;
		if (control->clients && control->runs > control->clients)
			control->runs = 1;
		ip->src = control->runs;
	}
	kept = *ethernet;

	verdict = balancer_ingress(ctx);
	if (verdict != XDP_TX)
		return verdict;

	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	ethernet = data;
	if (data + ETHERNET_BYTES > data_end)
		return XDP_ABORTED;
	growth = ethernet->type == ETHERTYPE_IPV4 ? IPV4_BYTES : IPV6_BYTES;
	if (bpf_xdp_adjust_head(ctx, growth))
		return XDP_ABORTED;
	data = (void *)(long)ctx->data;
	data_end = (void *)(long)ctx->data_end;
	ethernet = data;
	if (data + ETHERNET_BYTES > data_end)
		return XDP_ABORTED;
	put_macs(ethernet, &kept);
	ethernet->type = kept.type;
	return verdict;
}
