import type { FixedMemory, HelperPrototype } from './prototypes.js';

const BOTH = ['xdp', 'sched_cls'] as const;

const NUMBER_RESULT = {
  kind: 'fixed-memory',
  bytes: 8,
  access: 'write',
  aligned: true,
} as const satisfies FixedMemory;
const headerOf = (bytes: number): FixedMemory => ({ kind: 'fixed-memory', bytes, access: 'read' });
const IPV4_HEADER = headerOf(20);
const IPV6_HEADER = headerOf(40);
const TCP_HEADER = headerOf(20);

/** Helpers that need neither map nor packet: clocks, numbers, text, loops, SYN cookies. */
export const GENERAL_HELPERS = [
  { id: 5, name: 'bpf_ktime_get_ns', args: [], result: 'integer', users: BOTH },
  {
    id: 6,
    name: 'bpf_trace_printk',
    args: ['memory', 'size', 'unchecked', 'unchecked', 'unchecked'],
    result: 'integer',
    users: BOTH,
    gplOnly: true,
  },
  { id: 7, name: 'bpf_get_prandom_u32', args: [], result: 'integer', users: BOTH },
  { id: 8, name: 'bpf_get_smp_processor_id', args: [], result: 'integer', users: BOTH },
  { id: 42, name: 'bpf_get_numa_node_id', args: [], result: 'integer', users: BOTH },
  {
    id: 105,
    name: 'bpf_strtol',
    args: ['memory', 'size', 'anything', NUMBER_RESULT],
    result: 'integer',
    users: BOTH,
  },
  {
    id: 106,
    name: 'bpf_strtoul',
    args: ['memory', 'size', 'anything', NUMBER_RESULT],
    result: 'integer',
    users: BOTH,
  },
  { id: 118, name: 'bpf_jiffies64', args: [], result: 'integer', users: BOTH },
  { id: 125, name: 'bpf_ktime_get_boot_ns', args: [], result: 'integer', users: BOTH },
  { id: 160, name: 'bpf_ktime_get_coarse_ns', args: [], result: 'integer', users: BOTH },
  {
    id: 165,
    name: 'bpf_snprintf',
    args: ['memory-write-or-null', 'size-or-zero', 'constant-string', 'memory-or-null', 'size-or-zero'],
    result: 'integer',
    users: BOTH,
    gplOnly: true,
  },
  {
    id: 177,
    name: 'bpf_trace_vprintk',
    args: ['memory', 'size', 'memory-or-null', 'size-or-zero'],
    result: 'integer',
    users: BOTH,
    gplOnly: true,
  },
  {
    id: 181,
    name: 'bpf_loop',
    args: ['anything', 'function', 'stack-or-null', 'anything'],
    result: 'integer',
    users: BOTH,
    builtin: true,
  },
  {
    id: 182,
    name: 'bpf_strncmp',
    args: ['memory', 'size', 'constant-string'],
    result: 'integer',
    users: BOTH,
  },
  {
    id: 204,
    name: 'bpf_tcp_raw_gen_syncookie_ipv4',
    args: [IPV4_HEADER, 'memory', 'size-or-zero'],
    result: 'integer',
    users: BOTH,
    packetMemory: true,
    gplOnly: true,
  },
  {
    id: 205,
    name: 'bpf_tcp_raw_gen_syncookie_ipv6',
    args: [IPV6_HEADER, 'memory', 'size-or-zero'],
    result: 'integer',
    users: BOTH,
    packetMemory: true,
    gplOnly: true,
  },
  {
    id: 206,
    name: 'bpf_tcp_raw_check_syncookie_ipv4',
    args: [IPV4_HEADER, TCP_HEADER],
    result: 'integer',
    users: BOTH,
    packetMemory: true,
    gplOnly: true,
  },
  {
    id: 207,
    name: 'bpf_tcp_raw_check_syncookie_ipv6',
    args: [IPV6_HEADER, TCP_HEADER],
    result: 'integer',
    users: BOTH,
    packetMemory: true,
    gplOnly: true,
  },
  { id: 208, name: 'bpf_ktime_get_tai_ns', args: [], result: 'integer', users: BOTH },
] as const satisfies readonly HelperPrototype[];
