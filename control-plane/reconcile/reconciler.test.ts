import { beforeEach, describe, expect, it } from 'vitest';
import { type Mac, parseIp, parseMac, VIP_FLAGS } from '../../lb/index.js';
import { createBackend, createPool, createVip } from '../../test/support/changes.js';
import { MemoryDatapath } from '../../test/support/memory-datapath.js';
import { TCP_FLAGS, tcpFrame } from '../../test/support/packets.js';
import type { Change } from '../state/changes.js';
import { targetOf, vipFieldsOf } from '../state/fields.js';
import type { Backend } from '../state/model.js';
import { Store } from '../state/store.js';
import { Reconciler } from './reconciler.js';

const VIP = '192.0.2.1';
const NEXT_HOP = parseMac('02:00:00:00:00:aa');

let datapath: MemoryDatapath;
let hops: Map<string, Mac>;
let defaultHop: Mac | undefined;
let logged: string[];
let reconciler: Reconciler;
let clockMs: number;
/** Addresses whose next hops were looked for, and were to be no more. */
let watched: string[];
let forgotten: string[];

const backend = (id: string, address: string, { pool = 'web', weight = 1 } = {}) =>
  createBackend({ id, address, pool: `pools/${pool}`, weight });
const vip = (id: string, port: number, poolId = 'web', address = VIP) =>
  createVip({ id, port, pool: `pools/${poolId}`, address });
const named = (
  kind: 'drain-backend' | 'undrain-backend' | 'delete-backend' | 'delete-vip',
  name: string,
): Change => ({
  kind,
  name,
  etag: '',
});
const make = async (...changes: Change[]) => {
  for (const change of changes) await reconciler.change(change);
};
const backendOf = (name: string): Backend => {
  const found = reconciler.store.state.backends.get(name);
  if (!found) throw new Error(`no ${name}`);
  return found;
};

/** Where a packet of a flow goes. */
const send = (sport: number, { port = 80, flags = TCP_FLAGS.syn as number } = {}) =>
  datapath.send({ src: '198.51.100.7', dst: VIP, sport, dport: port }, flags);
/** The backends that 200 new flows are sent to. */
const spread = (port = 80) =>
  [...new Set(Array.from({ length: 200 }, (_, i) => send(10_000 + i, { port })))].sort();

beforeEach(() => {
  datapath = new MemoryDatapath();
  hops = new Map();
  defaultHop = NEXT_HOP;
  logged = [];
  clockMs = 0;
  watched = [];
  forgotten = [];
  reconciler = new Reconciler({
    store: new Store({ nowMs: () => 0, epoch: 'e' }),
    datapath,
    nextHops: {
      mac: (key) => hops.get(key) ?? defaultHop,
      watch: async (addresses) => void watched.push(...addresses.keys()),
      forget: (keys) => void forgotten.push(...keys),
    },
    log: (_, message) => logged.push(message),
    nowMs: () => clockMs,
  });
});

it('next hops are looked for where packets need one: not of a backend with an Ethernet address of its own, or of this host', async () => {
  const own = { mac: '02:00:00:00:00:0c' };
  const update = (fields: object) =>
    ({ kind: 'update-backend', name: 'pools/web/backends/c', etag: '', fields }) as const;
  await make(createPool('web'), backend('a', '10.0.0.1'), { ...backend('c', '10.0.0.3'), ...own });
  await make({ ...backend('d', '10.0.0.4'), isLocal: true });
  expect(watched).toEqual(['10.0.0.1']);
  await make(update({ mac: '' }));
  expect(watched).toEqual(['10.0.0.1', '10.0.0.3']);
  expect(forgotten).toEqual([]);
  await make(update(own));
  expect(forgotten).toEqual(['10.0.0.3']);
});

describe('packets go where the configuration says', () => {
  it('a VIP with backends balances, to the backend, by its next hop', async () => {
    await make(createPool('web'), backend('a', '10.0.0.1'), backend('b', '10.0.0.2'), vip('web', 80));
    expect(spread()).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(datapath.shielded).toEqual(new Set([`${VIP}:80/tcp`]));
  });

  it('weight 0 and draining end new flows and keep those that there are', async () => {
    await make(createPool('web'), backend('a', '10.0.0.1'), backend('b', '10.0.0.2'), vip('web', 80));
    const held = Array.from({ length: 50 }, (_, i) => [i + 1, send(i + 1)] as const);
    await make({ kind: 'update-backend', name: 'pools/web/backends/a', etag: '', fields: { weight: 0 } });
    expect(spread()).toEqual(['10.0.0.2']);
    await make(named('drain-backend', 'pools/web/backends/b'));
    expect(spread()).not.toContain('pass');
    expect(send(60_000)).toBe('drop');
    for (const [sport, to] of held) expect(send(sport, { flags: TCP_FLAGS.ack })).toBe(to);
    await make(named('undrain-backend', 'pools/web/backends/b'));
    expect(send(60_001)).toBe('10.0.0.2');
  });

  it('a backend that is deleted gets nothing, and its flows go to others', async () => {
    await make(createPool('web'), backend('a', '10.0.0.1'), vip('web', 80));
    send(1);
    await make(backend('b', '10.0.0.2'), named('delete-backend', 'pools/web/backends/a'));
    expect(send(1, { flags: TCP_FLAGS.ack })).toBe('10.0.0.2');
    await make(named('delete-backend', 'pools/web/backends/b'));
    expect(send(2)).toBe('drop');
  });

  it('a VIP that is deleted passes, and the next one of its number starts from an empty ring', async () => {
    await make(createPool('web'), backend('a', '10.0.0.1'), vip('web', 80));
    expect(send(1)).toBe('10.0.0.1');
    await make(named('delete-vip', 'vips/web'));
    expect(send(1)).toBe('pass');
    expect(datapath.shielded.size).toBe(0);
    await make(createPool('none'), vip('again', 80, 'none'));
    expect(send(2)).toBe('drop');
    expect(datapath.tables.vipStats(0).packets).toBe(0n);
  });

  it('VIPs that share a pool share its ring, and a VIP may change its pool', async () => {
    await make(createPool('web'), backend('a', '10.0.0.1'), vip('one', 80), vip('two', 81));
    expect([send(1), send(1, { port: 81 })]).toEqual(['10.0.0.1', '10.0.0.1']);
    await make(createPool('other'), backend('b', '10.0.0.2', { pool: 'other' }));
    await make({ kind: 'update-vip', name: 'vips/two', etag: '', fields: { pool: 'pools/other' } });
    expect([send(2), send(2, { port: 81 })]).toEqual(['10.0.0.1', '10.0.0.2']);
    // The flow that was there before stays where it is.
    expect(send(1, { port: 81, flags: TCP_FLAGS.ack })).toBe('10.0.0.1');
  });

  it('pools that share an address share a row, which lives as long as one of them has it', async () => {
    await make(
      createPool('web'),
      createPool('other'),
      backend('a', '10.0.0.1'),
      backend('x', '10.0.0.1', { pool: 'other' }),
    );
    await make(vip('one', 80), vip('two', 81, 'other'));
    expect(reconciler.realIndex(backendOf('pools/web/backends/a'))).toBe(1);
    expect(reconciler.realIndex(backendOf('pools/other/backends/x'))).toBe(1);
    await make(named('delete-backend', 'pools/web/backends/a'));
    expect([send(1), send(1, { port: 81 })]).toEqual(['drop', '10.0.0.1']);
  });

  it('shares follow weights', async () => {
    await make(createPool('web'), backend('a', '10.0.0.1', { weight: 3 }), backend('b', '10.0.0.2'));
    expect(reconciler.tableShare(backendOf('pools/web/backends/a'))).toBe(0);
    await make(vip('web', 80));
    expect(reconciler.tableShare(backendOf('pools/web/backends/a'))).toBeCloseTo(0.75, 3);
  });
});

describe('next hops', () => {
  it('a backend without one is left out until it has one', async () => {
    defaultHop = undefined;
    hops.set('10.0.0.1', NEXT_HOP);
    await make(createPool('web'), backend('a', '10.0.0.1'), backend('b', '10.0.0.2'), vip('web', 80));
    expect(spread()).toEqual(['10.0.0.1']);
    hops.set('10.0.0.2', parseMac('02:00:00:00:00:bb'));
    await reconciler.refresh();
    expect(spread().length).toBeGreaterThan(0);
    expect([...new Set(Array.from({ length: 200 }, (_, i) => send(20_000 + i)))].sort()).toEqual([
      '10.0.0.1',
      '10.0.0.2',
    ]);
  });

  it('a next hop that moves is used at once', async () => {
    await make(createPool('web'), backend('a', '10.0.0.1'), vip('web', 80));
    defaultHop = parseMac('02:00:00:00:00:cc');
    await reconciler.refresh();
    const ends = { src: '198.51.100.7', dst: VIP, sport: 1, dport: 80 };
    const { frame } = datapath.run(tcpFrame(ends, { flags: TCP_FLAGS.syn }));
    expect(frame.subarray(0, 6)).toEqual(new Uint8Array(defaultHop));
  });
});

describe('shares', () => {
  const NAMES = { a: 'pools/web/backends/a', b: 'pools/web/backends/b' } as const;
  const shareOf = (name: string) => reconciler.tableShare(backendOf(name));
  beforeEach(async () => {
    await make(createPool('web'), backend('a', '10.0.0.1'), backend('b', '10.0.0.2'), vip('web', 80));
  });

  it('an unhealthy backend is out of the ring until it is back; its flows stay, and nothing is declared', async () => {
    const { revision } = reconciler.store.state;
    const held = Array.from({ length: 20 }, (_, i) => [i + 1, send(i + 1)] as const);
    await reconciler.setShares(new Map([[NAMES.a, 0]]));
    expect(spread()).toEqual(['10.0.0.2']);
    for (const [sport, to] of held) expect(send(sport, { flags: TCP_FLAGS.ack })).toBe(to);
    expect([shareOf(NAMES.a), shareOf(NAMES.b)]).toEqual([0, 1]);
    expect(reconciler.effectiveWeight(backendOf(NAMES.a))).toBe(0);
    await reconciler.setShares(new Map());
    expect(spread()).toEqual(['10.0.0.1', '10.0.0.2']);
    expect(reconciler.store.state.revision).toBe(revision);
  });

  it('a slow start is a part of the weight', async () => {
    await reconciler.setShares(new Map([[NAMES.a, 25]]));
    expect(shareOf(NAMES.a)).toBeCloseTo(0.2, 2);
    expect(reconciler.effectiveWeight(backendOf(NAMES.a))).toBe(1);
    expect(reconciler.share(NAMES.a)).toBe(25);
    expect(reconciler.share(NAMES.b)).toBe(100);
  });

  it('they hold over changes, and for backends that come later', async () => {
    await reconciler.setShares(new Map([['pools/web/backends/c', 0]]));
    await make(backend('c', '10.0.0.3'));
    expect(spread()).toEqual(['10.0.0.1', '10.0.0.2']);
    await reconciler.setShares(new Map([[NAMES.a, 0]]));
    expect(spread()).toEqual(['10.0.0.2', '10.0.0.3']);
  });

  it('only rings of pools where one changes are written', async () => {
    await make(createPool('other'), backend('x', '10.0.0.9', { pool: 'other' }), vip('other', 81, 'other'));
    const rings: number[] = [];
    const { tables } = datapath;
    const put = tables.putRing.bind(tables);
    tables.putRing = (ring, slots, previous) => {
      rings.push(ring);
      return put(ring, slots, previous);
    };
    await reconciler.setShares(new Map([['pools/other/backends/x', 0]]));
    await reconciler.setShares(new Map([['pools/other/backends/x', 0]]));
    expect(rings).toEqual([1]);
  });

  it('one that cannot be written leaves those before', async () => {
    await reconciler.setShares(new Map([[NAMES.a, 50]]));
    const { tables } = datapath;
    const put = tables.putRing.bind(tables);
    tables.putRing = () => {
      tables.putRing = put;
      throw new Error('no');
    };
    await expect(reconciler.setShares(new Map([[NAMES.a, 0]]))).rejects.toMatchObject({
      code: 'RECONCILE_WRITE',
    });
    expect(reconciler.share(NAMES.a)).toBe(50);
    expect(shareOf(NAMES.a)).toBeCloseTo(1 / 3, 2);
    expect(spread()).toEqual(['10.0.0.1', '10.0.0.2']);
    await expect(reconciler.setShares(new Map([[NAMES.a, 101]]))).rejects.toThrow(RangeError);
  });
});

describe('several changes as one', () => {
  it('are one revision, all or none', async () => {
    const { revision } = await reconciler.change([
      createPool('web'),
      backend('a', '10.0.0.1'),
      vip('web', 80),
    ]);
    expect(revision).toBe(1);
    expect(spread()).toEqual(['10.0.0.1']);
    await expect(
      reconciler.change([backend('b', '10.0.0.2'), backend('b', '10.0.0.2')]),
    ).rejects.toMatchObject({ code: 'STATE_EXISTS' });
    expect(spread()).toEqual(['10.0.0.1']);
  });

  it('a draft may come from elsewhere', async () => {
    await reconciler.change((store) => store.draftAll([createPool('web'), vip('web', 80)], 'somebody'));
    expect(reconciler.store.history.at(-1)).toMatchObject({ actor: 'somebody', revision: 1 });
    expect(reconciler.impact(reconciler.store.state, reconciler.store.state)).toEqual([]);
  });
});

describe('a change that cannot be made true changes nothing', () => {
  const snapshot = () => [
    reconciler.store.state,
    reconciler.activeRevision,
    [...datapath.shielded],
    spread(),
  ];

  it('a VIP that is an address of the host', async () => {
    datapath.hostAddresses.add('192.0.2.9');
    await make(createPool('web'), backend('a', '10.0.0.1'), vip('web', 80));
    const before = snapshot();
    await expect(make(vip('own', 80, 'web', '192.0.2.9'))).rejects.toMatchObject({
      code: 'RECONCILE_VIP_REFUSED',
    });
    expect(snapshot()).toEqual(before);
    expect(
      datapath.tables.getVip({ address: parseIp('192.0.2.9'), port: 80, protocol: 'tcp' }),
    ).toBeUndefined();
  });

  for (const method of ['putReal', 'putRing', 'putVipRing', 'putVip'] as const) {
    it(`a table that refuses ${method}`, async () => {
      await make(
        createPool('web'),
        backend('a', '10.0.0.1'),
        vip('web', 80),
        createPool('new'),
        backend('n', '10.0.0.9', { pool: 'new' }),
      );
      const before = snapshot();
      const original = datapath.tables[method];
      Object.assign(datapath.tables, {
        [method]: (...args: unknown[]) => {
          Object.assign(datapath.tables, { [method]: original });
          Reflect.apply(original, datapath.tables, args);
          throw new Error('out of order');
        },
      });
      const change = method === 'putReal' ? backend('b', '10.0.0.2') : vip('new', 81, 'new');
      await expect(make(change)).rejects.toMatchObject({ code: 'RECONCILE_WRITE' });
      expect(snapshot()).toEqual(before);
      // And the same change is taken once the table is well.
      await make(change);
      expect(reconciler.activeRevision).toBe(reconciler.store.state.revision);
      expect(method === 'putReal' ? spread() : spread(81)).toContain(
        method === 'putReal' ? '10.0.0.2' : '10.0.0.9',
      );
    });
  }

  it('a caller that gave up', async () => {
    await make(createPool('web'));
    const before = snapshot();
    await expect(reconciler.change(vip('web', 80), { isCancelled: () => true })).rejects.toMatchObject({
      code: 'RECONCILE_CANCELLED',
    });
    expect(snapshot()).toEqual(before);
  });

  it('validate_only', async () => {
    await make(createPool('web'));
    const before = snapshot();
    const draft = await reconciler.change(vip('web', 80), { validateOnly: true });
    expect(draft.vips.has('vips/web')).toBe(true);
    expect(snapshot()).toEqual(before);
  });
});

it('changes that come at once are made one after the other', async () => {
  await make(createPool('web'));
  await Promise.all(
    Array.from({ length: 20 }, (_, i) => reconciler.change(backend(`b${i}`, `10.0.1.${i + 1}`))),
  );
  await make(vip('web', 80));
  expect(reconciler.store.state.revision).toBe(22);
  expect(spread().length).toBeGreaterThan(15);
});

it('flows are counted at most once in a while', async () => {
  await make(createPool('web'), backend('a', '10.0.0.1'), vip('web', 80));
  expect(reconciler.flows.recent().get(1)).toBeUndefined();
  send(1);
  expect(reconciler.flows.recent().get(1)).toBeUndefined();
  clockMs += 1000;
  expect(reconciler.flows.recent().get(1)).toBe(1);
});

describe('a VIP that becomes another under the same name', () => {
  const asked = (address: string, other: string): Change => ({
    kind: 'apply',
    prune: true,
    target: {
      ...targetOf(reconciler.store.state),
      vips: [
        { ...vipFieldsOf(reconciler.store.state.vips.get('vips/web')!), name: 'vips/web', address },
        { ...vipFieldsOf(reconciler.store.state.vips.get('vips/two')!), name: 'vips/two', address: other },
      ],
    },
  });

  it('is kept from the host at its new address, and no longer at the old one', async () => {
    await make(
      createPool('web'),
      backend('a', '10.0.0.1'),
      vip('web', 80),
      vip('two', 80, 'web', '192.0.2.11'),
    );
    await make(asked('192.0.2.12', '192.0.2.11'));
    expect(datapath.shielded).toEqual(new Set(['192.0.2.12:80/tcp', '192.0.2.11:80/tcp']));
    expect(send(1)).toBe('pass');
  });

  it('may change its address with another', async () => {
    await make(
      createPool('web'),
      backend('a', '10.0.0.1'),
      vip('web', 80),
      vip('two', 80, 'web', '192.0.2.11'),
    );
    await make(asked('192.0.2.11', VIP));
    expect(datapath.shielded).toEqual(new Set([`${VIP}:80/tcp`, '192.0.2.11:80/tcp']));
    expect(send(1)).toBe('10.0.0.1');
  });
});

describe('options of the program', () => {
  const withFlag = (flags: number): Change => ({
    kind: 'update-vip',
    name: 'vips/web',
    etag: '',
    fields: { flags },
  });

  it('are on when the first packet may need them, and off when none does', async () => {
    await make(createPool('web'), backend('a', '10.0.0.1'), vip('web', 80));
    expect(datapath.options).toMatchObject({ sourceRouting: false, globalLru: false });
    await make(withFlag(VIP_FLAGS.SRC_ROUTING));
    expect(datapath.options).toMatchObject({ sourceRouting: true, globalLru: false });
    const seen: unknown[] = [];
    const set = datapath.setOptions.bind(datapath);
    datapath.setOptions = async (options) => {
      seen.push([
        options.sourceRouting,
        options.globalLru,
        datapath.tables.getVip(reconciler.store.state.vips.get('vips/web')!.key)?.flags,
      ]);
      await set(options);
    };
    await make(withFlag(VIP_FLAGS.GLOBAL_LRU));
    // Both while the tables change from one to the other.
    expect(seen).toEqual([
      [true, true, VIP_FLAGS.SRC_ROUTING],
      [false, true, VIP_FLAGS.GLOBAL_LRU],
    ]);
  });

  it('that the datapath refuses refuse the change', async () => {
    await make(createPool('web'), backend('a', '10.0.0.1'), vip('web', 80));
    const { state } = reconciler.store;
    datapath.setOptions = async () => {
      throw new Error('no');
    };
    await expect(make(withFlag(VIP_FLAGS.SRC_ROUTING))).rejects.toThrow('no');
    expect(reconciler.store.state).toBe(state);
    expect(send(1)).toBe('10.0.0.1');
  });

  it('do not change with what has nothing to do with them', async () => {
    await make(createPool('web'), backend('a', '10.0.0.1'), vip('web', 80));
    datapath.setOptions = async () => {
      throw new Error('not asked for');
    };
    await make(backend('b', '10.0.0.2'), vip('other', 81));
    expect(spread()).toEqual(['10.0.0.1', '10.0.0.2']);
  });
});
