import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { MAP_TYPES } from '../maps/map.js';
import { parseBtf } from './btf.js';
import { ATTACH_TYPES, isTextSection, PROGRAM_TYPES, sectionType } from './section-types.js';

describe('sectionType', () => {
  const rows: readonly (readonly [string, object])[] = [
    ['xdp', { type: 'xdp', expectedAttachType: 'XDP' }],
    ['xdp/name', { type: 'xdp', expectedAttachType: 'XDP', attachTo: 'name' }],
    ['xdp.frags', { type: 'xdp', expectedAttachType: 'XDP', frags: true }],
    ['xdp/devmap', { type: 'xdp', expectedAttachType: 'XDP_DEVMAP' }],
    ['xdp.frags/cpumap', { type: 'xdp', expectedAttachType: 'XDP_CPUMAP', frags: true }],
    ['xdp_devmap/egress', { type: 'xdp', expectedAttachType: 'XDP_DEVMAP', attachTo: 'egress' }],
    ['xdp_filter', { type: 'xdp', expectedAttachType: 'XDP' }],
    ['xdp1', { type: 'xdp', expectedAttachType: 'XDP' }],
    ['prog', { type: 'xdp', expectedAttachType: 'XDP' }],
    ['?xdp', { type: 'xdp', expectedAttachType: 'XDP', isOptional: true }],
    ['tc', { type: 'sched_cls' }],
    ['tc/ingress', { type: 'sched_cls', expectedAttachType: 'TCX_INGRESS' }],
    ['tcx/egress', { type: 'sched_cls', expectedAttachType: 'TCX_EGRESS' }],
    ['tc_egress', { type: 'sched_cls' }],
    ['classifier/a', { type: 'sched_cls', attachTo: 'a' }],
    ['classifier_a', { type: 'sched_cls' }],
    ['ingress', { type: 'sched_cls' }],
    ['action', { type: 'sched_act' }],
    ['kprobe/do_exit', { type: 'kprobe', attachTo: 'do_exit' }],
    ['fentry.s/f', { type: 'tracing', expectedAttachType: 'TRACE_FENTRY', sleepable: true, attachTo: 'f' }],
    ['raw_tp.w/x', { type: 'raw_tracepoint_writable', attachTo: 'x' }],
    ['cgroup/sock', { type: 'cgroup_sock', expectedAttachType: 'CGROUP_INET_SOCK_CREATE' }],
    ['cgroup/sock_release', { type: 'cgroup_sock', expectedAttachType: 'CGROUP_INET_SOCK_RELEASE' }],
    ['cgroup/skb', { type: 'cgroup_skb' }],
    ['sk_reuseport/migrate', { type: 'sk_reuseport', expectedAttachType: 'SK_REUSEPORT_SELECT_OR_MIGRATE' }],
    ['tcpdump', { type: 'unspec' }],
    ['from-container', { type: 'unspec' }],
    ['constructor', { type: 'unspec' }],
    ['', { type: 'unspec' }],
  ];
  for (const [section, expected] of rows)
    it(`'${section}'`, () => expect(sectionType(section)).toEqual(expected));
});

it('.text and its parts hold no programs', () => {
  expect(['.text', '.text.unlikely', '.textual', 'xdp'].map(isTextSection)).toEqual([
    true,
    true,
    false,
    false,
  ]);
});

const KERNEL = '/sys/kernel/btf/vmlinux';
describe.skipIf(!existsSync(KERNEL))(`the numbers are the running kernel's (needs ${KERNEL})`, () => {
  const kernel = parseBtf(new Uint8Array(readFileSync(KERNEL)), { isLazy: true });
  const enums = [
    { name: 'bpf_prog_type', prefix: 'BPF_PROG_TYPE_', table: PROGRAM_TYPES },
    { name: 'bpf_attach_type', prefix: 'BPF_', table: ATTACH_TYPES },
    { name: 'bpf_map_type', prefix: 'BPF_MAP_TYPE_', table: MAP_TYPES },
  ] as const;
  for (const { name, prefix, table } of enums) {
    it(name, () => {
      const values = kernel.enumValues(name);
      for (const [key, number] of Object.entries(table))
        expect([key, values.get(`${prefix}${key.toUpperCase()}`)]).toEqual([key, BigInt(number)]);
    });
  }
});
