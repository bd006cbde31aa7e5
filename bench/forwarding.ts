import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { built } from '../demo/appliance.js';
import type { WorkerEngineName } from '../lb/engine/engine.js';
import { closedAtExit } from './at-exit.js';
import { type Figures, measureFlood, startPart } from './forwarding-part.js';
import { INTERFACE, PEER, Rig } from './forwarding-rig.js';
import {
  ackFrame,
  FLOWS,
  LONG_FRAME_BYTES,
  MANY_FLOWS,
  SHORTEST_FRAME_BYTES,
  type WorkerReport,
} from './forwarding-traffic.js';
import { type Aim, type Comparison, interleave, type Plan, type Series } from './report.js';

/** Folder of the C sources, from the sources and from dist/ alike. */
const ROOT = fileURLToPath(new URL('..', import.meta.url)).replace(/dist\/$/, '');

/**
 * Compile one of the C programs of this benchmark; gives the path of the executable.
 * @throws Error that says what is missing
 */
export function compileC(name: 'forwarder' | 'generator' | 'pacer' | 'xsk-forwarder'): string {
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

/** A forwarder that runs: its lines, and what it said when it ended. */
interface Contender {
  readonly name: string;
  readonly command: readonly string[];
  /** Flows that the traffic is of. */
  readonly flows: number;
  readonly frameBytes: number;
  /** Frames come over the link to an XDP program, and not to the stack's taps. */
  readonly isXdp: boolean;
  /** Looks at our side's own report after a round. */
  readonly check?: (report: WorkerReport) => void;
}

/** Processor time that all threads of a process have had, ns (scheduler's own account, interrupts included). */
function cpuNs(pid: number | undefined): number {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).reduce((sum, task) => {
    return sum + Number(readFileSync(join(tasks, task, 'schedstat'), 'utf8').split(' ')[0]);
  }, 0);
}

/** What comes out while more comes in than any contender forwards. */
async function round(rig: Rig, generator: string, contender: Contender, seconds: number): Promise<Figures> {
  const { name, command, flows, frameBytes, isXdp, check } = contender;
  // The generator has the first core, and with it the receiving half of the kernel's work; the forwarder the other.
  const forwarder = await startPart(rig, { name, command, core: availableParallelism() > 1 ? 1 : 0 });
  const traffic = [
    generator,
    isXdp ? PEER : INTERFACE,
    ackFrame(rig.mac, frameBytes),
    String(flows),
    isXdp ? 'tx' : 'pass',
  ];
  const cpu = () => cpuNs(forwarder.pid);
  const figures = await measureFlood(rig, forwarder, { command: traffic, isFar: isXdp }, cpu, seconds);
  const report = await forwarder.stop();
  if (check) {
    if (!report) throw forwarder.failed('made no report');
    check(report);
  }
  return figures;
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

/** Each contender's rounds, on the clock and by its processor time, against the first. */
async function compare(
  what: string,
  least: number,
  contenders: readonly [Contender, ...Contender[]],
  generator: string,
  { systemRounds: rounds, seconds }: Plan,
): Promise<Comparison[]> {
  const rig = closedAtExit(new Rig());
  try {
    const perCpuSecond = new Map<string, number[]>(contenders.map(({ name }) => [name, []]));
    const runs = contenders.map((contender) => {
      const run = async () => {
        const figures = await round(rig, generator, contender, seconds);
        perCpuSecond.get(contender.name)?.push(figures.perCpuSecond);
        return figures.perSecond;
      };
      return [contender.name, run] as const;
    });
    const onTheClock = await interleave(Object.fromEntries(runs), rounds);
    const ofCpu: Series[] = [...perCpuSecond].map(([name, figures]) => ({ name, rounds: figures }));
    const cores =
      availableParallelism() > 1 ? 'core 0 generates and receives, core 1 forwards' : 'one core does it all';
    const [{ name: baseline, frameBytes }] = contenders;
    // Of a forwarder that does the same; what the balancer does besides is for the reader to see.
    const aim: Aim = { of: 'ratio', least, series: contenders.map(({ name }) => name).filter(isOurs) };
    return [
      {
        title: `Forwarding on veth at full load, ${what}, 1 worker, ${frameBytes}-byte frames (${cores})`,
        unit: 'packets/s',
        baseline,
        series: onTheClock,
        aim,
      },
      {
        title: `The same with ${what} and ${frameBytes}-byte frames, by the processor time of the forwarder`,
        unit: 'packets/s of CPU',
        baseline,
        series: ofCpu,
        aim,
      },
    ];
  } finally {
    rig.close();
  }
}

const OURS = 'waggle';
const isOurs = (name: string): boolean => name.startsWith(OURS);

/**
 * Packets a second that one core forwards: this project's worker against a forwarder in C, over AF_PACKET and over AF_XDP,
 * with short frames and with long ones,
 * first on the clock, then by the forwarder's processor time. What else runs on the machine is in the first, and so is
 * the generator where it offers hardly more than is forwarded; neither is in the second, which is the one to compare by.
 * Nearly all of the time is the kernel's: it sends and, on veth, receives at the far end. The receiving half of the
 * near end is the generator's, on another core where there is one.
 * Needs root, gcc, iproute2, ethtool, nftables and taskset.
 */
export async function benchForwarding(plan: Plan): Promise<Comparison[]> {
  const [forwarder, xskForwarder, generator] = (['forwarder', 'xsk-forwarder', 'generator'] as const).map(
    compileC,
  ) as [string, string, string];
  const comparisons: Comparison[] = [];
  for (const frameBytes of plan.isQuick ? [SHORTEST_FRAME_BYTES] : [SHORTEST_FRAME_BYTES, LONG_FRAME_BYTES]) {
    const ours = (kind: 'swap' | 'balancer', engine: WorkerEngineName, flows: number): Contender => ({
      name:
        kind === 'swap'
          ? `${OURS}, swap of MACs (XDP_TX)`
          : `${OURS}, balancer (hit of ${flows.toLocaleString('en-US')} flows, encapsulated)`,
      command: [process.execPath, built('bench/forwarding-worker.js'), INTERFACE, kind, engine],
      flows,
      frameBytes,
      isXdp: engine === 'af_xdp',
      ...(kind === 'balancer' && { check: checkHits(flows) }),
    });
    const inC = (name: string, command: readonly string[], isXdp: boolean): Contender => ({
      name: `${name}, swap of MACs`,
      command,
      flows: FLOWS,
      frameBytes,
      isXdp,
    });
    // The size of the connection table is a matter of its own, which has rows enough with short frames.
    const isShort = frameBytes === SHORTEST_FRAME_BYTES && !plan.isQuick;
    const rows = (engine: WorkerEngineName) => [
      ours('swap', engine, FLOWS),
      ours('balancer', engine, FLOWS),
      ...(isShort ? [ours('balancer', engine, MANY_FLOWS)] : []),
    ];
    const packet = [
      inC('C V3', [forwarder, INTERFACE, 'v3'], false),
      ...(isShort ? [inC('C V2', [forwarder, INTERFACE, 'v2'], false)] : []),
      ...rows('af_packet'),
    ] as const;
    const xdp = [inC('C AF_XDP', [xskForwarder, INTERFACE], true), ...rows('af_xdp')] as const;
    comparisons.push(
      ...(await compare('af_packet', 0.95, packet, generator, plan)),
      ...(await compare('af_xdp (copy mode: veth has no other)', 0.9, xdp, generator, plan)),
    );
  }
  return comparisons;
}
