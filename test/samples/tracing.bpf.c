/* SPDX-License-Identifier: (GPL-2.0-only OR BSD-2-Clause) */
/* Programs of the tracing types: data only. */
#include "sample.h"

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 8);
	__type(key, __u32);
	__type(value, __u64);
} counts SEC(".maps");

static __always_inline int count(__u32 key)
{
	__u64 one = 1, *known = bpf_map_lookup_elem(&counts, &key);

	if (known)
		__sync_fetch_and_add(known, 1);
	else
		bpf_map_update_elem(&counts, &key, &one, BPF_NOEXIST);
	return 0;
}

struct execve_args {
	__u64 common;
	long nr;
	const char *filename;
};

SEC("kprobe/do_unlinkat") int kprobe(void *ctx) { return count(1); }
SEC("kretprobe/do_unlinkat") int kretprobe(void *ctx) { return count(2); }
SEC("kprobe.multi/tcp_*") int kprobe_multi(void *ctx) { return count(bpf_get_attach_cookie(ctx)); }
SEC("ksyscall/openat") int ksyscall(void *ctx) { return count(4); }
SEC("uprobe//usr/bin/bash:readline") int uprobe(void *ctx) { return count(bpf_get_current_pid_tgid() >> 32); }
SEC("uretprobe/bash") int uretprobe(void *ctx) { return count(6); }
SEC("usdt") int on_usdt(void *ctx) { return count(7); }
SEC("tracepoint/syscalls/sys_enter_execve")
int tracepoint(struct execve_args *ctx)
{
	char name[16] = {};

	bpf_probe_read_user_str(name, sizeof(name), ctx->filename);
	bpf_get_current_comm(name, sizeof(name));
	return count(bpf_get_current_uid_gid());
}
SEC("tp/sched/sched_process_exit") int tp(void *ctx) { return count(9); }
SEC("raw_tp/sys_enter") int raw_tp(__u64 *ctx) { return count(ctx[1]); }
SEC("raw_tracepoint.w/x") int raw_tp_writable(__u64 *ctx) { return count(11); }
SEC("fentry/tcp_connect") int fentry(__u64 *ctx) { return count(12); }
SEC("fexit/tcp_connect") int fexit(__u64 *ctx) { return count(13); }
SEC("fmod_ret/security_file_open") int fmod_ret(__u64 *ctx) { return 0; }
SEC("fentry.s/vfs_read") int fentry_sleepable(__u64 *ctx) { return 0; }
SEC("lsm/file_open") int lsm(__u64 *ctx) { return 0; }
SEC("lsm.s/bprm_committed_creds") int lsm_sleepable(__u64 *ctx) { return 0; }
SEC("perf_event") int on_perf_event(void *ctx) { return count(17); }
SEC("iter/task") int iter(void *ctx) { return 0; }
SEC("syscall") int on_syscall(void *ctx) { return 0; }
SEC("freplace/func") int freplace(struct xdp_md *ctx) { return XDP_PASS; }
SEC("xdp") int on_xdp(struct xdp_md *ctx) { count(20); return XDP_PASS; }

char LICENSE[] SEC("license") = "GPL";
