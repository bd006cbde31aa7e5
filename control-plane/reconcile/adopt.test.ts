import { beforeEach, describe, expect, it } from 'vitest';
import { type Mac, parseIp, parseMac, readAdopted } from '../../lb/index.js';
import { createBackend, createPool, createVip } from '../../test/support/changes.js';
import { MemoryDatapath } from '../../test/support/memory-datapath.js';
import type { Change } from '../state/changes.js';
import { Store } from '../state/store.js';
import { Reconciler } from './reconciler.js';

const HOP = parseMac('02:00:00:00:00:aa');
const backend = (id: string, address: string, poolId = 'web') =>
  createBackend({ id, address, pool: `pools/${poolId}` });
const vip = (id: string, port: number, poolId = 'web') => createVip({ id, port, pool: `pools/${poolId}` });
const del = (kind: 'delete-backend' | 'delete-vip', name: string): Change => ({ kind, name, etag: '' });

let datapath: MemoryDatapath;
let writes: string[];

/** The names of the writing methods that are called, and slots for rings. */
function watchWrites(): void {
  const { tables } = datapath;
  writes = [];
  for (const name of ['putReal', 'clearReal', 'putVip', 'deleteVip', 'putVipRing'] as const) {
    const call = tables[name].bind(tables) as (...values: unknown[]) => void;
    Object.assign(tables, {
      [name]: (...values: unknown[]) => {
        writes.push(`${name} ${typeof values[0] === 'number' ? values[0] : ''}`.trim());
        call(...values);
      },
    });
  }
  const put = tables.putRing.bind(tables);
  tables.putRing = (ring, slots, previous) => {
    const written = put(ring, slots, previous);
    writes.push(`putRing ${ring}: ${written}`);
    return written;
  };
}

/** A process: a store with these changes, and a reconciler over the tables that are there. */
async function process(
  changes: readonly Change[],
  { adopts, hop = HOP }: { adopts: boolean; hop?: Mac | undefined },
): Promise<Reconciler> {
  const store = new Store({ nowMs: () => 0, epoch: 'e' });
  const draft = store.draftAll(changes);
  await store.record(draft);
  store.commit(draft);
  const reconciler = new Reconciler({
    store,
    datapath,
    nextHops: { mac: () => hop, watch: async () => undefined, forget: () => undefined },
    log: () => undefined,
    nowMs: () => 0,
  });
  const adopted = readAdopted(datapath.replay.maps, { trackedFlows: () => datapath.tables.trackedFlows() });
  if (!adopts) await reconciler.restore();
  else {
    watchWrites();
    await reconciler.restore({ adopted });
  }
  return reconciler;
}
const rows = (reconciler: Reconciler) =>
  Object.fromEntries(
    [...reconciler.store.state.backends.values()].map((one) => [one.name, reconciler.realIndex(one)]),
  );
const numbers = (reconciler: Reconciler) =>
  Object.fromEntries(
    [...reconciler.store.state.vips.keys()].map((name) => [name, reconciler.vipNumber(name)]),
  );

const SETUP = [
  createPool('web'),
  createPool('api'),
  backend('a', '10.0.0.1'),
  backend('b', '10.0.0.2'),
  backend('c', '10.0.0.3', 'api'),
  vip('one', 80),
  vip('two', 81, 'api'),
];
/** The same, declared in another order: places of its own would be others. */
const AGAIN = [
  createPool('api'),
  createPool('web'),
  backend('c', '10.0.0.3', 'api'),
  backend('b', '10.0.0.2'),
  backend('a', '10.0.0.1'),
  vip('two', 81, 'api'),
  vip('one', 80),
];

beforeEach(() => {
  datapath = new MemoryDatapath();
});

describe('tables that another process wrote', () => {
  it('of the same state: every row and number stays, and not one slot is written', async () => {
    const first = await process(SETUP, { adopts: false });
    const second = await process(AGAIN, { adopts: true });
    expect(rows(second)).toEqual(rows(first));
    expect(numbers(second)).toEqual(numbers(first));
    expect(writes.sort()).toEqual(['putRing 0: 0', 'putRing 1: 0']);
    expect(second.tableShare([...second.store.state.backends.values()][1]!)).toBeCloseTo(0.5, 2);
  });

  it('what is not declared goes, what is new comes, and the rest stays', async () => {
    await process(SETUP, { adopts: false });
    const second = await process(
      [
        ...AGAIN,
        del('delete-backend', 'pools/web/backends/a'),
        del('delete-vip', 'vips/two'),
        backend('d', '10.0.0.4'),
        vip('three', 82),
      ],
      { adopts: true },
    );
    expect(rows(second)).toEqual({
      'pools/api/backends/c': 3,
      'pools/web/backends/b': 2,
      'pools/web/backends/d': 4,
    });
    expect(numbers(second)).toEqual({ 'vips/one': 0, 'vips/three': 2 });
    expect(writes.filter((write) => !write.startsWith('putRing'))).toEqual([
      'deleteVip',
      'putReal 4',
      'putVipRing 2',
      'putVip',
      'clearReal 1',
    ]);
    // The ring of the pool that serves no VIP any more is emptied.
    expect(writes.find((write) => write.startsWith('putRing 1'))).toBe('putRing 1: 65537');
    // Changes go on from there.
    await second.change(vip('four', 83, 'api'));
    expect(second.vipNumber('vips/four')).toBe(1);
  });

  it('a row that flows still point at rests', async () => {
    const first = await process(SETUP, { adopts: false });
    await first.change(del('delete-backend', 'pools/web/backends/a'));
    datapath.tables.trackedFlows = () => new Map([[1, 5]]);
    const second = await process(
      [createPool('web'), backend('b', '10.0.0.2'), backend('x', '10.0.0.7'), vip('one', 80)],
      { adopts: true },
    );
    expect(rows(second)).toEqual({ 'pools/web/backends/b': 2, 'pools/web/backends/x': 4 });
  });

  it('nothing in them: all is written', async () => {
    const only = await process(SETUP, { adopts: true });
    expect(rows(only)).toEqual({
      'pools/web/backends/a': 1,
      'pools/web/backends/b': 2,
      'pools/api/backends/c': 3,
    });
    expect(datapath.tables.getVip({ address: parseIp('192.0.2.1'), port: 80, protocol: 'tcp' })).toEqual({
      flags: 0,
      number: 0,
    });
  });

  it('a next hop that is another now is written, and slots are not', async () => {
    await process(SETUP, { adopts: false });
    const hops: number[] = [];
    const put = datapath.tables.putNextHop.bind(datapath.tables);
    datapath.tables.putNextHop = (index, mac) => {
      hops.push(index);
      put(index, mac);
    };
    await process(AGAIN, { adopts: true, hop: parseMac('02:00:00:00:00:bb') });
    expect(hops.sort()).toEqual([1, 2, 3]);
    expect(writes.every((write) => write.startsWith('putRing') && write.endsWith(': 0'))).toBe(true);
  });
});
