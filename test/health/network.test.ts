import { readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Monitor } from '../../control-plane/health/monitor.js';
import { Probes } from '../../control-plane/health/prober.js';
import { type Probe, SYSTEM_CLOCK } from '../../control-plane/health/types.js';
import { missingRoot, noting } from '../support/capabilities.js';
import { addVeth, enterNamespace, sh } from '../support/namespace.js';
import { checkOf, GRPC, HTTP, runProbe, targetOf } from './checks.js';
import { MANNERS, tcpServer } from './servers.js';

const SHORT_MS = 200;
/** A neighbour that does not answer, and a host that drops what comes. */
const SILENT = '10.9.0.9';
const UNREACHABLE = '10.8.0.9';
const PROHIBITED = '10.7.0.9';
const NOWHERE = '192.0.2.1';

const PROBES: Readonly<Record<string, Probe>> = {
  tcp: { kind: 'tcp', port: 80 },
  http: { ...HTTP, port: 80 },
  grpc: { ...GRPC, port: 80 },
  'gRPC over TLS': { ...GRPC, port: 80, tls: true, insecureSkipVerify: true },
};

describe.skipIf(missingRoot)(`probes over a network${noting(missingRoot)}`, () => {
  const probes = new Probes({ clock: SYSTEM_CLOCK });
  const monitors: Monitor[] = [];
  beforeAll(() => {
    enterNamespace();
    addVeth('near', 'far');
    sh('ip addr add 10.9.0.1/24 dev near');
    sh('ip route add unreachable 10.8.0.0/24');
    sh('ip route add prohibit 10.7.0.0/24');
  });
  afterAll(() => {
    for (const monitor of monitors) monitor.stop();
    probes.close();
  });

  const run = (probe: Probe, address: string) =>
    runProbe(probes, probe, targetOf('t', 80, address), SHORT_MS);

  const rows: readonly [rule: string, address: string, local: boolean, detail: string][] = [
    ['a host that is silent', SILENT, false, `no connection within ${SHORT_MS} ms`],
    ['a host that cannot be reached', UNREACHABLE, false, 'host unreachable'],
    ['a network without a route', NOWHERE, false, 'network unreachable'],
    ['what this host is forbidden', PROHIBITED, true, 'this host: not permitted (EACCES)'],
  ];
  for (const [name, probe] of Object.entries(PROBES)) {
    for (const [rule, address, local, detail] of rows) {
      it(`${name}: ${rule}`, async () => {
        expect(await run(probe, address)).toMatchObject({ ok: false, local, detail });
      });
    }

    it(`${name}: two hundred under way to a silent host are given up without a descriptor left`, async () => {
      const descriptors = () => readdirSync('/proc/self/fd').length;
      const before = descriptors();
      const results = Promise.all(Array.from({ length: 200 }, () => run(probe, SILENT)));
      // Sockets get their descriptors with the next turn.
      await new Promise(setImmediate);
      expect(descriptors()).toBeGreaterThan(before + 100);
      await results;
      await expect.poll(descriptors, { timeout: 5000 }).toBeLessThanOrEqual(before + 5);
    });
  }

  it('a backend whose packets are dropped is found within fall × interval + timeout, and believed again', async () => {
    const server = await tcpServer(MANNERS.pong, 0);
    const timing = { intervalMs: 300, fastIntervalMs: 300, timeoutMs: 200, fall: 2, rise: 2 };
    const ask: Probe = { kind: 'tcp', port: 0, send: Buffer.from('PING'), expect: Buffer.from('+PONG') };
    const monitor = new Monitor({ clock: SYSTEM_CLOCK, probe: probes.probe, seed: 'node' });
    monitors.push(monitor);
    monitor.setTargets([{ target: targetOf('a', server.port), checks: [checkOf(ask, timing)] }]);
    const state = () => monitor.status('a')?.state;
    await expect.poll(state, { timeout: 5000 }).toBe('healthy');
    sh('nft add table ip lose');
    sh('nft add chain ip lose in { type filter hook input priority 0 ; }');
    sh(`nft add rule ip lose in tcp dport ${server.port} drop`);
    const lostMs = SYSTEM_CLOCK.nowMs();
    await expect.poll(state, { timeout: 5000, interval: 10 }).toBe('unhealthy');
    const { sinceMs, last } = monitor.status('a')!;
    expect(last?.detail).toBe('no connection within 200 ms');
    // What a loaded machine is late by comes on top.
    expect(sinceMs - lostMs).toBeLessThan(2 * 300 + 200 + 400);
    sh('nft delete table ip lose');
    await expect.poll(state, { timeout: 5000 }).toBe('healthy');
    await server.stop();
  });
});
