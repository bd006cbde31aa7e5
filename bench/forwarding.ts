import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { built } from '../demo/appliance.js';
import { readJsonLines, tailOfErrors, until } from '../demo/lines.js';
import { Topology } from '../demo/topology.js';
import { ackFrame, FLOWS, MANY_FLOWS, type WorkerReport } from './forwarding-traffic.js';
import { type Comparison, interleave, type Series } from './report.js';

const INTERFACE = 'eth0';
const PEER = 'peer0';
const OUTER_MTU = 1600;
/** Before counting starts: rings are full, code is hot, the connection table has every flow. */
const WARM_UP_MS = 500;
const AIM = '>= 0.8 of C V3';

/** Folder of the C sources, from the sources and from dist/ alike. */
const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/dist\/$/, '');

/**
 * Compile one of the C programs of this benchmark; gives the path of the executable.
 * @throws Error that says what is missing
 */
function compileC(name: 'forwarder' | 'generator'): string {
  const folder = join(ROOT, 'bench', 'build');
  const output = join(folder, name);
  mkdirSync(folder, { recursive: true });
  try {
    execFileSync('gcc', ['-O2', '-Wall', '-Wextra', '-o', output, join(ROOT, 'bench', 'c', `${name}.c`)], {
      encoding: 'utf8',
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    return output;
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') {
      throw new Error(
        'the forwarding benchmark compares with a forwarder in C: install gcc (Debian: apt-get install gcc libc6-dev)',
      );
    }
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : String(error);
    throw new Error(`gcc on bench/c/${name}.c: ${said}`);
  }
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
}

/** Drops every frame that comes in by a device, behind the taps, so that no stack spends time on it. */
const dropAll = (device: string) =>
  `table netdev bench { chain ingress { type filter hook ingress device "${device}" priority -450; policy drop; }; }`;

/** Two namespaces and one veth pair: packets appear at `eth0` as if received, and are counted when its peer takes them. */
class Rig {
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
        for (const which of ['all', 'default']) {
          execFileSync(
            'ip',
            [
              'netns',
              'exec',
              name,
              'sh',
              '-c',
              `echo 1 > /proc/sys/net/ipv6/conf/${which}/disable_ipv6 || :`,
            ],
            {
              stdio: 'ignore',
            },
          );
        }
      }
      ip(
        '-n',
        this.#here,
        'link',
        'add',
        INTERFACE,
        'type',
        'veth',
        'peer',
        'name',
        PEER,
        'netns',
        this.#there,
      );
      for (const [namespace, device] of [
        [this.#here, INTERFACE],
        [this.#there, PEER],
      ] as const) {
        ip('-n', namespace, 'link', 'set', device, 'mtu', String(OUTER_MTU), 'arp', 'off', 'up');
        const run = ['netns', 'exec', namespace];
        execFileSync(
          'ip',
          [...run, 'ethtool', '-K', device, 'tx', 'off', 'tso', 'off', 'gso', 'off', 'gro', 'off'],
          {
            stdio: ['ignore', 'ignore', 'pipe'],
          },
        );
        execFileSync('ip', [...run, 'nft', '-f', '-'], {
          input: dropAll(device),
          stdio: ['pipe', 'ignore', 'pipe'],
        });
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

  /** Start a command beside `eth0`, on one core. */
  spawn(core: number, command: readonly string[]): ChildProcess {
    const child = spawn('ip', ['netns', 'exec', this.#here, 'taskset', '-c', String(core), ...command], {
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
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
    for (const name of [this.#here, this.#there]) {
      try {
        ip('netns', 'delete', name);
      } catch {
        // Not made, or gone already: there is nothing left to free.
      }
    }
  }
}

/** A forwarder that runs: its lines, and what it said when it ended. */
interface Contender {
  readonly name: string;
  readonly command: readonly string[];
  /** Flows that the traffic is of. */
  readonly flows: number;
  /** Looks at our side's own report after a round. */
  readonly check?: (report: WorkerReport) => void;
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Processor time that all threads of a process have had, ns (scheduler's own account, interrupts included). */
function cpuNs(pid: number | undefined): number {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).reduce((sum, task) => {
    return sum + Number(readFileSync(join(tasks, task, 'schedstat'), 'utf8').split(' ')[0]);
  }, 0);
}

interface Figures {
  /** Packets a second on the clock: what else runs on the machine is in it. */
  readonly perSecond: number;
  /** Packets a second of the forwarder's processor time: hardly is. */
  readonly perCpuSecond: number;
}

/** What comes out while more comes in than any contender forwards. */
async function round(
  rig: Rig,
  generator: readonly string[],
  contender: Contender,
  seconds: number,
): Promise<Figures> {
  // The generator has the first core, and with it the receiving half of the kernel's work; the forwarder the other.
  const core = availableParallelism() > 1 ? 1 : 0;
  const forwarder = rig.spawn(core, contender.command);
  const errors = tailOfErrors(forwarder);
  let isReady = false;
  let report: WorkerReport | undefined;
  readJsonLines<WorkerReport>(
    forwarder,
    (value) => {
      report = value;
    },
    (line) => {
      isReady ||= line === 'ready';
    },
  );
  const closed = new Promise<void>((resolve) => forwarder.once('close', () => resolve()));
  await until(`${contender.name} to start`, () => {
    if (forwarder.exitCode !== null)
      throw new Error(`${contender.name} ended with status ${forwarder.exitCode}:\n${errors()}`);
    return isReady;
  });
  const sender = rig.spawn(0, generator);
  const complaints = tailOfErrors(sender);
  await pause(WARM_UP_MS);
  const take = () => ({
    packets: rig.received(),
    cpuNs: cpuNs(forwarder.pid),
    nowNs: Number(process.hrtime.bigint()),
  });
  const first = take();
  await pause(seconds * 1000);
  const last = take();
  if (sender.exitCode !== null)
    throw new Error(`the generator ended with status ${sender.exitCode}:\n${complaints()}`);
  if (forwarder.exitCode !== null)
    throw new Error(`${contender.name} ended with status ${forwarder.exitCode}:\n${errors()}`);
  await Topology.stop(sender);
  await Topology.stop(forwarder);
  await closed;
  if (contender.check) {
    if (!report) throw new Error(`${contender.name} made no report:\n${errors()}`);
    contender.check(report);
  }
  const packets = last.packets - first.packets;
  if (packets === 0) throw new Error(`nothing came out of ${contender.name}:\n${errors()}`);
  return {
    perSecond: (packets / (last.nowNs - first.nowNs)) * 1e9,
    perCpuSecond: (packets / (last.cpuNs - first.cpuNs)) * 1e9,
  };
}

/** Each flow misses the connection table once; many more, and the row would not be one of hits. */
const checkHits =
  (flows: number) =>
  ({ misses, counters }: WorkerReport): void => {
    if (misses <= 2 * flows) return;
    throw new Error(
      `${misses} of ${counters.received} packets of ${flows} flows had no connection entry: this is no measurement of hits`,
    );
  };

/**
 * Packets a second that one core forwards out of a ring with sendmmsg: this project's worker against a forwarder in C,
 * first on the clock, then by the forwarder's processor time. What else runs on the machine is in the first, and so is
 * the generator where it offers hardly more than is forwarded; neither is in the second, which is the one to compare by.
 * Nearly all of the time is the kernel's: it sends and, on veth, receives at the far end. The receiving half of the
 * near end is the generator's, on another core where there is one.
 * Needs root, gcc, iproute2, ethtool, nftables and taskset.
 */
export async function benchForwarding(rounds: number, seconds: number): Promise<Comparison[]> {
  const forwarder = compileC('forwarder');
  const generator = compileC('generator');
  const worker = (kind: string) => [process.execPath, built('bench/forwarding-worker.js'), INTERFACE, kind];
  const baseline = 'C V3, swap of MACs';
  const hits = (flows: number): Contender => ({
    name: `waggle, balancer (hit of ${flows.toLocaleString('en-US')} flows, encapsulated)`,
    command: worker('balancer'),
    flows,
    check: checkHits(flows),
  });
  const contenders: readonly Contender[] = [
    { name: baseline, command: [forwarder, INTERFACE, 'v3'], flows: FLOWS },
    { name: 'C V2, swap of MACs', command: [forwarder, INTERFACE, 'v2'], flows: FLOWS },
    { name: 'waggle, swap of MACs (XDP_TX)', command: worker('swap'), flows: FLOWS },
    hits(FLOWS),
    hits(MANY_FLOWS),
  ];
  const rig = new Rig();
  try {
    const perCpuSecond = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
    const runs = contenders.map((contender) => {
      const run = async () => {
        const traffic = [generator, INTERFACE, ackFrame(rig.mac), String(contender.flows)];
        const figures = await round(rig, traffic, contender, seconds);
        perCpuSecond.get(contender.name)?.push(figures.perCpuSecond);
        return figures.perSecond;
      };
      return [contender.name, run] as const;
    });
    const onTheClock = await interleave(Object.fromEntries(runs), rounds);
    const ofCpu: Series[] = [...perCpuSecond].map(([name, figures]) => ({ name, rounds: figures }));
    const cores =
      availableParallelism() > 1 ? 'core 0 generates and receives, core 1 forwards' : 'one core does it all';
    const title = `Forwarding on veth at full load, 1 worker, 60-byte frames (${cores})`;
    return [
      { title, unit: 'packets/s', baseline, series: onTheClock, aim: AIM },
      {
        title: 'The same, by the processor time of the forwarder',
        unit: 'packets/s of CPU',
        baseline,
        series: ofCpu,
        aim: AIM,
      },
    ];
  } finally {
    rig.close();
  }
}
