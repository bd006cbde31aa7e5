/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What is printed for tracing, in each form that headers made of it. */
#include "sample.h"
#include "net.h"

#define bpf_printk_old(fmt, ...) ({ char ____fmt[] = fmt; bpf_trace_printk(____fmt, sizeof(____fmt), ##__VA_ARGS__); })
#define bpf_printk(fmt, ...) ({ static const char ____fmt[] = fmt; bpf_trace_printk(____fmt, sizeof(____fmt), ##__VA_ARGS__); })
#define bpf_vprintk(fmt, ...) ({ \
	static const char ____fmt[] = fmt; \
	unsigned long long ____args[] = { __VA_ARGS__ }; \
	bpf_trace_vprintk(____fmt, sizeof(____fmt), ____args, sizeof(____args)); \
})

SEC("xdp")
int print(struct xdp_md *ctx)
{
	__u32 length = ctx->data_end - ctx->data;
	struct ethhdr *eth = XDP_DATA(ctx);
	long sum = 0;

	if ((void *)(eth + 1) > XDP_DATA_END(ctx))
		return XDP_DROP;
	sum += bpf_printk_old("plain\n");
	sum += bpf_printk_old("length %d of queue %u\n", length, ctx->rx_queue_index);
	sum += bpf_printk("proto 0x%x", bpf_ntohs(eth->h_proto));
	sum += bpf_printk("%lu %llx %d", (unsigned long)length, 0x123456789abcULL, -5);
	sum += bpf_printk("%08x|%-6d|%%", length, 7);
	sum += bpf_vprintk("%d %d %d %d %x", 1, 2, 3, length, 0xbeef);
	sum += bpf_vprintk("%pM", (unsigned long)eth->h_source) < 0;
	return sum;
}

SEC("tc")
int print_skb(struct __sk_buff *skb)
{
	char name[] = "world";

	return bpf_printk("hello %s, %d bytes", name, skb->len);
}

char _license[] SEC("license") = "GPL";
