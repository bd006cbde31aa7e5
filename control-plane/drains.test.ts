import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { ReconcileBed } from '../test/support/reconcile-bed.js';
import { Drains } from './drains.js';

const A = 'pools/web/backends/a';

describe('drains', () => {
  let bed: ReconcileBed;
  let drains: Drains;
  let nowMs: number;
  /** Messages of the log. */
  let said: string[];

  beforeEach(async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    bed = new ReconcileBed();
    nowMs = bed.clock.nowMs();
    said = [];
    await bed.serve(2);
    const { reconciler, events } = bed;
    drains = new Drains({
      reconciler,
      tables: bed.datapath.tables,
      events,
      log: (_level, message) => void said.push(message),
      nowMs: () => nowMs,
    });
    drains.start();
  });
  afterEach(() => {
    drains.stop();
    vi.useRealTimers();
  });

  /** Time passes for timers and for deadlines. */
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 500) {
      nowMs += Math.min(left, 500);
      bed.clock.stall(Math.min(left, 500));
      await vi.advanceTimersByTimeAsync(Math.min(left, 500));
      await bed.settle();
    }
  };
  const ofEvents = () => bed.events.after(0, { types: ['backend.'] }, 100).events.map(({ type }) => type);
  const flowsTo = (address: string) =>
    Array.from({ length: 200 }, (_, i) => i + 1).filter((sport) => bed.send(sport) === address);

  it('at its deadline a backend is disabled, and its flows go to others', async () => {
    const flows = flowsTo('10.0.0.1');
    expect(flows.length).toBeGreaterThan(50);
    await bed.make({ kind: 'drain-backend', name: A, etag: '', timeoutMs: 5000 });
    await pass(4000);
    expect(bed.store.state.backends.get(A)).toMatchObject({ isDown: false });
    for (const sport of flows) expect(bed.send(sport, { syn: false })).toBe('10.0.0.1');
    await pass(2000);
    expect(bed.store.state.backends.get(A)).toMatchObject({ isDown: true, drainStartMs: undefined });
    for (const sport of flows) expect(bed.send(sport, { syn: false })).toBe('10.0.0.2');
    expect(bed.store.history.at(-1)).toMatchObject({ actor: 'drain', action: 'disable-backend' });
    expect(ofEvents()).toContain('backend.drain_ended');
  });

  it('one without a time goes on, and says when it has no flow left', async () => {
    await bed.make({ kind: 'drain-backend', name: A, etag: '', timeoutMs: 0 });
    await pass(5000);
    expect(bed.store.state.backends.get(A)).toMatchObject({ isDown: false });
    expect(bed.store.state.backends.get(A)?.drainStartMs).toBeDefined();
    expect(ofEvents().filter((type) => type === 'backend.drained')).toHaveLength(1);
  });

  it('the pool says how long, where nobody else does', async () => {
    await bed.make({ kind: 'update-pool', name: 'pools/web', etag: '', fields: { drainTimeoutMs: 2000 } });
    await bed.make({ kind: 'drain-host', address: '10.0.0.1' });
    await pass(3000);
    expect(bed.store.state.backends.get(A)).toMatchObject({ isDown: true });
  });

  it('one that is deleted with a drain is removed when its flows have ended', async () => {
    await bed.make({ kind: 'delete-backend', name: A, etag: '', drainTimeoutMs: 60_000 });
    expect(bed.store.state.backends.get(A)).toMatchObject({ leaves: true });
    await pass(1500);
    expect(bed.store.state.backends.has(A)).toBe(false);
  });

  it('or when its time is over', async () => {
    const [sport] = flowsTo('10.0.0.1');
    await bed.make({ kind: 'delete-backend', name: A, etag: '', drainTimeoutMs: 3000 });
    await pass(2000);
    expect(bed.send(sport!, { syn: false })).toBe('10.0.0.1');
    await pass(2000);
    expect(bed.store.state.backends.has(A)).toBe(false);
    expect(bed.send(sport!, { syn: false })).toBe('10.0.0.2');
  });

  it('none is looked at again after the end, though a look is under way then', async () => {
    await bed.make({ kind: 'drain-backend', name: A, etag: '', timeoutMs: 1000 });
    let look = () => {};
    const looked = new Promise<void>((resolve) => {
      look = resolve;
    });
    const { change } = bed.reconciler;
    bed.reconciler.change = async (...asked) => {
      look();
      return change.apply(bed.reconciler, asked);
    };
    nowMs += 1000;
    void vi.advanceTimersByTimeAsync(1000);
    await looked;
    drains.stop();
    await bed.settle();
    expect(vi.getTimerCount()).toBe(0);
  });

  it('a look that fails is said, and is not the last', async () => {
    const { recent } = bed.reconciler.flows;
    let faults = 0;
    bed.reconciler.flows.recent = () => {
      faults += 1;
      if (faults === 1) throw new Error('no table');
      return recent.call(bed.reconciler.flows);
    };
    await bed.make({ kind: 'drain-backend', name: A, etag: '', timeoutMs: 2000 });
    await pass(4000);
    expect(said.filter((message) => /could not/.test(message))).toEqual(['drains could not be looked at']);
    expect(bed.store.state.backends.get(A)).toMatchObject({ isDown: true });
  });

  it('one that is taken back is not ended', async () => {
    await bed.make({ kind: 'drain-backend', name: A, etag: '', timeoutMs: 3000 });
    await pass(1000);
    await bed.make({ kind: 'undrain-backend', name: A, etag: '' });
    await pass(5000);
    expect(bed.store.state.backends.get(A)).toMatchObject({ isDown: false, drainDeadlineMs: undefined });
  });

  it('an address that another backend still serves keeps its flows', async () => {
    const flows = flowsTo('10.0.0.1');
    await bed.make({ kind: 'create-pool', id: 'other', displayName: '' });
    await bed.make({ kind: 'create-backend', pool: 'pools/other', id: 'a', address: '10.0.0.1', weight: 1 });
    await bed.make({ kind: 'update-backend', name: A, etag: '', fields: { admin: 'disabled' } });
    for (const sport of flows) expect(bed.send(sport, { syn: false })).toBe('10.0.0.1');
  });
});
