import { beforeEach, describe, expect, it } from 'vitest';
import { createBackend, createPool, createVip } from '../../test/support/changes.js';
import type { Change } from './changes.js';
import { StateError, type StateFault } from './faults.js';
import { Store } from './store.js';

let store: Store;
let timeMs: number;
const make = (change: Change) => {
  const draft = store.draft(change);
  if (draft !== store.state) store.commit(draft);
  return draft;
};
function faultOf(change: Change): StateFault {
  const before = store.state;
  try {
    store.draft(change);
  } catch (error) {
    if (!(error instanceof StateError)) throw error;
    expect(store.state).toBe(before);
    return error.fault;
  }
  throw new Error('the change was taken');
}

beforeEach(() => {
  timeMs = 1000;
  store = new Store({ nowMs: () => timeMs, epoch: 'e' });
  make(createPool('web'));
});

describe('a change that breaks a rule is refused, and names field and value', () => {
  const fields: readonly [rule: string, change: Change, field: string, says: RegExp][] = [
    ['an id is required', createVip({ id: '' }), 'vip_id', /required/],
    ['an id has no upper case', createVip({ id: 'Web' }), 'vip_id', /"Web"/],
    ['an id ends in no dash', createVip({ id: 'web-' }), 'vip_id', /"web-"/],
    ['an id has 63 characters at most', createVip({ id: 'a'.repeat(64) }), 'vip_id', /1 to 63/],
    ['an id is no path', createPool('a/b'), 'pool_id', /"a\/b"/],
    ['an address is required', createVip({ address: '' }), 'vip.address', /required/],
    ['an address is one', createVip({ address: '192.0.2' }), 'vip.address', /"192\.0\.2"/],
    ['an address is no prefix', createVip({ address: '192.0.2.0/24' }), 'vip.address', /192\.0\.2\.0\/24/],
    ['a VIP is no multicast address', createVip({ address: '224.0.0.1' }), 'vip.address', /multicast/],
    ['a VIP is no loopback address', createVip({ address: '::1' }), 'vip.address', /loopback/],
    ['a VIP is not unspecified', createVip({ address: '0.0.0.0' }), 'vip.address', /unspecified/],
    ['a VIP is no broadcast address', createVip({ address: '255.255.255.255' }), 'vip.address', /broadcast/],
    ['a VIP is not link-local', createVip({ address: 'fe80::1' }), 'vip.address', /link-local/],
    ['IPv4 is written as IPv4', createVip({ address: '::ffff:192.0.2.1' }), 'vip.address', /mapped/],
    ['a port is at most 65535', createVip({ port: 65536 }), 'vip.port', /65536 is not in 0\.\.65535/],
    ['a port is not negative', createVip({ port: -1 }), 'vip.port', /-1 is not in/],
    ['a protocol is required', createVip({ protocol: undefined }), 'vip.protocol', /PROTOCOL_TCP/],
    ['a pool is a name', createVip({ pool: 'web' }), 'vip.pool', /pools\/\{pool\}/],
    ['display names have no line breaks', createVip({ displayName: 'a\nb' }), 'vip.display_name', /control/],
    ['display names are short', createVip({ displayName: 'a'.repeat(256) }), 'vip.display_name', /256/],
    ['a backend has an address', createBackend({ address: 'b' }), 'backend.address', /"b"/],
    [
      'a weight is at most 65535',
      createBackend({ weight: 65536 }),
      'backend.weight',
      /65536 is not in 0\.\.65535/,
    ],
    ['a weight is not negative', createBackend({ weight: -1 }), 'backend.weight', /-1 is not in 0\.\.65535/],
    ['a weight is whole', createBackend({ weight: 1.5 }), 'backend.weight', /1\.5/],
    ['a parent is a pool', createBackend({ pool: 'vips/web' }), 'parent', /"vips\/web"/],
    ['a name has its form', { kind: 'delete-vip', name: 'web', etag: '' }, 'name', /vips\/\{vip\}/],
    ['a name is required', { kind: 'drain-backend', name: '', etag: '' }, 'name', /required/],
  ];
  for (const [rule, change, field, says] of fields) {
    it(rule, () => {
      const fault = faultOf(change);
      expect(fault).toMatchObject({ code: 'STATE_FIELDS', violations: [{ field }] });
      if (fault.code === 'STATE_FIELDS') expect(fault.violations[0]?.description).toMatch(says);
    });
  }

  it('all faults of a request are told at once', () => {
    const fault = faultOf(createVip({ id: '', address: 'x', port: 70000 }));
    expect(fault.code === 'STATE_FIELDS' && fault.violations.map(({ field }) => field)).toEqual([
      'vip_id',
      'vip.address',
      'vip.port',
    ]);
  });
});

describe('references and duplicates', () => {
  beforeEach(() => {
    make(createBackend());
    make(createVip());
  });
  const faults: readonly [rule: string, change: Change, fault: Partial<StateFault>][] = [
    [
      'a pool exists',
      createVip({ id: 'x', port: 81, pool: 'pools/no' }),
      { code: 'STATE_NOT_FOUND', kind: 'pool', name: 'pools/no' },
    ],
    [
      'a parent exists',
      createBackend({ pool: 'pools/no' }),
      { code: 'STATE_NOT_FOUND', kind: 'pool', name: 'pools/no' },
    ],
    [
      'a VIP exists',
      { kind: 'delete-vip', name: 'vips/no', etag: '' },
      { code: 'STATE_NOT_FOUND', kind: 'vip' },
    ],
    [
      'a backend exists',
      { kind: 'drain-backend', name: 'pools/web/backends/no', etag: '' },
      { code: 'STATE_NOT_FOUND', kind: 'backend' },
    ],
    ['a VIP id is free', createVip({ port: 81 }), { code: 'STATE_EXISTS', name: 'vips/web' }],
    [
      'address, port and protocol are free',
      createVip({ id: 'other' }),
      { code: 'STATE_EXISTS', name: 'vips/web' },
    ],
    ['a pool id is free', createPool('web'), { code: 'STATE_EXISTS', name: 'pools/web' }],
    [
      'a backend id is free',
      createBackend({ address: '10.0.0.9' }),
      { code: 'STATE_EXISTS', name: 'pools/web/backends/a' },
    ],
    [
      'an address is in a pool once',
      createBackend({ id: 'b' }),
      { code: 'STATE_EXISTS', name: 'pools/web/backends/a' },
    ],
    [
      'a pool in use stays',
      { kind: 'delete-pool', name: 'pools/web', etag: '', force: false },
      { code: 'STATE_IN_USE', users: ['vips/web', 'pools/web/backends/a'] },
    ],
    [
      'the address of a VIP stays',
      { kind: 'update-vip', name: 'vips/web', etag: '', fields: { address: '192.0.2.9' } },
      { code: 'STATE_IMMUTABLE', field: 'vip.address' },
    ],
    [
      'the port of a VIP stays',
      { kind: 'update-vip', name: 'vips/web', etag: '', fields: { port: 81 } },
      { code: 'STATE_IMMUTABLE', field: 'vip.port' },
    ],
    [
      'the protocol of a VIP stays',
      { kind: 'update-vip', name: 'vips/web', etag: '', fields: { protocol: 'udp' } },
      { code: 'STATE_IMMUTABLE', field: 'vip.protocol' },
    ],
    [
      'the address of a backend stays',
      { kind: 'update-backend', name: 'pools/web/backends/a', etag: '', fields: { address: '10.0.0.2' } },
      { code: 'STATE_IMMUTABLE', field: 'backend.address' },
    ],
    [
      'an etag must be the present one',
      { kind: 'delete-vip', name: 'vips/web', etag: 'old' },
      { code: 'STATE_ETAG', given: 'old' },
    ],
  ];
  for (const [rule, change, fault] of faults) {
    it(rule, () => expect(faultOf(change)).toMatchObject(fault));
  }

  it('the same address and port may be served by TCP and by UDP, and a port of its own beside all ports', () => {
    make(createVip({ id: 'dns', protocol: 'udp' }));
    make(createVip({ id: 'rest', port: 0 }));
    expect([...store.state.vips.keys()]).toEqual(['vips/web', 'vips/dns', 'vips/rest']);
  });

  it('two spellings of one address are one address', () => {
    make(createPool('six'));
    make(createBackend({ pool: 'pools/six', address: '2001:db8::1' }));
    expect(faultOf(createBackend({ pool: 'pools/six', id: 'b', address: '2001:DB8:0::1' }))).toMatchObject({
      code: 'STATE_EXISTS',
    });
  });

  it('pools may share an address', () => {
    make(createPool('other'));
    expect(make(createBackend({ pool: 'pools/other' })).backends.size).toBe(2);
  });

  it('force deletes a pool with its backends and VIPs, and nothing else', () => {
    make(createPool('other'));
    make(createBackend({ pool: 'pools/other' }));
    make(createVip({ id: 'other', port: 81, pool: 'pools/other' }));
    const state = make({ kind: 'delete-pool', name: 'pools/web', etag: '', force: true });
    expect([...state.pools.keys(), ...state.vips.keys(), ...state.backends.keys()]).toEqual([
      'pools/other',
      'vips/other',
      'pools/other/backends/a',
    ]);
  });
});

describe('IPv6 is not carried over IPv4', () => {
  beforeEach(() => {
    make(createPool('six'));
    make(createBackend({ pool: 'pools/six', address: '2001:db8::1' }));
    make(createBackend());
  });

  it('an IPv6 VIP is not created on a pool with an IPv4 backend', () => {
    expect(faultOf(createVip({ address: '2001:db8::80' }))).toMatchObject({
      code: 'STATE_FIELDS',
      violations: [{ field: 'vip.pool' }],
    });
  });

  it('an IPv6 VIP is not moved to a pool with an IPv4 backend', () => {
    make(createVip({ address: '2001:db8::80', pool: 'pools/six' }));
    expect(
      faultOf({ kind: 'update-vip', name: 'vips/web', etag: '', fields: { pool: 'pools/web' } }),
    ).toMatchObject({
      violations: [{ field: 'vip.pool' }],
    });
  });

  it('an IPv4 backend is not added to a pool that serves an IPv6 VIP', () => {
    make(createVip({ address: '2001:db8::80', pool: 'pools/six' }));
    expect(faultOf(createBackend({ pool: 'pools/six', id: 'b' }))).toMatchObject({
      violations: [{ field: 'backend.address' }],
    });
  });

  it('an IPv4 VIP may have IPv6 backends', () => {
    expect(make(createVip({ pool: 'pools/six' })).vips.has('vips/web')).toBe(true);
    expect(make(createBackend({ pool: 'pools/six', id: 'b' })).backends.size).toBe(3);
  });
});

describe('versions', () => {
  it('each change is one revision, stamped on what changed alone', () => {
    make(createBackend());
    timeMs = 2000;
    const state = make({
      kind: 'update-backend',
      name: 'pools/web/backends/a',
      etag: '',
      fields: { weight: 5 },
    });
    expect(state.revision).toBe(3);
    expect(state.backends.get('pools/web/backends/a')).toMatchObject({
      weight: 5,
      revision: 3,
      etag: 'e-3',
      createTimeMs: 1000,
      updateTimeMs: 2000,
    });
    expect(state.pools.get('pools/web')).toMatchObject({ revision: 1, etag: 'e-1' });
  });

  it('a change that changes nothing is no revision', () => {
    make(createBackend());
    make(createVip());
    const nothing: Change[] = [
      { kind: 'update-backend', name: 'pools/web/backends/a', etag: 'e-2', fields: { weight: 1 } },
      { kind: 'undrain-backend', name: 'pools/web/backends/a', etag: '' },
      {
        kind: 'update-vip',
        name: 'vips/web',
        etag: '',
        fields: { pool: 'pools/web', address: '192.0.2.1', port: 80 },
      },
      { kind: 'update-pool', name: 'pools/web', etag: '', fields: {} },
    ];
    for (const change of nothing) expect(store.draft(change)).toBe(store.state);
  });

  it('draining keeps its beginning when asked for again, and the weight for afterwards', () => {
    make(createBackend({ weight: 7 }));
    const name = 'pools/web/backends/a';
    make({ kind: 'drain-backend', name, etag: '' });
    timeMs = 9000;
    make({ kind: 'drain-backend', name, etag: '' });
    expect(store.state.backends.get(name)).toMatchObject({ drainStartMs: 1000, weight: 7 });
    make({ kind: 'undrain-backend', name, etag: '' });
    expect(store.state.backends.get(name)).toMatchObject({ drainStartMs: undefined, weight: 7 });
  });

  it('a draft is not seen before it is committed, and commits in order alone', () => {
    const draft = store.draft(createBackend());
    expect(store.state.backends.size).toBe(0);
    make(createBackend({ id: 'b', address: '10.0.0.2' }));
    expect(() => store.commit(draft)).toThrow(/revision/);
  });

  it('there are 512 VIPs at most', () => {
    for (let port = 1; port <= 512; port++) make(createVip({ id: `v${port}`, port }));
    expect(faultOf(createVip({ id: 'more', port: 1000 }))).toMatchObject({ code: 'STATE_LIMIT', limit: 512 });
  });

  it('there are 4095 backend addresses at most, and pools may share them', () => {
    make(createPool('other'));
    for (let n = 0; n < 4095; n++) make(createBackend({ id: `b${n}`, address: `10.0.${n >> 8}.${n & 255}` }));
    expect(faultOf(createBackend({ id: 'more', address: '10.9.9.9' }))).toMatchObject({
      code: 'STATE_LIMIT',
      limit: 4095,
    });
    expect(make(createBackend({ pool: 'pools/other', address: '10.0.0.1' })).backends.size).toBe(4096);
  });
});
