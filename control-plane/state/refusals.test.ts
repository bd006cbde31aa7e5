import { describe, expect, it } from 'vitest';
import { createBackend, createPool, createVip } from '../../test/support/changes.js';
import { timingOf } from '../health/defaults.js';
import type { Change, CreateHealthCheck, UpdateNode } from './changes.js';
import { StateError, type StateFault } from './faults.js';
import { DEFAULT_LIMITS, type StateLimits } from './limits.js';
import { Store } from './store.js';

/** A store that changes were made in. */
function storeOf(changes: readonly Change[], limits: Partial<StateLimits> = {}): Store {
  const store = new Store({ nowMs: () => 1000, epoch: 'e', limits: { ...DEFAULT_LIMITS, ...limits } });
  for (const change of changes) store.commit(store.draft(change));
  return store;
}

/** Why a store refuses a change, and in which words. The state stays as it was. */
function refusalOf(store: Store, change: Change): { fault: StateFault; message: string } {
  const before = store.state;
  try {
    store.draft(change);
  } catch (error) {
    if (!(error instanceof StateError)) throw error;
    expect(store.state).toBe(before);
    const { fault, message } = error;
    return { fault, message };
  }
  throw new Error('the change was taken');
}

const healthCheck = (id: string): CreateHealthCheck => ({
  kind: 'create-health-check',
  id,
  displayName: '',
  check: { ...timingOf({}), name: id, probe: { kind: 'icmp', payloadBytes: 56 }, path: 'direct' },
});
const node = (fields: UpdateNode['fields']): Change => ({ kind: 'update-node', etag: '', fields });
const serverIds = (...ids: readonly number[]): Change => ({
  kind: 'update-server-ids',
  set: ids.map((id) => ({ id, backend: `10.0.0.${id}` })),
  delete: [],
});
const sourceRoutes = (...routes: readonly (readonly [prefix: string, backend: string])[]): Change => ({
  kind: 'update-source-routes',
  set: routes.map(([prefix, backend]) => ({ prefix, backend })),
  delete: [],
});
const globalFlows = (
  ...flows: readonly (readonly [src: string, dst: string, backend: string])[]
): Change => ({
  kind: 'update-global-flows',
  set: flows.map(([src, dst, backend]) => ({
    flow: { src, dst, sport: 1000, dport: 80, protocol: 'tcp' },
    backend,
  })),
  delete: [],
});

describe('a change that breaks a rule names the field, and changes nothing', () => {
  const seventeen = Array.from({ length: 17 }, (_, i) => `healthChecks/c${i}`);
  const rows: readonly [rule: string, change: Change, field: string, description: string][] = [
    [
      'a pool names a health check once',
      { ...createPool('new'), healthChecks: ['healthChecks/up', 'healthChecks/up'] },
      'pool.health_checks[1]',
      'healthChecks/up is there twice',
    ],
    [
      'a pool has 16 health checks at most',
      { ...createPool('new'), healthChecks: seventeen },
      'pool.health_checks',
      '17 are more than 16',
    ],
    [
      'a VIP has flags that there are',
      createVip({ id: 'new', port: 81, flags: 0x10000 }),
      'vip.flags',
      '65536 has bits that are no flags',
    ],
    [
      'a node has one IPv4 address of its own',
      node({ ownAddresses: ['10.0.0.7', 'fd00::7', '10.0.0.8'] }),
      'config.own_addresses',
      'two are IPv4: a node has one of a family at most',
    ],
    [
      'a node has one IPv6 address of its own',
      node({ ownAddresses: ['fd00::7', '10.0.0.7', 'fd00::8'] }),
      'config.own_addresses',
      'two are IPv6: a node has one of a family at most',
    ],
    [
      'a tunnel ends once at an address, however that is written',
      node({
        decapDestinations: [
          { address: 'fd00::7', egress: false },
          { address: 'fd00:0::7', egress: true },
        ],
      }),
      'config.decap_destinations[1].address',
      'fd00:0::7 is there twice',
    ],
    [
      'a VIP that is a prefix is not counted',
      node({ watchedVip: 'vips/prefix' }),
      'config.counted_vip',
      'vips/prefix is a prefix: only VIPs of one address are counted',
    ],
    [
      'clients of IPv6 have no route to an IPv4 backend',
      sourceRoutes(['10.0.0.0/8', '10.0.0.1'], ['2001:db8::/32', '10.0.0.1']),
      'set[1].backend_address',
      '10.0.0.1 is IPv4, and the client is IPv6: IPv6 is not carried over IPv4',
    ],
    [
      'a flow of IPv6 has no IPv4 backend',
      globalFlows(['2001:db8::1', '2001:db8::80', '10.0.0.1']),
      'set[0].backend_address',
      '10.0.0.1 is IPv4, and the client is IPv6: IPv6 is not carried over IPv4',
    ],
    ...(
      [
        ['192.0.2.0/33', 32],
        ['192.0.2.0/x', 32],
        ['192.0.2.0/', 32],
        ['192.0.2.0/-1', 32],
        ['192.0.2.0/24/24', 32],
        ['2001:db8::/129', 128],
      ] as const
    ).map(([prefix, bits]): [string, Change, string, string] => [
      `${prefix} is no prefix`,
      sourceRoutes([prefix, '2001:db8::1']),
      'set[0].prefix',
      `"${prefix}": the number of bits is not in 0..${bits}`,
    ]),
    [
      'nor is a name with a number of bits',
      sourceRoutes(['lab/24', '10.0.0.1']),
      'set[0].prefix',
      '"lab/24" is not an address and a number of bits, as in 192.0.2.0/24',
    ],
    [
      'a prefix that is deleted is one',
      { kind: 'update-source-routes', set: [], delete: ['10.0.0.0/8', '10.0.0.0/40'] },
      'delete[1]',
      '"10.0.0.0/40": the number of bits is not in 0..32',
    ],
  ];
  it.each(rows)('%s', (_, change, field, description) => {
    const store = storeOf([
      ...['up', ...seventeen.map((name) => name.replace('healthChecks/', ''))].map(healthCheck),
      createPool(),
      createPool('six'),
      createVip({ id: 'prefix', address: '2001:db8::/64', pool: 'pools/six' }),
    ]);
    expect(refusalOf(store, change)).toEqual({
      fault: { code: 'STATE_FIELDS', violations: [{ field, description }] },
      message: `${field}: ${description}`,
    });
  });
});

describe('a change for which there is no room says how much there is, and changes nothing', () => {
  const base = [createPool(), createBackend(), createVip(), createVip({ id: 'two', port: 81 })];
  const rows: readonly [
    what: string,
    limits: Partial<StateLimits>,
    before: readonly Change[],
    change: Change,
    subject: string,
  ][] = [
    ['a pool', { pools: 1 }, base, createPool('other'), 'pools'],
    ['a VIP', { vips: 2 }, base, createVip({ id: 'three', port: 82 }), 'VIPs'],
    [
      'a backend, though its address is there',
      { backends: 1 },
      [...base, createPool('other')],
      createBackend({ pool: 'pools/other' }),
      'backends',
    ],
    ['a health check', { healthChecks: 1 }, [healthCheck('up')], healthCheck('down'), 'health checks'],
    [
      'the ring of a VIP that is new',
      { rings: 1 },
      [...base, createPool('other')],
      createVip({ id: 'three', port: 82, pool: 'pools/other' }),
      'rings (pools that serve VIPs)',
    ],
    [
      'the ring of the pool that a VIP moves to',
      { rings: 1 },
      [...base, createPool('other')],
      { kind: 'update-vip', name: 'vips/two', etag: '', fields: { pool: 'pools/other' } },
      'rings (pools that serve VIPs)',
    ],
    [
      'the ring of another algorithm in the same pool',
      { rings: 1 },
      base,
      { kind: 'update-vip', name: 'vips/two', etag: '', fields: { ringAlgorithm: 'v1' } },
      'rings (pools that serve VIPs)',
    ],
    ['server ids', { serverIds: 1 }, base, serverIds(1, 2), 'server ids'],
    [
      'source routes',
      { sourceRoutes: 1 },
      [...base, sourceRoutes(['10.0.0.0/8', '10.0.0.1'])],
      sourceRoutes(['10.0.0.0/9', '10.0.0.1']),
      'source routes',
    ],
    [
      'global flows',
      { globalFlows: 1 },
      [...base, globalFlows(['192.0.2.7', '192.0.2.1', '10.0.0.1'])],
      globalFlows(['192.0.2.8', '192.0.2.1', '10.0.0.1']),
      'global flows',
    ],
    ['addresses that server ids name', { addresses: 1 }, base, serverIds(1, 2), 'backend addresses'],
    [
      'addresses that source routes name',
      { addresses: 1 },
      base,
      sourceRoutes(['10.0.0.0/8', '10.0.0.1'], ['10.0.0.0/9', '10.0.0.2']),
      'backend addresses',
    ],
    [
      'addresses that global flows name',
      { addresses: 1 },
      base,
      globalFlows(['192.0.2.7', '192.0.2.1', '10.0.0.2']),
      'backend addresses',
    ],
    [
      'decapsulation destinations',
      { decapDestinations: 1 },
      [],
      node({
        decapDestinations: [
          { address: '10.0.0.7', egress: false },
          { address: '10.0.0.8', egress: false },
        ],
      }),
      'decapsulation destinations',
    ],
  ];
  it.each(rows)('%s', (_, limits, before, change, subject) => {
    const limit = Object.values(limits)[0] ?? 0;
    expect(refusalOf(storeOf(before, limits), change)).toEqual({
      fault: { code: 'STATE_LIMIT', subject, limit },
      message: `no more than ${limit} ${subject} are possible`,
    });
    // With room for one more, it is taken.
    const room = storeOf(
      before,
      Object.fromEntries(Object.entries(limits).map(([name, value]) => [name, value + 1])),
    );
    expect(room.draft(change)).not.toBe(room.state);
  });
});
