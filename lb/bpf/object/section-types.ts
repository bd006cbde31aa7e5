/**
 * SEC() names to program types: libbpf's table ("Program Types and ELF Sections" of its documentation), with the sloppy
 * prefixes that it took before 1.0 and the default section of iproute2. Numbers are those of uapi/linux/bpf.h.
 */

/** Program types by number (enum bpf_prog_type). */
export const PROGRAM_TYPES = {
  unspec: 0,
  socket_filter: 1,
  kprobe: 2,
  sched_cls: 3,
  sched_act: 4,
  tracepoint: 5,
  xdp: 6,
  perf_event: 7,
  cgroup_skb: 8,
  cgroup_sock: 9,
  lwt_in: 10,
  lwt_out: 11,
  lwt_xmit: 12,
  sock_ops: 13,
  sk_skb: 14,
  cgroup_device: 15,
  sk_msg: 16,
  raw_tracepoint: 17,
  cgroup_sock_addr: 18,
  lwt_seg6local: 19,
  lirc_mode2: 20,
  sk_reuseport: 21,
  flow_dissector: 22,
  cgroup_sysctl: 23,
  raw_tracepoint_writable: 24,
  cgroup_sockopt: 25,
  tracing: 26,
  struct_ops: 27,
  ext: 28,
  lsm: 29,
  sk_lookup: 30,
  syscall: 31,
  netfilter: 32,
} as const;
export type ProgramType = keyof typeof PROGRAM_TYPES;

/** Attach types by number (enum bpf_attach_type), as far as a section name implies one; `BPF_` left out. */
export const ATTACH_TYPES = {
  CGROUP_INET_INGRESS: 0,
  CGROUP_INET_EGRESS: 1,
  CGROUP_INET_SOCK_CREATE: 2,
  CGROUP_SOCK_OPS: 3,
  SK_SKB_STREAM_PARSER: 4,
  SK_SKB_STREAM_VERDICT: 5,
  CGROUP_DEVICE: 6,
  SK_MSG_VERDICT: 7,
  CGROUP_INET4_BIND: 8,
  CGROUP_INET6_BIND: 9,
  CGROUP_INET4_CONNECT: 10,
  CGROUP_INET6_CONNECT: 11,
  CGROUP_INET4_POST_BIND: 12,
  CGROUP_INET6_POST_BIND: 13,
  CGROUP_UDP4_SENDMSG: 14,
  CGROUP_UDP6_SENDMSG: 15,
  LIRC_MODE2: 16,
  FLOW_DISSECTOR: 17,
  CGROUP_SYSCTL: 18,
  CGROUP_UDP4_RECVMSG: 19,
  CGROUP_UDP6_RECVMSG: 20,
  CGROUP_GETSOCKOPT: 21,
  CGROUP_SETSOCKOPT: 22,
  TRACE_RAW_TP: 23,
  TRACE_FENTRY: 24,
  TRACE_FEXIT: 25,
  MODIFY_RETURN: 26,
  LSM_MAC: 27,
  TRACE_ITER: 28,
  CGROUP_INET4_GETPEERNAME: 29,
  CGROUP_INET6_GETPEERNAME: 30,
  CGROUP_INET4_GETSOCKNAME: 31,
  CGROUP_INET6_GETSOCKNAME: 32,
  XDP_DEVMAP: 33,
  CGROUP_INET_SOCK_RELEASE: 34,
  XDP_CPUMAP: 35,
  SK_LOOKUP: 36,
  XDP: 37,
  SK_SKB_VERDICT: 38,
  SK_REUSEPORT_SELECT: 39,
  SK_REUSEPORT_SELECT_OR_MIGRATE: 40,
  PERF_EVENT: 41,
  TRACE_KPROBE_MULTI: 42,
  LSM_CGROUP: 43,
  NETFILTER: 45,
  TCX_INGRESS: 46,
  TCX_EGRESS: 47,
  TRACE_UPROBE_MULTI: 48,
  CGROUP_UNIX_CONNECT: 49,
  CGROUP_UNIX_SENDMSG: 50,
  CGROUP_UNIX_RECVMSG: 51,
  CGROUP_UNIX_GETPEERNAME: 52,
  CGROUP_UNIX_GETSOCKNAME: 53,
  NETKIT_PRIMARY: 54,
  NETKIT_PEER: 55,
  TRACE_KPROBE_SESSION: 56,
  TRACE_UPROBE_SESSION: 57,
} as const;
export type AttachType = keyof typeof ATTACH_TYPES;

/** What a section's name says of its programs. */
export interface SectionType {
  readonly type: ProgramType;
  /** What the kernel must be told at loading (expected_attach_type); absent where the type implies none. */
  readonly expectedAttachType?: AttachType;
  /** `xdp.frags`: the program takes packets of several buffers (BPF_F_XDP_HAS_FRAGS). */
  readonly frags?: boolean;
  /** A `.s` section: the program may sleep (BPF_F_SLEEPABLE). */
  readonly sleepable?: boolean;
  /** What stands behind the known name: the function, tracepoint or cgroup hook to attach to. */
  readonly attachTo?: string;
  /** `?` in front of the name: the author wants the program loaded only when it is asked for. */
  readonly isOptional?: boolean;
}

interface Row {
  readonly names: readonly string[];
  readonly type: ProgramType;
  readonly attach?: AttachType;
  readonly flag?: 'frags' | 'sleepable';
}

// A name matches alone or followed by `/…`; the longest that matches counts.
const ROWS: readonly Row[] = [
  { names: ['socket'], type: 'socket_filter' },
  { names: ['sk_reuseport/migrate'], type: 'sk_reuseport', attach: 'SK_REUSEPORT_SELECT_OR_MIGRATE' },
  { names: ['sk_reuseport'], type: 'sk_reuseport', attach: 'SK_REUSEPORT_SELECT' },
  {
    names: ['kprobe', 'kretprobe', 'uprobe', 'uretprobe', 'ksyscall', 'kretsyscall', 'usdt'],
    type: 'kprobe',
  },
  { names: ['uprobe.s', 'uretprobe.s', 'usdt.s'], type: 'kprobe', flag: 'sleepable' },
  { names: ['kprobe.multi', 'kretprobe.multi'], type: 'kprobe', attach: 'TRACE_KPROBE_MULTI' },
  { names: ['kprobe.session'], type: 'kprobe', attach: 'TRACE_KPROBE_SESSION' },
  { names: ['uprobe.multi', 'uretprobe.multi'], type: 'kprobe', attach: 'TRACE_UPROBE_MULTI' },
  {
    names: ['uprobe.multi.s', 'uretprobe.multi.s'],
    type: 'kprobe',
    attach: 'TRACE_UPROBE_MULTI',
    flag: 'sleepable',
  },
  { names: ['uprobe.session'], type: 'kprobe', attach: 'TRACE_UPROBE_SESSION' },
  { names: ['uprobe.session.s'], type: 'kprobe', attach: 'TRACE_UPROBE_SESSION', flag: 'sleepable' },
  // `ingress` and `egress` alone are what objects for iproute2 are customarily called.
  { names: ['tc', 'classifier', 'ingress', 'egress'], type: 'sched_cls' },
  { names: ['tc/ingress', 'tcx/ingress'], type: 'sched_cls', attach: 'TCX_INGRESS' },
  { names: ['tc/egress', 'tcx/egress'], type: 'sched_cls', attach: 'TCX_EGRESS' },
  { names: ['tcx'], type: 'sched_cls' },
  { names: ['netkit/primary'], type: 'sched_cls', attach: 'NETKIT_PRIMARY' },
  { names: ['netkit/peer'], type: 'sched_cls', attach: 'NETKIT_PEER' },
  { names: ['action'], type: 'sched_act' },
  { names: ['tracepoint', 'tp'], type: 'tracepoint' },
  { names: ['raw_tracepoint', 'raw_tp'], type: 'raw_tracepoint' },
  { names: ['raw_tracepoint.w', 'raw_tp.w'], type: 'raw_tracepoint_writable' },
  { names: ['tp_btf'], type: 'tracing', attach: 'TRACE_RAW_TP' },
  { names: ['fentry'], type: 'tracing', attach: 'TRACE_FENTRY' },
  { names: ['fentry.s'], type: 'tracing', attach: 'TRACE_FENTRY', flag: 'sleepable' },
  { names: ['fexit'], type: 'tracing', attach: 'TRACE_FEXIT' },
  { names: ['fexit.s'], type: 'tracing', attach: 'TRACE_FEXIT', flag: 'sleepable' },
  { names: ['fmod_ret'], type: 'tracing', attach: 'MODIFY_RETURN' },
  { names: ['fmod_ret.s'], type: 'tracing', attach: 'MODIFY_RETURN', flag: 'sleepable' },
  { names: ['iter'], type: 'tracing', attach: 'TRACE_ITER' },
  { names: ['iter.s'], type: 'tracing', attach: 'TRACE_ITER', flag: 'sleepable' },
  { names: ['freplace'], type: 'ext' },
  { names: ['lsm'], type: 'lsm', attach: 'LSM_MAC' },
  { names: ['lsm.s'], type: 'lsm', attach: 'LSM_MAC', flag: 'sleepable' },
  { names: ['lsm_cgroup'], type: 'lsm', attach: 'LSM_CGROUP' },
  { names: ['syscall'], type: 'syscall', flag: 'sleepable' },
  { names: ['xdp', 'prog'], type: 'xdp', attach: 'XDP' },
  { names: ['xdp.frags'], type: 'xdp', attach: 'XDP', flag: 'frags' },
  { names: ['xdp/devmap', 'xdp_devmap'], type: 'xdp', attach: 'XDP_DEVMAP' },
  { names: ['xdp.frags/devmap'], type: 'xdp', attach: 'XDP_DEVMAP', flag: 'frags' },
  { names: ['xdp/cpumap', 'xdp_cpumap'], type: 'xdp', attach: 'XDP_CPUMAP' },
  { names: ['xdp.frags/cpumap'], type: 'xdp', attach: 'XDP_CPUMAP', flag: 'frags' },
  { names: ['perf_event'], type: 'perf_event' },
  { names: ['lwt_in'], type: 'lwt_in' },
  { names: ['lwt_out'], type: 'lwt_out' },
  { names: ['lwt_xmit'], type: 'lwt_xmit' },
  { names: ['lwt_seg6local'], type: 'lwt_seg6local' },
  { names: ['sockops'], type: 'sock_ops', attach: 'CGROUP_SOCK_OPS' },
  { names: ['sk_skb'], type: 'sk_skb' },
  { names: ['sk_skb/stream_parser'], type: 'sk_skb', attach: 'SK_SKB_STREAM_PARSER' },
  { names: ['sk_skb/stream_verdict'], type: 'sk_skb', attach: 'SK_SKB_STREAM_VERDICT' },
  { names: ['sk_skb/verdict'], type: 'sk_skb', attach: 'SK_SKB_VERDICT' },
  { names: ['sk_msg'], type: 'sk_msg', attach: 'SK_MSG_VERDICT' },
  { names: ['lirc_mode2'], type: 'lirc_mode2', attach: 'LIRC_MODE2' },
  { names: ['flow_dissector'], type: 'flow_dissector', attach: 'FLOW_DISSECTOR' },
  { names: ['cgroup/skb', 'cgroup_skb'], type: 'cgroup_skb' },
  { names: ['cgroup_skb/ingress'], type: 'cgroup_skb', attach: 'CGROUP_INET_INGRESS' },
  { names: ['cgroup_skb/egress'], type: 'cgroup_skb', attach: 'CGROUP_INET_EGRESS' },
  { names: ['cgroup/sock', 'cgroup/sock_create'], type: 'cgroup_sock', attach: 'CGROUP_INET_SOCK_CREATE' },
  { names: ['cgroup/sock_release'], type: 'cgroup_sock', attach: 'CGROUP_INET_SOCK_RELEASE' },
  { names: ['cgroup/post_bind4'], type: 'cgroup_sock', attach: 'CGROUP_INET4_POST_BIND' },
  { names: ['cgroup/post_bind6'], type: 'cgroup_sock', attach: 'CGROUP_INET6_POST_BIND' },
  { names: ['cgroup/bind4'], type: 'cgroup_sock_addr', attach: 'CGROUP_INET4_BIND' },
  { names: ['cgroup/bind6'], type: 'cgroup_sock_addr', attach: 'CGROUP_INET6_BIND' },
  { names: ['cgroup/connect4'], type: 'cgroup_sock_addr', attach: 'CGROUP_INET4_CONNECT' },
  { names: ['cgroup/connect6'], type: 'cgroup_sock_addr', attach: 'CGROUP_INET6_CONNECT' },
  { names: ['cgroup/connect_unix'], type: 'cgroup_sock_addr', attach: 'CGROUP_UNIX_CONNECT' },
  { names: ['cgroup/sendmsg4'], type: 'cgroup_sock_addr', attach: 'CGROUP_UDP4_SENDMSG' },
  { names: ['cgroup/sendmsg6'], type: 'cgroup_sock_addr', attach: 'CGROUP_UDP6_SENDMSG' },
  { names: ['cgroup/sendmsg_unix'], type: 'cgroup_sock_addr', attach: 'CGROUP_UNIX_SENDMSG' },
  { names: ['cgroup/recvmsg4'], type: 'cgroup_sock_addr', attach: 'CGROUP_UDP4_RECVMSG' },
  { names: ['cgroup/recvmsg6'], type: 'cgroup_sock_addr', attach: 'CGROUP_UDP6_RECVMSG' },
  { names: ['cgroup/recvmsg_unix'], type: 'cgroup_sock_addr', attach: 'CGROUP_UNIX_RECVMSG' },
  { names: ['cgroup/getpeername4'], type: 'cgroup_sock_addr', attach: 'CGROUP_INET4_GETPEERNAME' },
  { names: ['cgroup/getpeername6'], type: 'cgroup_sock_addr', attach: 'CGROUP_INET6_GETPEERNAME' },
  { names: ['cgroup/getpeername_unix'], type: 'cgroup_sock_addr', attach: 'CGROUP_UNIX_GETPEERNAME' },
  { names: ['cgroup/getsockname4'], type: 'cgroup_sock_addr', attach: 'CGROUP_INET4_GETSOCKNAME' },
  { names: ['cgroup/getsockname6'], type: 'cgroup_sock_addr', attach: 'CGROUP_INET6_GETSOCKNAME' },
  { names: ['cgroup/getsockname_unix'], type: 'cgroup_sock_addr', attach: 'CGROUP_UNIX_GETSOCKNAME' },
  { names: ['cgroup/sysctl'], type: 'cgroup_sysctl', attach: 'CGROUP_SYSCTL' },
  { names: ['cgroup/getsockopt'], type: 'cgroup_sockopt', attach: 'CGROUP_GETSOCKOPT' },
  { names: ['cgroup/setsockopt'], type: 'cgroup_sockopt', attach: 'CGROUP_SETSOCKOPT' },
  { names: ['cgroup/dev'], type: 'cgroup_device', attach: 'CGROUP_DEVICE' },
  { names: ['struct_ops'], type: 'struct_ops' },
  { names: ['struct_ops.s'], type: 'struct_ops', flag: 'sleepable' },
  { names: ['sk_lookup'], type: 'sk_lookup', attach: 'SK_LOOKUP' },
  { names: ['netfilter'], type: 'netfilter', attach: 'NETFILTER' },
];

const BY_NAME = new Map<string, Row>(ROWS.flatMap((row) => row.names.map((name) => [name, row] as const)));

/**
 * Prefixes that count without a `/` behind them, where nothing above matches: objects of before libbpf 1.0 have
 * sections like `xdp_filter`, `classifier_ingress` or `tc-egress`. The first that fits counts.
 */
const SLOPPY: readonly { readonly prefix: RegExp; readonly name: string }[] = [
  { prefix: /^xdp/, name: 'xdp' },
  { prefix: /^tc[-_]/, name: 'tc' },
  { prefix: /^classifier/, name: 'classifier' },
  { prefix: /^action/, name: 'action' },
  { prefix: /^socket/, name: 'socket' },
  { prefix: /^perf_event/, name: 'perf_event' },
  { prefix: /^lwt_in/, name: 'lwt_in' },
  { prefix: /^lwt_out/, name: 'lwt_out' },
  { prefix: /^lwt_xmit/, name: 'lwt_xmit' },
  { prefix: /^lwt_seg6local/, name: 'lwt_seg6local' },
  { prefix: /^sockops/, name: 'sockops' },
  { prefix: /^sk_skb/, name: 'sk_skb' },
  { prefix: /^sk_msg/, name: 'sk_msg' },
];

/** The longest known name that the section's is, or begins with in front of a `/`. */
function lookup(section: string): { readonly row: Row; readonly rest: string } | undefined {
  for (let end = section.length; end > 0; end = section.lastIndexOf('/', end - 1)) {
    const row = BY_NAME.get(section.slice(0, end));
    if (row !== undefined) return { row, rest: section.slice(end + 1) };
  }
  const sloppy = SLOPPY.find(({ prefix }) => prefix.test(section));
  const row = sloppy === undefined ? undefined : BY_NAME.get(sloppy.name);
  return row === undefined ? undefined : { row, rest: '' };
}

/** What the name of a section says of its programs; type 'unspec' for a name that says nothing. */
export function sectionType(section: string): SectionType {
  const isOptional = section.startsWith('?');
  const found = lookup(isOptional ? section.slice(1) : section);
  const optional = isOptional ? { isOptional } : {};
  if (found === undefined) return { type: 'unspec', ...optional };
  const { row, rest } = found;
  return {
    type: row.type,
    ...(row.attach === undefined ? {} : { expectedAttachType: row.attach }),
    ...(row.flag === undefined ? {} : { [row.flag]: true }),
    ...(rest === '' ? {} : { attachTo: rest }),
    ...optional,
  };
}

/** Type of the programs of a section; 'unspec' for a name that is not known. */
export function programType(section: string): ProgramType {
  return sectionType(section).type;
}

/** `.text` and the sections that -ffunction-sections makes of it: functions to be called, not programs. */
export function isTextSection(section: string): boolean {
  return section === '.text' || section.startsWith('.text.');
}
