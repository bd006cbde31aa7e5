import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client } from '../control-plane/cli/client.js';
import { Appliance, built, startDecap } from '../demo/appliance.js';
import { Topology } from '../demo/topology.js';
import { closedAtExit } from './at-exit.js';
import type { Comparison } from './report.js';

const VIP = '192.0.2.80';
const PORT = 7000;
/** What the node is to carry. */
const SCALE = { vips: 10_000, pools: 500, backends: 10_000, large: 1000 } as const;
const LIMITS = 'node: { limits: { vips: 16384, rings: 512, backendAddresses: 16383 } }\n';
const CHANGES_A_ROUND = 100;
/** Changes of the whole run that are waited for: the 99th percentile of fewer is one of the two or three longest. */
const LEAST_SEEN = 300;
/** The new backend is to be silent before its next turn: for longer than SILENCE_NS of arrivals.ts. */
const PAUSE_MS = 40;
/** A collection of garbage that follows what went before is in one of them at most. */
const IDLE_WINDOWS = 5;
const IDLE_MS = 4000;
const APPLY_DEADLINE_MS = 60_000;
/** Kernel's unit of processor time in /proc (USER_HZ, which is 100 on every platform of Node.js). */
const TICK_MS = 10;

type Snapshot = NonNullable<Parameters<Client['config']['ApplySnapshot']>[0]['snapshot']>;

const addressOf = (network: number, n: number) =>
  `${network}.${(n >> 16) & 255}.${(n >> 8) & 255}.${n & 255}`;

/** Backends of one pool are many, of the others few. */
const poolOf = (backend: number) => (backend < SCALE.large ? 0 : 1 + (backend % (SCALE.pools - 1)));
const backendName = (n: number) => `pools/p${poolOf(n)}/backends/b${n}`;

/** A configuration of that size, besides what is there. */
function largeSnapshot(): Snapshot {
  const range = <T>(count: number, make: (n: number) => T) =>
    Array.from({ length: count }, (_, n) => make(n));
  return {
    pools: range(SCALE.pools, (n) => ({ name: `pools/p${n}` })),
    // Their own Ethernet address: none has to be found.
    backends: range(SCALE.backends, (n) => ({
      name: backendName(n),
      address: addressOf(10, n + 256),
      weight: 1,
      macAddress: '02:00:00:00:00:01',
    })),
    vips: range(SCALE.vips, (n) => ({
      name: `vips/v${n}`,
      address: addressOf(198, (18 << 16) + n),
      port: 80,
      protocol: 'PROTOCOL_TCP' as const,
      pool: `pools/p${n % SCALE.pools}`,
    })),
  };
}

/** The appliance under measurement, and a client of its API. */
class Node {
  readonly #client: Client;
  readonly #pid: number;

  constructor(server: string, pid: number) {
    this.#client = new Client({ server, tls: undefined, token: undefined });
    this.#pid = pid;
  }

  /** @returns ms that it took */
  async apply(snapshot: Snapshot, prune: boolean): Promise<number> {
    const start = performance.now();
    await this.#client.ask(
      (options, done) => this.#client.config.ApplySnapshot({ snapshot, prune }, options, done),
      APPLY_DEADLINE_MS,
    );
    return performance.now() - start;
  }

  /** @returns when the call began, ns, and ms that it took */
  async setWeight(name: string, weight: number): Promise<{ readonly startNs: bigint; readonly ms: number }> {
    const startNs = process.hrtime.bigint();
    const backend = { name, weight };
    const request = { backend, updateMask: { paths: ['weight'] } };
    await this.#client.ask((options, done) => this.#client.pools.UpdateBackend(request, options, done));
    return { startNs, ms: Number(process.hrtime.bigint() - startNs) / 1e6 };
  }

  get residentMb(): number {
    const status = readFileSync(`/proc/${this.#pid}/status`, 'utf8');
    return Number(/^VmRSS:\s*(\d+)/m.exec(status)?.[1]) / 1024;
  }

  /** Percent of a processor that it takes with nothing to do. */
  async idlePercent(): Promise<number> {
    const cpuMs = () => {
      const fields = readFileSync(`/proc/${this.#pid}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ');
      return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
    };
    const before = cpuMs();
    await new Promise((resolve) => setTimeout(resolve, IDLE_MS));
    return ((cpuMs() - before) / IDLE_MS) * 100;
  }

  close(): void {
    this.#client.close();
  }
}

const quantile = (values: readonly number[], share: number): number =>
  [...values].sort((a, b) => a - b)[Math.floor((values.length - 1) * share)]!;

interface Figures {
  readonly update: number[];
  readonly slow: number[];
  readonly changes: number[];
  /** ms from the RPC to the first packet: of each change of a round, round by round. */
  readonly packets: number[][];
}

/** Times of first datagrams that a backend prints. */
class Arrivals {
  readonly #times: bigint[] = [];

  add(ns: bigint): void {
    this.#times.push(ns);
  }

  /** The first one after a moment, ns. */
  async after(startNs: bigint): Promise<bigint> {
    const deadline = performance.now() + 5000;
    for (;;) {
      const found = this.#times.find((time) => time > startNs);
      if (found !== undefined) return found;
      if (performance.now() > deadline) throw new Error('no packet came to the new backend');
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }
}

const BUSY = 65_535;
const [OLD, NEW] = ['pools/echo/backends/a', 'pools/echo/backends/b'] as const;

/** The pool whose backends are there, and a VIP without a connection table: each datagram asks the ring. */
function echoSnapshot(topology: Topology): Snapshot {
  return {
    pools: [{ name: 'pools/echo' }],
    backends: [
      { name: OLD, address: topology.host('a').address4, weight: 1 },
      { name: NEW, address: topology.host('b').address4, weight: 0 },
    ],
    vips: [
      {
        name: 'vips/echo',
        address: VIP,
        port: PORT,
        protocol: 'PROTOCOL_UDP',
        pool: 'pools/echo',
        flags: ['VIP_FLAG_LRU_BYPASS'],
      },
    ],
  };
}

/** Start a process of arrivals.ts on a host, and wait until it works. */
async function startArrivals(topology: Topology, host: string, args: readonly string[]): Promise<Arrivals> {
  const arrivals = new Arrivals();
  const child = topology.spawn(host, [process.execPath, built('bench/arrivals.js'), ...args], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise<void>((resolve, reject) => {
    child.once('close', () => reject(new Error(`the process on ${host} ended`)));
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      for (const line of text.split('\n')) {
        if (line === 'ready') resolve();
        else if (line !== '') arrivals.add(BigInt(line));
      }
    });
  });
  return arrivals;
}

async function measure(node: Node, arrivals: Arrivals, rounds: number, figures: Figures): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    const calls: number[] = [];
    const start = performance.now();
    for (let i = 0; i < CHANGES_A_ROUND; i++) {
      const backend = SCALE.large + (((round * CHANGES_A_ROUND + i) * 37) % (SCALE.backends - SCALE.large));
      calls.push((await node.setWeight(backendName(backend), 2 + (round % 3))).ms);
    }
    figures.changes.push((CHANGES_A_ROUND * 1000) / (performance.now() - start));
    figures.update.push(quantile(calls, 0.5));
    figures.slow.push(quantile(calls, 0.99));
    const packets: number[] = [];
    for (let i = 0; i < Math.ceil(LEAST_SEEN / rounds); i++) {
      const { startNs } = await node.setWeight(NEW, BUSY);
      packets.push(Number((await arrivals.after(startNs)) - startNs) / 1e6);
      await node.setWeight(NEW, 0);
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
    figures.packets.push(packets);
  }
}

/** The control plane with 10,000 VIPs over 500 pools and 10,000 backends, over gRPC, its state on the disk. */
export async function benchControl(rounds: number): Promise<Comparison[]> {
  const topology = closedAtExit(
    new Topology(`waggle-bench-${process.pid}`, [
      { name: 'client', number: 1, mtu: 1500, routes: { [`${VIP}/32`]: 2 } },
      { name: 'lb', number: 2, mtu: 1600 },
      { name: 'a', number: 11, mtu: 1600, loopback: [VIP] },
      { name: 'b', number: 12, mtu: 1600, loopback: [VIP] },
    ]),
  );
  const folder = mkdtempSync(join(tmpdir(), 'waggle-bench-'));
  try {
    const file = join(folder, 'node.yaml');
    writeFileSync(file, LIMITS);
    const flags = ['--config', file, '--state', join(folder, 'state')];
    const lb = await Appliance.start(topology, 'lb', { workers: 1, flags });
    const node = new Node(lb.server, lb.pid);
    try {
      for (const host of ['a', 'b']) await startDecap(topology, host);
      const small = echoSnapshot(topology);
      await node.apply(small, true);
      const before = node.residentMb;
      const applied: number[] = [];
      for (let round = 0; round < 3; round++) {
        await node.apply(small, true);
        applied.push(await node.apply(largeSnapshot(), false));
      }
      const resident = node.residentMb;
      const arrivals = await startArrivals(topology, 'b', ['receive', String(PORT), VIP]);
      const idle: number[] = [];
      while (idle.length < IDLE_WINDOWS) idle.push(await node.idlePercent());
      await startArrivals(topology, 'client', ['send', VIP, String(PORT)]);
      const figures: Figures = { update: [], slow: [], changes: [], packets: [] };
      await measure(node, arrivals, rounds, figures);
      const seen = figures.packets.flat();
      const toPacket = 'RPC to first packet on the new backend';
      const ofAll = `of all ${seen.length} changes`;
      const one = (title: string, unit: string, values: readonly number[], most?: number): Comparison => ({
        title: `10,000 VIPs, 500 pools, 10,000 backends: ${title}`,
        unit,
        baseline: 'af_packet',
        ...(most === undefined ? {} : { aim: { of: 'median', most, series: ['af_packet'] } }),
        series: [{ name: 'af_packet', rounds: values }],
      });
      return [
        one('apply from nothing', 'ms', applied, 10_000),
        one('weight of one backend, RPC, median', 'ms', figures.update),
        one('weight of one backend, RPC, 99th percentile', 'ms', figures.slow),
        one('changes one after the other', 'a second', figures.changes),
        one(
          `${toPacket}, median of each round`,
          'ms',
          figures.packets.map((round) => quantile(round, 0.5)),
        ),
        one(`${toPacket}, median ${ofAll}`, 'ms', [quantile(seen, 0.5)]),
        one(`${toPacket}, 99th percentile ${ofAll}`, 'ms', [quantile(seen, 0.99)], 10),
        one(`${toPacket}, longest ${ofAll}`, 'ms', [Math.max(...seen)]),
        one('idle', '% of a CPU', idle, 1),
        one(`resident memory (${Math.round(before)} MB without them)`, 'MB', [resident]),
      ];
    } finally {
      node.close();
      await lb.stop();
    }
  } finally {
    await topology.stop();
    rmSync(folder, { recursive: true, force: true });
  }
}
