import { describe, expect, it } from 'vitest';
import type { Change } from './changes.js';
import { StateError } from './faults.js';
import { type Target, targetOf } from './fields.js';
import { DEFAULT_LIMITS, type StateLimits } from './limits.js';
import { EMPTY_STATE } from './model.js';
import { Store } from './store.js';

const NOTHING = targetOf(EMPTY_STATE);
const VIP: Target['vips'][number] = {
  name: 'vips/v',
  displayName: '',
  address: '192.0.2.1',
  port: 80,
  protocol: 'tcp',
  pool: 'pools/p',
  flags: 0,
  ringAlgorithm: undefined,
  downBackends: [],
};
const POOL: Target['pools'][number] = {
  name: 'pools/p',
  displayName: '',
  ringAlgorithm: 'v2',
  healthChecks: [],
  panicPercent: 0,
  belowFloor: 'last-resort',
  slowStart: undefined,
  drainTimeoutMs: undefined,
};
const BACKEND: Target['backends'][number] = {
  name: 'pools/p/backends/b',
  address: '10.0.0.1',
  weight: 1,
  mac: '',
  isLocal: false,
  admin: 'enabled',
};
const SMALL: Target = { ...NOTHING, vips: [VIP], pools: [POOL], backends: [BACKEND] };

/** A store that has what a target asks for. */
function storeOf(target: Target, limits: StateLimits = DEFAULT_LIMITS): Store {
  const store = new Store({ nowMs: () => 1000, epoch: 'e', limits });
  apply(store, target);
  return store;
}
function apply(store: Store, target: Target, prune = true): void {
  const draft = store.draft({ kind: 'apply', target, prune });
  if (draft !== store.state) store.commit(draft);
}
/** What an apply is refused with: field → rule. */
function faults(target: Partial<Target>, limits?: StateLimits): readonly (readonly [string, string])[] {
  const store = new Store({ nowMs: () => 1000, epoch: 'e', ...(limits && { limits }) });
  try {
    store.draft({ kind: 'apply', target: { ...SMALL, ...target }, prune: true });
  } catch (error) {
    if (!(error instanceof StateError)) throw error;
    const { fault } = error;
    if (fault.code === 'STATE_FIELDS')
      return fault.violations.map(({ field, description }) => [field, description] as const);
    return [[fault.code, error.message]];
  }
  return [];
}

describe('the whole configuration at once', () => {
  it('what stays as it is keeps its version; what changes has a new one', () => {
    const store = storeOf(SMALL);
    const before = store.state;
    apply(store, {
      ...SMALL,
      pools: [{ ...POOL, displayName: 'P' }],
      backends: [BACKEND, { ...BACKEND, name: 'pools/p/backends/c', address: '10.0.0.2' }],
    });
    const { state } = store;
    expect(state.vips).toBe(before.vips);
    expect(state.backends.get(BACKEND.name)).toBe(before.backends.get(BACKEND.name));
    expect(state.pools.get('pools/p')).toMatchObject({ displayName: 'P', revision: 2, createTimeMs: 1000 });
    expect([...state.backends.keys()]).toEqual(['pools/p/backends/b', 'pools/p/backends/c']);
  });

  it('without pruning, what is not named stays', () => {
    const store = storeOf(SMALL);
    apply(store, { ...NOTHING, node: undefined, pools: [{ ...POOL, name: 'pools/q' }] }, false);
    expect([...store.state.pools.keys()]).toEqual(['pools/p', 'pools/q']);
    expect(store.state.vips.size).toBe(1);
    apply(store, { ...NOTHING, pools: [{ ...POOL, name: 'pools/q' }] });
    expect([...store.state.pools.keys()]).toEqual(['pools/q']);
    expect(store.state.vips.size + store.state.backends.size).toBe(0);
  });

  it('a drain that goes on keeps its times', () => {
    const store = storeOf(SMALL);
    const drain: Change = { kind: 'drain-backend', name: BACKEND.name, etag: '', timeoutMs: 7000 };
    store.commit(store.draft(drain));
    const draining = store.state.backends.get(BACKEND.name);
    apply(store, { ...SMALL, backends: [{ ...BACKEND, admin: 'draining' }] });
    expect(store.state.backends.get(BACKEND.name)).toBe(draining);
  });

  it('an address that changes under the same name is another VIP', () => {
    const store = storeOf(SMALL);
    apply(store, { ...SMALL, vips: [{ ...VIP, address: '192.0.2.2' }] });
    expect(store.state.vips.get('vips/v')?.key.address.bytes).toEqual(Uint8Array.of(192, 0, 2, 2));
  });

  it('two VIPs may change their addresses with each other', () => {
    const other = { ...VIP, name: 'vips/w', address: '192.0.2.2' };
    const store = storeOf({ ...SMALL, vips: [VIP, other] });
    apply(store, {
      ...SMALL,
      vips: [
        { ...VIP, address: '192.0.2.2' },
        { ...other, address: '192.0.2.1' },
      ],
    });
    expect([...store.state.vips.values()].map(({ key }) => key.address.bytes[3])).toEqual([2, 1]);
  });
});

const six = { ...VIP, address: 'fd00::1', name: 'vips/six' };
const SOURCE = { prefix: '192.0.2.0/24', backend: '10.0.0.9' };
/** Rule → what breaks it, and the fields that are named. */
const RULES: readonly (readonly [string, Partial<Target>, readonly string[]])[] = [
  ['a pool that there is not', { vips: [{ ...VIP, pool: 'pools/x' }] }, ['snapshot.vips[0].pool']],
  [
    'a health check that there is not',
    { pools: [{ ...POOL, healthChecks: ['healthChecks/x'] }] },
    ['snapshot.pools[0].health_checks[0]'],
  ],
  [
    'a backend of a pool that there is not',
    { backends: [BACKEND, { ...BACKEND, name: 'pools/x/backends/b' }] },
    ['snapshot.backends[1].name'],
  ],
  ['the same name twice', { pools: [POOL, POOL] }, ['snapshot.pools[1].name']],
  ['a name that is none', { pools: [POOL, { ...POOL, name: 'pools/P' }] }, ['snapshot.pools[1].name']],
  [
    'two VIPs of one address, port and protocol',
    { vips: [VIP, { ...VIP, name: 'vips/w' }] },
    ['snapshot.vips[1].address'],
  ],
  [
    'two backends of one address in a pool',
    { backends: [BACKEND, { ...BACKEND, name: 'pools/p/backends/c' }] },
    ['snapshot.backends[1].address'],
  ],
  ['an IPv6 VIP over IPv4 backends', { vips: [six] }, ['snapshot.vips[0].pool']],
  [
    'backends of one address that do not agree',
    {
      pools: [POOL, { ...POOL, name: 'pools/q' }],
      backends: [
        BACKEND,
        { ...BACKEND, name: 'pools/q/backends/b', mac: '02:00:00:00:00:01', isLocal: true },
      ],
    },
    ['snapshot.backends[1].mac_address', 'snapshot.backends[1].local'],
  ],
  ['a route that is there twice', { sourceRoutes: [SOURCE, SOURCE] }, ['snapshot.source_routes[1]']],
  [
    'bits behind a prefix',
    { sourceRoutes: [{ ...SOURCE, prefix: '192.0.2.1/24' }] },
    ['snapshot.source_routes[0].prefix'],
  ],
  [
    'a flow of two families',
    {
      globalFlows: [
        {
          flow: { src: '192.0.2.1', dst: 'fd00::1', sport: 1, dport: 2, protocol: 'tcp' },
          backend: '10.0.0.1',
        },
      ],
    },
    ['snapshot.global_flows[0].flow.destination_address'],
  ],
  [
    'a counted VIP that there is not',
    { node: { ...NOTHING.node!, watchedVip: 'vips/x' } },
    ['snapshot.node.counted_vip'],
  ],
  ['GUE without a source', { node: { ...NOTHING.node!, options: { gue: true } } }, ['config.own_addresses']],
  [
    'an option that is off and needed',
    { vips: [{ ...VIP, flags: 16 }], node: { ...NOTHING.node!, options: { sourceRouting: false } } },
    ['config.options.source_routing'],
  ],
  ['a flag for UDP on TCP', { vips: [{ ...VIP, flags: 4 }] }, ['snapshot.vips[0].flags']],
  ['flags that exclude each other', { vips: [{ ...VIP, flags: 9 }] }, ['snapshot.vips[0].flags']],
  ['an IPv4 prefix as VIP', { vips: [{ ...VIP, address: '192.0.2.0/24' }] }, ['snapshot.vips[0].address']],
  [
    'down backends of a prefix',
    { vips: [{ ...VIP, address: 'fd00::/64', downBackends: ['fd00::9'] }], backends: [] },
    ['snapshot.vips[0].down_backends'],
  ],
  [
    'all of them at once',
    {
      vips: [
        { ...VIP, port: 70_000 },
        { ...VIP, name: 'vips/w', pool: 'pools/x', port: 81 },
      ],
      backends: [{ ...BACKEND, weight: -1 }],
    },
    ['snapshot.backends[0].weight', 'snapshot.vips[0].port', 'snapshot.vips[1].pool'],
  ],
];

describe('is refused, and changes nothing', () => {
  it.each(RULES)('%s', (_, target, fields) => {
    expect(faults(target).map(([field]) => field)).toEqual(fields);
  });

  it('the sound one is not', () => {
    expect(faults({})).toEqual([]);
  });

  it.each([
    ['vips', 'VIPs'],
    ['pools', 'pools'],
    ['backends', 'backends'],
    ['addresses', 'backend addresses'],
    ['rings', 'rings'],
  ] as const)('more %s than there is room for', (limit, words) => {
    const [[code, message] = ['', '']] = faults({}, { ...DEFAULT_LIMITS, [limit]: 0 });
    expect(code).toBe('STATE_LIMIT');
    expect(message).toContain(`no more than 0 ${words}`);
  });
});
