/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Idioms of C: static variables in functions, compound literals, unions, assertions, goto, ranges, nested conditionals. */
#include "sample.h"
#include "net.h"

_Static_assert(sizeof(struct ethhdr) == 14, "an Ethernet header");
#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))
#define container_of(pointer, type, member) ((type *)((void *)(pointer) - offsetof(type, member)))
#define max(a, b) ({ typeof(a) _a = (a); typeof(b) _b = (b); _a > _b ? _a : _b; })
#define swap(a, b) do { typeof(a) _t = (a); (a) = (b); (b) = _t; } while (0)

union word {
	__u32 whole;
	__u16 halves[2];
	__u8 bytes[4];
	struct {
		__u32 low : 12, high : 20;
	};
};
struct node {
	__u32 number;
	union word word;
};
struct point {
	short x, y;
};
static const struct point points[] = { { 1, 2 }, [2] = { .y = -3 }, { 4, 5 } };
static const struct {
	__u16 first, last;
	__u8 verdict;
} ranges[] = { { 0, 1023, XDP_DROP }, { 1024, 49151, XDP_PASS }, { 49152, 65535, XDP_TX } };

static __always_inline int sum_of(struct point point)
{
	return point.x + point.y;
}

static __always_inline __u32 next_number(void)
{
	static __u32 number = 100;

	return number++;
}

SEC("xdp")
int idioms(struct xdp_md *ctx)
{
	void *data = XDP_DATA(ctx), *data_end = XDP_DATA_END(ctx);
	struct ethhdr *eth = data;
	struct node node = { .number = next_number() };
	union word *inside = &node.word;
	int total = 0;

	if ((void *)(eth + 1) > data_end)
		goto drop;
	*inside = (union word){ .halves = { eth->h_proto, 0x1234 } };
	swap(inside->bytes[0], inside->bytes[3]);
	total += container_of(inside, struct node, word)->number;
	total += inside->high ^ inside->low;
	for (__u32 i = 0; i < ARRAY_SIZE(points); i++)
		total += sum_of(points[i]) * (i & 1 ? -1 : 1);
	total += sum_of((struct point){ .x = inside->bytes[1], .y = eth->h_dest[5] });
	switch (eth->h_dest[5]) {
	case 0 ... 0x7f:
		total *= 3;
		break;
	case 0x80 ... 0xff:
		total ^= 0x55;
		/* fall through */
	default:
		total += max(total & 7, (int)sizeof(node));
	}
	return total < 0 ? XDP_ABORTED : total & 1 ? XDP_PASS : XDP_TX;
drop:
	return XDP_DROP;
}

SEC("xdp")
int by_range(struct xdp_md *ctx)
{
	void *data_end = XDP_DATA_END(ctx);
	struct iphdr *iph = XDP_DATA(ctx) + sizeof(struct ethhdr);
	struct udphdr *l4 = (void *)(iph + 1);
	__u16 port;

	if ((void *)(l4 + 1) > data_end)
		return XDP_ABORTED;
	port = bpf_ntohs(l4->source);
	for (int i = 0; i < (int)ARRAY_SIZE(ranges); i++)
		if (port >= ranges[i].first && port <= ranges[i].last)
			return ranges[i].verdict;
	return XDP_ABORTED;
}

char _license[] SEC("license") = "GPL";
