/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A learning switch: which interface an address was seen on, and frames sent there, or to all. */
#include "sample.h"
#include "net.h"

struct mac_key {
	__u8 mac[ETH_ALEN];
	__u16 vlan;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 256);
	__type(key, struct mac_key);
	__type(value, __u32);
} fdb SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP_HASH);
	__uint(max_entries, 16);
	__type(key, __u32);
	__type(value, struct bpf_devmap_val);
} ports SEC(".maps");

SEC("xdp")
int bridge(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	__u32 port = ctx->ingress_ifindex, *known;
	struct mac_key key = {};
	struct ethhdr *eth = data;
	struct vlan_hdr *tag = (void *)(eth + 1);

	if ((void *)(eth + 1) > data_end)
		return XDP_DROP;
	if (eth->h_proto == bpf_htons(ETH_P_8021Q) && (void *)(tag + 1) <= data_end)
		key.vlan = bpf_ntohs(tag->h_vlan_TCI) & 0xfff;
	memcpy(key.mac, eth->h_source, ETH_ALEN);
	if (!(eth->h_source[0] & 1))
		bpf_map_update_elem(&fdb, &key, &port, BPF_ANY);
	memcpy(key.mac, eth->h_dest, ETH_ALEN);
	known = bpf_map_lookup_elem(&fdb, &key);
	if (!known)
		return bpf_redirect_map(&ports, 0, BPF_F_BROADCAST | BPF_F_EXCLUDE_INGRESS);
	if (*known == port)
		return XDP_DROP;
	return bpf_redirect_map(&ports, *known, XDP_PASS);
}

char _license[] SEC("license") = "GPL";
