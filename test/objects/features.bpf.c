/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* What is resolved beside maps and functions: CO-RE, externs, programs in maps, variables of every section. */
#include "bpf.h"

#define KCONFIG __attribute__((section(".kconfig")))
#define KSYM __attribute__((section(".ksyms")))
#define WEAK __attribute__((weak))

enum state { IDLE = 1, BUSY = 1ULL << 40 };

struct device {
	int ifindex;
	union {
		__u32 mtu;
		char name[16];
	};
	__u32 up : 1, flags : 9;
	struct device *upper;
	__u16 queues[];
} __attribute__((preserve_access_index));

extern int LINUX_KERNEL_VERSION KCONFIG;
extern char CONFIG_NAME[8] KCONFIG WEAK;
extern const int kernel_variable KSYM WEAK;
extern int kernel_function(void *ctx) KSYM WEAK;

const volatile __u32 limit = 100;
volatile __u32 own SEC(".data.own") = 5;
static volatile __u64 zeroed;

int handle(struct xdp_md *ctx);

struct {
	__uint(type, 3);
	__uint(max_entries, 2);
	__uint(key_size, 4);
	int (*values[])(struct xdp_md *);
} jumps SEC(".maps") = { .values = { [1] = handle } };

struct {
	__uint(type, MAP_HASH);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, struct { __u64 count; struct bpf_spin_lock { __u32 val; } lock; });
} locked SEC(".maps");

SEC("xdp/handle")
int handle(struct xdp_md *ctx)
{
	__u32 key = 0;

	return bpf_map_lookup_elem(&locked, &key) ? PASS : DROP;
}

SEC("xdp.frags")
int features(struct xdp_md *ctx)
{
	struct device *device = (void *)(long)ctx->data;
	__u64 sum = device->upper->mtu + device->queues[3] + limit + own + zeroed + LINUX_KERNEL_VERSION;

	sum += __builtin_preserve_field_info(device->flags, 0) << __builtin_preserve_field_info(device->flags, 4);
	sum += __builtin_preserve_type_info(*(struct device *)0, 0) + __builtin_preserve_type_info(*(struct device *)0, 2);
	sum += __builtin_preserve_enum_value(*(enum state *)BUSY, 1) + __builtin_btf_type_id(*(struct device *)0, 1);
	sum += CONFIG_NAME[1];
	if (&kernel_variable)
		sum += kernel_variable;
	if (kernel_function)
		sum += kernel_function(ctx);
	return sum;
}

SEC("?tc/ingress")
int optional(void *ctx)
{
	return limit;
}
