import { type ChildProcess, fork } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Monitor } from '../control-plane/health/monitor.js';
import { Probes } from '../control-plane/health/prober.js';
import {
  type GrpcProbe,
  type HealthCheck,
  type HttpProbe,
  type Probe,
  SYSTEM_CLOCK,
} from '../control-plane/health/types.js';
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

/**
 * A handshake takes the servers' process several times what it takes ours, and a session of HTTP/2 twice: so many are
 * what it can answer. A probe costs less where there are more of them at a time.
 */
const HTTP2_TARGETS = 2000;
const TLS_TARGETS = 500;
/** For first handshakes, on a machine that has other work. */
const PATIENCE_MS = 30_000;
const POLL_MS = 100;

/** A contender: what it asks, and how many. */
interface Kind {
  readonly probe: Probe;
  readonly targets: number;
  /** So many begin at once, and the others when these are healthy; absent: all. */
  readonly together?: number;
}

/**
 * What checking 5,000 backends once a second costs this process, percent of a core, user and system together. Each
 * has an address of its own in 127/8; the servers are another process, and are not counted, but over the loopback
 * interface the kernel's part of their work is. "kept" are checks that reuse their connection.
 */
export async function benchHealth(rounds: number): Promise<Comparison[]> {
  const child = fork(fileURLToPath(new URL('./health-targets.js', import.meta.url)), ADDRESSES);
  try {
    const ports = await portsOf(child);
    const kinds = kindsOf(ports);
    const contenders = Object.fromEntries(
      Object.entries(kinds).map(([name, kind]) => [
        labelOf(name, kind),
        () => measure(kind, ports.certificate),
      ]),
    );
    const series = await interleave(contenders, rounds);
    const title = `checking ${TARGETS.toLocaleString('en-US')} backends every ${INTERVAL_MS} ms`;
    return [
      {
        title,
        unit: '% of a core',
        baseline: 'tcp',
        series,
        aim: { of: 'median', most: 50, series: Object.keys(contenders) },
      },
    ];
  } finally {
    child.disconnect();
  }
}

/** A contender's name: fewer targets than all, from which the cost of all is reckoned, stand behind it. */
const labelOf = (name: string, { targets }: Kind): string =>
  targets === TARGETS ? name : `${name} (reckoned from ${targets.toLocaleString('en-US')})`;

function kindsOf(ports: HealthPorts): Readonly<Record<string, Kind>> {
  const server = { tls: false, insecureSkipVerify: false, host: '', reuseConnection: false } as const;
  const http: HttpProbe = {
    kind: 'http',
    port: ports.http,
    ...server,
    path: '/health',
    method: 'GET',
    expectedStatuses: [{ from: 200, to: 299 }],
  };
  const https = { ...http, port: ports.https, tls: true, host: ports.tlsName };
  const grpc: GrpcProbe = { kind: 'grpc', port: ports.grpc, service: '', ...server };
  const ping = Buffer.from('ping');
  const kept = { reuseConnection: true };
  return {
    tcp: { probe: { kind: 'tcp', port: ports.tcp }, targets: TARGETS },
    http: { probe: http, targets: TARGETS },
    'http kept': { probe: { ...http, ...kept }, targets: TARGETS },
    https: { probe: https, targets: TLS_TARGETS },
    'https kept': { probe: { ...https, ...kept }, targets: TARGETS, together: TLS_TARGETS },
    grpc: { probe: grpc, targets: HTTP2_TARGETS },
    'grpc kept': { probe: { ...grpc, ...kept }, targets: TARGETS, together: HTTP2_TARGETS },
    udp: { probe: { kind: 'udp', port: ports.udp, send: ping, expect: ping }, targets: TARGETS },
    icmp: { probe: { kind: 'icmp', payloadBytes: 56 }, targets: TARGETS },
  };
}

function portsOf(child: ChildProcess): Promise<HealthPorts> {
  return new Promise((resolve, reject) => {
    child.once('message', (ports) => resolve(ports as HealthPorts));
    child.once('exit', (code) => reject(new Error(`the servers ended with ${code}`)));
  });
}

/** Percent of a core for all targets at their interval, from what so many of them took. */
async function measure({ probe, targets, together = targets }: Kind, ca: string): Promise<number> {
  const probes = new Probes({ clock: SYSTEM_CLOCK, ca });
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
    const watched = ADDRESSES.slice(0, targets).map((address, i) => ({
      target: { key: `pools/web/backends/${i}`, address: parseIp(address), port: 1 },
      checks: [check],
    }));
    for (let count = together; count < targets; count += together) {
      monitor.setTargets(watched.slice(0, count));
      await untilHealthy(monitor);
    }
    monitor.setTargets(watched);
    await untilHealthy(monitor);
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

/** Wait until all targets are healthy; what is not by then the measurement finds out. */
async function untilHealthy(monitor: Monitor): Promise<void> {
  const untilMs = SYSTEM_CLOCK.nowMs() + PATIENCE_MS;
  while (SYSTEM_CLOCK.nowMs() < untilMs) {
    if (Array.from(monitor.statuses()).every(({ state }) => state === 'healthy')) return;
    await sleep(POLL_MS);
  }
}
