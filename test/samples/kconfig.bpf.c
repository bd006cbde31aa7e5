/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* The kernel's version and configuration as the loader knows them. */
#include "sample.h"

enum libbpf_tristate { TRI_NO, TRI_YES, TRI_MODULE };

extern int LINUX_KERNEL_VERSION __kconfig;
extern bool CONFIG_BPF_SYSCALL __kconfig __weak;
extern int CONFIG_HZ __kconfig __weak;
extern enum libbpf_tristate CONFIG_VETH __kconfig __weak;
extern char CONFIG_DEFAULT_HOSTNAME[16] __kconfig __weak;
extern unsigned long CONFIG_SURELY_MISSING __kconfig __weak;

#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))

SEC("xdp")
int kconfig(struct xdp_md *ctx)
{
	if (LINUX_KERNEL_VERSION < KERNEL_VERSION(5, 10, 0) || CONFIG_SURELY_MISSING)
		return XDP_ABORTED;
	if (CONFIG_BPF_SYSCALL && CONFIG_VETH == TRI_MODULE)
		return CONFIG_DEFAULT_HOSTNAME[1] == 'b' ? XDP_TX : CONFIG_HZ;
	return XDP_PASS;
}

char _license[] SEC("license") = "GPL";
