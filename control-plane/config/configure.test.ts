import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { formatIp, formatVip, ipFromBytes, PacketReplay } from '../../lb/index.js';
import { ETHERTYPE, fromHex, hex, ipv4, PROTOCOL, tcpFrame, udpFrame } from '../../test/support/packets.js';
import { connectionId, quicShort } from '../../test/support/packets-quic.js';
import { gueFrame, ipipFrame, tagged } from '../../test/support/packets-tunnel.js';
import { configure } from './configure.js';
import { loadConfig } from './load.js';
import { optionsOf, sizesOf } from './options.js';

const { WAGGLE_CORPUS: corpus } = process.env;
const SKIP = corpus === undefined ? ' (skipped: WAGGLE_CORPUS is not set)' : '';
const NOW = 1_000_000_000_000n;

/** A replay that is set up by a file, as the command does it. */
function open(text: string) {
  const config = loadConfig(text, 'node.yaml');
  const replay = new PacketReplay({
    engine: 'jit',
    options: optionsOf(config),
    sizes: sizesOf(config),
    workers: config.workers,
    connections: 1000,
    globalFlows: 1000,
  });
  if (replay.tables === undefined) throw new Error('not a balancer');
  return { replay, configured: configure(config, replay.tables) };
}

const CLIENT = '192.168.1.1';
const VIP = '10.200.1.1';
const tcp = (sport: number, dst = VIP, dport = 80) => tcpFrame({ src: CLIENT, dst, sport, dport });
const tcpAck = (sport: number) => tcpFrame({ src: CLIENT, dst: VIP, sport, dport: 80 }, { flags: 16 });
const udp = (sport: number, dst = VIP, dport = 80) => udpFrame({ src: CLIENT, dst, sport, dport });
const vips = (more: string, protocol = 'tcp') =>
  `vips:\n  - { address: ${VIP}, port: 80, protocol: ${protocol}, backends: [10.0.0.1, 10.0.0.2]${more} }\n`;

/** What became of a frame: backend and table, or the reason. */
function fateOf(text: string, ...frames: Uint8Array[]): readonly string[] {
  const { replay } = open(text);
  try {
    return frames.map((frame) => {
      const { backend, table, reason } = replay.run(frame, NOW).fate;
      return backend === null ? reason : `${backend} ${table}`;
    });
  } finally {
    replay.close();
  }
}

describe('what a file says, packets meet', () => {
  it('numbers of VIPs and rows of backends follow the file', () => {
    const { replay, configured } = open(
      'vips:\n  - { name: b, address: 192.0.2.2, protocol: udp, pool: y }\n  - { name: a, address: "fc00:1::/64", port: 53, protocol: udp, backends: [fc00::1] }\npools:\n  - { name: x, backends: [{ name: one, address: 10.0.0.1 }] }\n  - { name: y, backends: [{ name: same, address: 10.0.0.1 }] }\nserverIds: { 9: 10.0.0.9 }\n',
    );
    replay.close();
    expect([0, 1, 2].map((number) => configured.vip(number)?.name)).toEqual(['b', 'a', undefined]);
    expect([0, 1, 2, 3, 4].map((index) => configured.backendAddress(index))).toEqual([
      undefined,
      '10.0.0.1',
      'fc00::1',
      '10.0.0.9',
      undefined,
    ]);
    expect(configured.backends(1).map(({ name }) => name)).toEqual(['one', 'same']);
    expect(configured.backends(3)).toEqual([]);
  });

  it('weights, draining and down', () => {
    const backends =
      'backends: [{ address: 10.0.0.1, weight: 0 }, { address: 10.0.0.2, state: draining }, { address: 10.0.0.3, state: down }, 10.0.0.4]';
    const text = `vips:\n  - { address: ${VIP}, protocol: tcp, ${backends} }\n`;
    const frames = Array.from({ length: 50 }, (_, i) => tcp(1000 + i));
    expect(new Set(fateOf(text, ...frames))).toEqual(new Set(['10.0.0.4 ring']));
  });

  it('no backend at all', () => {
    expect(fateOf(`vips:\n  - { address: ${VIP}, protocol: tcp, backends: [] }\n`, tcp(1))).toEqual([
      'empty_ring',
    ]);
  });

  it('next hops: of the backend, of the router, none', () => {
    const text = (node: string) =>
      `${node}vips:\n  - { address: ${VIP}, protocol: tcp, backends: [{ address: 10.0.0.1, mac: 02:00:00:00:00:01 }] }\n  - { address: 10.200.1.2, protocol: tcp, backends: [10.0.0.2] }\n`;
    const hop = (node: string, dst: string) => {
      const { replay } = open(text(node));
      const { frame } = replay.run(tcp(1, dst), NOW);
      replay.close();
      return hex(frame.subarray(0, 6));
    };
    const router = 'node: { routerMac: 00:00:de:ad:be:af }\n';
    expect([hop(router, VIP), hop(router, '10.200.1.2'), hop('', VIP), hop('', '10.200.1.2')]).toEqual([
      '020000000001',
      '0000deadbeaf',
      '020000000001',
      '000000000000',
    ]);
  });

  it('a port of its own comes before every port; prefixes; protocols', () => {
    const text = `vips:\n  - { address: ${VIP}, protocol: tcp, backends: [10.0.0.1] }\n  - { address: ${VIP}, port: 81, protocol: tcp, backends: [10.0.0.2] }\n  - { address: ${VIP}, protocol: udp, backends: [10.0.0.3] }\n  - { address: "fc00:1::/64", protocol: udp, backends: [fc00::4] }\n`;
    const inPrefix = udpFrame({ src: 'fc00::7', dst: 'fc00:1::99', sport: 1, dport: 2 });
    expect(fateOf(text, tcp(1), tcp(1, VIP, 81), udp(1), inPrefix, udp(1, '10.200.1.9'))).toEqual([
      '10.0.0.1 ring',
      '10.0.0.2 ring',
      '10.0.0.3 ring',
      'fc00::4 ring',
      'no_vip',
    ]);
  });

  it('flags: no connection table', () => {
    expect(fateOf(vips(''), tcp(1), tcpAck(1)).map((fate) => fate.split(' ')[1])).toEqual(['ring', 'lru']);
    expect(fateOf(vips(', flags: LRU_BYPASS'), tcp(1), tcpAck(1)).map((fate) => fate.split(' ')[1])).toEqual([
      'ring',
      'ring',
    ]);
  });

  it('flags: without source port', () => {
    const frames = Array.from({ length: 50 }, (_, i) => tcp(1000 + i));
    const backendsOf = (text: string) => new Set(fateOf(text, ...frames).map((fate) => fate.split(' ')[0]));
    expect(backendsOf(vips('')).size).toBe(2);
    expect(backendsOf(vips(', flags: NO_SRC_PORT')).size).toBe(1);
  });

  it('server ids of QUIC', () => {
    const frame = udpFrame(
      { src: CLIENT, dst: VIP, sport: 1, dport: 80 },
      { data: quicShort(connectionId(1, 1022)) },
    );
    expect(fateOf(`${vips(', flags: QUIC_VIP', 'udp')}serverIds: { 1022: 10.0.0.9 }\n`, frame)).toEqual([
      '10.0.0.9 quic',
    ]);
  });

  it('source routes: the longest prefix', () => {
    const text = `${vips(', flags: SRC_ROUTING')}sourceRoutes: { 192.168.0.0/16: 10.0.0.8, 192.168.1.0/24: 10.0.0.9 }\n`;
    const other = tcpFrame({ src: '192.168.2.1', dst: VIP, sport: 1, dport: 80 });
    expect(fateOf(text, tcp(1), other)).toEqual(['10.0.0.9 source_route', '10.0.0.8 source_route']);
  });

  it('flows from outside', () => {
    const text = `${vips(', flags: GLOBAL_LRU')}globalFlows: [ { protocol: tcp, source: ${CLIENT}:4000, destination: ${VIP}:80, backend: 10.0.0.9 } ]\n`;
    expect(fateOf(text, tcpAck(4000))).toEqual(['10.0.0.9 global_lru']);
  });

  it('down backends: UDP flows leave them, named by the VIP or by their state', () => {
    const flag = ', flags: UDP_FLOW_MIGRATION';
    const quiet = vips(flag, 'udp');
    expect(fateOf(quiet, udp(1), udp(1))[1]).toMatch(/ lru$/);
    const named = vips(`${flag}, downBackends: [10.0.0.1, 10.0.0.2]`, 'udp');
    expect(fateOf(named, udp(1), udp(1))[1]).toMatch(/ ring$/);
    const state = (flags: string) =>
      `vips:\n  - { address: ${VIP}, port: 80, protocol: udp, backends: [{ address: 10.0.0.1, state: down }, 10.0.0.2], flags: ${flags} }\nglobalFlows: [ { protocol: udp, source: ${CLIENT}:7, destination: ${VIP}:80, backend: 10.0.0.1 } ]\n`;
    expect(fateOf(state('GLOBAL_LRU'), udp(7))).toEqual(['10.0.0.1 global_lru']);
    expect(fateOf(state('[GLOBAL_LRU, UDP_FLOW_MIGRATION]'), udp(7))).toEqual(['10.0.0.2 ring']);
  });

  it('backends that are this host', () => {
    const text = (flag: string) =>
      `vips:\n  - { address: ${VIP}, protocol: tcp, backends: [{ address: 10.0.0.1, local: true }]${flag} }\n`;
    expect(fateOf(text(', flags: LOCAL_VIP'), tcp(1))).toEqual(['10.0.0.1 ring']);
    const verdicts = ['', ', flags: LOCAL_VIP'].map((flag) => {
      const { replay } = open(text(flag));
      const { verdict, reason } = replay.run(tcp(1), NOW).fate;
      replay.close();
      return `${verdict} ${reason}`;
    });
    expect(verdicts).toEqual(['XDP_TX forwarded', 'XDP_PASS local']);
  });

  it('tunnels: to destinations, to own addresses, to others', () => {
    const text = `node:\n  gue: { port: 9886, source4: 10.0.13.37 }\n  decapsulation: { destinations: [10.1.1.1, { address: 10.1.1.2, egress: true }] }\n${vips('')}`;
    const inner = ipv4({ src: CLIENT, dst: VIP, protocol: PROTOCOL.tcp }, tcp(1).subarray(34));
    const tunnel = (dst: string) => ipipFrame({ src: '10.9.9.9', dst }, inner);
    const fates = fateOf(
      text,
      tunnel('10.1.1.1'),
      tunnel('10.0.13.37'),
      tunnel('10.3.3.3'),
      gueFrame({ src: '10.9.9.9', dst: '10.1.1.2' }, inner, 9886),
    );
    expect(fates[0]).toMatch(/ ring$/);
    expect(fates.slice(1)).toEqual(['decapsulated', 'not_our_tunnel', 'egress_decap']);
  });

  it('options and limits', () => {
    const tag = tagged(tcp(1), { type: ETHERTYPE.vlan, control: 5 });
    expect(fateOf(`node: { options: { vlanTags: false } }\n${vips('')}`, tag)).toEqual(['not_ip']);
    const long = udpFrame({ src: CLIENT, dst: VIP, sport: 1, dport: 80 }, { data: new Uint8Array(400) });
    expect(fateOf(`node: { limits: { maxFrameBytes: 300 } }\n${vips('', 'udp')}`, long)).toEqual([
      'too_big_sent',
    ]);
    expect(
      fateOf(
        `node: { limits: { maxFrameBytes: 300 }, options: { sendTooBig: no } }\n${vips('', 'udp')}`,
        long,
      ),
    ).toEqual(['too_long']);
    const text = `node: { limits: { udpTimeout: 1ms } }\n${vips('', 'udp')}`;
    const { replay } = open(text);
    const tables = [0n, 1_000_000n, 2_000_001n].map((later) => replay.run(udp(1), NOW + later).fate.table);
    replay.close();
    expect(tables).toEqual(['ring', 'lru', 'ring']);
  });

  it('GUE, its port and own addresses', () => {
    const { replay } = open(
      `node: { encapsulation: gue, gue: { port: 9886, source4: 10.0.13.37 } }\n${vips('')}`,
    );
    const { frame } = replay.run(tcp(1), NOW);
    replay.close();
    expect(frame[23]).toBe(17);
    expect(formatIp(ipFromBytes(frame.subarray(26, 30)))).toBe('10.0.13.37');
    expect((frame[36]! << 8) | frame[37]!).toBe(9886);
  });

  it('misses of the VIP that is watched', () => {
    const { replay, configured } = open(vips(', watchMisses: true'));
    for (let sport = 1; sport <= 20; sport++) replay.run(tcp(sport), NOW);
    const misses = [1, 2].map((index) => replay.tables?.missesOf(index) ?? 0);
    replay.close();
    expect(configured.vip(0) && formatVip(configured.vip(0)!.key)).toBe(`${VIP}:80/tcp`);
    expect(misses.every((count) => count > 0)).toBe(true);
    expect(misses.reduce((sum, count) => sum + count, 0)).toBe(20);
  });
});

describe('two nodes of one fleet', () => {
  const backends = Array.from(
    { length: 20 },
    (_, i) => `{ address: 10.0.0.${i + 1}, weight: ${1 + (i % 3)} }`,
  );
  const text = (list: readonly string[], before = '') =>
    `pools:\n${before}  - { name: web, backends: [${list.join(', ')}] }\nvips:\n  - { address: ${VIP}, protocol: tcp, pool: web }\n`;
  const frames = Array.from({ length: 300 }, (_, i) => tcp(1000 + i));

  it('the order of backends, and what else is there, does not matter to a flow', () => {
    const here = fateOf(text(backends), ...frames);
    const other = '  - { name: other, backends: [10.9.9.1, 10.0.0.7, 10.9.9.2] }\n';
    const there = fateOf(text(backends.toReversed(), other), ...frames);
    expect(there).toEqual(here);
    expect(new Set(here).size).toBe(20);
  });

  it('another algorithm gives another ring', () => {
    const other = fateOf(`node: { ringAlgorithm: maglev-v1 }\n${text(backends)}`, ...frames);
    expect(other).not.toEqual(fateOf(text(backends), ...frames));
  });
});

interface Vector {
  readonly vip: string;
  readonly proto: 6 | 17;
  readonly flags: number;
  readonly real: string;
  readonly input_hex: string;
  readonly output_hex: string;
}

describe('vectors of a fleet that is compatible', () => {
  const V4 = Array.from({ length: 7 }, (_, i) => `10.0.0.${i + 1}`);
  const V6 = Array.from({ length: 7 }, (_, i) => `fc00::${i + 1}`);
  const SERVICES: Readonly<
    Record<string, readonly [backends: readonly string[], port: number, flags: string]>
  > = {
    '10.200.9.1': [V4, 80, ''],
    '10.200.9.2': [V6, 80, ''],
    '10.200.9.3': [V4, 80, 'HASH_NO_SRC_PORT'],
    '10.200.9.4': [V4, 0, ''],
    '10.200.9.5': [V4, 0, 'HASH_DPORT_ONLY'],
    'fc00:9::1': [V6, 80, ''],
    'fc00:9::6': [V6, 0, 'HASH_SRC_DST_PORT'],
  };
  it.skipIf(!corpus).each([
    ['ipip', 'encap_ipip'],
    ['gue', 'encap_gue'],
  ] as const)(`%s, to the bit${SKIP}`, (encapsulation, key) => {
    const golden = JSON.parse(readFileSync(`${corpus}/balancer/golden.json`, 'utf8')) as Record<
      string,
      readonly Vector[]
    >;
    const vectors = golden[key] ?? [];
    const services = [...new Set(vectors.map(({ vip, proto }) => `${vip} ${proto}`))].map((service) => {
      const [address = '', proto] = service.split(' ');
      const [backends, port, flags] = SERVICES[address]!;
      const protocol = proto === '6' ? 'tcp' : 'udp';
      return { address, port, protocol, backends, flags: flags === '' ? [] : [flags] };
    });
    const node = {
      routerMac: '00:00:de:ad:be:af',
      encapsulation,
      gue: { port: 9886, source4: '10.0.13.37', source6: 'fc00:2307::1337' },
    };
    const { replay } = open(JSON.stringify({ node, vips: services }));
    const got = vectors.map(({ input_hex }) => hex(replay.run(fromHex(input_hex), NOW).frame));
    replay.close();
    expect(vectors.length).toBeGreaterThan(10);
    expect(got).toEqual(vectors.map(({ output_hex }) => output_hex));
  });
});
