/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Programs that look into the kernel: relocated where its types are given, data only in any case. */
#include "sample.h"

struct pt_regs {
	unsigned long r15, r14, r13, r12, bp, bx, r11, r10, r9, r8, ax, cx, dx, si, di;
} __core;
struct net_device {
	int ifindex;
	char name[16];
	unsigned int mtu;
} __core;
struct sk_buff {
	unsigned int len;
	struct net_device *dev;
	__u8 pkt_type : 3;
} __core;
struct task_struct {
	int pid;
	int tgid;
	struct task_struct *real_parent;
	char comm[16];
} __core;

struct event {
	__u32 len;
	int ifindex;
	char name[16];
};
struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(int));
	__uint(value_size, sizeof(int));
} events SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 10240);
	__type(key, __u32);
	__type(value, __u64);
} starts SEC(".maps");

#define READ(to, from) bpf_probe_read_kernel(&(to), sizeof(to), __builtin_preserve_access_index(&(from)))

SEC("kprobe/dev_hard_start_xmit")
int on_xmit(struct pt_regs *ctx)
{
	struct sk_buff *skb = (void *)ctx->di;
	struct net_device *dev;
	struct event event = {};

	READ(event.len, skb->len);
	READ(dev, skb->dev);
	READ(event.ifindex, dev->ifindex);
	bpf_probe_read_kernel_str(event.name, sizeof(event.name), __builtin_preserve_access_index(&dev->name));
	bpf_perf_event_output(ctx, &events, BPF_F_CURRENT_CPU, &event, sizeof(event));
	return 0;
}

SEC("tp_btf/sched_switch")
int on_switch(__u64 *ctx)
{
	struct task_struct *next = (void *)ctx[2];
	__u32 pid = next->real_parent->pid;
	__u64 now = bpf_ktime_get_ns();

	bpf_map_update_elem(&starts, &pid, &now, BPF_ANY);
	return 0;
}

SEC("kretprobe/dev_hard_start_xmit")
int on_return(struct pt_regs *ctx)
{
	return ctx->ax;
}

char _license[] SEC("license") = "GPL";
