import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Monitor } from '../control-plane/health/monitor.js';
import { Probes } from '../control-plane/health/prober.js';
import { type HealthCheck, type Probe, SYSTEM_CLOCK } from '../control-plane/health/types.js';
import { parseIp } from '../lb/net/address.js';
import type { HealthPorts } from './health-targets.js';
import { type Comparison, interleave } from './report.js';

const TARGETS = 5000;
const INTERVAL_MS = 1000;
/** The first probes of all, and what the compiler needs. */
const WARM_UP_MS = 2000;
const MEASURED_MS = 4000;
/** Addresses that share their first three bytes. */
const PER_BLOCK = 250;
const US_PER_MS = 1000;
const ADDRESSES = Array.from(
  { length: TARGETS },
  (_, i) => `127.1.${Math.floor(i / PER_BLOCK)}.${(i % PER_BLOCK) + 1}`,
);

/** A call takes the server's process several times what it takes ours: so many are what it can answer. */
const GRPC_TARGETS = 1000;

/**
 * What checking 5,000 backends once a second costs this process, percent of a core, user and system together. Each
 * has an address of its own in 127/8; the servers are another process, and are not counted, but over the loopback
 * interface the kernel's part of their work is.
 */
export async function benchHealth(rounds: number): Promise<Comparison[]> {
  const child = fork(fileURLToPath(new URL('./health-targets.js', import.meta.url)), ADDRESSES);
  try {
    const ports = await portsOf(child);
    const ping = Buffer.from('ping');
    const probes: Readonly<Record<string, Probe>> = {
      tcp: { kind: 'tcp', port: ports.tcp },
      http: {
        kind: 'http',
        port: ports.http,
        tls: false,
        insecureSkipVerify: false,
        host: '',
        path: '/health',
        method: 'GET',
        expectedStatuses: [{ from: 200, to: 299 }],
      },
      grpc: {
        kind: 'grpc',
        port: ports.grpc,
        service: '',
        tls: false,
        insecureSkipVerify: false,
        host: '',
      },
      udp: { kind: 'udp', port: ports.udp, send: ping, expect: ping },
      icmp: { kind: 'icmp', payloadBytes: 56 },
    };
    const contenders = Object.entries(probes).map(
      ([name, probe]) =>
        [name, () => measure(probe, probe.kind === 'grpc' ? GRPC_TARGETS : TARGETS)] as const,
    );
    const series = await interleave(Object.fromEntries(contenders), rounds);
    const title = `checking ${TARGETS.toLocaleString('en-US')} backends every ${INTERVAL_MS} ms`;
    return [
      {
        title,
        unit: '% of a core',
        baseline: 'tcp',
        series,
        aim: { of: 'median', most: 50, series: Object.keys(probes) },
      },
    ];
  } finally {
    child.disconnect();
  }
}

function portsOf(child: ChildProcess): Promise<HealthPorts> {
  return new Promise((resolve, reject) => {
    child.once('message', (ports) => resolve(ports as HealthPorts));
    child.once('exit', (code) => reject(new Error(`the servers ended with ${code}`)));
  });
}

/** Percent of a core for all targets at their interval, from what so many of them took. */
async function measure(probe: Probe, targets: number): Promise<number> {
  const probes = new Probes({ clock: SYSTEM_CLOCK });
  const monitor = new Monitor({ clock: SYSTEM_CLOCK, probe: probes.probe, seed: 'bench' });
  const check: HealthCheck = {
    name: probe.kind,
    probe,
    path: 'direct',
    intervalMs: INTERVAL_MS,
    timeoutMs: INTERVAL_MS,
    rise: 2,
    fall: 3,
    jitterPercent: 0,
    fastIntervalMs: INTERVAL_MS,
    initialDelayMs: 0,
    firstResultDecides: true,
  };
  try {
    monitor.setTargets(
      ADDRESSES.slice(0, targets).map((address, i) => ({
        target: { key: `pools/web/backends/${i}`, address: parseIp(address), port: 1 },
        checks: [check],
      })),
    );
    await sleep(WARM_UP_MS);
    const probesMade = () => monitor.counts().reduce((sum, { count }) => sum + count, 0);
    const before = process.cpuUsage();
    const madeBefore = probesMade();
    await sleep(MEASURED_MS);
    const { user, system } = process.cpuUsage(before);
    const made = probesMade() - madeBefore;
    const failed = [...monitor.statuses()].find(({ state }) => state !== 'healthy');
    if (failed !== undefined)
      throw new Error(`${failed.key} is ${failed.state}: ${failed.lastError?.detail ?? 'no result'}`);
    // Where the servers do not keep up there are fewer probes: the cost of one is what counts.
    const usPerProbe = (user + system) / made;
    return ((usPerProbe * TARGETS) / (INTERVAL_MS * US_PER_MS)) * 100;
  } finally {
    monitor.stop();
    probes.close();
  }
}
