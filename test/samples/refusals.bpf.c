/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What helpers answer to arguments that they do not take: each result is kept. */
#include "sample.h"
#include "net.h"

struct {
	__uint(type, BPF_MAP_TYPE_DEVMAP);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} ring SEC(".maps");

__s64 results[48];

#define KEEP(call) results[n++] = (call)

SEC("xdp")
int of_xdp(struct xdp_md *ctx)
{
	__u8 bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	char buffer[8] = "xyz";
	__u64 args[1] = { 42 };
	long number = 9;
	int n = 0;

	KEEP(bpf_xdp_adjust_head(ctx, 10000));
	KEEP(bpf_xdp_adjust_head(ctx, -257));
	KEEP(bpf_xdp_adjust_meta(ctx, -4));
	KEEP(bpf_xdp_adjust_meta(ctx, -2));
	KEEP(bpf_xdp_adjust_meta(ctx, -1000));
	KEEP(bpf_xdp_adjust_meta(ctx, 8));
	KEEP(bpf_xdp_adjust_tail(ctx, 1 << 20));
	KEEP(bpf_xdp_adjust_tail(ctx, -100000));
	KEEP(bpf_xdp_load_bytes(ctx, 0xffff, bytes, 8));
	KEEP(bpf_xdp_load_bytes(ctx, -1, bytes, 4));
	KEEP(bpf_xdp_store_bytes(ctx, 100000, bytes, 8));
	KEEP(bpf_csum_diff((void *)bytes, 8, NULL, 0, 0));
	KEEP(bpf_csum_diff(NULL, 0, (void *)bytes, 8, 0xffff));
	KEEP(bpf_csum_diff((void *)bytes, 4, (void *)(bytes + 4), 4, 0xfffffff0));
	KEEP(bpf_redirect(1, 7));
	KEEP(bpf_redirect_map(&ports, 0, 7));
	KEEP(bpf_redirect_map(&ports, 5, XDP_TX));
	KEEP(bpf_redirect_map(&ports, 0, 1 << 10));
	KEEP(bpf_strtol("zz", 2, 0, &number));
	KEEP(bpf_strtol("12", 2, 7, &number));
	KEEP(bpf_strtol("99999999999999999999", 20, 10, &number));
	KEEP(bpf_strtoul("-5", 2, 10, (void *)&number));
	KEEP(bpf_strtol("  \t+077x", 8, 0, &number));
	KEEP(number);
	KEEP(bpf_snprintf(buffer, 4, "%d!!!", args, 8));
	KEEP(bpf_snprintf(NULL, 0, "%d!!!", args, 8));
	KEEP((__s64)(__u8)buffer[0] << 16 | (__u8)buffer[2] << 8 | (__u8)buffer[3]);
	KEEP(bpf_ringbuf_output(&ring, bytes, 8, 1 << 5));
	KEEP(bpf_ringbuf_query(&ring, 99));
	KEEP(bpf_ringbuf_query(&ring, 0));
	KEEP(bpf_check_mtu(ctx, 0, (void *)bytes, 0, 1));
	KEEP(bpf_strncmp(buffer, 8, "4"));
	return XDP_PASS;
}

SEC("tc")
int of_skb(struct __sk_buff *skb)
{
	__u8 bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	int n = 0;

	KEEP(bpf_skb_store_bytes(skb, 0xffff, bytes, 8, 0));
	KEEP(bpf_skb_store_bytes(skb, 0x10000, bytes, 8, 0));
	KEEP(bpf_skb_store_bytes(skb, 0, bytes, 8, 1 << 9));
	KEEP(bpf_skb_load_bytes(skb, 0xfff0, bytes, 8));
	KEEP(bpf_skb_load_bytes_relative(skb, 0, bytes, 4, 7));
	KEEP(bpf_skb_load_bytes_relative(skb, 5000, bytes, 4, BPF_HDR_START_NET));
	KEEP(bpf_l3_csum_replace(skb, 25, 1, 2, 2));
	KEEP(bpf_l3_csum_replace(skb, 24, 1, 2, 3));
	KEEP(bpf_l3_csum_replace(skb, 0xffff0, 1, 2, 2));
	KEEP(bpf_l3_csum_replace(skb, 24, 1, 2, 1 << 8));
	KEEP(bpf_l4_csum_replace(skb, 36, 0, 0x1234, 0));
	KEEP(bpf_l4_csum_replace(skb, 37, 1, 2, 2));
	KEEP(bpf_l4_csum_replace(skb, 36, 1, 2, 1 << 12));
	KEEP(bpf_skb_change_tail(skb, 1, 0));
	KEEP(bpf_skb_change_tail(skb, 100000, 0));
	KEEP(bpf_skb_change_tail(skb, 100, 1));
	KEEP(bpf_skb_change_head(skb, 100000, 0));
	KEEP(bpf_skb_change_head(skb, 0, 1));
	KEEP(bpf_skb_change_proto(skb, bpf_htons(0x1234), 0));
	KEEP(bpf_skb_change_type(skb, 9));
	KEEP(bpf_skb_adjust_room(skb, 1 << 20, BPF_ADJ_ROOM_MAC, 0));
	KEEP(bpf_skb_adjust_room(skb, 4, 9, 0));
	KEEP(bpf_skb_adjust_room(skb, -4000, BPF_ADJ_ROOM_MAC, 0));
	KEEP(bpf_skb_adjust_room(skb, 4, BPF_ADJ_ROOM_MAC, 1ULL << 40));
	KEEP(bpf_skb_pull_data(skb, 100000));
	KEEP(bpf_skb_pull_data(skb, 0));
	KEEP(bpf_csum_level(skb, 9));
	KEEP(bpf_csum_level(skb, 0));
	KEEP(bpf_redirect(1, 1 << 3));
	KEEP(skb->len);
	return TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
