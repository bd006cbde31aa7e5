import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { RequestListener } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { type HealthChange, Monitor } from '../../control-plane/health/monitor.js';
import { Probes } from '../../control-plane/health/prober.js';
import {
  type HealthCheck,
  type Probe,
  type ProbeResult,
  type Prober,
  SYSTEM_CLOCK,
} from '../../control-plane/health/types.js';
import { checkOf, HTTP, targetOf } from './checks.js';
import { HTTP_MANNERS, httpServer, MANNERS, type Manner, type Running, tcpServer } from './servers.js';

const INTERVAL_MS = 200;
const TIMEOUT_MS = 150;
const FALL = 2;
const RISE = 2;
/** Two cores are shared with other work: what the machine may be late by, besides the bound. */
const SLACK_MS = 400;

/** Longest from when a backend breaks until that is known. */
const BOUND_MS = FALL * INTERVAL_MS + TIMEOUT_MS + SLACK_MS;

const asked: Probe = { kind: 'tcp', port: 0, send: Buffer.from('PING\r\n'), expect: Buffer.from('+PONG') };
const checkBy = (probe: Probe): HealthCheck =>
  checkOf(probe, {
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

interface Watched {
  readonly next: () => Promise<HealthChange>;
}

/** A monitor of one backend, the server, and the changes of its health. */
function watch({ port }: Running, probe: Probe): Watched {
  probes = new Probes({ clock: SYSTEM_CLOCK });
  monitor = new Monitor({ clock: SYSTEM_CLOCK, probe: probes.probe, seed: 'node' });
  const changes: HealthChange[] = [];
  let heard: (() => void) | undefined;
  monitor.on('change', (change) => {
    changes.push(change);
    heard?.();
  });
  monitor.setTargets([{ target: targetOf('a', port), checks: [checkBy(probe)] }]);
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

/** A backend of TCP whose manner a test changes. */
async function watchTcp(manner: { now: Manner }): Promise<Watched> {
  server = await tcpServer((socket) => manner.now(socket));
  return watch(server, asked);
}

/** A backend of HTTP likewise. */
async function watchHttp(manner: { now: RequestListener }): Promise<Watched> {
  server = await httpServer((request, response) => manner.now(request, response));
  return watch(server, HTTP);
}

/** A backend works, breaks and works again; that is found in time, each time, and why is said. */
async function breaks(
  { next }: Watched,
  detail: RegExp,
  { broken, mended }: { readonly broken: () => unknown; readonly mended: () => unknown },
): Promise<void> {
  expect(await next()).toMatchObject({ from: 'unknown', to: 'healthy' });
  await broken();
  const brokenMs = SYSTEM_CLOCK.nowMs();
  const down = await next();
  expect(down).toMatchObject({ from: 'healthy', to: 'unhealthy' });
  expect(down.status.last?.detail).toMatch(detail);
  expect(down.status.sinceMs - brokenMs).toBeLessThan(BOUND_MS);
  await mended();
  expect(await next()).toMatchObject({ from: 'unhealthy', to: 'healthy' });
  expect(monitor?.status('a')?.lastError?.detail).toMatch(detail);
}

describe('a backend that worked and then does not', () => {
  const rows: readonly [manner: keyof typeof MANNERS, detail: RegExp][] = [
    ['accept', /^no answer within 150 ms$/],
    ['tooLate', /^no answer within 150 ms$/],
    ['wrong', /^answer does not start with/],
    ['close', /^connection closed before an answer|^reset by peer/],
    ['short', /^connection closed after "\+PO" alone|^reset by peer/],
    ['reset', /^reset by peer/],
    ['garbage', /^answer does not start with "\+PONG" but with "SSH/],
  ];
  for (const [name, detail] of rows) {
    it(`${name}: is found within fall × interval + timeout, and believed again after rise`, async () => {
      const manner: { now: Manner } = { now: MANNERS.pong };
      await breaks(await watchTcp(manner), detail, {
        broken: () => {
          manner.now = MANNERS[name];
        },
        mended: () => {
          manner.now = MANNERS.pong;
        },
      });
    });
  }

  it('refuses: nobody listens any more, and somebody does again', async () => {
    const watched = await watchTcp({ now: MANNERS.pong });
    const { port, stop } = server!;
    await breaks(watched, /^connection refused$/, {
      broken: stop,
      mended: async () => {
        server = await tcpServer(MANNERS.pong, port);
      },
    });
  });

  const httpRows: readonly [manner: keyof typeof HTTP_MANNERS, detail: RegExp][] = [
    ['hang', /^no answer within 150 ms$/],
    ['tooLate', /^no answer within 150 ms$/],
    ['wrong', /^HTTP 503, expected 200–299$/],
    ['reset', /^reset by peer/],
    ['close', /^connection closed before an answer/],
    ['garbage', /^the answer is not HTTP$/],
  ];
  for (const [name, detail] of httpRows) {
    it(`HTTP, ${name}: is found within fall × interval + timeout, and believed again after rise`, async () => {
      const manner: { now: RequestListener } = { now: HTTP_MANNERS.fine };
      await breaks(await watchHttp(manner), detail, {
        broken: () => {
          manner.now = HTTP_MANNERS[name];
        },
        mended: () => {
          manner.now = HTTP_MANNERS.fine;
        },
      });
    });
  }

  it('HTTP, refuses: nobody listens any more, and somebody does again', async () => {
    const watched = await watchHttp({ now: HTTP_MANNERS.fine });
    const { port, stop } = server!;
    await breaks(watched, /^connection refused$/, {
      broken: stop,
      mended: async () => {
        server = await httpServer(HTTP_MANNERS.fine, undefined, port);
      },
    });
  });

  it('flaps: every second probe fails, which is no change', async () => {
    let turn = 0;
    const manner: { now: Manner } = {
      now: (socket) => (turn++ % 2 === 0 ? MANNERS.pong : MANNERS.close)(socket),
    };
    const { next } = await watchTcp(manner);
    expect(await next()).toMatchObject({ to: 'healthy' });
    await expect.poll(() => turn, { timeout: 10_000 }).toBeGreaterThan(10);
    expect(monitor?.status('a')?.state).toBe('healthy');
  });

  it('a probe now says how it is', async () => {
    const manner: { now: Manner } = { now: MANNERS.pong };
    const { next } = await watchTcp(manner);
    await next();
    manner.now = MANNERS.wrong;
    expect((await monitor!.probeNow('a')).get('tcp')).toMatchObject({ ok: false });
  });
});

it('a process that stands still does not blame a backend for it', async () => {
  const script = `require('node:net')
    .createServer((socket) => socket.on('data', () => socket.write('+PONG\\r\\n')).on('error', () => {}))
    .listen(0, '127.0.0.1', function () { console.log(this.address().port); });`;
  const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const [printed] = await once(child.stdout, 'data');
    const own = new Probes({ clock: SYSTEM_CLOCK });
    probes = own;
    const results: ProbeResult[] = [];
    const probe: Prober = async (...asked) => {
      const probing = own.probe(...asked);
      // Between what it sends and what it reads.
      const until = performance.now() + 3 * TIMEOUT_MS;
      while (performance.now() < until);
      const result = await probing;
      results.push(result);
      return result;
    };
    monitor = new Monitor({ clock: SYSTEM_CLOCK, probe, seed: 'node' });
    monitor.setTargets([{ target: targetOf('a', Number(printed)), checks: [checkBy(asked)] }]);
    await expect.poll(() => results.length, { timeout: 10_000 }).toBeGreaterThan(3);
    expect(results.filter(({ ok }) => !ok)).toEqual([]);
  } finally {
    child.kill();
  }
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
    Array.from({ length: 1000 }, (_, i) => ({ target: targetOf(`b${i}`, port), checks: [checkBy(asked)] })),
  );
  const isDown = () => [...monitor!.statuses()].every(({ state }) => state === 'unhealthy');
  await expect.poll(isDown, { timeout: 20_000 }).toBe(true);
  monitor.stop();
  await expect.poll(sockets, { timeout: 10_000 }).toBeLessThanOrEqual(before);
});
