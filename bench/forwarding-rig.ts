import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { addVethBetween, deleteNamespaces, ip, runIn, setOffloads } from '../demo/namespaces.js';

/** The forwarder's interface, and the far end of its link. */
export const INTERFACE = 'eth0';
export const PEER = 'peer0';
const OUTER_MTU = 1600;

/** Drops every frame that comes in by a device, behind the taps, so that no stack spends time on it. */
const dropAll = (device: string) =>
  `table netdev bench { chain ingress { type filter hook ingress device "${device}" priority -450; policy drop; }; }`;

/** Two namespaces and one veth pair: packets appear at `eth0`, and are counted when its peer takes them. */
export class Rig {
  readonly mac: string;
  readonly #here = `waggle-forward-${process.pid}-lb`;
  readonly #there = `waggle-forward-${process.pid}-sink`;
  readonly #children = new Set<ChildProcess>();
  #watcher: ChildProcess | undefined;

  constructor() {
    try {
      for (const name of [this.#here, this.#there]) {
        ip('netns', 'add', name);
        // Nothing but the benchmark's own frames on the link.
        for (const which of ['all', 'default'])
          runIn(name, ['sh', '-c', `echo 1 > /proc/sys/net/ipv6/conf/${which}/disable_ipv6 || :`]);
      }
      const ends = [
        { namespace: this.#here, device: INTERFACE },
        { namespace: this.#there, device: PEER },
      ] as const;
      addVethBetween(...ends);
      for (const end of ends) {
        const { namespace, device } = end;
        ip('-n', namespace, 'link', 'set', device, 'mtu', String(OUTER_MTU), 'arp', 'off', 'up');
        setOffloads(end, 'off');
        runIn(namespace, ['nft', '-f', '-'], dropAll(device));
      }
      const links = execFileSync('ip', ['-n', this.#here, '-j', 'link', 'show', INTERFACE], {
        encoding: 'utf8',
      });
      const [link] = JSON.parse(links) as { address: string }[];
      if (!link) throw new Error(`no ${INTERFACE} in ${this.#here}`);
      this.mac = link.address;
      // A process in the other namespace: its view of the counters is read without starting one each time.
      this.#watcher = spawn('ip', ['netns', 'exec', this.#there, 'cat'], {
        stdio: ['pipe', 'ignore', 'ignore'],
      });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Start a command beside `eth0`, or at the far end, on one core. */
  spawn(core: number, command: readonly string[], isFar = false): ChildProcess {
    const child = spawn(
      'ip',
      ['netns', 'exec', isFar ? this.#there : this.#here, 'taskset', '-c', String(core), ...command],
      {
        stdio: ['ignore', 'pipe', 'pipe'],
        detached: true,
      },
    );
    this.#children.add(child);
    child.once('exit', () => this.#children.delete(child));
    return child;
  }

  /** Packets that the far end of the link has taken since it is there. */
  received(): number {
    const table = readFileSync(`/proc/${this.#watcher?.pid}/net/dev`, 'utf8');
    const row = new RegExp(`^\\s*${PEER}:\\s*(.*)$`, 'm').exec(table)?.[1];
    if (row === undefined) throw new Error(`no counters of ${PEER}`);
    return Number(row.trim().split(/\s+/)[1]);
  }

  /** Idempotent. */
  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    this.#watcher?.kill('SIGKILL');
    this.#watcher = undefined;
    deleteNamespaces([this.#here, this.#there]);
  }
}
