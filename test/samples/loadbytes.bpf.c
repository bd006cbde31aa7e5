/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Bytes of the packet by offset, through helpers. */
#include "sample.h"
#include "net.h"

SEC("xdp.frags")
int load_store(struct xdp_md *ctx)
{
	__u64 length = bpf_xdp_get_buff_len(ctx);
	__u8 mac[12], swapped[12];

	if (bpf_xdp_load_bytes(ctx, 0, mac, sizeof(mac)))
		return XDP_ABORTED;
	memcpy(swapped, mac + 6, 6);
	memcpy(swapped + 6, mac, 6);
	if (bpf_xdp_store_bytes(ctx, 0, swapped, sizeof(swapped)))
		return XDP_ABORTED;
	/* One byte too far. */
	if (bpf_xdp_load_bytes(ctx, length - 11, mac, sizeof(mac)) != -22)
		return XDP_DROP;
	return XDP_TX;
}

SEC("tc")
int skb_load_store(struct __sk_buff *skb)
{
	struct ethhdr eth;
	struct iphdr iph;
	__u8 port[2];

	if (bpf_skb_load_bytes(skb, 0, &eth, sizeof(eth)) < 0)
		return TC_ACT_SHOT;
	if (eth.h_proto != bpf_htons(ETH_P_IP))
		return TC_ACT_OK;
	if (bpf_skb_load_bytes_relative(skb, 0, &iph, sizeof(iph), BPF_HDR_START_NET))
		return TC_ACT_SHOT;
	if (bpf_skb_load_bytes(skb, sizeof(eth) + iph.ihl * 4 + 2, port, sizeof(port)))
		return TC_ACT_PIPE;
	port[0] ^= 1;
	bpf_skb_store_bytes(skb, sizeof(eth) + iph.ihl * 4 + 2, port, sizeof(port), BPF_F_RECOMPUTE_CSUM);
	return port[1];
}

char _license[] SEC("license") = "GPL";
