/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Sections: programs of every name that XDP and TC have, and content that is nobody's. */
#include "sample.h"

SEC("xdp.frags/devmap") int frags_devmap(struct xdp_md *ctx) { return XDP_PASS; }
SEC("xdp/cpumap") int cpumap(struct xdp_md *ctx) { return XDP_DROP; }
SEC("netkit/primary") int netkit(struct __sk_buff *skb) { return TC_ACT_OK; }
SEC("tc/egress") int tc_egress(struct __sk_buff *skb) { return TC_ACT_OK; }
SEC("tcx/ingress") int tcx(struct __sk_buff *skb) { return TC_ACT_OK; }
SEC("classifier/from-container") __weak int from_container(struct __sk_buff *skb) { return TC_ACT_STOLEN; }
SEC("egress") int old_egress(struct __sk_buff *skb) { return TC_ACT_QUEUED; }
SEC("xdp_sock_prog") int sock_prog(struct xdp_md *ctx) { return XDP_TX; }
SEC("xdp_prog1") int numbered(struct xdp_md *ctx) { return XDP_DROP; }
SEC("xdp-filter") int dashed(struct xdp_md *ctx) { return XDP_TX; }
SEC("?xdp.frags") int optional(struct xdp_md *ctx) { return XDP_PASS; }
SEC("xdp") __hidden int hidden(struct xdp_md *ctx) { return XDP_TX; }
SEC("xdp") __attribute__((flatten, cold)) int cold(struct xdp_md *ctx) { return XDP_DROP; }
SEC("decap_vxlan") int own_name(struct __sk_buff *skb) { return TC_ACT_OK; }

asm(".section .eh_frame,\"a\",@progbits; .long 0x14, 0; .quad hidden; .previous");
asm(".section .note.build,\"\",@note; .long 1, 2, 3; .previous");
asm(".section .discard.reason,\"\",@progbits; .asciz \"nobody's\"; .previous");
char build[] SEC("build_info") = "as of today";

char _license[] SEC("license") = "GPL v2";
char second_license[] SEC("license2") = "none";
