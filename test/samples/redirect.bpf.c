/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Packets to interfaces, CPUs and sockets, through the maps of each and without. */
#include "sample.h"
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(key_size, sizeof(int));
	__uint(value_size, sizeof(int));
	__uint(max_entries, 100);
} ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct bpf_devmap_val));
	__uint(max_entries, 32);
} by_hash SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_CPUMAP);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct bpf_cpumap_val));
	__uint(max_entries, 4);
} cpus SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(key_size, sizeof(int));
	__uint(value_size, sizeof(int));
	__uint(max_entries, 64);
} sockets SEC(".maps");

SEC("xdp") int redirect_map(struct xdp_md *ctx) { return bpf_redirect_map(&ports, 0, 0); }
SEC("xdp") int redirect_missing(struct xdp_md *ctx) { return bpf_redirect_map(&ports, 9, XDP_PASS); }
SEC("xdp") int redirect_outside(struct xdp_md *ctx) { return bpf_redirect_map(&ports, 100, XDP_TX); }
SEC("xdp") int redirect_hash(struct xdp_md *ctx) { return bpf_redirect_map(&by_hash, 0x1234, XDP_DROP); }
SEC("xdp") int redirect_all(struct xdp_md *ctx)
{
	return bpf_redirect_map(&ports, 0, BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS);
}
SEC("xdp") int redirect_plain(struct xdp_md *ctx) { return bpf_redirect(1, 0); }

SEC("xdp")
int redirect_cpu(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct iphdr *iph = data + sizeof(struct ethhdr);
	__u32 cpu = 0;

	if ((void *)(iph + 1) <= data_end && iph->protocol == IPPROTO_UDP)
		cpu = 3;
	return bpf_redirect_map(&cpus, cpu, XDP_PASS);
}

SEC("xdp_sock")
int redirect_xsk(struct xdp_md *ctx)
{
	int index = ctx->rx_queue_index;

	if (bpf_map_lookup_elem(&sockets, &index))
		return bpf_redirect_map(&sockets, index, 0);
	return XDP_PASS;
}

SEC("xdp")
int look_first(struct xdp_md *ctx)
{
	int port = 3;
	__u32 interface = 9;
	struct bpf_devmap_val *target = bpf_map_lookup_elem(&by_hash, &interface);

	if (target && target->ifindex == 1)
		return bpf_redirect(target->ifindex, 0);
	return bpf_map_lookup_elem(&ports, &port) ? bpf_redirect_map(&ports, port, 0) : XDP_DROP;
}

SEC("xdp/devmap")
int egress(struct xdp_md *ctx)
{
	return ctx->egress_ifindex == ctx->ingress_ifindex ? XDP_DROP : XDP_PASS;
}

SEC("xdp/cpumap")
int on_cpu(struct xdp_md *ctx)
{
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
