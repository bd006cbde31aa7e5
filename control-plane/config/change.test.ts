import { describe, expect, it } from 'vitest';
import { formatMac, type Mac, PacketReplay, parseMac } from '../../lb/index.js';
import { TableWriter } from '../reconcile/apply.js';
import { EMPTY_IMAGE, FULL_SHARE, imageOf, type TableImage } from '../reconcile/image.js';
import { plan } from '../reconcile/plan.js';
import { Numbers, RealIndices } from '../state/ids.js';
import { loadConfig } from './load.js';
import { optionsOf } from './options.js';
import { desiredState } from './state.js';

/** Images of one file after another, with numbers that stay. */
function placed(macs: Readonly<Record<string, Mac>> = {}) {
  const reals = new RealIndices(4095);
  const [rings, vips] = [new Numbers('rings', 512), new Numbers('VIPs', 512)];
  return (text: string): TableImage =>
    imageOf(desiredState(loadConfig(text, 'f')), {
      real: (key) => reals.acquire(key, () => new Map()),
      ring: (key) => rings.acquire(key),
      vip: (name) => vips.acquire(name),
      mac: (key) => macs[key],
      share: () => FULL_SHARE,
    });
}

const FOUND = parseMac('02:00:00:00:00:aa');

describe('the tables that a file asks for', () => {
  const hops = (image: TableImage) => [...image.reals.values()].map(({ mac }) => mac && formatMac(mac));
  const members = (image: TableImage) => [...image.rings.values()].map((ring) => ring.members.length);
  const pool =
    'pools:\n  - { name: web, backends: [{ address: 10.0.0.1, mac: 02:00:00:00:00:01 }, 10.0.0.2, 10.0.0.3] }\nvips: [{ address: 192.0.2.1, protocol: tcp, pool: web }]\n';

  it('next hops: the own one, the one that was found; without one no new flows', () => {
    const image = placed({ '10.0.0.1': FOUND, '10.0.0.2': FOUND })(pool);
    expect(hops(image)).toEqual(['02:00:00:00:00:01', '02:00:00:00:00:aa', undefined]);
    expect(members(image)).toEqual([2]);
  });

  it('a router is the next hop of all others, whatever is found', () => {
    const image = placed({ '10.0.0.2': FOUND })(`node: { routerMac: 02:00:00:00:00:fe }\n${pool}`);
    expect(hops(image)).toEqual(['02:00:00:00:00:01', undefined, undefined]);
    expect(members(image)).toEqual([3]);
  });

  it('VIPs of one pool share a ring, unless one wants another algorithm', () => {
    const vip = (n: number, more = '') => `  - { address: 192.0.2.${n}, protocol: tcp, pool: web${more} }\n`;
    const image = placed()(
      `pools: [{ name: web, ringAlgorithm: v1 }]\nvips:\n${vip(1)}${vip(2, ', ringAlgorithm: v2')}${vip(3, ', ringAlgorithm: v1')}`,
    );
    expect([...image.vips.values()].map(({ ring }) => ring)).toEqual([0, 1, 0]);
    expect([...image.rings].map(([number, { algorithm }]) => [number, algorithm])).toEqual([
      [0, 'v1'],
      [1, 'v2'],
    ]);
  });

  it('a backend that is down is so for VIPs with the flag alone', () => {
    const image = placed()(
      'pools: [{ name: web, backends: [{ address: 10.0.0.1, state: down }] }]\nvips:\n  - { address: 192.0.2.1, protocol: udp, pool: web, flags: UDP_FLOW_MIGRATION, downBackends: [10.0.0.9] }\n  - { address: 192.0.2.2, protocol: udp, pool: web }\n',
    );
    expect([...image.downReals.values()].map(({ vip, real }) => [vip.address.bytes[3], real])).toEqual([
      [1, 2],
      [1, 1],
    ]);
  });
});

const ONE = `node:
  routerMac: 02:00:00:00:00:01
  gue: { source4: 10.0.0.99 }
  decapsulation: { destinations: [10.1.1.1, { address: 10.1.1.2, egress: true }] }
vips:
  - { name: a, address: 192.0.2.1, port: 80, protocol: udp, pool: web, flags: [UDP_FLOW_MIGRATION, QUIC], downBackends: [10.0.0.1], watchMisses: true }
  - { name: b, address: "fc00:1::/64", protocol: tcp, backends: [fc00::1, fc00::2] }
  - { name: c, address: 192.0.2.1, port: 81, protocol: udp, pool: web }
pools:
  - { name: web, backends: [10.0.0.1, { address: 10.0.0.2, local: true }, 10.0.0.3] }
serverIds: { 1: 10.0.0.1, 2: 10.0.0.7 }
sourceRoutes: { 10.0.0.0/8: 10.0.0.1, "fc00::/16": fc00::1 }
globalFlows: [ { protocol: tcp, source: 10.9.9.9:1, destination: 192.0.2.1:80, backend: 10.0.0.8 } ]
`;
const TWO = `node:
  routerMac: 02:00:00:00:00:02
  gue: { source4: 10.0.0.98 }
  decapsulation: { destinations: [{ address: 10.1.1.1, egress: true }] }
vips:
  - { name: renamed, address: 192.0.2.1, port: 80, protocol: udp, pool: web, flags: [UDP_FLOW_MIGRATION, GLOBAL_LRU, SRC_ROUTING], downBackends: [10.0.0.1] }
  - { name: b, address: "fc00:1::/80", protocol: tcp, backends: [fc00::1] }
pools:
  - { name: web, ringAlgorithm: maglev-v1, backends: [{ address: 10.0.0.1, weight: 7 }, 10.0.0.2] }
serverIds: { 2: 10.0.0.1 }
sourceRoutes: { 10.0.0.0/8: 10.0.0.2 }
`;

const MAPS = [
  ...['vip_map', 'vip_addresses', 'vip_lpm_map', 'vip_prefixes', 'server_id_map', 'lpm_src_v4', 'lpm_src_v6'],
  ...[
    'decap_dst',
    'pckt_srcs',
    'ctl_array',
    'reals',
    'real_macs',
    'vip_miss_stats',
    'fallback_glru',
    'ch_rings',
  ],
];

/** Tables with everything on, after one image and another. */
function tablesAfter(...images: readonly TableImage[]): Readonly<Record<string, readonly string[]>> {
  const options = {
    ...optionsOf(loadConfig(ONE, 'f')),
    prefixVips: true,
    sourceRouting: true,
    globalLru: true,
  };
  const replay = new PacketReplay({
    engine: 'interpreter',
    options: { ...options, udpFlowMigration: true, ipipDecap: true, gueDecap: true },
    sizes: { ch_rings: 6 * 65_537 },
    globalFlows: 100,
  });
  if (replay.tables === undefined) throw new Error('not a balancer');
  const writer = new TableWriter(replay.tables);
  let written = EMPTY_IMAGE;
  for (const image of images) {
    writer.apply(plan(written, image));
    written = image;
  }
  const dump = (name: string): string[] => {
    const rows: string[] = [];
    replay.maps.get(name)?.forEach((key, value) => {
      if (value.some((byte) => byte !== 0) || name === 'decap_dst') {
        rows.push(`${Buffer.from(key).toString('hex')} ${Buffer.from(value).toString('hex')}`);
      }
    });
    return rows.sort();
  };
  const dumps = Object.fromEntries(MAPS.map((name) => [name, dump(name)]));
  replay.close();
  return dumps;
}

it('real tables: from one file to another is the other alone, and back', () => {
  const image = placed();
  const [one, two] = [image(ONE), image(TWO)];
  const fresh = tablesAfter(two);
  expect(tablesAfter(one, two)).toEqual(fresh);
  expect(tablesAfter(one, two, one)).toEqual(tablesAfter(one));
  expect(fresh.vip_map?.length).toBe(1);
  expect(fresh.server_id_map?.length).toBe(1);
  expect(fresh.ch_rings?.length).toBe(2 * 65_537);
});
