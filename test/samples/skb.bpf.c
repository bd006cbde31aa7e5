/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* TC: fields of the socket buffer read and written, direct access to the packet, data pulled. */
#include "sample.h"
#include "net.h"

struct seen {
	__u32 len, pkt_type, protocol, vlan_present, vlan_tci, vlan_proto, ingress_ifindex, ifindex, hash, gso_segs, gso_size, wire_len;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 64);
	__type(key, __u32);
	__type(value, struct seen);
} seen SEC(".maps");

__u32 number;

SEC("tc")
int fields(struct __sk_buff *skb)
{
	struct seen now = {
		skb->len, skb->pkt_type, skb->protocol, skb->vlan_present, skb->vlan_tci, skb->vlan_proto,
		skb->ingress_ifindex, skb->ifindex, skb->hash, skb->gso_segs, skb->gso_size, skb->wire_len,
	};
	__u32 key = number++;

	bpf_map_update_elem(&seen, &key, &now, BPF_ANY);
	skb->mark = 0x11;
	skb->mark |= 0xf00;
	skb->priority = skb->len;
	skb->tc_index = 3;
	skb->tc_classid = 0x10001;
	WRITE_ONCE(skb->queue_mapping, 2);
	skb->cb[0] = 1;
	skb->cb[4] = skb->cb[0] + skb->mark;
	return skb->cb[4] == 0xf12 && skb->priority == skb->len ? TC_ACT_OK : TC_ACT_SHOT;
}

SEC("tcx/ingress")
int narrow(struct __sk_buff *skb)
{
	__u8 *cb = (__u8 *)&skb->cb[1];
	__u16 low = *(__u16 *)&skb->mark;

	skb->cb[1] = 0x04030201;
	return cb[2] == 3 && low == 0 ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}

SEC("classifier")
int direct(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	struct ethhdr *eth = data;
	struct iphdr *iph = data + sizeof(*eth);

	if ((void *)(iph + 1) > data_end) {
		if (bpf_skb_pull_data(skb, sizeof(*eth) + sizeof(*iph)))
			return TC_ACT_SHOT;
		data = (void *)(long)skb->data;
		data_end = (void *)(long)skb->data_end;
		eth = data;
		iph = data + sizeof(*eth);
		if ((void *)(iph + 1) > data_end)
			return TC_ACT_SHOT;
	}
	if (eth->h_proto != bpf_htons(ETH_P_IP))
		return TC_ACT_OK;
	iph->tos |= 0x28;
	bpf_set_hash_invalid(skb);
	return iph->protocol;
}

char _license[] SEC("license") = "GPL";
