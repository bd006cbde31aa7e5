import { type ChildProcess, execFileSync, type SpawnOptions, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { addVethBetween, deleteNamespaces, ip, setOffloads } from './namespaces.js';

/** Where a host is: its addresses on the shared segment, and what it answers for besides. */
export interface HostSpec {
  readonly name: string;
  /** Number of the host on the segment: 10.77.0.N and fd77::N. */
  readonly number: number;
  /** Bytes of the link's MTU; the encapsulating side and the backends need room for the outer header. */
  readonly mtu: number;
  /** Addresses put on the loopback device: a backend holds its VIPs there (direct server return). */
  readonly loopback?: readonly string[];
  /** The host leaves checksums to a NIC that it does not have, as a container on the same machine does. */
  readonly leavesChecksums?: boolean;
  /** The host sends with XDP_TX: veth takes such frames only where the other end has an XDP program of its own. */
  readonly sendsByXdp?: boolean;
  /** Routes through another host: destination prefix → host number. */
  readonly routes?: Readonly<Record<string, number>>;
}

export interface Host {
  readonly name: string;
  /** Name of its network namespace. */
  readonly namespace: string;
  /** Name of its only interface, inside the namespace. */
  readonly interface: string;
  readonly address4: string;
  readonly address6: string;
}

const INTERFACE = 'eth0';
/** Passes every packet while nothing is in its slots. */
const PASSING_OBJECT = fileURLToPath(new URL('../programs/build/root.bpf.o', import.meta.url));
const isIpv6 = (text: string) => text.includes(':');

/**
 * Hosts in network namespaces on one Ethernet segment (a bridge in a namespace of its own), so that
 * nothing of the machine's own network is touched. Needs root. `close` removes every trace.
 */
export class Topology {
  readonly hosts = new Map<string, Host>();
  readonly #prefix: string;
  readonly #segment: string;
  readonly #children = new Set<ChildProcess>();
  #closed = false;

  /** @param prefix names the namespaces `<prefix>-<host>`; unique on the machine */
  constructor(prefix: string, specs: readonly HostSpec[]) {
    this.#prefix = prefix;
    this.#segment = `${prefix}-segment`;
    try {
      this.#addNamespace(this.#segment);
      ip('-n', this.#segment, 'link', 'add', 'br0', 'type', 'bridge');
      ip('-n', this.#segment, 'link', 'set', 'br0', 'mtu', '9000', 'up');
      for (const spec of specs) this.#addHost(spec);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #addNamespace(name: string): void {
    ip('netns', 'add', name);
    ip('-n', name, 'link', 'set', 'lo', 'up');
  }

  #addHost(spec: HostSpec): void {
    const namespace = `${this.#prefix}-${spec.name}`;
    const host: Host = {
      name: spec.name,
      namespace,
      interface: INTERFACE,
      address4: `10.77.0.${spec.number}`,
      address6: `fd77::${spec.number.toString(16)}`,
    };
    this.#addNamespace(namespace);
    this.hosts.set(spec.name, host);
    const port = `port${spec.number}`;
    addVethBetween({ namespace, device: INTERFACE }, { namespace: this.#segment, device: port });
    ip('-n', this.#segment, 'link', 'set', port, 'master', 'br0', 'mtu', String(spec.mtu), 'up');
    ip('-n', namespace, 'link', 'set', INTERFACE, 'mtu', String(spec.mtu), 'up');
    setOffloads({ namespace, device: INTERFACE }, spec.leavesChecksums ? 'on' : 'off');
    // The segment passes on what it gets, a checksum that is not filled in too.
    setOffloads({ namespace: this.#segment, device: port }, 'on');
    if (spec.sendsByXdp)
      ip('-n', this.#segment, 'link', 'set', port, 'xdpdrv', 'obj', PASSING_OBJECT, 'sec', 'xdp');
    ip('-n', namespace, 'address', 'add', `${host.address4}/24`, 'dev', INTERFACE);
    ip('-n', namespace, 'address', 'add', `${host.address6}/64`, 'dev', INTERFACE, 'nodad');
    for (const address of spec.loopback ?? []) {
      ip('-n', namespace, 'address', 'add', `${address}/${isIpv6(address) ? '128' : '32'}`, 'dev', 'lo');
    }
    for (const [destination, number] of Object.entries(spec.routes ?? {})) {
      const via = isIpv6(destination) ? `fd77::${number.toString(16)}` : `10.77.0.${number}`;
      ip('-n', namespace, 'route', 'add', destination, 'via', via);
    }
  }

  host(name: string): Host {
    const host = this.hosts.get(name);
    if (!host) throw new Error(`no host ${name} in this topology`);
    return host;
  }

  /** Run a command on a host to its end; gives its standard output. */
  run(name: string, command: readonly string[]): string {
    const [file, ...args] = this.commandOn(name, command);
    return execFileSync(file!, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** The command line that runs `command` on a host, as a person would type it. */
  commandOn(name: string, command: readonly string[]): string[] {
    return ['ip', 'netns', 'exec', this.host(name).namespace, ...command];
  }

  /** Start a command on a host; `close` ends it if it still runs. */
  spawn(name: string, command: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const [file, ...args] = this.commandOn(name, command);
    // A group of its own: Ctrl-C in the terminal reaches only us, and we stop things in order.
    const child = spawn(file!, args, { ...options, detached: true });
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** Ask a child to stop, wait, and kill it when it does not. */
  static async stop(child: ChildProcess, graceMs = 5_000): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    const killer = setTimeout(() => child.kill('SIGKILL'), graceMs);
    await ended;
    clearTimeout(killer);
  }

  /** Stop the children that still run, in parallel, then remove the namespaces. */
  async stop(): Promise<void> {
    await Promise.all([...this.#children].map((child) => Topology.stop(child)));
    this.close();
  }

  /** Remove everything at once, without waiting for children (they are killed). Idempotent. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const child of this.#children) child.kill('SIGKILL');
    deleteNamespaces([...[...this.hosts.values()].map((host) => host.namespace), this.#segment]);
  }
}
