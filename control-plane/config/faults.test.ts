import { describe, expect, it } from 'vitest';
import { faultsOf } from '../../test/support/config-faults.js';
import { loadConfig } from './load.js';

/** A VIP that is sound but for `more`, on line 2. */
const vip = (more: string) =>
  `vips:\n  - { address: 192.0.2.1, protocol: tcp, backends: [10.0.0.1]${more} }\n`;
const V6 = 'IPv6 is not carried over IPv4';

const ROWS: readonly (readonly [rule: string, text: string, faults: readonly string[]])[] = [
  [
    'a file without anything is not one',
    '',
    [
      'CONFIG_MISSING 1:1: the file is empty: its keys are node, appliance, healthChecks, vips, pools, serverIds, sourceRoutes, globalFlows, healthcheck, decap, clock, workers',
    ],
  ],
  [
    'nor is a list',
    '- 1\n',
    [
      'CONFIG_MISSING 1:1: the file is not a map of keys: its keys are node, appliance, healthChecks, vips, pools, serverIds, sourceRoutes, globalFlows, healthcheck, decap, clock, workers',
    ],
  ],
  ['a section of the wrong type', 'vips: 3\n', ['CONFIG_VALUE 1:7: vips: 3: is not a list']],
  [
    'an entry of the wrong type',
    'pools:\n  - web\n',
    [
      'CONFIG_VALUE 2:5: pools[0]: web: is not a map of keys: a pool has name, displayName, backends, healthChecks, drainTimeout, slowStart, panicThreshold, panicPolicy, ringAlgorithm',
    ],
  ],
  [
    'an unknown section, with the nearest known one',
    'vip: []\nworkers: 2\n',
    ['CONFIG_UNKNOWN_KEY 1:1: vip: []: is not a key of the file: did you mean vips?'],
  ],
  [
    'unknown keys, each with the nearest known one',
    vip(', prot: 80, downbackends: [], colour: red'),
    [
      'CONFIG_UNKNOWN_KEY 2:64: vips[0].prot: 80: is not a key of a VIP: did you mean protocol?',
      'CONFIG_UNKNOWN_KEY 2:74: vips[0].downbackends: []: is not a key of a VIP: did you mean downBackends?',
      'CONFIG_UNKNOWN_KEY 2:92: vips[0].colour: red: is not a key of a VIP: the keys are name, displayName, address, port, protocol, pool, backends, flags, ringAlgorithm, downBackends, watchMisses',
    ],
  ],
  [
    'what is required',
    'vips:\n  - { name: web }\n',
    [
      'CONFIG_MISSING 2:5: vips[0].address: is required',
      'CONFIG_MISSING 2:5: vips[0].protocol: is required',
      'CONFIG_MISSING 2:5: vips[0].pool: is required, or backends ([] for none)',
    ],
  ],
  [
    'a VIP without pool and backends',
    'vips:\n  - { address: 192.0.2.1, protocol: tcp }\n',
    ['CONFIG_MISSING 2:5: vips[0].pool: is required, or backends ([] for none)'],
  ],
  [
    'a VIP with both',
    'pools: [ { name: web } ]\nvips:\n  - { address: 192.0.2.1, protocol: tcp, pool: web, backends: [] }\n',
    ['CONFIG_CONFLICT 3:63: vips[0].backends: stands beside pool (web): a VIP has one or the other'],
  ],
  [
    'an address that is none',
    'vips:\n  - address: 10.200.1.300\n    protocol: tcp\n    backends: []\n',
    ['CONFIG_VALUE 2:14: vips[0].address: 10.200.1.300: is not an IPv4 address, IPv6 address or IPv6 prefix'],
  ],
  [
    'an address that no packet can be sent to',
    'pools:\n  - { name: web, backends: [224.0.0.1, { address: 127.0.0.1 }, 0.0.0.0] }\n',
    [
      'CONFIG_VALUE 2:29: pools[0].backends[0]: 224.0.0.1: is a multicast address, not that of a host',
      'CONFIG_VALUE 2:51: pools[0].backends[1].address: 127.0.0.1: is a loopback address, which never leaves a host',
      'CONFIG_VALUE 2:64: pools[0].backends[2]: 0.0.0.0: is the unspecified address, not that of a host',
    ],
  ],
  [
    'a prefix with bits set behind it',
    'vips:\n  - { address: "fc00:1::1/64", protocol: tcp, backends: [] }\n',
    [
      'CONFIG_VALUE 2:16: vips[0].address: fc00:1::1/64: has bits set after the first 64: the prefix is fc00:1::/64',
    ],
  ],
  [
    'an IPv4 prefix as a VIP',
    'vips:\n  - { address: 10.0.0.0/24, protocol: tcp, backends: [] }\n',
    ['CONFIG_VALUE 2:16: vips[0].address: 10.0.0.0/24: is an IPv4 prefix: only IPv6 VIPs can be prefixes'],
  ],
  [
    'a prefix longer than the address',
    'sourceRoutes: { 10.0.0.0/33: 10.0.0.1 }\n',
    ['CONFIG_VALUE 1:30: sourceRoutes["10.0.0.0/33"]: 10.0.0.0/33: has 33 bits, and an IPv4 address has 32'],
  ],
  [
    'a prefix whose number of bits is none, or there twice',
    'sourceRoutes:\n  - { prefix: 10.0.0.0/x, backend: 10.0.0.1 }\n  - { prefix: 10.0.0.0/, backend: 10.0.0.1 }\n  - { prefix: 10.0.0.0/8/8, backend: 10.0.0.1 }\n',
    [
      'CONFIG_VALUE 2:15: sourceRoutes[0].prefix: 10.0.0.0/x: is not an address and a number of bits, as in 192.0.2.0/24 or 2001:db8::/32',
      'CONFIG_VALUE 3:15: sourceRoutes[1].prefix: 10.0.0.0/: is not an address and a number of bits, as in 192.0.2.0/24 or 2001:db8::/32',
      'CONFIG_VALUE 4:15: sourceRoutes[2].prefix: 10.0.0.0/8/8: is not an address and a number of bits, as in 192.0.2.0/24 or 2001:db8::/32',
    ],
  ],
  [
    'a text for people that is too long',
    `pools:\n  - { name: web, displayName: ${'x'.repeat(256)} }\n`,
    [`CONFIG_VALUE 2:31: pools[0].displayName: ${'x'.repeat(59)}…: has more than 255 characters`],
  ],
  [
    'a port',
    vip(', port: 65536'),
    ['CONFIG_VALUE 2:70: vips[0].port: 65536: is not a whole number from 0 to 65535'],
  ],
  [
    'a port that is no number',
    vip(', port: http'),
    ['CONFIG_VALUE 2:70: vips[0].port: http: is not a whole number from 0 to 65535'],
  ],
  [
    'a protocol',
    'vips:\n  - { address: 192.0.2.1, protocol: sctp, backends: [] }\n',
    ['CONFIG_VALUE 2:37: vips[0].protocol: sctp: is not tcp or udp'],
  ],
  [
    'a flag, with the one that may be meant',
    vip(', flags: [LRU_BYPAS, QUICK, FAST]'),
    [
      'CONFIG_VALUE 2:72: vips[0].flags[0]: LRU_BYPAS: is not a flag: did you mean LRU_BYPASS?',
      'CONFIG_VALUE 2:83: vips[0].flags[1]: QUICK: is not a flag: did you mean QUIC_VIP?',
      'CONFIG_VALUE 2:90: vips[0].flags[2]: FAST: is not a flag: the flags are HASH_NO_SRC_PORT, LRU_BYPASS, QUIC_VIP, HASH_DPORT_ONLY, SRC_ROUTING, LOCAL_VIP, GLOBAL_LRU, HASH_SRC_DST_PORT, UDP_STABLE_ROUTING, UDP_FLOW_MIGRATION',
    ],
  ],
  [
    'flags for UDP on TCP',
    vip(', flags: [QUIC, UDP_FLOW_MIGRATION]'),
    [
      'CONFIG_CONFLICT 2:72: vips[0].flags[0]: QUIC_VIP: is for UDP, and the protocol is tcp',
      'CONFIG_CONFLICT 2:78: vips[0].flags[1]: UDP_FLOW_MIGRATION: is for UDP, and the protocol is tcp',
    ],
  ],
  [
    'flags that exclude each other',
    vip(', flags: [NO_SPORT, DPORT_ONLY]'),
    ['CONFIG_CONFLICT 2:71: vips[0].flags: HASH_NO_SRC_PORT and HASH_DPORT_ONLY exclude each other'],
  ],
  [
    'the same VIP twice, by its bytes',
    'vips:\n  - { address: fc00::1, protocol: udp, backends: [] }\n  - { address: fc00:0::1, protocol: UDP, port: 0, backends: [] }\n',
    ['CONFIG_DUPLICATE 3:16: vips[1].address: [fc00::1]:0/udp: is there already, on line 2'],
  ],
  [
    'the same name twice',
    'vips:\n  - { name: a, address: 192.0.2.1, protocol: udp, backends: [] }\n  - { name: a, address: 192.0.2.2, protocol: udp, backends: [] }\npools:\n  - name: p\n  - name: p\n',
    [
      'CONFIG_DUPLICATE 3:13: vips[1].name: a: is there already, on line 2',
      'CONFIG_DUPLICATE 6:11: pools[1].name: p: is there already, on line 5',
    ],
  ],
  [
    'a pool that is not there',
    'vips:\n  - { address: 192.0.2.1, protocol: tcp, pool: wob }\npools:\n  - name: web\n',
    ['CONFIG_REFERENCE 2:48: vips[0].pool: wob: is not the name of a pool: there are web'],
  ],
  [
    'a pool that is there but not sound is no second fault',
    'vips:\n  - { address: 192.0.2.1, protocol: tcp, pool: web }\npools:\n  - { name: web, backends: 1 }\n',
    ['CONFIG_VALUE 4:28: pools[0].backends: 1: is not a list'],
  ],
  [
    'a name',
    'pools:\n  - name: Web_1\n',
    [
      'CONFIG_VALUE 2:11: pools[0].name: Web_1: is not a name: 1 to 63 of a-z, 0-9 and "-", a letter first, no "-" last',
    ],
  ],
  [
    'a weight',
    'pools:\n  - name: web\n    backends:\n      - { address: 10.0.0.1, weight: 65536 }\n      - { address: 10.0.0.2, weight: -1 }\n      - { address: 10.0.0.3, weight: 1.5 }\n',
    [
      'CONFIG_VALUE 4:38: pools[0].backends[0].weight: 65536: is not a whole number from 0 to 65535',
      'CONFIG_VALUE 5:38: pools[0].backends[1].weight: -1: is not a whole number from 0 to 65535',
      'CONFIG_VALUE 6:38: pools[0].backends[2].weight: 1.5: is not a whole number from 0 to 65535',
    ],
  ],
  [
    'a backend twice in a pool',
    'pools:\n  - { name: web, backends: [fc00::1, "[fc00:0::1]"] }\n',
    ['CONFIG_DUPLICATE 2:38: pools[0].backends[1]: fc00::1: is there already, on line 2'],
  ],
  [
    'a state',
    'pools:\n  - { name: web, backends: [{ address: 10.0.0.1, state: dead }] }\n',
    ['CONFIG_VALUE 2:57: pools[0].backends[0].state: dead: is not up, draining or down'],
  ],
  [
    'a MAC address that is none, and one of many hosts',
    'node: { routerMac: "00:00:5e" }\npools:\n  - { name: web, backends: [{ address: 10.0.0.1, mac: 01:00:5e:00:00:01 }] }\n',
    [
      'CONFIG_VALUE 1:20: node.routerMac: 00:00:5e: is not a MAC address, as in 02:00:00:00:00:01',
      'CONFIG_VALUE 3:55: pools[0].backends[0].mac: 01:00:5e:00:00:01: is a multicast MAC address, not that of one host',
    ],
  ],
  [
    'an address with two next hops, or here and elsewhere',
    'pools:\n  - { name: a, backends: [{ address: 10.0.0.1, mac: 02:00:00:00:00:01 }, { address: 10.0.0.2, local: true }] }\n  - { name: b, backends: [10.0.0.1, 10.0.0.2] }\n',
    [
      'CONFIG_CONFLICT 3:27: pools[1].backends[0]: 10.0.0.1: has another mac on line 2: an address has one next hop',
      'CONFIG_CONFLICT 3:37: pools[1].backends[1]: 10.0.0.2: is local in one place and not in the other, on line 2',
    ],
  ],
  [
    'an IPv6 VIP with an IPv4 backend, of a pool and of its own',
    'pools:\n  - { name: web, backends: [10.0.0.1] }\nvips:\n  - { address: fc00::1, protocol: tcp, pool: web }\n  - { address: fc00::2, protocol: tcp, backends: [fc00::9, 10.0.0.2] }\n',
    [
      `CONFIG_CONFLICT 4:46: vips[0].pool: web: has the IPv4 backend 10.0.0.1 (line 2), and the VIP [fc00::1]:0/tcp is IPv6: ${V6}`,
      `CONFIG_CONFLICT 5:60: vips[1].backends[1]: 10.0.0.2: is IPv4, and the VIP [fc00::2]:0/tcp is IPv6: ${V6}`,
    ],
  ],
  [
    'an IPv6 route or flow to an IPv4 backend, and a flow between families',
    'sourceRoutes: [ { prefix: "fc00::/16", backend: 10.0.0.1 } ]\nglobalFlows:\n  - { protocol: tcp, source: "[fc00::1]:1", destination: "[fc00::2]:2", backend: 10.0.0.1 }\n  - { protocol: tcp, source: 10.0.0.1:1, destination: "[fc00::2]:2", backend: 10.0.0.1 }\n',
    [
      `CONFIG_CONFLICT 1:17: sourceRoutes[0]: 10.0.0.1: is IPv4, and the clients of fc00::/16 are IPv6: ${V6}`,
      `CONFIG_CONFLICT 3:82: globalFlows[0].backend: 10.0.0.1: is IPv4, and the flow to [fc00::2]:2/tcp is IPv6: ${V6}`,
      'CONFIG_CONFLICT 4:55: globalFlows[1].destination: fc00::2: is not of the family of the source 10.0.0.1',
    ],
  ],
  [
    'an endpoint without a port',
    'globalFlows:\n  - { protocol: tcp, source: 10.0.0.1, destination: 10.0.0.2:99999, backend: 10.0.0.1 }\n',
    [
      'CONFIG_VALUE 2:30: globalFlows[0].source: 10.0.0.1: is not an address and a port, as in 192.0.2.1:80 or [2001:db8::1]:80',
      'CONFIG_VALUE 2:53: globalFlows[0].destination: 10.0.0.2:99999: is not an address and a port, as in 192.0.2.1:80 or [2001:db8::1]:80',
    ],
  ],
  [
    'a server id of 0, of more than 32 bits, and one twice',
    'serverIds:\n  - { id: 0, backend: 10.0.0.1 }\n  - { id: 0x100000000, backend: 10.0.0.1 }\n  - { id: 16, backend: 10.0.0.1 }\n  - { id: 0x10, backend: 10.0.0.1 }\n',
    [
      'CONFIG_VALUE 2:11: serverIds[0].id: 0: is not a whole number from 1 to 4294967295',
      'CONFIG_VALUE 3:11: serverIds[1].id: 4294967296: is not a whole number from 1 to 4294967295',
      'CONFIG_DUPLICATE 5:5: serverIds[3]: 16: is there already, on line 4',
    ],
  ],
  [
    'a route, a flow and a down backend twice',
    `sourceRoutes:\n  - { prefix: 10.0.0.0/8, backend: 10.0.0.1 }\n  - { prefix: 10.0.0.0/8, backend: 10.0.0.2 }\nglobalFlows:\n${'  - { protocol: tcp, source: 10.0.0.1:1, destination: 10.0.0.2:2, backend: 10.0.0.1 }\n'.repeat(2)}vips:\n  - { address: 192.0.2.1, protocol: udp, backends: [], downBackends: [10.0.0.1, 10.0.0.1] }\n`,
    [
      'CONFIG_DUPLICATE 3:5: sourceRoutes[1]: 10.0.0.0/8: is there already, on line 2',
      'CONFIG_DUPLICATE 6:5: globalFlows[1]: "tcp 10.0.0.1 1 10.0.0.2 2": is there already, on line 5',
      'CONFIG_DUPLICATE 8:81: vips[0].downBackends[1]: 10.0.0.1: is there already, on line 8',
    ],
  ],
  [
    'an option that is off where a flag needs it: both places',
    'node:\n  options: { quicRouting: false }\nvips:\n  - { address: 192.0.2.1, protocol: udp, backends: [], flags: QUIC_VIP }\n',
    [
      'CONFIG_CONFLICT 2:27: node.options.quicRouting: false: is off, and the flag QUIC_VIP of vips/vip-1 (line 4) needs it: leave it out, or take that out',
    ],
  ],
  [
    'options that are off where something else needs them',
    'node:\n  options: { sourceRouting: no, prefixVips: off, globalLru: "false", localDelivery: false, events: false, dropSampleRate: 5 }\nvips:\n  - { address: "fc00::/64", protocol: udp, backends: [], flags: [LOCAL] }\nsourceRoutes: { 10.0.0.0/8: 10.0.0.1 }\nglobalFlows:\n  - { protocol: tcp, source: 10.0.0.1:1, destination: 10.0.0.2:2, backend: 10.0.0.1 }\n',
    [
      'CONFIG_CONFLICT 2:29: node.options.sourceRouting: false: is off, and the source route 10.0.0.0/8 (line 5) needs it: leave it out, or take that out',
      'CONFIG_CONFLICT 2:45: node.options.prefixVips: false: is off, and the prefix of vips/vip-1 (line 4) needs it: leave it out, or take that out',
      'CONFIG_CONFLICT 2:61: node.options.globalLru: false: is off, and the global flow to 10.0.0.2:2/tcp (line 7) needs it: leave it out, or take that out',
      'CONFIG_CONFLICT 2:85: node.options.localDelivery: false: is off, and the flag LOCAL_VIP of vips/vip-1 (line 4) needs it: leave it out, or take that out',
      'CONFIG_CONFLICT 2:100: node.options.events: false: is off, and the drop sample rate (line 2) needs it: leave it out, or take that out',
    ],
  ],
  [
    'what needs an option, behind what is not sound',
    'node: { options: { sourceRouting: off } }\nsourceRoutes:\n  - { prefix: x, backend: 10.0.0.1 }\n  - { prefix: 10.0.0.0/8, backend: 10.0.0.1 }\n',
    [
      'CONFIG_CONFLICT 1:35: node.options.sourceRouting: false: is off, and the source route 10.0.0.0/8 (line 4) needs it: leave it out, or take that out',
      'CONFIG_VALUE 3:15: sourceRoutes[0].prefix: x: is not an address and a number of bits, as in 192.0.2.0/24 or 2001:db8::/32',
    ],
  ],
  [
    'an option that is neither on nor off',
    'node: { options: { vlanTags: maybe } }\n',
    ['CONFIG_VALUE 1:30: node.options.vlanTags: maybe: is neither true nor false'],
  ],
  [
    'GUE without own addresses of the families of the backends',
    'node:\n  encapsulation: gue\n  gue: { source4: 10.0.0.9 }\nvips:\n  - { address: 192.0.2.1, protocol: tcp, backends: [10.0.0.1, fc00::1] }\n',
    [
      'CONFIG_MISSING 3:8: node.gue.source6: is required: encapsulation is gue, and the backend fc00::1 on line 5 is IPv6',
    ],
  ],
  [
    'own addresses in the wrong place',
    'node: { gue: { source4: fc00::1, source6: 10.0.0.1 } }\n',
    [
      'CONFIG_VALUE 1:25: node.gue.source4: fc00::1: is IPv6: that is source6',
      'CONFIG_VALUE 1:43: node.gue.source6: 10.0.0.1: is IPv4: that is source4',
    ],
  ],
  [
    'tunnels for nothing',
    'node:\n  decapsulation: { ipip: false, gue: false, destinations: [10.0.0.1, { address: 10.0.0.1, egress: true }] }\n',
    [
      'CONFIG_CONFLICT 2:26: node.decapsulation.ipip: false: is off, and the decapsulation destination 10.0.0.1 (line 2) needs it: leave it out, or take that out',
      'CONFIG_CONFLICT 2:38: node.decapsulation.gue: false: is off, and the decapsulation destination 10.0.0.1 with egress (line 2) needs it: leave it out, or take that out',
      'CONFIG_DUPLICATE 2:70: node.decapsulation.destinations[1]: 10.0.0.1: is there already, on line 2',
    ],
  ],
  [
    'limits',
    'node:\n  limits: { maxFrameBytes: 100, udpTimeout: 0s, connections: 0, serverIds: 1, sourceRoutes: 4294967296 }\nserverIds: { 1: 10.0.0.1, 2: 10.0.0.1 }\n',
    [
      'CONFIG_VALUE 2:28: node.limits.maxFrameBytes: 100: is not a whole number from 262 to 65535',
      'CONFIG_VALUE 2:45: node.limits.udpTimeout: 0s: is not a time of more than 0, as in 30s or 1500ms',
      'CONFIG_VALUE 2:62: node.limits.connections: 0: is not a whole number from 1 to 2147483648',
      'CONFIG_LIMIT 2:76: node.limits.serverIds: 1: is less than the 2 that are in the file',
      'CONFIG_VALUE 2:93: node.limits.sourceRoutes: 4294967296: is not a whole number from 1 to 2147483648',
    ],
  ],
  [
    'a limit that is too small for what is there',
    'node:\n  limits: { serverIds: 1 }\nserverIds: { 1: 10.0.0.1, 2: 10.0.0.1 }\n',
    ['CONFIG_LIMIT 2:24: node.limits.serverIds: 1: is less than the 2 that are in the file'],
  ],
  [
    'two VIPs whose misses are watched',
    'vips:\n  - { name: a, address: 192.0.2.1, protocol: tcp, backends: [], watchMisses: true }\n  - { address: 192.0.2.2, protocol: tcp, backends: [], watchMisses: true }\n',
    ['CONFIG_CONFLICT 3:69: vips[1].watchMisses: true: one VIP at most is watched, and a is, on line 2'],
  ],
  [
    'what a prefix cannot have',
    'vips:\n  - { address: "fc00::/64", protocol: udp, backends: [], watchMisses: true, downBackends: [fc00::1] }\n',
    [
      'CONFIG_CONFLICT 2:71: vips[0].watchMisses: is for VIPs of one address, and this one is a prefix',
      'CONFIG_CONFLICT 2:91: vips[0].downBackends: is for VIPs of one address, and this one is a prefix',
    ],
  ],
  [
    'clock, workers and interface',
    'clock: later\nworkers: 129\nnode: { interface: "a name with spaces" }\n',
    [
      'CONFIG_VALUE 1:8: clock: later: is neither "capture" nor a time, as in 0 or 10s',
      'CONFIG_VALUE 2:10: workers: 129: is not a whole number from 1 to 128',
      'CONFIG_VALUE 3:20: node.interface: "a name with spaces": is not the name of an interface: 1 to 15 characters without spaces and "/"',
    ],
  ],
  [
    'a ring algorithm',
    'node: { ringAlgorithm: ring-hash }\n',
    ['CONFIG_VALUE 1:24: node.ringAlgorithm: ring-hash: is not maglev-v2 or maglev-v1'],
  ],
  [
    'sections of the companions',
    'healthcheck:\n  marks: [ { mark: 0, backend: 10.0.0.1 } ]\n  colour: red\ndecap: { guePort: many }\n',
    [
      'CONFIG_MISSING 2:3: healthcheck.sources.ipv4: is needed: there are IPv4 backends',
      'CONFIG_MISSING 2:3: healthcheck.interface: is needed for encapsulation ipip',
      'CONFIG_MISSING 2:3: healthcheck.macs: is needed for encapsulation ipip',
      'CONFIG_VALUE 2:20: healthcheck.marks[0].mark: 0: is less than 1',
      'CONFIG_UNKNOWN_KEY 3:3: healthcheck.colour: red: is not a key here',
      'CONFIG_VALUE 4:19: decap.guePort: many: is not of the type number',
    ],
  ],
  [
    'a key twice, of any map',
    'workers: 1\nworkers: 2\n',
    ['CONFIG_DUPLICATE 2:1: workers: is there already, on line 1'],
  ],
  [
    'a key twice, behind one that has no value',
    'node:\n  options: { events: true, events: false }\nvips:\n',
    ['CONFIG_DUPLICATE 2:28: events: is there already, on line 2'],
  ],
  ['a tag that is not known', 'vips: !vip []\n', ['CONFIG_SYNTAX 1:7: is not YAML: Unresolved tag: !vip']],
  [
    'a key that is a map',
    'workers: 1\n? { a: 1 }\n: 2\n',
    ['CONFIG_SYNTAX 2:3: is not YAML: a key is a map or a list'],
  ],
  [
    'text that is not YAML',
    'vips: [\n',
    [
      'CONFIG_SYNTAX 2:1: is not YAML: Flow sequence in block collection must be sufficiently indented and end with a ]',
    ],
  ],
];

describe('what is wrong is said, with its place, its value and the rule', () => {
  it.each(ROWS)('%s', (_, text, faults) => {
    expect(faultsOf(text)).toEqual(faults);
  });

  it('the message has a line for each', () => {
    const error = (() => {
      try {
        loadConfig('workers: 0\nclock: x\n', 'node.yaml');
      } catch (caught) {
        return caught;
      }
      return undefined;
    })();
    expect(error).toMatchObject({
      code: 'CONFIG_INVALID',
      message:
        'node.yaml:1:10: workers: 0: is not a whole number from 1 to 128\nnode.yaml:2:8: clock: x: is neither "capture" nor a time, as in 0 or 10s',
    });
  });

  it('room for what there is, unless less is asked for; and never more than there can be', () => {
    const address = (i: number) => `10.${i >> 16}.${(i >> 8) & 255}.${i & 255}`;
    const vips = Array.from({ length: 513 }, (_, i) => ({
      address: address(i),
      protocol: 'tcp',
      pool: i < 3 ? `p${i}` : 'p0',
    }));
    const pools = [0, 1, 2].map((i) => ({ name: `p${i}`, backends: [address(i), address(i + 9)] }));
    const load = (limits: object) => faultsOf(JSON.stringify({ node: { limits }, vips, pools }));
    expect(load({})).toEqual([]);
    expect(
      load({ vips: 512, rings: 2, backendAddresses: 5 }).map((line) => line.replace(/ .*?: /, ' ')),
    ).toEqual([
      'CONFIG_LIMIT node.limits.vips: 512: is less than the 513 that are in the file',
      'CONFIG_LIMIT node.limits.rings: 2: is less than the 3 that are in the file',
      'CONFIG_LIMIT node.limits.backendAddresses: 5: is less than the 6 that are in the file',
    ]);
    const many = Array.from({ length: 4097 }, (_, i) => ({ name: `p${i}` }));
    expect(faultsOf(JSON.stringify({ pools: many }))).toEqual([
      'CONFIG_LIMIT 1:10: pools: no more than 4096 pools are possible, and there are 4097',
    ]);
  });
});
