import { describe, expect, it } from 'vitest';
import { formatIp, formatMac, formatVip, VIP_FLAGS } from '../../lb/index.js';
import { loadConfig } from './load.js';
import type { NodeConfig } from './model.js';
import { optionsOf, sizesOf } from './options.js';

const load = (text: string) => loadConfig(text, 'node.yaml');
const service = (more = '', protocol = 'udp') =>
  load(`vips:\n  - { address: 192.0.2.1, protocol: ${protocol}, backends: [10.0.0.1]${more} }\n`);

/** A configuration as people would write it. */
const shown = ({ vips, pools }: NodeConfig) => [
  vips.map(({ name, key, pool }) => `${name} ${formatVip(key)} ${pool}`),
  pools.map(
    ({ name, backends }) =>
      `${name}: ${backends.map((one) => `${one.name}=${formatIp(one.address)}*${one.weight}`).join(' ')}`,
  ),
];

describe('a file is read', () => {
  it('with all defaults in place', () => {
    const config = service();
    expect(shown(config)).toEqual([['vip-1 192.0.2.1:0/udp vip-1'], ['vip-1: b-10-0-0-1=10.0.0.1*1']]);
    expect(config).toMatchObject({
      fileName: 'node.yaml',
      interface: undefined,
      routerMac: undefined,
      ownAddresses: [],
      decapDestinations: [],
      workers: 1,
      clockStartNs: undefined,
    });
    expect(config.vips[0]).toMatchObject({
      flags: 0,
      ringAlgorithm: undefined,
      downBackends: [],
      watchMisses: false,
    });
    expect(config.pools[0]).toMatchObject({ ringAlgorithm: 'v2' });
    expect(config.pools[0]?.backends[0]).toMatchObject({ mac: undefined, local: false, state: 'up' });
    expect(optionsOf(config)).toEqual({
      maxFrameBytes: 1514,
      newConnectionsPerSecond: 125_000,
      udpTimeoutNs: 30_000_000_000,
      gue: false,
      guePort: 6080,
      sendTooBig: true,
      vlanTags: true,
      quicRouting: false,
      tcpServerIds: false,
      udpStableRouting: false,
      udpFlowMigration: false,
      sourceRouting: false,
      prefixVips: false,
      globalLru: false,
      ipipDecap: false,
      gueDecap: false,
      localDelivery: false,
      eventsEnabled: false,
      dropSampleRate: 0,
    });
    expect(sizesOf(config)).toMatchObject({
      vip_map: 512,
      reals: 4096,
      ch_rings: 65_537,
      fallback_cache: 1000,
      vip_lpm_map: 512,
      vip_prefixes: 512,
      server_id_map: 65_536,
      lpm_src_v4: 65_536,
      lpm_src_v6: 65_536,
      decap_dst: 512,
    });
    expect(config.limits).toMatchObject({ connections: 65_536, globalFlows: 65_536 });
  });

  it('a file may be empty but for one key, and keys may be empty', () => {
    expect(load('workers: 3')).toMatchObject({ workers: 3, vips: [], pools: [] });
    expect(load('node:\nvips:\npools:\n  - name: web\n    backends:\n').pools).toMatchObject([
      { backends: [] },
    ]);
  });

  it('addresses with and without brackets, words in any case, numbers between quotes, JSON', () => {
    const config = load(
      '{"vips": [{"address": "[2001:DB8::1]", "port": "443", "protocol": "UDP", "backends": ["[fc00::1]", {"address": "fc00:0::2", "weight": "3", "state": "Draining", "local": "no"}]}]}',
    );
    expect(shown(config)).toEqual([
      ['vip-1 [2001:db8::1]:443/udp vip-1'],
      ['vip-1: b-fc00--1=fc00::1*1 b-fc00--2=fc00::2*3'],
    ]);
    expect(config.pools[0]?.backends[1]).toMatchObject({ state: 'draining', local: false });
  });

  it.each([
    ['F_HASH_NO_SRC_PORT', 1],
    ['no_sport', 1],
    ['NO_SRC_PORT', 1],
    ['lru-bypass', 2],
    ['NO_LRU', 2],
    ['QUIC', 4],
    ['F_QUIC_VIP', 4],
    ['DPORT_ONLY', 8],
    ['DPORT_HASH', 8],
    ['SRC_ROUTING', 16],
    ['LOCAL', 32],
    ['GLOBAL_LRU', 64],
    ['SRC_DST_PORT', 128],
    ['F_UDP_STABLE_ROUTING_VIP', 256],
    ['UDP_FLOW_MIGRATION', 512],
  ])('the flag %s, alone or in a list', (name, bit) => {
    expect(service(`, flags: ${name}`).vips[0]?.flags).toBe(bit);
    expect(service(`, flags: [${name}, ${name}]`).vips[0]?.flags).toBe(bit);
  });

  it('every flag of the datapath by its own name', () => {
    for (const [name, bit] of Object.entries(VIP_FLAGS)) {
      expect(service(`, flags: ${name}`).vips[0]?.flags).toBe(bit);
      expect(service(`, flags: [VIP_FLAG_${name}]`).vips[0]?.flags).toBe(bit);
    }
  });

  it.each([
    ['30s', 30e9],
    ['30', 30e9],
    ['1.5s', 1.5e9],
    ['1500ms', 1.5e9],
    ['"10 us"', 10e3],
    ['7ns', 7],
    ['2m', 120e9],
    ['1h', 3600e9],
  ])('the time %s', (text, ns) => {
    expect(optionsOf(load(`node: { limits: { udpTimeout: ${text} } }`)).udpTimeoutNs).toBe(ns);
    expect(load(`clock: ${text}`).clockStartNs).toBe(ns);
  });

  it('a clock of 0, and that of the capture', () => {
    expect(load('clock: 0').clockStartNs).toBe(0);
    expect(load('clock: Capture').clockStartNs).toBeUndefined();
  });

  it('server ids and source routes as a list or as a map', () => {
    const list = load(
      'serverIds: [ { id: 0x3fe, backend: 10.0.0.1 } ]\nsourceRoutes: [ { prefix: 10.1.0.0/16, backend: 10.0.0.1 }, { prefix: "fc00::/7", backend: fc00::1 }, { prefix: 10.2.0.1, backend: 10.0.0.1 } ]\n',
    );
    const map = load(
      'serverIds: { 1022: 10.0.0.1 }\nsourceRoutes: { 10.1.0.0/16: 10.0.0.1, "fc00::/7": fc00::1, 10.2.0.1: 10.0.0.1 }\n',
    );
    expect(list.serverIds).toMatchObject([{ id: 1022 }]);
    expect(list.sourceRoutes.map(({ prefix: { address, bits } }) => `${formatIp(address)}/${bits}`)).toEqual([
      '10.1.0.0/16',
      'fc00::/7',
      '10.2.0.1/32',
    ]);
    expect({ ...map, fileName: '' }).toEqual({ ...list, fileName: '' });
  });

  it('flows from outside', () => {
    const { globalFlows } = load(
      'globalFlows: [ { protocol: TCP, source: "[fc00::7]:4000", destination: "[fc00::1]:80", backend: fc00::9 } ]\n',
    );
    expect(globalFlows).toMatchObject([{ flow: { sport: 4000, dport: 80, protocol: 'tcp' } }]);
    expect(globalFlows.map(({ flow }) => [flow.src, flow.dst].map(formatIp))).toEqual([
      ['fc00::7', 'fc00::1'],
    ]);
  });

  it('the node', () => {
    const config = load(
      'node:\n  interface: eth0\n  routerMac: 00-00-DE-AD-BE-AF\n  encapsulation: GUE\n  gue: { port: 9886, source4: 10.0.13.37, source6: "fc00:2307::1337" }\n  decapsulation: { destinations: [10.1.1.1, { address: 10.1.1.2, egress: true }] }\n  options: { sendTooBig: false, vlanTags: no, tcpServerIds: on, dropSampleRate: 10 }\n  limits: { maxFrameBytes: 9014, newConnectionsPerSecond: 5, connections: 10, fallbackConnections: 11, globalFlows: 12, serverIds: 13, sourceRoutes: 14, prefixVips: 15, decapsulationDestinations: 16 }\n',
    );
    expect(config).toMatchObject({
      interface: 'eth0',
      decapDestinations: [{ egress: false }, { egress: true }],
    });
    expect(config.routerMac && formatMac(config.routerMac)).toBe('00:00:de:ad:be:af');
    expect(config.ownAddresses.map(formatIp)).toEqual(['10.0.13.37', 'fc00:2307::1337']);
    expect(optionsOf(config)).toMatchObject({
      gue: true,
      guePort: 9886,
      ipipDecap: true,
      gueDecap: true,
      sendTooBig: false,
      vlanTags: false,
      tcpServerIds: true,
      eventsEnabled: true,
      dropSampleRate: 10,
      maxFrameBytes: 9014,
      newConnectionsPerSecond: 5,
    });
    expect(config.limits).toEqual({
      vips: 512,
      rings: 512,
      backendAddresses: 4095,
      connections: 10,
      fallbackConnections: 11,
      globalFlows: 12,
      serverIds: 13,
      sourceRoutes: 14,
      prefixVips: 15,
      decapsulationDestinations: 16,
    });
  });

  it('a pool of its own has the name of the VIP, or the next that is free', () => {
    const config = load(
      'vips:\n  - { name: web, address: 192.0.2.1, protocol: tcp, backends: [] }\npools:\n  - name: web\n  - name: web-2\n',
    );
    expect(config.vips[0]?.pool).toBe('web-3');
  });

  it('the ring algorithm of a VIP, of its pool, of the node', () => {
    const config = load(
      'node: { ringAlgorithm: maglev-v1 }\npools:\n  - { name: a, ringAlgorithm: maglev-v2 }\n  - { name: b }\nvips:\n  - { address: 192.0.2.1, protocol: tcp, pool: a, ringAlgorithm: v1 }\n',
    );
    expect(config.pools.map(({ ringAlgorithm }) => ringAlgorithm)).toEqual(['v2', 'v1']);
    expect(config.vips[0]?.ringAlgorithm).toBe('v1');
  });

  it('anchors, and maps that take in others', () => {
    const config = load(
      'pools:\n  - { name: a, backends: &both [10.0.0.1, 10.0.0.2] }\n  - { name: b, backends: *both }\nvips:\n  - &web { address: 192.0.2.1, protocol: tcp, pool: a }\n  - { <<: *web, port: 81 }\n',
    );
    expect(shown(config)).toEqual([
      ['vip-1 192.0.2.1:0/tcp a', 'vip-2 192.0.2.1:81/tcp a'],
      ['a: b-10-0-0-1=10.0.0.1*1 b-10-0-0-2=10.0.0.2*1', 'b: b-10-0-0-1=10.0.0.1*1 b-10-0-0-2=10.0.0.2*1'],
    ]);
  });
});

describe('an option that something needs is on', () => {
  const IDS = 'serverIds: { 7: 10.0.0.1 }\n';
  const vipWith = (flag: string, protocol = 'udp') =>
    `vips:\n  - { address: 192.0.2.1, protocol: ${protocol}, backends: [], flags: ${flag} }\n`;
  it.each([
    ['QUIC_VIP', vipWith('QUIC_VIP'), ['quicRouting']],
    ['UDP_STABLE_ROUTING', vipWith('UDP_STABLE_ROUTING'), ['udpStableRouting']],
    ['UDP_FLOW_MIGRATION', vipWith('UDP_FLOW_MIGRATION'), ['udpFlowMigration']],
    ['SRC_ROUTING', vipWith('SRC_ROUTING'), ['sourceRouting']],
    ['GLOBAL_LRU', vipWith('GLOBAL_LRU'), ['globalLru']],
    ['LOCAL_VIP', vipWith('LOCAL_VIP'), ['localDelivery']],
    ['flags without an option', vipWith('[LRU_BYPASS, HASH_DPORT_ONLY]'), []],
    ['a prefix', 'vips: [ { address: "fc00::/64", protocol: tcp, backends: [] } ]', ['prefixVips']],
    ['a prefix that is one address', 'vips: [ { address: "fc00::1/128", protocol: tcp, backends: [] } ]', []],
    ['a source route', 'sourceRoutes: { 10.0.0.0/8: 10.0.0.1 }', ['sourceRouting']],
    [
      'a flow from outside',
      'globalFlows: [ { protocol: udp, source: 10.0.0.1:1, destination: 10.0.0.2:2, backend: 10.0.0.3 } ]',
      ['globalLru'],
    ],
    ['server ids that only the TCP option can have', IDS, ['tcpServerIds']],
    ['server ids for QUIC', IDS + vipWith('QUIC_VIP'), ['quicRouting']],
    ['server ids, and the option off', `${IDS}node: { options: { tcpServerIds: false } }`, []],
    ['drop samples', 'node: { options: { dropSampleRate: 1 } }', ['eventsEnabled']],
    [
      'a tunnel destination',
      'node: { decapsulation: { destinations: [10.0.0.1] } }',
      ['ipipDecap', 'gueDecap'],
    ],
    ['tunnels of one kind', 'node: { decapsulation: { gue: off, destinations: [10.0.0.1] } }', ['ipipDecap']],
    ['tunnels for the own address alone', 'node: { decapsulation: { gue: true } }', ['gueDecap']],
  ])('%s', (_, text, on) => {
    const always = ['sendTooBig', 'vlanTags'];
    const options = Object.entries(optionsOf(load(text)));
    expect(
      options
        .filter(([, value]) => value === true)
        .map(([name]) => name)
        .sort(),
    ).toEqual([...always, ...on].sort());
  });
});

it('tables have room for what is there', () => {
  const ids = Object.fromEntries(Array.from({ length: 70_000 }, (_, i) => [i + 1, '10.0.0.1']));
  const vips = [1, 2, 3].map((n) => ({ address: `192.0.2.${n}`, protocol: 'tcp', pool: n < 3 ? 'a' : 'b' }));
  const pools = [{ name: 'a' }, { name: 'b' }, { name: 'c' }];
  const sizes = sizesOf(load(JSON.stringify({ serverIds: ids, vips, pools })));
  expect(sizes.server_id_map).toBe(70_000);
  // VIPs of one pool share a ring; a pool without a VIP has none.
  expect(sizes.ch_rings).toBe(2 * 65_537);
});

it("names may be those of the API's resources", () => {
  const config = loadConfig(
    `
vips:
  - { name: vips/web, address: 10.200.1.1, port: 80, protocol: PROTOCOL_TCP, pool: pools/web }
pools:
  - { name: pools/web, backends: [{ name: pools/web/backends/a, address: 10.0.0.1 }] }
`,
    'node.yaml',
  );
  expect(config.vips.map(({ name, pool, key }) => [name, pool, key.protocol])).toEqual([
    ['web', 'web', 'tcp'],
  ]);
  expect(config.pools.map(({ name, backends }) => [name, backends.map((each) => each.name)])).toEqual([
    ['web', ['a']],
  ]);
});
