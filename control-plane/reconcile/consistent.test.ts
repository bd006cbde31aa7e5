import { beforeEach, describe, expect, it } from 'vitest';
import { parseMac } from '../../lb/index.js';
import { createBackend, createPool, createVip } from '../../test/support/changes.js';
import { MemoryDatapath } from '../../test/support/memory-datapath.js';
import { TCP_FLAGS } from '../../test/support/packets.js';
import type { Change } from '../state/changes.js';
import { Store } from '../state/store.js';
import { Reconciler } from './reconciler.js';

const VIP = '192.0.2.1';
const BACKENDS = 10;
const FLOWS = 300;

let datapath: MemoryDatapath;
let reconciler: Reconciler;

const addressOf = (n: number) => `10.0.0.${n}`;
const nameOf = (n: number) => `pools/web/backends/b${n}`;
const create = (n: number) => createBackend({ id: `b${n}`, address: addressOf(n) });

/** Where a packet of a flow goes. */
const send = (sport: number, flags: number) =>
  datapath.send({ src: '198.51.100.7', dst: VIP, sport, dport: 80 }, flags);
const flows = (first: number, flags: number) =>
  Array.from({ length: FLOWS }, (_, i) => send(first + i, flags));
const differing = (a: readonly string[], b: readonly string[]) =>
  a.filter((backend, i) => backend !== b[i]).length;

beforeEach(async () => {
  datapath = new MemoryDatapath();
  reconciler = new Reconciler({
    store: new Store({ nowMs: () => 0, epoch: 'e' }),
    datapath,
    nextHops: {
      mac: () => parseMac('02:00:00:00:00:aa'),
      watch: async () => undefined,
      forget: () => undefined,
    },
    log: () => undefined,
    nowMs: () => 0,
  });
  await reconciler.change([
    createPool(),
    ...Array.from({ length: BACKENDS }, (_, i) => create(i + 1)),
    createVip({ address: VIP }),
  ]);
});

describe('flows while one of ten backends comes or goes', () => {
  it('one comes: no flow that is known moves, and of new ones what the impact says', async () => {
    const { store } = reconciler;
    const held = flows(10_000, TCP_FLAGS.syn);
    const before = store.state;
    const [impact] = reconciler.impact(before, store.draft(create(11)));
    await reconciler.change(create(11));
    expect(flows(10_000, TCP_FLAGS.ack)).toEqual(held);
    // The same flows as if they were new: a SYN asks the ring.
    const moved = differing(held, flows(10_000, TCP_FLAGS.syn)) / FLOWS;
    expect(impact?.minimumRatio).toBeCloseTo(1 / 11, 2);
    expect(impact?.flowsBroken).toBe(0);
    expect(Math.abs(moved - impact!.movedRatio)).toBeLessThan(0.06);
  });

  it('one goes: only its own flows move', async () => {
    const { store } = reconciler;
    const held = flows(20_000, TCP_FLAGS.syn);
    const removal: Change = { kind: 'delete-backend', name: nameOf(4), etag: '' };
    const [impact] = reconciler.impact(store.state, store.draft(removal));
    await reconciler.change(removal);
    const now = flows(20_000, TCP_FLAGS.ack);
    for (const [i, backend] of held.entries()) {
      if (backend === addressOf(4)) expect(now[i]).not.toBe(backend);
      else expect(now[i]).toBe(backend);
    }
    expect(impact?.flowsBroken).toBe(held.filter((backend) => backend === addressOf(4)).length);
    expect(impact?.flowsKept).toBe(FLOWS - impact!.flowsBroken);
    expect(impact?.leftRatio).toBeCloseTo(1 / BACKENDS, 2);
  });
});
