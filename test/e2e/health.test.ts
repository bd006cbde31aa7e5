/** Health checks, drains and the configuration file on real hosts: `waggle up --config`, and traffic while backends break. */
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { until } from '../../demo/lines.js';
import { Topology } from '../../demo/topology.js';
import { missingRoot, noting } from '../support/capabilities.js';
import { type Asked, Bed, HeldConnections, LINE_PORT, PORT, VIP4 } from './bed.js';

const BACKENDS = ['a', 'b', 'c'] as const;
const INTERVAL_MS = 300;
const TIMEOUT_MS = 200;
const FALL = 2;
/** What a machine with other work is late by, besides the bound: servers, the balancer and this test share two cores. */
const SLACK_MS = 700;
/** Longest from when a backend breaks until it is out of service. */
const BOUND_MS = FALL * INTERVAL_MS + TIMEOUT_MS + SLACK_MS;
const CHECK = `interval: ${INTERVAL_MS}ms, timeout: ${TIMEOUT_MS}ms, fastInterval: 100ms, rise: 2, fall: ${FALL}, jitter: 0`;

describe.skipIf(missingRoot)(`backends that break${noting(missingRoot)}`, () => {
  let bed: Bed;
  let folder: string;
  const path = () => join(folder, 'node.yaml');
  /** As a deployment does: a new file in the place of the old one. */
  const write = (text: string) => {
    writeFileSync(`${path()}.new`, text);
    renameSync(`${path()}.new`, path());
  };
  const file = (check: string, more = '') => `
healthChecks:
  - { name: up, http: { path: / }, ${CHECK}, ${check} }
vips:
  - { name: web, address: ${VIP4}, port: ${PORT}, protocol: tcp, pool: web }
  - { name: lines, address: ${VIP4}, port: ${LINE_PORT}, protocol: tcp, pool: web }
pools:
  - name: web
    healthChecks: [up]
    backends:
${BACKENDS.map((name) => `      - { name: ${name}, address: ${bed.topology.host(name).address4} }`).join('\n')}
${more}`;

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'waggle-health-'));
    write('node: {}\n');
    bed = await Bed.start({ backends: BACKENDS.length, workers: 1, flags: ['--config', path()] });
    // Where the VIP's packets would go without a load balancer: health checks through the tunnel need a route for it.
    const { interface: device, address4 } = bed.topology.host('client');
    expect(device).not.toBe('');
    bed.topology.run('lb', ['ip', 'route', 'add', `${VIP4}/32`, 'via', address4]);
  }, 120_000);
  afterAll(async () => {
    await bed?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  interface Shown {
    readonly adminState: string;
    readonly status: {
      readonly health: string;
      readonly healthReason: string;
      readonly healthChangeTime: string;
      readonly trackedFlows: string;
      readonly checks: readonly { readonly lastDetail: string }[];
    };
  }
  const backend = async (name: string): Promise<Shown> =>
    JSON.parse(await bed.lb.must('get', 'backend', `web/${name}`, '-o', 'json')) as Shown;
  const becomes = (name: string, health: string) =>
    until(`${name} to be ${health}`, async () => (await backend(name)).status.health === health, 30_000);
  /** From a moment until a backend's health changed last, by the balancer's own account. */
  const foundAfterMs = async (name: string, sinceMs: number): Promise<number> =>
    Date.parse((await backend(name)).status.healthChangeTime) - sinceMs;
  /** Who answers 60 connections, and what fails. */
  const ask = () => bed.client<Asked>('ask', VIP4, String(PORT), '60');
  const names = ({ names: counts, errors }: Asked) => {
    expect(errors).toEqual([]);
    return Object.keys(counts).sort();
  };

  it('a file that is written while it runs is put in force; backends serve once they have passed', async () => {
    write(file('path: tunnel'));
    await until(
      'the pool to be there',
      async () => (await bed.lb.command('get', 'pool', 'web')).status === 0,
    );
    for (const name of BACKENDS) await becomes(name, 'HEALTH_HEALTHY');
    expect(names(ask())).toEqual([...BACKENDS]);
  }, 90_000);

  it('one that no longer decapsulates is found by the check through the tunnel, and gets nothing more', async () => {
    const { decap } = bed.processes.get('b')!;
    await Topology.stop(decap);
    const brokenMs = Date.now();
    await becomes('b', 'HEALTH_UNHEALTHY');
    expect(await foundAfterMs('b', brokenMs)).toBeLessThan(BOUND_MS);
    expect((await backend('b')).status.healthReason).toMatch(/^no connection within 200 ms/);
    expect(names(ask())).toEqual(['a', 'c']);
  }, 60_000);

  it('one that is stopped hangs, and is found; connections of others stay', async () => {
    const held = new HeldConnections(bed, VIP4, 20);
    await held.answered(20);
    const { server } = bed.processes.get('c')!;
    const brokenMs = Date.now();
    server.kill('SIGSTOP');
    await becomes('c', 'HEALTH_UNHEALTHY');
    const foundMs = await foundAfterMs('c', brokenMs);
    expect(foundMs).toBeGreaterThan(TIMEOUT_MS);
    expect(foundMs).toBeLessThan(BOUND_MS);
    expect(names(ask())).toEqual(['a']);
    server.kill('SIGCONT');
    await becomes('c', 'HEALTH_HEALTHY');
    expect(names(ask())).toEqual(['a', 'c']);
    const { resets, moved } = await held.stop();
    expect([resets, moved]).toEqual([[], 0]);
  }, 90_000);

  it('a drain with a deadline ends: the backend is disabled', async () => {
    await bed.lb.must('drain', 'backend', 'web/c', '--timeout', '2s');
    expect(names(ask())).toEqual(['a']);
    await until(
      'the end of the drain',
      async () => (await backend('c')).adminState === 'ADMIN_STATE_DISABLED',
      20_000,
    );
  }, 60_000);

  it('what the file says counts again when it is read again; a faulty one changes nothing', async () => {
    const before = await bed.lb.must('get', 'backend', 'web/c', '-o', 'json');
    write(file('path: tunnel', 'serverIds:\n  - { id: nothing, backend: 10.0.0.1 }\n'));
    process.kill(bed.lb.pid, 'SIGHUP');
    await until('the fault to be said', () => bed.lb.log().includes('serverIds[0].id'));
    expect(JSON.parse(await bed.lb.must('get', 'backend', 'web/c', '-o', 'json'))).toMatchObject({
      adminState: (JSON.parse(before) as Shown).adminState,
    });
    write(file('path: direct'));
    process.kill(bed.lb.pid, 'SIGHUP');
    await until('c to be back', async () => (await backend('c')).adminState === 'ADMIN_STATE_ENABLED');
    // A direct check does not see that b has lost its decapsulation: that is what the tunnel is for.
    await becomes('b', 'HEALTH_HEALTHY');
  }, 60_000);
});
