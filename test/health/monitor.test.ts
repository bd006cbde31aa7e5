import { afterEach, describe, expect, it } from 'vitest';
import {
  type HealthChange,
  Monitor,
  MonitorError,
  type Watched,
} from '../../control-plane/health/monitor.js';
import { TIMED_OUT } from '../../control-plane/health/probes/attempt.js';
import type { Health, HealthCheck, ProbeResult, Prober } from '../../control-plane/health/types.js';
import { checkOf, resultOf, TCP, targetOf } from './checks.js';
import { FakeClock } from './fake-clock.js';

type Manner = 'pass' | 'fail' | 'hang' | 'throw' | 'local';

/** A monitor over probes that do as they are told, on a clock that the test moves. */
class Bench {
  readonly clock = new FakeClock();
  readonly changes: string[] = [];
  /** Target/check → how its probes go; pass where there is nothing. */
  readonly manners = new Map<string, Manner>();
  readonly probed: { readonly name: string; readonly atMs: number }[] = [];
  /** Target/check of probes under way. */
  readonly underWay = new Set<string>();
  readonly monitor: Monitor;

  constructor(random = () => 0) {
    this.monitor = new Monitor({ clock: this.clock, probe: this.probe, seed: 'node', random });
    this.monitor.on('change', (change: HealthChange) =>
      this.changes.push(`${change.key} ${change.from}→${change.to}`),
    );
  }

  readonly probe: Prober = async (target, check, signal) => {
    const name = `${target.key}/${check.name}`;
    if (this.underWay.has(name)) throw new Error(`${name} overlaps`);
    this.probed.push({ name, atMs: this.clock.nowMs() });
    const result = (ok: boolean, changes: Partial<ProbeResult> = {}) =>
      resultOf(ok, this.clock.nowMs(), changes);
    switch (this.manners.get(name) ?? 'pass') {
      case 'pass':
        return result(true);
      case 'fail':
        return result(false);
      case 'local':
        return result(false, { local: true });
      case 'throw':
        throw new Error('a bug');
      case 'hang':
        this.underWay.add(name);
        await new Promise((resolve) => signal.addEventListener('abort', resolve));
        this.underWay.delete(name);
        return signal.reason === TIMED_OUT
          ? result(false)
          : result(false, { local: true, detail: 'cancelled' });
    }
  };

  watch(keys: string, checks: readonly HealthCheck[] = [checkOf(TCP)], more: Partial<Watched> = {}): void {
    this.monitor.setTargets([...keys].map((key) => ({ target: targetOf(key, 80), checks, ...more })));
  }

  /** Set how probes go and let time pass; gives the changes since. */
  async go(manner: Manner, byMs: number, name = 'a/tcp'): Promise<string[]> {
    this.manners.set(name, manner);
    await this.clock.advance(byMs);
    return this.changes.splice(0);
  }

  state(key = 'a'): Health | undefined {
    return this.monitor.status(key)?.state;
  }
}

let bench = new Bench();
afterEach(async () => {
  bench.monitor.stop();
  await new Promise(setImmediate);
  expect([bench.clock.pending, bench.underWay.size]).toEqual([0, 0]);
  bench = new Bench();
});

describe('from results to changes', () => {
  it('unknown, then what the first result says', async () => {
    bench.watch('ab');
    expect([bench.state('a'), bench.state('b'), bench.state('c')]).toEqual(['unknown', 'unknown', undefined]);
    bench.manners.set('b/tcp', 'fail');
    await bench.clock.advance(100);
    expect(bench.changes.sort()).toEqual(['a unknown→healthy', 'b unknown→unhealthy']);
  });

  for (const manner of ['fail', 'hang'] as const) {
    it(`${manner}: found within fall × interval + timeout, and not before \`fall\` results`, async () => {
      bench.watch('a');
      expect(await bench.go('pass', 5000)).toEqual(['a unknown→healthy']);
      const before = bench.probed.length;
      // A tick of the wheel may be added to each of the two times.
      const bound = 3 * 1000 + 500 + 20;
      expect(await bench.go(manner, bound)).toEqual(['a healthy→unhealthy']);
      expect(bench.probed.length - before).toBeGreaterThanOrEqual(3);
      expect(await bench.go('pass', 2 * 1000 + 500 + 20)).toEqual(['a unhealthy→healthy']);
    });
  }

  it('the fast interval confirms a change sooner', async () => {
    bench.watch('a', [checkOf(TCP, { intervalMs: 10_000, fastIntervalMs: 200 })]);
    await bench.go('pass', 30_000);
    expect(await bench.go('fail', 10_000 + 2 * 200 + 30)).toEqual(['a healthy→unhealthy']);
    const { length } = bench.probed;
    await bench.go('fail', 30_000);
    expect(bench.probed.length - length).toBeLessThanOrEqual(4);
    expect(await bench.go('pass', 10_000 + 200 + 30)).toEqual(['a unhealthy→healthy']);
  });

  it('with a fast interval below the timeout, probes that hang follow one on the other and never overlap', async () => {
    bench.watch('a', [checkOf(TCP, { timeoutMs: 900, fastIntervalMs: 100 })]);
    await bench.go('pass', 3000);
    expect(await bench.go('hang', 1000 + 3 * 910 + 20)).toEqual(['a healthy→unhealthy']);
    expect(bench.monitor.status('a')?.last?.detail).not.toContain('overlaps');
  });

  it('one that hangs delays nobody', async () => {
    bench.watch('ab');
    await bench.go('hang', 20_000);
    const times = bench.probed.filter(({ name }) => name === 'b/tcp').map(({ atMs }) => atMs);
    expect(times.length).toBeGreaterThanOrEqual(19);
    for (const [i, atMs] of times.slice(2).entries())
      expect(Math.abs(atMs - times[i + 1]! - 1000)).toBeLessThan(11);
  });

  it('faults of this host and of a prober take nobody out', async () => {
    bench.watch('a');
    await bench.go('pass', 2000);
    expect(await bench.go('local', 10_000)).toEqual([]);
    expect(await bench.go('throw', 10_000)).toEqual([]);
    expect(bench.monitor.status('a')?.lastError).toMatchObject({ local: true, detail: 'this host: a bug' });
    expect(bench.monitor.counts()).toEqual([
      { kind: 'tcp', outcome: 'pass', count: expect.any(Number) },
      { kind: 'tcp', outcome: 'fail', count: 0 },
      { kind: 'tcp', outcome: 'error', count: 20 },
    ]);
  });

  it('all checks must pass', async () => {
    bench.watch('a', [checkOf(TCP, { name: 'one' }), checkOf(TCP, { name: 'two' })]);
    expect(await bench.go('pass', 3000, 'a/one')).toEqual(['a unknown→healthy']);
    expect(await bench.go('fail', 4000, 'a/two')).toEqual(['a healthy→unhealthy']);
    const status = bench.monitor.status('a');
    expect([status?.checks.get('one')?.state, status?.checks.get('two')?.state]).toEqual([
      'healthy',
      'unhealthy',
    ]);
    expect(await bench.go('pass', 3000, 'a/two')).toEqual(['a unhealthy→healthy']);
  });

  it('each probe is told with its kind, result and latency', async () => {
    const records: string[] = [];
    bench.monitor.on('probe', ({ key, check, kind, result }) =>
      records.push(`${key} ${check} ${kind} ${result.ok} ${result.latencyMs}`),
    );
    bench.watch('a');
    await bench.clock.advance(100);
    expect(records).toEqual(['a tcp tcp true 1']);
  });
});

describe('a restart of the control plane', () => {
  it('takes nobody out whose probes pass', async () => {
    bench.watch('a', undefined, { assumed: 'healthy' });
    expect(bench.state()).toBe('healthy');
    expect(await bench.go('pass', 10_000)).toEqual([]);
  });

  it('finds within the bound who failed meanwhile', async () => {
    bench.watch('a', undefined, { assumed: 'healthy' });
    expect(await bench.go('fail', 3520)).toEqual(['a healthy→unhealthy']);
  });

  it('does not believe in one that was down before `rise` passes', async () => {
    bench.watch('a', undefined, { assumed: 'unhealthy' });
    expect(await bench.go('pass', 900)).toEqual([]);
    expect(await bench.go('pass', 1200)).toEqual(['a unhealthy→healthy']);
  });
});

describe('another list of targets', () => {
  it('keeps the state of those that stay and forgets the others', async () => {
    bench.watch('ab');
    await bench.go('fail', 5000);
    bench.changes.length = 0;
    bench.watch('ac');
    expect([bench.state('a'), bench.state('b'), bench.state('c')]).toEqual([
      'unhealthy',
      undefined,
      'unknown',
    ]);
    const { length } = bench.probed;
    await bench.clock.advance(3000);
    expect(bench.probed.slice(length).some(({ name }) => name === 'b/tcp')).toBe(false);
    expect([...bench.monitor.statuses()].map(({ key }) => key).sort()).toEqual(['a', 'c']);
  });

  it('ends a probe under way of one that is gone, and hears no result of it', async () => {
    bench.watch('a');
    await bench.go('hang', 100);
    expect(bench.underWay.size).toBe(1);
    bench.watch('b');
    await bench.clock.advance(0);
    expect(bench.underWay.size).toBe(0);
    expect(await bench.go('hang', 3000)).toEqual(['b unknown→healthy']);
  });

  it('another address makes it another target', async () => {
    bench.watch('a');
    await bench.go('pass', 2000);
    bench.monitor.setTargets([{ target: targetOf('a', 80, '127.0.0.2'), checks: [checkOf(TCP)] }]);
    expect(bench.state()).toBe('unknown');
  });

  it('other settings keep the verdict and hold at once', async () => {
    bench.watch('a', [checkOf(TCP, { intervalMs: 60_000 })]);
    await bench.go('pass', 70_000);
    bench.watch('a', [checkOf(TCP, { fall: 1 })]);
    expect(bench.state()).toBe('healthy');
    expect(await bench.go('fail', 1520)).toEqual(['a healthy→unhealthy']);
  });

  it('the same list again changes no time', async () => {
    bench.watch('a');
    await bench.clock.advance(10_500);
    for (let i = 0; i < 100; i++) {
      bench.watch('a');
      await bench.clock.advance(100);
    }
    expect(bench.probed.length).toBeLessThanOrEqual(22);
    expect(bench.probed.length).toBeGreaterThanOrEqual(20);
  });

  it('a check in addition takes nothing out before it failed', async () => {
    bench.watch('a', [checkOf(TCP)]);
    await bench.go('pass', 2000);
    bench.watch('a', [checkOf(TCP), checkOf(TCP, { name: 'new' })]);
    expect(bench.state()).toBe('healthy');
    expect(await bench.go('fail', 3520, 'a/new')).toEqual(['a healthy→unhealthy']);
  });

  it('without the check that failed a target is healthy again', async () => {
    bench.watch('a', [checkOf(TCP), checkOf(TCP, { name: 'bad' })]);
    await bench.go('fail', 5000, 'a/bad');
    expect(bench.state()).toBe('unhealthy');
    bench.changes.length = 0;
    bench.watch('a', [checkOf(TCP)]);
    expect(bench.changes).toEqual(['a unhealthy→healthy']);
  });

  const wrong: readonly [rule: string, list: readonly Watched[], code: string][] = [
    [
      'a target twice',
      ['a', 'a'].map((key) => ({ target: targetOf(key, 1), checks: [checkOf(TCP)] })),
      'HEALTH_TWICE',
    ],
    ['a check twice', [{ target: targetOf('a', 1), checks: [checkOf(TCP), checkOf(TCP)] }], 'HEALTH_TWICE'],
    ['no checks', [{ target: targetOf('a', 1), checks: [] }], 'HEALTH_NO_CHECKS'],
    [
      'a check that cannot be',
      [{ target: targetOf('a', 1), checks: [checkOf(TCP, { rise: 0 })] }],
      'HEALTH_CHECK',
    ],
  ];
  for (const [rule, list, code] of wrong) {
    it(`${rule} is refused, and nothing has changed`, () => {
      bench.watch('z');
      expect(() => bench.monitor.setTargets(list)).toThrow(expect.objectContaining({ code }));
      expect([...bench.monitor.statuses()].map(({ key }) => key)).toEqual(['z']);
    });
  }

  it('a listener may set another list', async () => {
    bench.monitor.on('change', () => bench.monitor.setTargets([]));
    bench.watch('abc');
    await bench.clock.advance(5000);
    expect(bench.changes).toHaveLength(1);
    expect([...bench.monitor.statuses()]).toEqual([]);
  });
});

describe('a probe now', () => {
  it('gives the result of each check and decides nothing', async () => {
    bench.watch('a', [checkOf(TCP, { fall: 1 }), checkOf(TCP, { name: 'two' })]);
    await bench.go('pass', 2000);
    bench.manners.set('a/tcp', 'fail');
    const results = await bench.monitor.probeNow('a');
    expect([...results].map(([name, { ok }]) => [name, ok])).toEqual([
      ['tcp', false],
      ['two', true],
    ]);
    expect(bench.state()).toBe('healthy');
    bench.manners.set('a/tcp', 'pass');
  });

  it('ends with its timeout', async () => {
    bench.watch('a', [checkOf(TCP, { initialDelayMs: 60_000 })]);
    bench.manners.set('a/tcp', 'hang');
    const results = bench.monitor.probeNow('a');
    await bench.clock.advance(520);
    expect((await results).get('tcp')?.ok).toBe(false);
  });

  it('ends with the monitor', async () => {
    bench.watch('a', [checkOf(TCP, { initialDelayMs: 60_000 })]);
    bench.manners.set('a/tcp', 'hang');
    const results = bench.monitor.probeNow('a');
    bench.monitor.stop();
    expect((await results).get('tcp')?.detail).toBe('cancelled');
  });

  it('of one that is not checked is an error', async () => {
    await expect(bench.monitor.probeNow('q')).rejects.toThrow(MonitorError);
  });
});

it('probes of 5,000 targets are spread, at first and later', async () => {
  const probed: number[] = [];
  const clock = new FakeClock();
  const monitor = new Monitor({
    clock,
    seed: 'node',
    probe: async () => {
      probed.push(clock.nowMs());
      return resultOf(true, clock.nowMs());
    },
  });
  const check = checkOf(TCP, { jitterPercent: 10 });
  const beganMs = clock.nowMs();
  monitor.setTargets(
    Array.from({ length: 5000 }, (_, i) => ({ target: targetOf(`backend-${i}`, 80), checks: [check] })),
  );
  await clock.advance(5000);
  monitor.stop();
  const slots = new Map<number, number>();
  for (const atMs of probed) {
    const slot = Math.floor((atMs - beganMs) / 50);
    slots.set(slot, (slots.get(slot) ?? 0) + 1);
  }
  // About 260 are expected in 50 ms; the first slot is short and the second interval has some twice.
  expect(slots.size).toBeGreaterThanOrEqual(100);
  expect(Math.max(...slots.values())).toBeLessThan(600);
  expect(Math.min(...[...slots.values()].slice(1, -1))).toBeGreaterThan(150);
});
