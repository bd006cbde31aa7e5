import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Appliance, built, startDecap } from '../demo/appliance.js';
import { tailOfErrors, until } from '../demo/lines.js';
import { type HostSpec, Topology } from '../demo/topology.js';
import { closedAtExit } from './at-exit.js';
import type { HttpLoad } from './http-load.js';
import { type Comparison, interleave, type Plan, type Series } from './report.js';

const PORT = 80;
const CONNECTIONS = [1, 10, 100, 1000] as const;
const QUICK_CONNECTIONS = [10] as const;
/** Of load in a round. */
const LEAST_SECONDS = 1;
/** A round is longer for more connections: each of them is to have several turns. */
const CONNECTIONS_A_SECOND = 500;
const CLIENT = 'client';
const BACKEND = 'a';
const PROXY = 'haproxy';
const HAPROXY = 'HAProxy, TCP mode';
const DIRECT = 'direct';

/** Each engine has a load balancer and a VIP of its own; all lead to one backend. */
const ENGINES = ['af_packet', 'af_xdp', 'xdp'] as const;
type EngineName = (typeof ENGINES)[number];
const NUMBERS = { [CLIENT]: 1, af_packet: 2, af_xdp: 3, xdp: 4, [PROXY]: 5, [BACKEND]: 11 } as const;
const vipOf = (engine: EngineName) => `192.0.2.${80 + NUMBERS[engine]}`;
const nameOf = (engine: EngineName) => `waggle, ${engine}`;

/** What one client gets from `address`. */
async function load(
  topology: Topology,
  address: string,
  seconds: number,
  connections: number,
): Promise<HttpLoad> {
  const command = [process.execPath, built('bench/http-load.js'), `http://${address}:${PORT}/`];
  const child = topology.spawn(CLIENT, [...command, String(seconds), String(connections)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const errors = tailOfErrors(child);
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [status] = await once(child, 'close');
  if (status !== 0) throw new Error(`the load generator ended with status ${status}:\n${errors()}`);
  const result = JSON.parse(said) as HttpLoad;
  if (result.failed > 0) throw new Error(`${result.failed} requests to ${address} failed`);
  return result;
}

/** One thread, as the load balancers have one worker, and nothing that a TCP proxy need not do. */
const proxyConfig = (address: string, backend: string): string => `global
  nbthread 1
  maxconn 8192
defaults
  mode tcp
  timeout connect 5s
  timeout client 60s
  timeout server 60s
listen web
  bind ${address}:${PORT} backlog 4096
  server ${BACKEND} ${backend}:${PORT}
`;

/** @throws Error that says what is missing */
async function startProxy(topology: Topology, folder: string): Promise<ChildProcess> {
  const file = join(folder, 'haproxy.cfg');
  const { address4 } = topology.host(PROXY);
  writeFileSync(file, proxyConfig(address4, topology.host(BACKEND).address4));
  const child = topology.spawn(PROXY, ['haproxy', '-db', '-f', file], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const errors = tailOfErrors(child);
  await until('HAProxy to listen', () => {
    if (child.exitCode !== null)
      throw new Error(
        `HAProxy ended with status ${child.exitCode} (Debian: apt-get install haproxy):\n${errors()}`,
      );
    return topology.run(PROXY, ['ss', '-Hltn', `sport = :${PORT}`]).trim().length > 0;
  });
  return child;
}

async function startServer(topology: Topology): Promise<void> {
  const command = [process.execPath, built('demo/backend-server.js'), BACKEND, String(PORT)];
  const server = topology.spawn(BACKEND, command, { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve, reject) => {
    server.stdout?.once('data', resolve);
    server.once('exit', (status) => reject(new Error(`the server ended with status ${status}`)));
  });
}

async function serve(lb: Appliance, vip: string, backend: string): Promise<void> {
  await lb.must('create', 'pool', 'web');
  await lb.must('create', 'backend', `web/${BACKEND}`, '--address', backend);
  const place = ['--address', vip, '--port', String(PORT), '--protocol', 'tcp'];
  await lb.must('create', 'vip', 'web', ...place, '--pool', 'web');
}

/** Requests a second, and the 99th percentile of their times, by the number of connections. */
async function compare(
  connections: number,
  ways: Readonly<Record<string, (connections: number) => Promise<HttpLoad>>>,
  rounds: number,
): Promise<Comparison[]> {
  const p99 = new Map<string, number[]>(Object.keys(ways).map((name) => [name, []]));
  const runs = Object.entries(ways).map(([name, way]) => {
    const run = async () => {
      const { perSecond, p99Ms } = await way(connections);
      p99.get(name)?.push(p99Ms);
      return perSecond;
    };
    return [name, run] as const;
  });
  const series = await interleave(Object.fromEntries(runs), rounds);
  const slow: Series[] = [...p99].map(([name, values]) => ({ name, rounds: values }));
  const ours = Object.keys(ways).filter((name) => name !== HAPROXY && name !== DIRECT);
  const noun = connections === 1 ? 'connection' : 'connections';
  const title = `HTTP, one backend, ${connections.toLocaleString('en-US')} ${noun} with keep-alive`;
  return [
    { title, unit: 'requests/s', baseline: HAPROXY, aim: { of: 'ratio', series: ours, least: 1 }, series },
    {
      title: `${title}: 99th percentile of a request's time`,
      unit: 'ms',
      baseline: HAPROXY,
      aim: { of: 'ratio', series: ours, most: 1 },
      series: slow,
    },
  ];
}

/**
 * HTTP through the VIP on each engine, with one worker, beside HAProxy with one thread in front of the same backend, and
 * beside the backend asked directly. Client, load balancer and backend share the machine's cores.
 * Needs root, iproute2, ethtool and haproxy.
 */
export async function benchHttp({ systemRounds, seconds, isQuick }: Plan): Promise<Comparison[]> {
  const engines = isQuick ? (['af_packet'] as const) : ENGINES;
  const vips = engines.map(vipOf);
  const hosts: HostSpec[] = [
    {
      name: CLIENT,
      number: NUMBERS.client,
      mtu: 1500,
      routes: Object.fromEntries(engines.map((engine) => [`${vipOf(engine)}/32`, NUMBERS[engine]])),
    },
    ...engines.map((engine) => ({
      name: engine,
      number: NUMBERS[engine],
      mtu: 1600,
      sendsByXdp: engine === 'xdp',
    })),
    { name: PROXY, number: NUMBERS[PROXY], mtu: 1500 },
    { name: BACKEND, number: NUMBERS[BACKEND], mtu: 1600, loopback: vips },
  ];
  const folder = mkdtempSync(join(tmpdir(), 'waggle-bench-'));
  const topology = closedAtExit(new Topology(`waggle-http-${process.pid}`, hosts));
  const appliances: Appliance[] = [];
  try {
    const direct = topology.host(BACKEND).address4;
    await startDecap(topology, BACKEND);
    await startServer(topology);
    await startProxy(topology, folder);
    for (const engine of engines) {
      const lb = await Appliance.start(topology, engine, { workers: 1, flags: ['--engine', engine] });
      appliances.push(lb);
      await serve(lb, vipOf(engine), direct);
    }
    const to = (address: string) => (connections: number) =>
      load(
        topology,
        address,
        Math.max(seconds, LEAST_SECONDS, connections / CONNECTIONS_A_SECOND),
        connections,
      );
    const ways = {
      [HAPROXY]: to(topology.host(PROXY).address4),
      ...Object.fromEntries(engines.map((engine) => [nameOf(engine), to(vipOf(engine))])),
      [DIRECT]: to(direct),
    };
    const comparisons: Comparison[] = [];
    for (const connections of isQuick ? QUICK_CONNECTIONS : CONNECTIONS)
      comparisons.push(...(await compare(connections, ways, systemRounds)));
    return comparisons;
  } finally {
    for (const lb of appliances) await lb.stop();
    await topology.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
