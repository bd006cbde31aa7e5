/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The smallest programs; section names of every age; no license. */
#include "sample.h"

SEC("xdp") int pass(struct xdp_md *ctx) { return XDP_PASS; }
SEC("xdp_drop") int xdp_drop_func(struct xdp_md *ctx) { return XDP_DROP; }
SEC("xdp/tx") int tx(struct xdp_md *ctx) { return XDP_TX; }
SEC("prog") int old_iproute2(struct xdp_md *ctx) { return XDP_ABORTED; }
SEC("?xdp") int optional(struct xdp_md *ctx) { return XDP_PASS; }
SEC("xdp.frags") int frags(struct xdp_md *ctx) { return XDP_PASS; }
SEC("tc") int ok(struct __sk_buff *skb) { return TC_ACT_OK; }
SEC("classifier") int shot(struct __sk_buff *skb) { return TC_ACT_SHOT; }
SEC("tc/ingress") int unspec(struct __sk_buff *skb) { return TC_ACT_UNSPEC; }
SEC("tcx/egress") int next(struct __sk_buff *skb) { return TC_ACT_UNSPEC; }
SEC("ingress") int pipe(struct __sk_buff *skb) { return TC_ACT_PIPE; }
/* A verdict that there is not. */
SEC("xdp") int nonsense(struct xdp_md *ctx) { return 77; }
