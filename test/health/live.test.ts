import { afterEach, describe, expect, it } from 'vitest';
import { type HealthChange, Monitor } from '../../control-plane/health/monitor.js';
import { Probes } from '../../control-plane/health/prober.js';
import { type HealthCheck, type Probe, SYSTEM_CLOCK } from '../../control-plane/health/types.js';
import { checkOf, targetOf } from './checks.js';
import { MANNERS, type Manner, type Running, tcpServer } from './servers.js';

const INTERVAL_MS = 200;
const TIMEOUT_MS = 150;
const FALL = 2;
const RISE = 2;
/** Two cores are shared with other work: what the machine may be late by, besides the bound. */
const SLACK_MS = 400;

const asked: Probe = { kind: 'tcp', port: 0, send: Buffer.from('PING\r\n'), expect: Buffer.from('+PONG') };
const CHECK: HealthCheck = checkOf(asked, {
  intervalMs: INTERVAL_MS,
  fastIntervalMs: INTERVAL_MS,
  timeoutMs: TIMEOUT_MS,
  fall: FALL,
  rise: RISE,
  jitterPercent: 20,
});

let probes: Probes | undefined;
let monitor: Monitor | undefined;
let server: Running | undefined;
afterEach(async () => {
  monitor?.stop();
  probes?.close();
  await server?.stop();
});

/** A monitor of one backend whose manner a test changes, and the changes of its health. */
async function watchOne(manner: { now: Manner }): Promise<{ readonly next: () => Promise<HealthChange> }> {
  server = await tcpServer((socket) => manner.now(socket));
  probes = new Probes({ clock: SYSTEM_CLOCK });
  monitor = new Monitor({ clock: SYSTEM_CLOCK, probe: probes.probe, seed: 'node' });
  const changes: HealthChange[] = [];
  let heard: (() => void) | undefined;
  monitor.on('change', (change) => {
    changes.push(change);
    heard?.();
  });
  monitor.setTargets([{ target: targetOf('a', server.port), checks: [CHECK] }]);
  const next = async () => {
    while (changes.length === 0) {
      await new Promise<void>((resolve) => {
        heard = resolve;
      });
    }
    return changes.shift()!;
  };
  return { next };
}

describe('a backend that worked and then does not', () => {
  const rows: readonly [manner: keyof typeof MANNERS, detail: RegExp][] = [
    ['accept', /^no answer within 150 ms$/],
    ['wrong', /^answer does not start with/],
    ['close', /^connection closed before an answer|^reset by peer/],
    ['short', /^connection closed after "\+PO" alone|^reset by peer/],
    ['reset', /^reset by peer/],
    ['garbage', /^answer does not start with "\+PONG" but with "SSH/],
  ];
  for (const [name, detail] of rows) {
    it(`${name}: is found within fall × interval + timeout, and believed again after rise`, async () => {
      const manner: { now: Manner } = { now: MANNERS.pong };
      const { next } = await watchOne(manner);
      expect(await next()).toMatchObject({ from: 'unknown', to: 'healthy' });
      manner.now = MANNERS[name];
      const brokenMs = SYSTEM_CLOCK.nowMs();
      const down = await next();
      expect(down).toMatchObject({ from: 'healthy', to: 'unhealthy' });
      expect(down.status.last?.detail).toMatch(detail);
      expect(down.status.sinceMs - brokenMs).toBeLessThan(FALL * INTERVAL_MS + TIMEOUT_MS + SLACK_MS);
      manner.now = MANNERS.pong;
      expect(await next()).toMatchObject({ from: 'unhealthy', to: 'healthy' });
      expect(monitor?.status('a')?.lastError?.detail).toMatch(detail);
    });
  }

  it('refuses: nobody listens any more, and somebody does again', async () => {
    const { next } = await watchOne({ now: MANNERS.pong });
    await next();
    const { port } = server!;
    await server!.stop();
    const brokenMs = SYSTEM_CLOCK.nowMs();
    const down = await next();
    expect(down.status.last?.detail).toBe('connection refused');
    expect(down.status.sinceMs - brokenMs).toBeLessThan(FALL * INTERVAL_MS + TIMEOUT_MS + SLACK_MS);
    server = await tcpServer(MANNERS.pong, port);
    expect(await next()).toMatchObject({ to: 'healthy' });
  });

  it('flaps: every second probe fails, which is no change', async () => {
    let turn = 0;
    const manner: { now: Manner } = {
      now: (socket) => (turn++ % 2 === 0 ? MANNERS.pong : MANNERS.close)(socket),
    };
    const { next } = await watchOne(manner);
    expect(await next()).toMatchObject({ to: 'healthy' });
    await expect.poll(() => turn, { timeout: 10_000 }).toBeGreaterThan(10);
    expect(monitor?.status('a')?.state).toBe('healthy');
  });

  it('a probe now says how it is', async () => {
    const manner: { now: Manner } = { now: MANNERS.pong };
    const { next } = await watchOne(manner);
    await next();
    manner.now = MANNERS.wrong;
    expect((await monitor!.probeNow('a')).get('tcp')).toMatchObject({ ok: false });
  });
});

it('a thousand targets that hang leave no socket behind when the monitor stops', async () => {
  server = await tcpServer(MANNERS.accept);
  const sockets = () =>
    process.getActiveResourcesInfo().filter((kind) => kind.startsWith('TCPSocketWrap')).length;
  const before = sockets();
  probes = new Probes({ clock: SYSTEM_CLOCK });
  monitor = new Monitor({ clock: SYSTEM_CLOCK, probe: probes.probe, seed: 'node' });
  const { port } = server;
  monitor.setTargets(
    Array.from({ length: 1000 }, (_, i) => ({ target: targetOf(`b${i}`, port), checks: [CHECK] })),
  );
  const isDown = () => [...monitor!.statuses()].every(({ state }) => state === 'unhealthy');
  await expect.poll(isDown, { timeout: 20_000 }).toBe(true);
  monitor.stop();
  await expect.poll(sockets, { timeout: 10_000 }).toBeLessThanOrEqual(before);
});
