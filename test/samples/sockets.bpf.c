/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Programs at sockets, cgroups and tunnels: data only. */
#include "sample.h"
#include "net.h"

struct bpf_sock_ops {
	__u32 op;
	__u32 reply;
	__u32 replylong[3];
	__u32 family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port;
};
struct sk_msg_md {
	__u64 data, data_end;
	__u32 family, remote_ip4, local_ip4, remote_ip6[4], local_ip6[4], remote_port, local_port, size;
};
struct bpf_sock_addr {
	__u32 user_family, user_ip4, user_ip6[4], user_port, family, type, protocol;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} ports SEC(".maps");

SEC("socket") int socket_filter(struct __sk_buff *skb) { return skb->len; }
SEC("socket1") int socket_old(struct __sk_buff *skb) { return 0; }
SEC("cgroup_skb/ingress") int cgroup_in(struct __sk_buff *skb) { return skb->protocol == bpf_htons(ETH_P_IP); }
SEC("cgroup/skb") int cgroup_skb(struct __sk_buff *skb) { return 1; }
SEC("cgroup/sock_create") int sock_create(void *ctx) { return 1; }
SEC("cgroup/connect4")
int connect4(struct bpf_sock_addr *ctx)
{
	if (ctx->user_port == bpf_htons(80))
		ctx->user_ip4 = bpf_htonl(0x7f000001);
	return 1;
}
SEC("cgroup/dev") int device(void *ctx) { return 0; }
SEC("cgroup/sysctl") int sysctl(void *ctx) { return 1; }
SEC("cgroup/getsockopt") int getsockopt(void *ctx) { return 1; }
SEC("sockops")
int on_sockops(struct bpf_sock_ops *ops)
{
	int window = 1500000;

	if (ops->op == 2)
		ops->reply = bpf_setsockopt(ops, 1, 8, &window, sizeof(window));
	return 1;
}
SEC("sk_msg") int on_sk_msg(struct sk_msg_md *msg) { return msg->size > 10; }
SEC("sk_skb/stream_parser") int parser(struct __sk_buff *skb) { return skb->len; }
SEC("sk_skb/stream_verdict") int verdict(struct __sk_buff *skb) { return 1; }
SEC("sk_lookup") int on_sk_lookup(void *ctx) { return 1; }
SEC("sk_reuseport") int reuseport(void *ctx) { return 1; }
SEC("flow_dissector") int dissector(struct __sk_buff *skb) { return 0; }
SEC("lwt_xmit") int lwt(struct __sk_buff *skb) { return 0; }
SEC("lwt_seg6local") int seg6(struct __sk_buff *skb) { return 0; }
SEC("lirc_mode2") int lirc(void *ctx) { return 0; }
SEC("netfilter") int on_netfilter(void *ctx) { return 1; }
SEC("action") int on_action(struct __sk_buff *skb) { return TC_ACT_OK; }
SEC("struct_ops/init") int init(void *ctx) { return 0; }
SEC("my_own_section") int unknown(struct xdp_md *ctx) { return XDP_PASS; }

char _license[] SEC("license") = "Dual MPL/GPL";
