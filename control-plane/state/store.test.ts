import { beforeEach, describe, expect, it } from 'vitest';
import type { Change, CreateBackend, CreateVip } from './changes.js';
import { StateError, type StateFault } from './faults.js';
import { Store } from './store.js';

const vip = (fields: Partial<CreateVip> = {}): CreateVip => ({
  kind: 'create-vip',
  id: 'web',
  displayName: '',
  address: '192.0.2.1',
  port: 80,
  protocol: 'tcp',
  pool: 'pools/web',
  ...fields,
});
const backend = (fields: Partial<CreateBackend> = {}): CreateBackend => ({
  kind: 'create-backend',
  pool: 'pools/web',
  id: 'a',
  address: '10.0.0.1',
  weight: 1,
  ...fields,
});
const pool = (id: string): Change => ({ kind: 'create-pool', id, displayName: '' });

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
  make(pool('web'));
});

describe('a change that breaks a rule is refused, and names field and value', () => {
  const fields: readonly [rule: string, change: Change, field: string, says: RegExp][] = [
    ['an id is required', vip({ id: '' }), 'vip_id', /required/],
    ['an id has no upper case', vip({ id: 'Web' }), 'vip_id', /"Web"/],
    ['an id ends in no dash', vip({ id: 'web-' }), 'vip_id', /"web-"/],
    ['an id has 63 characters at most', vip({ id: 'a'.repeat(64) }), 'vip_id', /1 to 63/],
    ['an id is no path', pool('a/b'), 'pool_id', /"a\/b"/],
    ['an address is required', vip({ address: '' }), 'vip.address', /required/],
    ['an address is one', vip({ address: '192.0.2' }), 'vip.address', /"192\.0\.2"/],
    ['an address is no prefix', vip({ address: '192.0.2.0/24' }), 'vip.address', /192\.0\.2\.0\/24/],
    ['a VIP is no multicast address', vip({ address: '224.0.0.1' }), 'vip.address', /multicast/],
    ['a VIP is no loopback address', vip({ address: '::1' }), 'vip.address', /loopback/],
    ['a VIP is not unspecified', vip({ address: '0.0.0.0' }), 'vip.address', /unspecified/],
    ['a VIP is no broadcast address', vip({ address: '255.255.255.255' }), 'vip.address', /broadcast/],
    ['a VIP is not link-local', vip({ address: 'fe80::1' }), 'vip.address', /link-local/],
    ['IPv4 is written as IPv4', vip({ address: '::ffff:192.0.2.1' }), 'vip.address', /mapped/],
    ['a port is at most 65535', vip({ port: 65536 }), 'vip.port', /65536 is not in 0\.\.65535/],
    ['a port is not negative', vip({ port: -1 }), 'vip.port', /-1 is not in/],
    ['a protocol is required', vip({ protocol: undefined }), 'vip.protocol', /PROTOCOL_TCP/],
    ['a pool is a name', vip({ pool: 'web' }), 'vip.pool', /pools\/\{pool\}/],
    ['display names have no line breaks', vip({ displayName: 'a\nb' }), 'vip.display_name', /control/],
    ['display names are short', vip({ displayName: 'a'.repeat(256) }), 'vip.display_name', /256/],
    ['a backend has an address', backend({ address: 'b' }), 'backend.address', /"b"/],
    ['a weight is at most 65535', backend({ weight: 65536 }), 'backend.weight', /65536 is not in 0\.\.65535/],
    ['a weight is not negative', backend({ weight: -1 }), 'backend.weight', /-1 is not in 0\.\.65535/],
    ['a weight is whole', backend({ weight: 1.5 }), 'backend.weight', /1\.5/],
    ['a parent is a pool', backend({ pool: 'vips/web' }), 'parent', /"vips\/web"/],
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
    const fault = faultOf(vip({ id: '', address: 'x', port: 70000 }));
    expect(fault.code === 'STATE_FIELDS' && fault.violations.map(({ field }) => field)).toEqual([
      'vip_id',
      'vip.address',
      'vip.port',
    ]);
  });
});

describe('references and duplicates', () => {
  beforeEach(() => {
    make(backend());
    make(vip());
  });
  const faults: readonly [rule: string, change: Change, fault: Partial<StateFault>][] = [
    [
      'a pool exists',
      vip({ id: 'x', port: 81, pool: 'pools/no' }),
      { code: 'STATE_NOT_FOUND', kind: 'pool', name: 'pools/no' },
    ],
    [
      'a parent exists',
      backend({ pool: 'pools/no' }),
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
    ['a VIP id is free', vip({ port: 81 }), { code: 'STATE_EXISTS', name: 'vips/web' }],
    ['address, port and protocol are free', vip({ id: 'other' }), { code: 'STATE_EXISTS', name: 'vips/web' }],
    ['a pool id is free', pool('web'), { code: 'STATE_EXISTS', name: 'pools/web' }],
    [
      'a backend id is free',
      backend({ address: '10.0.0.9' }),
      { code: 'STATE_EXISTS', name: 'pools/web/backends/a' },
    ],
    [
      'an address is in a pool once',
      backend({ id: 'b' }),
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
    make(vip({ id: 'dns', protocol: 'udp' }));
    make(vip({ id: 'rest', port: 0 }));
    expect([...store.state.vips.keys()]).toEqual(['vips/web', 'vips/dns', 'vips/rest']);
  });

  it('two spellings of one address are one address', () => {
    make(pool('six'));
    make(backend({ pool: 'pools/six', address: '2001:db8::1' }));
    expect(faultOf(backend({ pool: 'pools/six', id: 'b', address: '2001:DB8:0::1' }))).toMatchObject({
      code: 'STATE_EXISTS',
    });
  });

  it('pools may share an address', () => {
    make(pool('other'));
    expect(make(backend({ pool: 'pools/other' })).backends.size).toBe(2);
  });

  it('force deletes a pool with its backends and VIPs, and nothing else', () => {
    make(pool('other'));
    make(backend({ pool: 'pools/other' }));
    make(vip({ id: 'other', port: 81, pool: 'pools/other' }));
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
    make(pool('six'));
    make(backend({ pool: 'pools/six', address: '2001:db8::1' }));
    make(backend());
  });

  it('an IPv6 VIP is not created on a pool with an IPv4 backend', () => {
    expect(faultOf(vip({ address: '2001:db8::80' }))).toMatchObject({
      code: 'STATE_FIELDS',
      violations: [{ field: 'vip.pool' }],
    });
  });

  it('an IPv6 VIP is not moved to a pool with an IPv4 backend', () => {
    make(vip({ address: '2001:db8::80', pool: 'pools/six' }));
    expect(
      faultOf({ kind: 'update-vip', name: 'vips/web', etag: '', fields: { pool: 'pools/web' } }),
    ).toMatchObject({
      violations: [{ field: 'vip.pool' }],
    });
  });

  it('an IPv4 backend is not added to a pool that serves an IPv6 VIP', () => {
    make(vip({ address: '2001:db8::80', pool: 'pools/six' }));
    expect(faultOf(backend({ pool: 'pools/six', id: 'b' }))).toMatchObject({
      violations: [{ field: 'backend.address' }],
    });
  });

  it('an IPv4 VIP may have IPv6 backends', () => {
    expect(make(vip({ pool: 'pools/six' })).vips.has('vips/web')).toBe(true);
    expect(make(backend({ pool: 'pools/six', id: 'b' })).backends.size).toBe(3);
  });
});

describe('versions', () => {
  it('each change is one revision, stamped on what changed alone', () => {
    make(backend());
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
    make(backend());
    make(vip());
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
    make(backend({ weight: 7 }));
    const name = 'pools/web/backends/a';
    make({ kind: 'drain-backend', name, etag: '' });
    timeMs = 9000;
    make({ kind: 'drain-backend', name, etag: '' });
    expect(store.state.backends.get(name)).toMatchObject({ drainStartMs: 1000, weight: 7 });
    make({ kind: 'undrain-backend', name, etag: '' });
    expect(store.state.backends.get(name)).toMatchObject({ drainStartMs: undefined, weight: 7 });
  });

  it('a draft is not seen before it is committed, and commits in order alone', () => {
    const draft = store.draft(backend());
    expect(store.state.backends.size).toBe(0);
    make(backend({ id: 'b', address: '10.0.0.2' }));
    expect(() => store.commit(draft)).toThrow(/revision/);
  });

  it('there are 512 VIPs at most', () => {
    for (let port = 1; port <= 512; port++) make(vip({ id: `v${port}`, port }));
    expect(faultOf(vip({ id: 'more', port: 1000 }))).toMatchObject({ code: 'STATE_LIMIT', limit: 512 });
  });

  it('there are 4095 backend addresses at most, and pools may share them', () => {
    make(pool('other'));
    for (let n = 0; n < 4095; n++) make(backend({ id: `b${n}`, address: `10.0.${n >> 8}.${n & 255}` }));
    expect(faultOf(backend({ id: 'more', address: '10.9.9.9' }))).toMatchObject({
      code: 'STATE_LIMIT',
      limit: 4095,
    });
    expect(make(backend({ pool: 'pools/other', address: '10.0.0.1' })).backends.size).toBe(4096);
  });
});
