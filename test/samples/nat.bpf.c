/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* TC: addresses and ports rewritten, with checksums replaced step by step, and back by what was remembered. */
#include "sample.h"
#include "net.h"

#define IP_CSUM (ETH_HLEN + offsetof(struct iphdr, check))
#define IP_DST (ETH_HLEN + offsetof(struct iphdr, daddr))
#define L4 (ETH_HLEN + (int)sizeof(struct iphdr))
#define TCP_CSUM (L4 + offsetof(struct tcphdr, check))
#define TCP_DPORT (L4 + offsetof(struct tcphdr, dest))
#define UDP_CSUM (L4 + offsetof(struct udphdr, check))

struct nat_key {
	__be32 addr;
	__be16 port;
	__u8 proto;
	__u8 pad;
};
struct nat_entry {
	__be32 to_addr;
	__be16 to_port;
	__u16 uses;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128);
	__type(key, struct nat_key);
	__type(value, struct nat_entry);
} nat_table SEC(".maps");

SEC("classifier/nat")
int nat(struct __sk_buff *skb)
{
	void *data = (void *)(long)skb->data, *data_end = (void *)(long)skb->data_end;
	struct iphdr *iph = data + ETH_HLEN;
	struct nat_key key = {};
	struct nat_entry *entry;
	__be32 old_addr, new_addr;
	__be16 old_port, new_port;

	if (skb->protocol != bpf_htons(ETH_P_IP) || (void *)(iph + 1) > data_end || iph->ihl != 5)
		return TC_ACT_OK;
	if (iph->protocol != IPPROTO_TCP || (void *)(iph + 1) + sizeof(struct tcphdr) > data_end)
		return TC_ACT_OK;
	key.addr = old_addr = iph->daddr;
	key.port = old_port = ((struct tcphdr *)(iph + 1))->dest;
	key.proto = iph->protocol;
	entry = bpf_map_lookup_elem(&nat_table, &key);
	if (!entry)
		return TC_ACT_PIPE;
	new_addr = entry->to_addr;
	new_port = entry->to_port;
	entry->uses++;
	if (bpf_l4_csum_replace(skb, TCP_CSUM, old_addr, new_addr, BPF_F_PSEUDO_HDR | sizeof(new_addr)) ||
	    bpf_l3_csum_replace(skb, IP_CSUM, old_addr, new_addr, sizeof(new_addr)) ||
	    bpf_skb_store_bytes(skb, IP_DST, &new_addr, sizeof(new_addr), 0) ||
	    bpf_l4_csum_replace(skb, TCP_CSUM, old_port, new_port, sizeof(new_port)) ||
	    bpf_skb_store_bytes(skb, TCP_DPORT, &new_port, sizeof(new_port), 0))
		return TC_ACT_SHOT;
	return TC_ACT_OK;
}

SEC("tc/egress")
int udp_dscp(struct __sk_buff *skb)
{
	__be16 old, new;
	__u8 header[2];

	if (skb->protocol != bpf_htons(ETH_P_IP))
		return TC_ACT_OK;
	if (bpf_skb_load_bytes(skb, ETH_HLEN, header, sizeof(header)))
		return TC_ACT_SHOT;
	memcpy(&old, header, 2);
	header[1] = (header[1] & 3) | 46 << 2;
	memcpy(&new, header, 2);
	bpf_l3_csum_replace(skb, IP_CSUM, old, new, 2);
	bpf_skb_store_bytes(skb, ETH_HLEN, header, sizeof(header), 0);
	/* A checksum of UDP that is 0 stays so. */
	return bpf_l4_csum_replace(skb, UDP_CSUM, bpf_htons(1), bpf_htons(2), BPF_F_MARK_MANGLED_0 | 2) ? TC_ACT_PIPE : TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
