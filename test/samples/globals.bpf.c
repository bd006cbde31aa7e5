/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Variables of every section and shape: constants, zeroed, initialised, named sections, arrays, tables, strings. */
#include "sample.h"
#include "net.h"

struct config {
	__u16 port;
	__u8 enabled : 1, mode : 3;
	char name[13];
	__u64 limits[3];
};

const volatile struct config config = { .port = 53, .enabled = 1, .mode = 5, .name = "uplink", .limits = { 60, 100, 1500 } };
const volatile bool drop_arp = true;
const volatile __s32 negative = -7;
volatile const char pattern[4] = { 'w', 'a', 'g', 'g' };
static const __u8 classes[16] = { 0, 1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144, 233, 121, 98 };
const volatile __u16 ports[] SEC(".rodata.ports") = { 22, 80, 443 };

__u64 total;
__u32 lengths[8];
static __u64 hidden_total;
__u32 last = 0xffffffff;
__u64 by_class[4] SEC(".data.counters") = { 1, 2, 3, 4 };
__u32 zeroed_elsewhere SEC(".bss.more");
struct {
	__u32 packets;
	__u64 bytes;
} nested = { .packets = 10 };
static volatile int calls = 1;
struct ethhdr first_header;

SEC("xdp")
int variables(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct ethhdr *eth = data;
	__u32 length = data_end - data, i;

	if ((void *)(eth + 1) > data_end)
		return XDP_DROP;
	if (total == 0)
		first_header = *eth;
	__sync_fetch_and_add(&total, 1);
	hidden_total += length;
	lengths[length & 7]++;
	last = length;
	nested.packets++;
	nested.bytes += classes[length & 15];
	by_class[length & 3] += hidden_total;
	zeroed_elsewhere |= length;
	calls *= 3;
	if (drop_arp && eth->h_proto == bpf_htons(ETH_P_ARP))
		return XDP_DROP;
	for (i = 0; i < 3; i++)
		if (length <= config.limits[i])
			return config.enabled ? i + 1 : XDP_ABORTED;
	return negative;
}

SEC("tc")
int shared(struct __sk_buff *skb)
{
	__u64 *counter = &by_class[skb->len & 3];

	total += config.mode;
	*counter ^= ports[skb->len & 1];
	return pattern[skb->len & 3] == 'g' ? TC_ACT_OK : TC_ACT_SHOT;
}

char _license[] SEC("license") = "GPL";
int _version SEC("version") = 1;
