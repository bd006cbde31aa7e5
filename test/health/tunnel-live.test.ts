/**
 * Checks through the tunnel in the kernel: a backend in a namespace of its own decapsulates, serves the VIP and answers
 * straight back. When it loses its decapsulation, a direct check goes on passing and the one through the tunnel fails.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { Monitor } from '../../control-plane/health/monitor.js';
import { Probes } from '../../control-plane/health/prober.js';
import { Tunnel } from '../../control-plane/health/tunnel.js';
import { type HttpProbe, type Probe, SYSTEM_CLOCK } from '../../control-plane/health/types.js';
import { DecapTables } from '../../lb/balancer/companions/decap.js';
import { COMPANION_PROGRAMS, decapProgramObject } from '../../lb/balancer/companions/object.js';
import { createMaps } from '../../lb/bpf/object/create-maps.js';
import type { ObjectSpec } from '../../lb/bpf/object/spec.js';
import { attachCheckTunnel, type CheckTunnel } from '../../lb/check-tunnel.js';
import { parseIp } from '../../lb/index.js';
import { KernelMaps, loadKernelProgram } from '../../lb/sys/bpf.js';
import { findLink } from '../../lb/sys/socket.js';
import { missingRoot, noting } from '../support/capabilities.js';
import { addVeth, enterNamespace, inNetworkOf, sh } from '../support/namespace.js';
import { checkOf, HTTP } from './checks.js';

const PROBER = { mac: '02:00:00:00:00:01', address: '10.9.0.1' };
const BACKEND = { mac: '02:00:00:00:00:02', address: '10.9.0.2' };
const VIP = '198.51.100.10';
const PORT = 8080;
const TIMING = { intervalMs: 300, fastIntervalMs: 300, timeoutMs: 200, fall: 2, rise: 2 } as const;
/** What a loaded machine is late by, besides the bound. */
const SLACK_MS = 400;

/** Serves HTTP on all addresses of its namespace. */
const SERVER = `require('node:http').createServer((_, a) => a.end('hello'))
  .listen(${PORT}, '0.0.0.0', () => console.log('ready'));`;

function load(object: ObjectSpec, name: string) {
  const maps = createMaps(object, new KernelMaps());
  const spec = object.programs.find((each) => each.name === name);
  if (spec === undefined) throw new Error(`no program ${name}`);
  const program = loadKernelProgram(spec, [...maps.values()], object.license, object.btf);
  const close = () => {
    program.close();
    for (const map of maps.values()) map.close();
  };
  return { maps, program, close };
}

describe.skipIf(missingRoot)(`a backend behind the tunnel${noting(missingRoot)}`, () => {
  const children: ChildProcess[] = [];
  const closers: (() => void)[] = [];
  let tunnelWay: CheckTunnel | undefined;
  let attachDecap: () => { close(): void };

  beforeAll(async () => {
    enterNamespace();
    addVeth('hcp', 'hcb', { mac: PROBER.mac });
    const holder = spawn('unshare', ['-n', 'sleep', '600'], { stdio: 'ignore' });
    children.push(holder);
    const pid = holder.pid!;
    const own = sh('readlink /proc/self/ns/net');
    await vi.waitFor(() => expect(sh(`readlink /proc/${pid}/ns/net`)).not.toBe(own), { timeout: 5000 });
    sh(`ip link set hcb netns ${pid}`);
    for (const command of [
      `ip link set hcb address ${BACKEND.mac}`,
      'ip link set lo up',
      'ip link set hcb up',
      `ip addr add ${BACKEND.address}/24 dev hcb`,
      `ip addr add ${VIP}/32 dev lo`,
    ])
      sh(`nsenter -t ${pid} -n ${command}`);
    sh(`ip addr add ${PROBER.address}/24 dev hcp`);
    // The VIP is beyond a router that would not take its packets to this backend.
    sh('ip route add 198.51.100.0/24 via 10.9.0.9 dev hcp');
    sh('ip neigh add 10.9.0.9 lladdr 02:00:00:00:00:09 dev hcp');
    const server = spawn('nsenter', ['-t', `${pid}`, '-n', process.execPath, '-e', SERVER], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    children.push(server);
    await once(server.stdout!, 'data');

    const decap = load(decapProgramObject(), COMPANION_PROGRAMS.decap);
    closers.push(decap.close);
    new DecapTables(decap.maps).putDestination(parseIp(BACKEND.address));
    // Generic XDP leaves packets alone that a TC program has redirected, and on veth they are the same packets.
    attachDecap = () => inNetworkOf(pid, () => decap.program.attachXdp(findLink('hcb')!.index, 'native'));

    // The way to the backend, its MAC address too, is the kernel's to find.
    tunnelWay = attachCheckTunnel({ link: findLink('hcp')!, sources: [parseIp(PROBER.address)] });
    closers.unshift(() => tunnelWay?.close());
  });
  afterAll(() => {
    for (const close of closers) close();
    for (const child of children) child.kill('SIGKILL');
  });

  const http: HttpProbe = { ...HTTP, expectBody: 'hello' };
  const kinds: Readonly<Record<string, Probe>> = {
    tcp: { kind: 'tcp', port: 0 },
    http,
    // The probe that finds out is the one over the old connection.
    'http, kept': { ...http, reuseConnection: true },
  };
  for (const [kind, probe] of Object.entries(kinds)) {
    it(`${kind}: lost decapsulation is found within fall × interval + timeout, by the tunnel alone`, async () => {
      const tunnel = new Tunnel({ ...tunnelWay!, firstMark: 0x1000 });
      const probes = new Probes({ clock: SYSTEM_CLOCK, tunnel });
      const monitor = new Monitor({ clock: SYSTEM_CLOCK, probe: probes.probe, seed: 'node' });
      let decap = attachDecap();
      try {
        monitor.setTargets([
          {
            target: { key: 'b', address: parseIp(BACKEND.address), port: PORT, vip: parseIp(VIP) },
            checks: [
              checkOf(probe, { ...TIMING, name: 'direct' }),
              checkOf(probe, { ...TIMING, name: 'tunnel', path: 'tunnel' }),
            ],
          },
        ]);
        const state = () => monitor.status('b')?.state;
        await expect.poll(state, { timeout: 5000 }).toBe('healthy');
        decap.close();
        const lostMs = SYSTEM_CLOCK.nowMs();
        await expect.poll(state, { timeout: 5000, interval: 10 }).toBe('unhealthy');
        const status = monitor.status('b')!;
        const bound = TIMING.fall * TIMING.intervalMs + TIMING.timeoutMs;
        expect(status.sinceMs - lostMs).toBeLessThan(bound + SLACK_MS);
        expect(status.checks.get('tunnel')?.last?.detail).toBe('no connection within 200 ms');
        expect(status.checks.get('direct')).toMatchObject({ state: 'healthy', last: { ok: true } });
        expect(tunnelWay!.tables.stats().processed).toBeGreaterThan(0n);
        decap = attachDecap();
        await expect.poll(state, { timeout: 5000 }).toBe('healthy');
      } finally {
        monitor.stop();
        probes.close();
        tunnel.keep([]);
        decap.close();
      }
    });
  }
});
