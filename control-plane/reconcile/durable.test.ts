import { beforeEach, expect, it } from 'vitest';
import { parseMac } from '../../lb/index.js';
import { createBackend, createPool, createVip } from '../../test/support/changes.js';
import { FaultFiles } from '../../test/support/fault-files.js';
import { MemoryDatapath } from '../../test/support/memory-datapath.js';
import type { Change } from '../state/changes.js';
import { Store } from '../state/store.js';
import { Reconciler } from './reconciler.js';

const VIP = '192.0.2.1';
const NEXT_HOP = parseMac('02:00:00:00:00:aa');

const vip = (id: string, port: number) => createVip({ id, port, address: VIP });
const CONFIGURATION: readonly Change[] = [createPool(), createBackend(), vip('web', 80)];
const ANOTHER = createBackend({ id: 'b', address: '10.0.0.2' });

let datapath: MemoryDatapath;
let files: FaultFiles;

/** A node that starts on files: its store, and tables that are empty. */
async function start(from: FaultFiles): Promise<Reconciler> {
  files = from;
  datapath = new MemoryDatapath();
  const store = await Store.over(from, { nowMs: () => 0, epoch: 'e' });
  return new Reconciler({
    store,
    datapath,
    nextHops: { mac: () => NEXT_HOP, watch: async () => undefined, forget: () => undefined },
    log: () => undefined,
    nowMs: () => 0,
  });
}

/** Where 100 new flows go. */
function spread(firstPort: number): string[] {
  const to = Array.from({ length: 100 }, (_, i) =>
    datapath.send({ src: '198.51.100.7', dst: VIP, sport: firstPort + i, dport: 80 }),
  );
  return [...new Set(to)].sort();
}

let reconciler: Reconciler;
beforeEach(async () => {
  reconciler = await start(new FaultFiles());
  for (const change of CONFIGURATION) await reconciler.change(change);
});

it('a node that lost power serves what it served, as soon as it is restored', async () => {
  const { state } = reconciler.store;
  reconciler = await start(new FaultFiles(files.content('power loss')));
  expect(reconciler.store.state).toStrictEqual(state);
  expect(spread(1000)).toEqual(['pass']);
  await reconciler.restore();
  expect(reconciler.activeRevision).toBe(state.revision);
  expect(datapath.shielded).toEqual(new Set([`${VIP}:80/tcp`]));
  expect(spread(2000)).toEqual(['10.0.0.1']);
  await reconciler.change(ANOTHER);
  expect(spread(3000)).toEqual(['10.0.0.1', '10.0.0.2']);
});

it('packets see no change that is not on the disk', async () => {
  const before = reconciler.store.state;
  files.plan = () => 'ENOSPC';
  await expect(reconciler.change(ANOTHER)).rejects.toMatchObject({ code: 'JOURNAL_IO' });
  expect(reconciler.store.state).toBe(before);
  expect(spread(1000)).toEqual(['10.0.0.1']);
  await expect(reconciler.change(vip('w', 81))).rejects.toMatchObject({ code: 'JOURNAL_IO' });
  expect(datapath.shielded).toEqual(new Set([`${VIP}:80/tcp`]));
  files.plan = () => undefined;
  await reconciler.change(ANOTHER);
  expect(spread(2000)).toEqual(['10.0.0.1', '10.0.0.2']);
});

it('a change that the tables refuse is not on the disk either', async () => {
  const { state } = reconciler.store;
  const { putReal } = datapath.tables;
  Object.assign(datapath.tables, {
    putReal: () => {
      Object.assign(datapath.tables, { putReal });
      throw new Error('out of order');
    },
  });
  await expect(reconciler.change(ANOTHER)).rejects.toMatchObject({ code: 'RECONCILE_WRITE' });
  const again = await start(new FaultFiles(files.content('power loss')));
  expect(again.store.state).toStrictEqual(state);
});

it('history says who asked', async () => {
  await reconciler.change(ANOTHER, { actor: 'ops' });
  const told = reconciler.store.history.map(({ actor, action }) => `${actor} ${action}`);
  expect(told.slice(-2)).toEqual(['local create-vip', 'ops create-backend']);
});
