import { Fib } from '../../lb/bpf/helpers/fib.js';
import { ArenaMaps } from '../../lb/bpf/maps/registry.js';
import type { Sample } from './rows.js';

const u32 = (...values: number[]): Uint8Array => new Uint8Array(Uint32Array.from(values).buffer);

/** What is known of each object, by its name; its variants (`acl.O1`) are as it is. */
export const SAMPLES: Readonly<Record<string, Sample>> = {
  acl: {
    runs: ['xdp_acl'],
    prepare(maps) {
      // 10.0.0.0/30 is dropped, 10.0.0.2 is sent back; fc00::/16 is sent back.
      maps('rules4').update(Uint8Array.of(30, 0, 0, 0, 10, 0, 0, 0), u32(1, 7));
      maps('rules4').update(Uint8Array.of(32, 0, 0, 0, 10, 0, 0, 2), u32(3, 8));
      maps('rules6').update(Uint8Array.of(16, 0, 0, 0, 0xfc, ...new Uint8Array(15)), u32(3, 9));
    },
  },
  'acl.nodebug': { unloadable: /build with -g/ },
  adjust: {
    runs: [
      'head_grow',
      'head_shrink',
      'head_too_far',
      'tail_cut',
      'tail_grow',
      'tail_all',
      'metadata',
      'classify',
    ],
  },
  arithmetic: { runs: ['arithmetic'] },
  atomics: { runs: ['atomics'] },
  bitfields: { runs: ['bitfields'] },
  builtins: { runs: ['builtins'] },
  callbacks: { runs: ['sum_bytes', 'walk_hash', 'walk_array', 'walk_percpu', 'loop_skb'] },
  checksum: { runs: ['echo_reply', 'dnat', 'decrease_ttl', 'recompute'] },
  conntrack: { runs: ['track'] },
  encap: { runs: ['ipip', 'ip6ip6', 'decap', 'vxlan', 'gre'] },
  events: { runs: ['submit', 'output', 'dynptr', 'sample', 'sample_skb'] },
  exthdr: { runs: ['unrolled', 'bounded'] },
  functions: { runs: ['calls', 'deep', 'shared_by_types'] },
  globals: { runs: ['variables', 'shared'] },
  iproute2: { runs: ['tc_ingress', 'tc_egress', 'tail_first', 'tail_second'] },
  legacy: {
    runs: ['count', 'to_port', 'tail'],
    slots: { jumps: { 1: 'count' } },
  },
  loadbytes: { runs: ['load_store', 'skb_load_store'] },
  locked: { runs: ['accounting', 'queues', 'seen_before'] },
  loops: { runs: ['nested', 'bytes', 'unrolled', 'words'] },
  nested: {
    runs: ['count', 'verdict_of_port'],
    prepare(maps, host) {
      const inner = host.createMap({
        name: 'http',
        type: 'ARRAY',
        keySize: 4,
        valueSize: 4,
        maxEntries: 5,
        flags: 4096,
      });
      inner.update(u32(1), u32(3));
      maps('by_port').updateInner(Uint8Array.of(80, 0), inner);
    },
  },
  plain: { runs: ['swap_macs', 'by_ethertype', 'by_length'] },
  'plain.eb': { unloadable: /endian/ },
  printk: { runs: ['print', 'print_skb'] },
  protocols: { runs: ['count_protocols'] },
  ratelimit: { runs: ['limit'], mapsApart: ['buckets'] },
  redirect: {
    runs: [
      'redirect_map',
      'redirect_missing',
      'redirect_outside',
      'redirect_hash',
      'redirect_all',
      'redirect_plain',
      'redirect_cpu',
      'redirect_xsk',
      'look_first',
    ],
    prepare(maps) {
      maps('by_hash').update(u32(9), u32(1, 0));
      maps('ports').update(u32(0), u32(1));
    },
    apart: {
      egress: 'the kernel has no test run of programs of a DEVMAP',
      on_cpu: 'the kernel has no test run of programs of a CPUMAP',
    },
  },
  tailcalls: { runs: ['entry', 'parse_ip', 'parse_ip6', 'chained', 'from_function'] },
  text: { runs: ['text'] },
  verdicts: {
    runs: [
      'pass',
      'xdp_drop_func',
      'tx',
      'optional',
      'frags',
      'ok',
      'shot',
      'unspec',
      'next',
      'pipe',
      'nonsense',
      'old_iproute2',
    ],
  },
  vlan: { runs: ['filter', 'pop', 'push'] },
  assembly: { runs: ['barriers', 'written'] },
  balancer: {
    runs: ['balance'],
    prepare(maps) {
      const vip = [10, 200, 1, 1];
      maps('services').update(Uint8Array.of(...vip, 0, 80, 6, 0), u32(0, 0));
      // Any port of UDP.
      maps('services').update(Uint8Array.of(...vip, 0, 0, 17, 0), u32(1, 5));
      for (let slot = 0; slot < 32; slot++) maps('ring').update(u32(slot), u32((slot * 5) % 7));
      for (let real = 1; real < 6; real++)
        maps('backends').update(u32(real), Uint8Array.of(172, 16, 0, real, 2, 2, 2, 2, 2, real, 1, 0));
    },
  },
  core: {
    runs: ['moved', 'asks', 'marked'],
    refused: { misses: /needs a type or field that the target does not have: .*surely_missing/ },
  },
  coretrace: { data: ['on_xmit', 'on_switch', 'on_return'] },
  dns: {
    runs: ['dns_filter'],
    prepare(maps) {
      const name = new Uint8Array(64);
      name.set(new TextEncoder().encode('www.example.org'));
      maps('blocked').update(name, u32(3));
    },
  },
  firewall: {
    runs: ['firewall'],
    load: { globals: { default_action: 1 } },
    prepare(maps) {
      const anywhere = new Uint8Array(8);
      const rule = (source: readonly number[], ports: readonly [number, number], rest: readonly number[]) => {
        const words = new Uint8Array(Uint16Array.from(ports).buffer);
        return Uint8Array.of(...source, ...anywhere, ...words, ...rest, 0);
      };
      maps('rules').update(u32(1), rule([10, 0, 0, 0, 255, 255, 255, 252], [0, 79], [17, 3, 1]));
      maps('rules').update(u32(3), rule([0, 0, 0, 0, 0, 0, 0, 0], [80, 80], [6, 2, 1]));
      maps('rules').update(u32(4), rule([0, 0, 0, 0, 0, 0, 0, 0], [0, 65535], [1, 2, 0]));
    },
  },
  gobpf: { runs: ['counts'] },
  kconfig: {
    runs: ['kconfig'],
    load: {
      kernelVersion: (6 << 16) | (18 << 8),
      kconfig:
        'CONFIG_BPF_SYSCALL=y\nCONFIG_HZ=250\nCONFIG_VETH=m\nCONFIG_DEFAULT_HOSTNAME="(bee)"\n# CONFIG_OTHER is not set\n',
    },
  },
  kfuncs: {
    runs: ['hash_if_there'],
    refused: {
      timestamp: /kernel function bpf_xdp_metadata_rx_timestamp is not offered/,
      dynptr: /kernel function bpf_dynptr_from_xdp is not offered/,
    },
  },
  knock: { runs: ['knock'] },
  ldabs: { runs: ['filter'], data: ['socket_filter'] },
  lookups: {
    refused: { find_socket: /helper bpf_sk_lookup_tcp \(84\) is not offered/ },
    apart: { cookie: 'cookies are made with a secret' },
  },
  mac: { runs: ['bridge'] },
  nat: {
    runs: ['nat', 'udp_dscp'],
    prepare(maps) {
      maps('nat_table').update(
        Uint8Array.of(10, 200, 1, 1, 0, 80, 6, 0),
        Uint8Array.of(192, 168, 7, 7, 0x1f, 0x90, 0, 0),
      );
    },
  },
  oldmaps: { runs: ['drops', 'spread'] },
  packed: { runs: ['rewrite', 'answer', 'reflect', 'smear'] },
  payload: { runs: ['search', 'masked'] },
  percpu: { runs: ['scratch', 'other_cpus'] },
  proprietary: {
    runs: ['needs_nothing'],
    verifierRefuses: { needs_gpl: /cannot call GPL-restricted function from non-GPL compatible program/ },
  },
  responder: { runs: ['arp_reply', 'too_big'] },
  room: {
    runs: [
      'room_mac',
      'room_net',
      'encap_ipip',
      'shrink',
      'vlan_push',
      'vlan_pop',
      'change_tail',
      'change_head',
      'change_proto',
      'ecn',
    ],
  },
  router: {
    prepare(_, host) {
      if (!(host instanceof ArenaMaps)) return;
      // What the kernel's test run has: the loopback interface.
      new Fib(host).setLinks([{ ifindex: 1, mac: new Uint8Array(6), mtu: 65536 }]);
    },
    runs: ['wrong_lookups', 'check_mtu', 'redirects'],
    apart: { forward: 'routes are those of the host', tc_forward: 'routes are those of the host' },
    refused: {
      to_neighbour: /helper bpf_redirect_neigh \(152\) is not offered/,
      to_peer: /helper bpf_redirect_peer \(155\) is not offered/,
      mirror: /helper bpf_clone_redirect \(13\) is not offered/,
    },
  },
  sketch: { runs: ['count'] },
  skb: { runs: ['fields', 'narrow', 'direct'] },
  sockets: {
    data: [
      'socket_filter',
      'socket_old',
      'cgroup_in',
      'cgroup_skb',
      'sock_create',
      'connect4',
      'device',
      'sysctl',
      'getsockopt',
      'on_sockops',
      'on_sk_msg',
      'parser',
      'verdict',
      'on_sk_lookup',
      'reuseport',
      'dissector',
      'lwt',
      'seg6',
      'lirc',
      'on_netfilter',
      'on_action',
      'init',
      'unknown',
    ],
  },
  sockmap: {
    runs: ['pass'],
    data: ['remember', 'redirect'],
    refused: { is_known: /map sockets: type SOCKHASH is not offered/ },
  },
  stack: { runs: ['full', 'sorted', 'structs'] },
  switches: { runs: ['switches', 'names'] },
  time: {
    apart: { clocks: 'time and chance', sampled: 'chance', hashed: 'the kernel hashes with a secret' },
  },
  timer: {
    runs: ['without_timer'],
    refused: { start_timer: /helper bpf_timer_init \(169\) is not offered/ },
  },
  tracing: {
    runs: ['on_xdp'],
    data: [
      'kprobe',
      'kretprobe',
      'kprobe_multi',
      'ksyscall',
      'uprobe',
      'uretprobe',
      'on_usdt',
      'tracepoint',
      'tp',
      'raw_tp',
      'raw_tp_writable',
      'fentry',
      'fexit',
      'fmod_ret',
      'fentry_sleepable',
      'lsm',
      'lsm_sleepable',
      'on_perf_event',
      'iter',
      'on_syscall',
      'freplace',
    ],
  },
  types: {
    runs: ['typed'],
    prepare(maps) {
      maps('classes').update(u32(1), u32(1, 0));
    },
  },
  annotated: {
    runs: ['by_vip'],
    prepare(maps) {
      maps('vip_map').update(Uint8Array.of(10, 200, 1, 1, 0, 0, 17, 0), u32(1, 2));
      maps('vip_map').update(Uint8Array.of(10, 200, 1, 1, 0, 0, 1, 0), u32(0, 3));
    },
  },
  cpu4: { runs: ['extended'] },
  datalock: { runs: ['guarded_sum'] },
  dispatcher: { runs: ['dispatch', 'xdp_pass'] },
  edt: {
    runs: ['pace', 'stamp'],
    refused: {
      tunnel: /helper bpf_skb_get_tunnel_key \(20\) is not offered/,
      class: /helper bpf_get_cgroup_classid \(17\) is not offered/,
      realm: /helper bpf_get_route_realm \(24\) is not offered/,
      socket: /helper bpf_get_socket_cookie \(46\) is not offered/,
    },
  },
  pointers: { runs: ['either', 'selected', 'spilled'] },
  rust: {
    runs: ['example'],
    prepare(maps) {
      maps('BLOCKLIST').update(Uint8Array.of(10, 0, 0, 2), u32(1));
    },
  },
  sections: {
    runs: [
      'netkit',
      'tc_egress',
      'tcx',
      'from_container',
      'old_egress',
      'sock_prog',
      'numbered',
      'dashed',
      'optional',
      'hidden',
      'cold',
    ],
    apart: {
      frags_devmap: 'the kernel has no test run of programs of a DEVMAP',
      cpumap: 'the kernel has no test run of programs of a CPUMAP',
    },
    data: ['own_name'],
  },
  staticcalls: {
    runs: ['entry', 'policy', 'drop'],
    slots: { calls: { 1: 'policy', 3: 'drop' } },
  },
  deadcode: {
    runs: ['switched', 'folded'],
  },
  errors: { runs: ['hashes', 'others'] },
  fullring: { runs: ['fills', 'too_large'] },
  packetkeys: { runs: ['from_packet', 'from_maps', 'deleted'] },
  refusals: { runs: ['of_xdp', 'of_skb'] },
  walks: {
    runs: ['nested', 'kinds'],
    verifierRefuses: { not_walked: /callback function not allowed for map/ },
  },
  idioms: { runs: ['idioms', 'by_range'] },
  inner: {
    runs: ['routed', 'counted', 'told'],
    prepare(maps, host) {
      const shape = { type: 'LPM_TRIE', keySize: 8, valueSize: 4, maxEntries: 16, flags: 1 } as const;
      const inner = host.createMap({ name: 'trie', ...shape });
      inner.update(Uint8Array.of(8, 0, 0, 0, 10, 0, 0, 0), u32(1));
      inner.update(Uint8Array.of(31, 0, 0, 0, 10, 0, 0, 2), u32(3));
      maps('tries').updateInner(u32(1), inner);
    },
  },
  kernelmaps: {
    runs: ['counts'],
    data: ['sampled', 'own_init', 'own_ssthresh'],
    refused: {
      in_cgroup: /map cgroups: type CGROUP_ARRAY is not offered/,
      drains: /map from_user: type USER_RINGBUF is not offered/,
    },
  },
  ksyms: { runs: ['weak'], refused: { strong: /bpf_prog_active/ } },
  bounds: {
    runs: ['tcp_options', 'masked', 'related', 'from_the_end', 'variable_store'],
    verifierRefuses: {
      clamped: /R4 invalid zero-sized read: u64=\[0,127\]/,
      is_signed: /R3 unbounded memory access, make sure to bounds check any such access/,
      by_length_field: /R2 offset is outside of the packet/,
    },
  },
};
