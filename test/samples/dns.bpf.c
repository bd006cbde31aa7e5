/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* A name out of a question, label by label, looked up among those that are blocked. */
#include "sample.h"
#include "net.h"

#define MAX_NAME 64

struct dnshdr {
	__be16 id;
	__u8 rd : 1, tc : 1, aa : 1, opcode : 4, qr : 1;
	__u8 rcode : 4, cd : 1, ad : 1, z : 1, ra : 1;
	__be16 questions, answers, authorities, additional;
};

struct name {
	char text[MAX_NAME];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 128);
	__type(key, struct name);
	__type(value, __u32);
} blocked SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 128);
	__type(key, struct name);
	__type(value, __u64);
} asked SEC(".maps");

static __always_inline int read_name(void *pos, void *data_end, struct name *name)
{
	__u32 left = 0, length = 0;

	for (int i = 0; i < MAX_NAME - 1; i++) {
		__u8 *byte = pos + i;

		if ((void *)(byte + 1) > data_end)
			return -1;
		if (left == 0) {
			if (*byte == 0)
				return i;
			left = *byte;
			if (left > 63)
				return -1;
			if (length && length < MAX_NAME)
				name->text[length++ & (MAX_NAME - 1)] = '.';
			continue;
		}
		left--;
		name->text[length++ & (MAX_NAME - 1)] = *byte;
	}
	return -1;
}

SEC("xdp")
int dns_filter(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct iphdr *iph = data + sizeof(struct ethhdr);
	struct udphdr *udp = (void *)(iph + 1);
	struct dnshdr *dns = (void *)(udp + 1);
	struct name name = {};
	__u32 *verdict;
	__u64 one = 1, *count;

	if ((void *)(dns + 1) > data_end || iph->version != 4 || iph->ihl != 5)
		return XDP_PASS;
	if (iph->protocol != IPPROTO_UDP || udp->dest != bpf_htons(53) || dns->qr || dns->questions != bpf_htons(1))
		return XDP_PASS;
	if (read_name(dns + 1, data_end, &name) < 0)
		return XDP_ABORTED;
	count = bpf_map_lookup_elem(&asked, &name);
	if (count)
		(*count)++;
	else
		bpf_map_update_elem(&asked, &name, &one, BPF_ANY);
	verdict = bpf_map_lookup_elem(&blocked, &name);
	if (!verdict)
		return XDP_TX;
	dns->qr = 1;
	dns->rcode = 3;
	return *verdict;
}

char _license[] SEC("license") = "GPL";
