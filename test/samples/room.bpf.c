/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* TC: room made and taken in the middle of a packet, tags, lengths, protocols. */
#include "sample.h"
#include "net.h"

SEC("tc")
int room_mac(struct __sk_buff *skb)
{
	__u8 zeros[8] = {};

	if (bpf_skb_adjust_room(skb, 8, BPF_ADJ_ROOM_MAC, 0))
		return TC_ACT_SHOT;
	bpf_skb_store_bytes(skb, sizeof(struct ethhdr), zeros, sizeof(zeros), 0);
	return TC_ACT_OK;
}

SEC("tc")
int room_net(struct __sk_buff *skb)
{
	return bpf_skb_adjust_room(skb, 4, BPF_ADJ_ROOM_NET, 0) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int encap_ipip(struct __sk_buff *skb)
{
	struct iphdr outer = { .version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_IPIP };

	if (skb->protocol != bpf_htons(ETH_P_IP))
		return TC_ACT_OK;
	outer.tot_len = bpf_htons(skb->len - ETH_HLEN + sizeof(outer));
	if (bpf_skb_adjust_room(skb, sizeof(outer), BPF_ADJ_ROOM_MAC, BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4))
		return TC_ACT_SHOT;
	if (bpf_skb_store_bytes(skb, ETH_HLEN, &outer, sizeof(outer), BPF_F_INVALIDATE_HASH))
		return TC_ACT_SHOT;
	return TC_ACT_PIPE;
}

SEC("tc")
int shrink(struct __sk_buff *skb)
{
	return bpf_skb_adjust_room(skb, -8, BPF_ADJ_ROOM_MAC, 0) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int vlan_push(struct __sk_buff *skb)
{
	if (bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 0x2abc))
		return TC_ACT_SHOT;
	return skb->vlan_present && skb->vlan_tci == 0x2abc ? TC_ACT_OK : TC_ACT_STOLEN;
}

SEC("tc")
int vlan_pop(struct __sk_buff *skb)
{
	if (!skb->vlan_present)
		return TC_ACT_PIPE;
	return bpf_skb_vlan_pop(skb) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int change_tail(struct __sk_buff *skb)
{
	__u32 length = skb->len;

	if (bpf_skb_change_tail(skb, length & 1 ? length + 7 : 50, 0))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

SEC("tc")
int change_head(struct __sk_buff *skb)
{
	__u8 mac[ETH_HLEN] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 0x08, 0x00 };

	if (bpf_skb_change_head(skb, sizeof(mac), 0))
		return TC_ACT_SHOT;
	return bpf_skb_store_bytes(skb, 0, mac, sizeof(mac), 0) ? TC_ACT_SHOT : TC_ACT_OK;
}

SEC("tc")
int change_proto(struct __sk_buff *skb)
{
	if (skb->protocol == bpf_htons(ETH_P_IP) && !bpf_skb_change_proto(skb, bpf_htons(ETH_P_IPV6), 0))
		return TC_ACT_PIPE;
	return bpf_skb_change_type(skb, 3) ? TC_ACT_OK : TC_ACT_RECLASSIFY;
}

SEC("tc")
int ecn(struct __sk_buff *skb)
{
	return bpf_skb_ecn_set_ce(skb) ? TC_ACT_PIPE : TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
