import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Appliance, startDecap } from '../../demo/appliance.js';
import { until } from '../../demo/lines.js';
import { type HostSpec, Topology } from '../../demo/topology.js';

export const VIP4 = '192.0.2.80';
export const VIP6 = '2001:db8::80';
export const PORT = 8080;
/** The line protocol of test/support/server.mjs. */
export const LINE_PORT = PORT + 1;

const LB_NUMBER = 2;
const FABRIC_MTU = 1600;
const script = (name: string) => fileURLToPath(new URL(`../support/${name}`, import.meta.url));

export const SERVER_SCRIPT = script('server.mjs');
export const CLIENT_SCRIPT = script('client.mjs');

let beds = 0;

/** What makes a host a backend. */
export interface BackendProcesses {
  readonly decap: ChildProcess;
  readonly server: ChildProcess;
}

/**
 * A test bed: client, load balancer, backends with real servers behind decapsulation, each in a network
 * namespace. Backends are named a, b, c … in order.
 */
export class Bed {
  private constructor(
    readonly topology: Topology,
    readonly lb: Appliance,
    readonly backends: readonly string[],
    /** What runs on each backend. */
    readonly processes: ReadonlyMap<string, BackendProcesses>,
  ) {}

  static async start(options: {
    /** The client leaves checksums to its NIC, as a container on the same machine does. */
    clientLeavesChecksums?: boolean;
    backends: number;
    workers: number;
    flags?: readonly string[];
    /** MTU between load balancer and backends; without it there is room for the outer header. */
    fabricMtu?: number;
    /** Where the balancer runs; af_packet unless given. */
    engine?: 'af_packet' | 'af_xdp' | 'xdp';
  }): Promise<Bed> {
    const { fabricMtu = FABRIC_MTU, engine = 'af_packet' } = options;
    const backends = Array.from({ length: options.backends }, (_, i) =>
      String.fromCharCode('a'.charCodeAt(0) + i),
    );
    const hosts: HostSpec[] = [
      {
        name: 'client',
        number: 1,
        mtu: 1500,
        leavesChecksums: options.clientLeavesChecksums ?? false,
        routes: { [`${VIP4}/32`]: LB_NUMBER, [`${VIP6}/128`]: LB_NUMBER },
      },
      { name: 'lb', number: LB_NUMBER, mtu: fabricMtu, sendsByXdp: engine === 'xdp' },
      ...backends.map((name, i) => ({ name, number: 11 + i, mtu: fabricMtu, loopback: [VIP4, VIP6] })),
    ];
    beds += 1;
    const topology = new Topology(`waggle-test-${process.pid}-${beds}`, hosts);
    try {
      const flags = ['--engine', engine, ...(options.flags ?? [])];
      const lb = await Appliance.start(topology, 'lb', { ...options, flags });
      const processes = await Promise.all(
        backends.map(async (name) => {
          const decap = await startDecap(topology, name);
          const server = topology.spawn(
            name,
            [process.execPath, SERVER_SCRIPT, name, String(PORT), VIP4, VIP6],
            {
              stdio: ['ignore', 'pipe', 'inherit'],
            },
          );
          let ready = false;
          server.stdout?.on('data', () => {
            ready = true;
          });
          await until(`server ${name}`, () => ready);
          return [name, { decap, server }] as const;
        }),
      );
      return new Bed(topology, lb, backends, new Map(processes));
    } catch (error) {
      await topology.stop();
      throw error;
    }
  }

  /** Create a pool of backends by IPv4 (4) or IPv6 (6) address and a VIP for it. */
  async serve(options: {
    id: string;
    vip: string;
    protocol: 'tcp' | 'udp';
    port?: number;
    backends: readonly string[];
    family: 4 | 6;
  }): Promise<void> {
    await this.lb.must('create', 'pool', options.id);
    for (const name of options.backends) await this.addBackend(options.id, name, options.family);
    const port = String(options.port ?? PORT);
    await this.lb.must(
      'create',
      'vip',
      options.id,
      '--address',
      options.vip,
      '--port',
      port,
      '--protocol',
      options.protocol,
      '--pool',
      options.id,
    );
  }

  async addBackend(pool: string, name: string, family: 4 | 6): Promise<void> {
    const host = this.topology.host(name);
    const address = family === 4 ? host.address4 : host.address6;
    await this.lb.must('create', 'backend', `${pool}/${name}`, '--address', address);
    // It takes connections once the network has answered where it is.
    await until(`the next hop of ${name}`, async () =>
      (await this.lb.must('get', 'backend', `${pool}/${name}`, '-o', 'json')).includes('"STATE_RESOLVED"'),
    );
  }

  /** Run the client in a mode that ends by itself; gives what it printed. */
  client<T>(...args: readonly string[]): T {
    return JSON.parse(this.topology.run('client', [process.execPath, CLIENT_SCRIPT, ...args])) as T;
  }

  async stop(): Promise<void> {
    await this.lb.stop();
    await this.topology.stop();
  }
}

export interface Asked {
  readonly names: Readonly<Record<string, number>>;
  readonly errors: readonly string[];
}

export interface Transferred {
  readonly name: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly expected: string;
}

export interface Datagrams extends Asked {
  readonly moved: number;
}

export interface Held {
  readonly asked: number;
  readonly answered: number;
  readonly resets: readonly string[];
  readonly moved: number;
  readonly names: Readonly<Record<string, number>>;
}

/** Connections that the client keeps open and asks on, until `stop`. */
export class HeldConnections {
  readonly #child;
  #lines: Held[] = [];
  #ended = false;

  constructor(bed: Bed, address: string, connections: number) {
    this.#child = bed.topology.spawn(
      'client',
      [process.execPath, CLIENT_SCRIPT, 'hold', address, String(LINE_PORT), String(connections)],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    let rest = '';
    this.#child.stdout?.on('data', (chunk: Buffer) => {
      rest += chunk.toString();
      const complete = rest.split('\n');
      rest = complete.pop() ?? '';
      this.#lines.push(...complete.map((line) => JSON.parse(line) as Held));
    });
    this.#child.once('close', () => {
      this.#ended = true;
    });
  }

  /** The figures now. */
  async now(): Promise<Held> {
    const before = this.#lines.length;
    this.#child.stdin?.write('\n');
    return until('figures of the held connections', () => this.#lines[before]);
  }

  /** Wait until `more` further questions were answered. */
  async answered(more: number): Promise<Held> {
    const start = (await this.now()).answered;
    return until(
      `${more} answers`,
      async () => {
        const held = await this.now();
        return held.answered >= start + more ? held : undefined;
      },
      30_000,
    );
  }

  async stop(): Promise<Held> {
    await Topology.stop(this.#child, 10_000);
    await until('the end of the client', () => this.#ended);
    const last = this.#lines.at(-1);
    if (!last) throw new Error('the client said nothing');
    return last;
  }
}
