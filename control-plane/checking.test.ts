import { describe, expect, it } from 'vitest';
import { checkOf, TCP } from '../test/health/checks.js';
import { ReconcileBed } from '../test/support/reconcile-bed.js';
import type { Checking } from './checking.js';
import type { HealthCheck } from './health/types.js';

const CHECK: HealthCheck = checkOf(TCP);

/** A bed with a pool of checked backends, and who of them fails. */
async function bedOf(
  backends: number,
  {
    pool = {},
    check = {},
    ...options
  }: { pool?: object; check?: Partial<HealthCheck>; broken?: string[] } = {},
) {
  const bed = new ReconcileBed();
  const broken = new Set(options.broken);
  await bed.make({ kind: 'create-health-check', id: 'up', displayName: '', check: { ...CHECK, ...check } });
  await bed.serve(backends, { healthChecks: ['healthChecks/up'], ...pool });
  const checking = await bed.checking(({ key }) => !broken.has(key.slice(-1)));
  return { bed, broken, checking };
}

const healths = (checking: Checking, ids: string) =>
  [...ids].map((id) => checking.status(`pools/web/backends/${id}`)?.state);

describe('health checks in the rings', () => {
  it('a backend takes nothing until it has passed', async () => {
    const { bed } = await bedOf(2, { broken: ['b'] });
    expect(bed.spread()).toEqual({ drop: 400 });
    await bed.pass(1500);
    expect(Object.keys(bed.spread())).toEqual(['10.0.0.1']);
  });

  it('one that fails leaves the ring after `fall` failures, and what it had stays; it comes back after `rise`', async () => {
    const { bed, broken, checking } = await bedOf(2);
    await bed.pass(1500);
    const held = Array.from({ length: 100 }, (_, i) => [i + 1, bed.send(i + 1)] as const);
    broken.add('a');
    await bed.pass(1500);
    expect(Object.keys(bed.spread()).sort()).toEqual(['10.0.0.1', '10.0.0.2']);
    await bed.pass(2000);
    expect(healths(checking, 'ab')).toEqual(['unhealthy', 'healthy']);
    expect(Object.keys(bed.spread())).toEqual(['10.0.0.2']);
    for (const [sport, to] of held) expect(bed.send(sport, { syn: false })).toBe(to);
    expect(new Set(held.map(([, to]) => to)).size).toBe(2);
    broken.clear();
    await bed.pass(3500);
    expect(Object.keys(bed.spread()).sort()).toEqual(['10.0.0.1', '10.0.0.2']);
  });

  it('says what it saw', async () => {
    const { bed, broken } = await bedOf(1);
    await bed.pass(1500);
    broken.add('a');
    await bed.pass(4000);
    const { events } = bed.events.after(0, { types: ['backend.'] }, 100);
    expect(events.map(({ type, resource, message }) => [type, resource, message])).toEqual([
      ['backend.health_changed', 'pools/web/backends/a', 'pools/web/backends/a is healthy: fine'],
      [
        'backend.health_changed',
        'pools/web/backends/a',
        'pools/web/backends/a is unhealthy: connection refused',
      ],
    ]);
  });

  it('below the floor all are used, or none', async () => {
    const last = await bedOf(4, { pool: { panicPercent: 50 } });
    await last.bed.pass(1500);
    for (const id of 'abc') last.broken.add(id);
    await last.bed.pass(5000);
    expect(last.checking.mode('pools/web')).toBe('last-resort');
    expect(Object.keys(last.bed.spread()).length).toBe(4);

    const none = await bedOf(4, { pool: { panicPercent: 50, belowFloor: 'drop' } });
    await none.bed.pass(1500);
    for (const id of 'abc') none.broken.add(id);
    await none.bed.pass(5000);
    expect(none.checking.mode('pools/web')).toBe('none');
    expect(none.bed.spread()).toEqual({ drop: 400 });
    const { events } = none.bed.events.after(0, { types: ['pool.'] }, 10);
    expect(events.at(-1)).toMatchObject({ resource: 'pools/web', attributes: { to: 'none' } });
  });

  it('one that has recovered starts slowly, and has its whole weight in the end', async () => {
    const slowStart = { windowMs: 10_000, minPercent: 10, steps: 5 };
    const { bed, broken, checking } = await bedOf(2, { pool: { slowStart } });
    await bed.pass(1500);
    broken.add('a');
    await bed.pass(5000);
    broken.clear();
    await bed.pass(3000);
    expect(checking.status('pools/web/backends/a')?.state).toBe('healthy');
    const shares: number[] = [];
    for (let i = 0; i < 7; i++) {
      shares.push(checking.share('pools/web/backends/a'));
      await bed.pass(2000);
    }
    expect(shares[0]).toBe(10);
    expect(shares).toEqual([...shares].sort((a, b) => a - b));
    expect(shares.at(-1)).toBe(100);
    const { '10.0.0.1': a = 0 } = bed.spread();
    expect(a).toBeGreaterThan(150);
  });

  it('follows the configuration: checks that are taken away, backends that come, are disabled or go', async () => {
    const { bed, checking } = await bedOf(2, { broken: ['a', 'b'], pool: { belowFloor: 'drop' } });
    await bed.pass(5000);
    expect(bed.spread()).toEqual({ drop: 400 });
    await bed.make({ kind: 'create-backend', pool: 'pools/web', id: 'c', address: '10.0.0.3', weight: 1 });
    await bed.settle();
    await bed.pass(1500);
    expect(Object.keys(bed.spread())).toEqual(['10.0.0.3']);
    const name = 'pools/web/backends/c';
    await bed.make({ kind: 'update-backend', name, etag: '', fields: { admin: 'disabled' } });
    await bed.settle();
    expect(checking.status(name)).toBeUndefined();
    await bed.make({ kind: 'update-pool', name: 'pools/web', etag: '', fields: { healthChecks: [] } });
    await bed.settle();
    expect(checking.mode('pools/web')).toBeUndefined();
    expect(checking.status('pools/web/backends/a')).toBeUndefined();
    expect(Object.keys(bed.spread()).sort()).toEqual(['10.0.0.1', '10.0.0.2']);
  });

  it('a check without a port of its own waits for a VIP that has one', async () => {
    const bed = new ReconcileBed();
    await bed.make({ kind: 'create-health-check', id: 'up', displayName: '', check: CHECK });
    await bed.make({ kind: 'create-pool', id: 'web', displayName: '', healthChecks: ['healthChecks/up'] });
    await bed.make({ kind: 'create-backend', pool: 'pools/web', id: 'a', address: '10.0.0.1', weight: 1 });
    const ports: number[] = [];
    const checking = await bed.checking(({ port }) => ports.push(port) > 0);
    await bed.pass(2000);
    expect(checking.status('pools/web/backends/a')).toBeUndefined();
    const vip = {
      displayName: '',
      address: '192.0.2.10',
      port: 8443,
      protocol: 'tcp',
      pool: 'pools/web',
    } as const;
    await bed.make({ kind: 'create-vip', id: 'web', ...vip });
    await bed.settle();
    await bed.pass(2000);
    expect(new Set(ports)).toEqual(new Set([8443]));
  });

  it('what was known before a restart counts until the first probes have decided', async () => {
    const { bed, broken } = await bedOf(2, { check: { firstResultDecides: false, rise: 3 } });
    await bed.pass(5000);
    const known = new Map([
      ['pools/web/backends/a', 'healthy'],
      ['pools/web/backends/b', 'unhealthy'],
    ] as const);
    const memory = {
      health: (name: string) => known.get(name as 'pools/web/backends/a'),
      set() {},
      keep() {},
    };
    const next = new ReconcileBed();
    await next.make({ kind: 'create-health-check', id: 'up', displayName: '', check: CHECK });
    await next.serve(2, { healthChecks: ['healthChecks/up'] });
    await next.checking(() => !broken.has('x'), { memory });
    expect(Object.keys(next.spread())).toEqual(['10.0.0.1']);
    await next.pass(4000);
    expect(Object.keys(next.spread()).sort()).toEqual(['10.0.0.1', '10.0.0.2']);
  });
});
