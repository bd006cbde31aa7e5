import type { ArgumentKind, HelperUser, KnownHelper, ResultKind } from './prototypes.js';

type Users = readonly HelperUser[];
/** Arguments, and what is returned where that is no integer; `users` where they are not both types. */
type Row = readonly [
  id: number,
  name: string,
  args: readonly ArgumentKind[],
  rest?: {
    readonly users?: Users;
    readonly result?: ResultKind;
    readonly gplOnly?: true;
    readonly moves?: true;
  },
];

const BOTH: Users = ['xdp', 'sched_cls'];
const TC: Users = ['sched_cls'];
const NOBODY: Users = [];

const GPL = { gplOnly: true } as const;
const OF_TC = { users: TC } as const;
const SOCKET_KEY: readonly ArgumentKind[] = ['context', 'memory', 'size-or-zero', 'anything', 'anything'];
const CAST = { result: 'kernel-object' } as const;
const PROBE: readonly ArgumentKind[] = ['memory-write', 'size-or-zero', 'anything'];

/**
 * Helpers that the kernel lets XDP or TC programs call and that mean nothing outside it, by the reason; with
 * prototypes, so that a verifier can still judge programs that call them.
 */
const BY_REASON: Readonly<Record<string, readonly Row[]>> = {
  'it reads or writes memory of the kernel or of a process': [
    // The kernel of today offers these two to tracing programs only.
    [4, 'bpf_probe_read', PROBE, { users: NOBODY }],
    [45, 'bpf_probe_read_str', PROBE, { users: NOBODY }],
    [36, 'bpf_probe_write_user', ['anything', 'memory', 'size'], { users: NOBODY }],
    [112, 'bpf_probe_read_user', PROBE, GPL],
    [113, 'bpf_probe_read_kernel', PROBE, GPL],
    [114, 'bpf_probe_read_user_str', PROBE, GPL],
    [115, 'bpf_probe_read_kernel_str', PROBE, GPL],
    [148, 'bpf_copy_from_user', PROBE],
    [191, 'bpf_copy_from_user_task', [...PROBE, 'kernel-object', 'anything'], GPL],
    [153, 'bpf_per_cpu_ptr', ['kernel-object', 'anything'], { result: 'kernel-object' }],
    [154, 'bpf_this_cpu_ptr', ['kernel-object'], { result: 'kernel-object' }],
    [194, 'bpf_kptr_xchg', ['kernel-object', 'kernel-object'], { result: 'kernel-object' }],
  ],
  'it needs types and symbols of the running kernel': [
    [149, 'bpf_snprintf_btf', ['memory-write', 'size', 'memory', 'size', 'anything']],
  ],
  'it asks about the task that runs, and there is none behind a packet': [
    [14, 'bpf_get_current_pid_tgid', []],
    [15, 'bpf_get_current_uid_gid', []],
    [16, 'bpf_get_current_comm', ['memory-write', 'size']],
    [35, 'bpf_get_current_task', [], GPL],
    [37, 'bpf_current_task_under_cgroup', ['map', 'anything']],
    [80, 'bpf_get_current_cgroup_id', []],
    [109, 'bpf_send_signal', ['anything']],
    [117, 'bpf_send_signal_thread', ['anything']],
    [120, 'bpf_get_ns_current_pid_tgid', ['anything', 'anything', 'memory-write', 'size']],
    [123, 'bpf_get_current_ancestor_cgroup_id', ['anything']],
    [141, 'bpf_get_task_stack', ['kernel-object', 'memory-write', 'size-or-zero', 'anything']],
    [
      156,
      'bpf_task_storage_get',
      ['map', 'kernel-object', 'anything', 'anything'],
      { result: 'map-value-or-null' },
    ],
    [157, 'bpf_task_storage_delete', ['map', 'kernel-object']],
    [158, 'bpf_get_current_task_btf', [], { ...GPL, result: 'kernel-object' }],
    [175, 'bpf_task_pt_regs', ['kernel-object'], { ...GPL, result: 'kernel-object' }],
    [180, 'bpf_find_vma', ['kernel-object', 'anything', 'function', 'stack-or-null', 'anything']],
  ],
  'it needs the kernel’s cgroups': [
    // A TC program gives it its context, an XDP program nothing.
    [17, 'bpf_get_cgroup_classid', []],
    [33, 'bpf_skb_under_cgroup', ['context', 'map', 'anything'], OF_TC],
    [79, 'bpf_skb_cgroup_id', ['context'], OF_TC],
    [83, 'bpf_skb_ancestor_cgroup_id', ['context', 'anything'], OF_TC],
    [151, 'bpf_skb_cgroup_classid', ['context'], OF_TC],
    [
      210,
      'bpf_cgrp_storage_get',
      ['map', 'kernel-object', 'anything', 'anything'],
      { result: 'map-value-or-null' },
    ],
    [211, 'bpf_cgrp_storage_delete', ['map', 'kernel-object']],
  ],
  'it needs the kernel’s sockets': [
    [46, 'bpf_get_socket_cookie', ['context'], OF_TC],
    [47, 'bpf_get_socket_uid', ['context'], OF_TC],
    [84, 'bpf_sk_lookup_tcp', SOCKET_KEY, { result: 'socket-or-null' }],
    [85, 'bpf_sk_lookup_udp', SOCKET_KEY, { result: 'socket-or-null' }],
    [86, 'bpf_sk_release', ['socket-release']],
    [95, 'bpf_sk_fullsock', ['socket-common'], { users: TC, result: 'socket-or-null' }],
    [96, 'bpf_tcp_sock', ['socket-common'], { users: TC, result: 'tcp-socket-or-null' }],
    [98, 'bpf_get_listener_sock', ['socket-common'], { users: TC, result: 'socket-or-null' }],
    [99, 'bpf_skc_lookup_tcp', SOCKET_KEY, { result: 'socket-common-or-null' }],
    [100, 'bpf_tcp_check_syncookie', ['socket-common', 'memory', 'size', 'memory', 'size'], GPL],
    [
      107,
      'bpf_sk_storage_get',
      ['map', 'socket-common', 'anything', 'anything'],
      { users: TC, result: 'map-value-or-null' },
    ],
    [108, 'bpf_sk_storage_delete', ['map', 'socket-common'], OF_TC],
    [110, 'bpf_tcp_gen_syncookie', ['socket-common', 'memory', 'size', 'memory', 'size'], GPL],
    [122, 'bpf_get_netns_cookie', ['context-or-null'], OF_TC],
    [124, 'bpf_sk_assign', ['context', 'socket-common', 'anything'], OF_TC],
    [136, 'bpf_skc_to_tcp6_sock', ['socket-common'], CAST],
    [137, 'bpf_skc_to_tcp_sock', ['socket-common'], CAST],
    [138, 'bpf_skc_to_tcp_timewait_sock', ['socket-common'], CAST],
    [139, 'bpf_skc_to_tcp_request_sock', ['socket-common'], CAST],
    [140, 'bpf_skc_to_udp6_sock', ['socket-common'], CAST],
    [178, 'bpf_skc_to_unix_sock', ['socket-common'], CAST],
    [196, 'bpf_skc_to_mptcp_sock', ['socket-common'], CAST],
  ],
  'it needs the kernel’s tunnels, routes, neighbours or network namespaces': [
    [20, 'bpf_skb_get_tunnel_key', ['context', 'memory-write', 'size', 'anything'], OF_TC],
    [24, 'bpf_get_route_realm', ['context'], OF_TC],
    [29, 'bpf_skb_get_tunnel_opt', ['context', 'memory-write', 'size'], OF_TC],
    [30, 'bpf_skb_set_tunnel_opt', ['context', 'memory', 'size'], OF_TC],
    [66, 'bpf_skb_get_xfrm_state', ['context', 'anything', 'memory-write', 'size', 'anything'], OF_TC],
    [152, 'bpf_redirect_neigh', ['anything', 'memory-or-null', 'size-or-zero', 'anything'], OF_TC],
    [155, 'bpf_redirect_peer', ['anything', 'anything'], OF_TC],
  ],
  'it sends a copy at once, and a packet leaves here by its verdict alone': [
    [13, 'bpf_clone_redirect', ['context', 'anything', 'anything'], { users: TC, moves: true }],
  ],
  'it needs the kernel’s performance counters': [
    [22, 'bpf_perf_event_read', ['map', 'anything'], GPL],
    [55, 'bpf_perf_event_read_value', ['map', 'anything', 'memory-write', 'size'], GPL],
    [176, 'bpf_get_branch_snapshot', ['memory-write', 'size-or-zero', 'unchecked'], GPL],
  ],
  'there are no timers here': [
    [169, 'bpf_timer_init', ['timer', 'map', 'anything'], GPL],
    [170, 'bpf_timer_set_callback', ['timer', 'function'], GPL],
    [171, 'bpf_timer_start', ['timer', 'anything', 'anything'], GPL],
    [172, 'bpf_timer_cancel', ['timer'], GPL],
  ],
  'there are no rings here that user space fills': [
    [209, 'bpf_user_ringbuf_drain', ['map', 'function', 'stack-or-null', 'anything']],
  ],
};

const PACKET_MEMORY: ReadonlySet<number> = new Set([84, 85, 99, 100, 110]);

function prototype(notOffered: string, [id, name, args, rest = {}]: Row): KnownHelper {
  const { users = BOTH, result = 'integer', gplOnly, moves } = rest;
  return {
    id,
    name,
    args,
    result,
    users,
    notOffered,
    ...(gplOnly && { gplOnly }),
    ...(moves && { movesPacket: moves }),
    ...(PACKET_MEMORY.has(id) && { packetMemory: true }),
  };
}

export const KERNEL_HELPERS: readonly KnownHelper[] = Object.entries(BY_REASON).flatMap(([reason, rows]) =>
  rows.map((row) => prototype(reason, row)),
);
