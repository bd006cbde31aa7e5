/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Bounds: every way in which programs tell that a number is small enough. */
#include "sample.h"
#include "net.h"

#define MAX 128

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u8[256]);
} buffers SEC(".maps");
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 65536);
} ring SEC(".maps");

__u32 table[16];
__u64 kept;

SEC("xdp")
int tcp_options(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct iphdr *iph = data + sizeof(struct ethhdr);
	struct tcphdr *tcp;
	__u8 *option, *end;
	__u32 length;

	if ((void *)(iph + 1) > data_end || iph->version != 4 || iph->ihl < 5)
		return XDP_PASS;
	tcp = (void *)iph + iph->ihl * 4;
	if ((void *)(tcp + 1) > data_end)
		return XDP_DROP;
	length = tcp->doff * 4;
	if (length < sizeof(*tcp))
		return XDP_ABORTED;
	option = (void *)(tcp + 1);
	end = (void *)tcp + length;
	for (int i = 0; i < 10; i++) {
		if (option >= end || (void *)(option + 1) > data_end || *option == 0)
			break;
		if (*option == 1) {
			option++;
			continue;
		}
		if ((void *)(option + 2) > data_end || option[1] < 2)
			return XDP_DROP;
		kept += *option;
		option += option[1];
	}
	return XDP_PASS;
}

SEC("xdp")
int clamped(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data, zero = 0;
	__u8 *buffer = bpf_map_lookup_elem(&buffers, &zero);

	if (!buffer)
		return XDP_ABORTED;
	if (length > MAX)
		length = MAX;
	if (length < 1)
		return XDP_DROP;
	if (bpf_xdp_load_bytes(ctx, 0, buffer, length))
		return XDP_ABORTED;
	bpf_ringbuf_output(&ring, buffer, length, 0);
	return buffer[length - 1] & 3;
}

SEC("xdp")
int masked(struct xdp_md *ctx)
{
	__u8 *data = XDP_DATA(ctx), copy[64] = {};
	void *data_end = XDP_DATA_END(ctx);
	__u32 offset, zero = 0;
	__u8 *buffer = bpf_map_lookup_elem(&buffers, &zero);

	if (!buffer || (void *)(data + 40) > data_end)
		return XDP_PASS;
	offset = data[21] & 63;
	copy[offset] = data[22];
	buffer[(offset << 2) + (offset & 3)] += copy[(offset * 7) & 63];
	buffer[data[23]] ^= 1;
	data += (data[24] & 0x3f) + 14;
	if ((void *)(data + 4) > data_end)
		return XDP_DROP;
	kept += *(__u16 *)(data + 2);
	return copy[63 - offset] ? XDP_TX : XDP_PASS;
}

SEC("xdp")
int is_signed(struct xdp_md *ctx)
{
	__s8 *data = XDP_DATA(ctx);
	int index, other;
	long wide;

	if ((void *)(data + 40) > XDP_DATA_END(ctx))
		return XDP_PASS;
	index = data[20] - 5;
	if (index >= 0 && index < 16)
		table[index]++;
	other = data[30];
	if (other > -8 && other <= 7)
		table[other + 8] += 2;
	wide = (long)data[33] * 2;
	if (wide < 0)
		wide = -wide;
	if (wide > 15)
		return XDP_DROP;
	table[wide]++;
	return XDP_TX;
}

SEC("xdp")
int related(struct xdp_md *ctx)
{
	__u8 *data = XDP_DATA(ctx);
	__u64 number;
	__u32 copy, half;

	if ((void *)(data + 40) > XDP_DATA_END(ctx))
		return XDP_PASS;
	number = *(__u32 *)(data + 26);
	copy = number;
	if (copy < 16)
		table[number]++;
	half = number >> 28;
	table[half] += 3;
	number = *(__u16 *)(data + 16);
	if (number != 47 && (number & 0xf0) == 0x30)
		table[number & 15]++;
	number = (number % 13) + (number / 8192);
	barrier();
	if (number > 15)
		return XDP_DROP;
	table[number]++;
	return XDP_PASS;
}

SEC("xdp")
int by_length_field(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct iphdr *iph = data + sizeof(struct ethhdr);
	__u16 length;
	__u8 *last;

	if ((void *)(iph + 1) > data_end || iph->version != 4)
		return XDP_PASS;
	length = bpf_ntohs(iph->tot_len);
	if (length < sizeof(*iph) || length > 1500)
		return XDP_DROP;
	last = (void *)iph + length;
	if ((void *)last > data_end)
		return XDP_ABORTED;
	return *(last - 1) == '!' ? XDP_TX : XDP_PASS;
}

SEC("xdp")
int from_the_end(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	__u32 left = data_end - data, sum = 0;

	while (left >= 4 && left < 2000) {
		__u16 *word = data;

		if ((void *)(word + 2) > data_end)
			break;
		sum += word[0] ^ word[1];
		data += 4;
		left -= 4;
		if (sum > 200000)
			break;
	}
	return sum & 3;
}

SEC("tc")
int variable_store(struct __sk_buff *skb)
{
	__u8 bytes[32] = {};
	__u32 length = skb->len & 31, offset = skb->len >> 2;

	if (!length || offset > 60)
		return TC_ACT_PIPE;
	if (bpf_skb_load_bytes(skb, 12, bytes, length))
		return TC_ACT_SHOT;
	bytes[length - 1] ^= 0xff;
	return bpf_skb_store_bytes(skb, offset, bytes, length, 0) ? TC_ACT_STOLEN : TC_ACT_OK;
}

char _license[] SEC("license") = "GPL";
