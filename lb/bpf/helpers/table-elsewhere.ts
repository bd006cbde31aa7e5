import type { KnownHelper } from './prototypes.js';

/**
 * Helpers that the kernel gives neither XDP nor TC programs, by the programs that have them: id and name. Their
 * arguments are not listed, for no program that can run here gets that far.
 */
const BY_PROGRAMS: Readonly<Record<string, readonly (readonly [id: number, name: string])[]>> = {
  tracing: [
    [27, 'bpf_get_stackid'],
    [56, 'bpf_perf_prog_read_value'],
    [58, 'bpf_override_return'],
    [67, 'bpf_get_stack'],
    [111, 'bpf_skb_output'],
    [119, 'bpf_read_branch_records'],
    [121, 'bpf_xdp_output'],
    [126, 'bpf_seq_printf'],
    [127, 'bpf_seq_write'],
    [147, 'bpf_d_path'],
    [150, 'bpf_seq_printf_btf'],
    [162, 'bpf_sock_from_file'],
    [173, 'bpf_get_func_ip'],
    [174, 'bpf_get_attach_cookie'],
    [183, 'bpf_get_func_arg'],
    [184, 'bpf_get_func_ret'],
    [185, 'bpf_get_func_arg_cnt'],
  ],
  'security module': [
    [145, 'bpf_inode_storage_get'],
    [146, 'bpf_inode_storage_delete'],
    [159, 'bpf_bprm_opts_set'],
    [161, 'bpf_ima_inode_hash'],
    [193, 'bpf_ima_file_hash'],
  ],
  socket: [
    [49, 'bpf_setsockopt'],
    [52, 'bpf_sk_redirect_map'],
    [53, 'bpf_sock_map_update'],
    [57, 'bpf_getsockopt'],
    [59, 'bpf_sock_ops_cb_flags_set'],
    [60, 'bpf_msg_redirect_map'],
    [61, 'bpf_msg_apply_bytes'],
    [62, 'bpf_msg_cork_bytes'],
    [63, 'bpf_msg_pull_data'],
    [64, 'bpf_bind'],
    [70, 'bpf_sock_hash_update'],
    [71, 'bpf_msg_redirect_hash'],
    [72, 'bpf_sk_redirect_hash'],
    [82, 'bpf_sk_select_reuseport'],
    [90, 'bpf_msg_push_data'],
    [91, 'bpf_msg_pop_data'],
    [116, 'bpf_tcp_send_ack'],
    [142, 'bpf_load_hdr_opt'],
    [143, 'bpf_store_hdr_opt'],
    [144, 'bpf_reserve_hdr_opt'],
  ],
  cgroup: [
    [81, 'bpf_get_local_storage'],
    [101, 'bpf_sysctl_get_name'],
    [102, 'bpf_sysctl_get_current_value'],
    [103, 'bpf_sysctl_get_new_value'],
    [104, 'bpf_sysctl_set_new_value'],
    [128, 'bpf_sk_cgroup_id'],
    [129, 'bpf_sk_ancestor_cgroup_id'],
    [186, 'bpf_get_retval'],
    [187, 'bpf_set_retval'],
  ],
  'lightweight tunnel': [
    [73, 'bpf_lwt_push_encap'],
    [74, 'bpf_lwt_seg6_store_bytes'],
    [75, 'bpf_lwt_seg6_adjust_srh'],
    [76, 'bpf_lwt_seg6_action'],
  ],
  'infrared receiver': [
    [77, 'bpf_rc_repeat'],
    [78, 'bpf_rc_keydown'],
    [92, 'bpf_rc_pointer_rel'],
  ],
  'system call': [
    [166, 'bpf_sys_bpf'],
    [167, 'bpf_btf_find_by_name_kind'],
    [168, 'bpf_sys_close'],
    [179, 'bpf_kallsyms_lookup_name'],
  ],
};

export const ELSEWHERE_HELPERS: readonly KnownHelper[] = Object.entries(BY_PROGRAMS).flatMap(
  ([programs, rows]) =>
    rows.map(
      ([id, name]): KnownHelper => ({
        id,
        name,
        args: [],
        result: 'integer',
        users: [],
        notOffered: `for ${programs} programs only`,
      }),
    ),
);
