import { readdirSync, readFileSync } from 'node:fs';
import { built } from '../demo/appliance.js';
import { readJsonLines, tailOfErrors, until } from '../demo/lines.js';
import { Topology } from '../demo/topology.js';
import { closedAtExit } from './at-exit.js';
import { compileC } from './forwarding.js';
import { INTERFACE, PEER, Rig } from './forwarding-rig.js';
import { ackFrame, FLOWS, MANY_FLOWS, type WorkerReport } from './forwarding-traffic.js';
import { type Aim, type Comparison, interleave } from './report.js';

const WARM_UP_MS = 500;
const PLAIN = 'the kernel alone (the object as ip loads it)';
const OURS = 'waggle up --engine xdp';
const AIM: Aim = { of: 'ratio', least: 0.98 };

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Processor time that a process has had, ns (scheduler's own account; what the kernel does in its place is in it). */
const cpuNs = (pid: number | undefined): number =>
  Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0]);

/** Name of a process; undefined for one that is gone. */
function commOf(pid: string): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8').trim();
  } catch {
    return undefined;
  }
}

/** The kernel's thread that takes over what a core received, where that is too much for the sender's own time. */
function ksoftirqd(core: number): number {
  const name = `ksoftirqd/${core}`;
  const found = readdirSync('/proc').find((pid) => {
    return /^\d+$/.test(pid) && commOf(pid) === name;
  });
  if (found === undefined) throw new Error(`no ${name}`);
  return Number(found);
}

interface Figures {
  readonly perSecond: number;
  readonly perCpuSecond: number;
}

/** A part that runs, once it has said so; `stop` gives its report. */
async function startPart(rig: Rig, device: string, kind: string, isFar: boolean) {
  // The program runs on the core of the generator; the process, which then has nothing to do, has the other one.
  const command = [process.execPath, built('bench/kernel-forward-worker.js'), device, kind];
  const child = rig.spawn(1, command, isFar);
  const errors = tailOfErrors(child);
  let isReady = false;
  let report: WorkerReport | undefined;
  readJsonLines<WorkerReport>(
    child,
    (value) => {
      report = value;
    },
    (line) => {
      isReady ||= line === 'ready';
    },
  );
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await until(`${kind} to start`, () => {
    if (child.exitCode !== null) throw new Error(`${kind} ended with status ${child.exitCode}:\n${errors()}`);
    return isReady;
  });
  return {
    stop: async (): Promise<WorkerReport> => {
      await Topology.stop(child);
      await closed;
      if (!report) throw new Error(`${kind} made no report:\n${errors()}`);
      return report;
    },
  };
}

/** What comes out while one core generates packets, runs the program on them and takes them again. */
async function round(
  rig: Rig,
  generator: string,
  kind: string,
  flows: number,
  seconds: number,
): Promise<Figures> {
  const far = await startPart(rig, PEER, 'drop', true);
  const part = await startPart(rig, INTERFACE, kind, false);
  const sender = rig.spawn(0, [generator, PEER, ackFrame(rig.mac), String(flows), 'tx'], true);
  const complaints = tailOfErrors(sender);
  await pause(WARM_UP_MS);
  const softirqs = ksoftirqd(0);
  const take = () => ({
    packets: rig.received(),
    cpuNs: cpuNs(sender.pid) + cpuNs(softirqs),
    nowNs: Number(process.hrtime.bigint()),
  });
  const first = take();
  await pause(seconds * 1000);
  const last = take();
  if (sender.exitCode !== null)
    throw new Error(`the generator ended with status ${sender.exitCode}:\n${complaints()}`);
  await Topology.stop(sender);
  const { counters, misses } = await part.stop();
  await far.stop();
  const packets = last.packets - first.packets;
  if (packets === 0) throw new Error(`nothing came out of ${kind}`);
  // Each CPU notes each flow once.
  if (misses > 4 * flows)
    throw new Error(`${misses} of ${counters.received} packets had no connection entry`);
  return {
    perSecond: (packets / (last.nowNs - first.nowNs)) * 1e9,
    perCpuSecond: (packets / (last.cpuNs - first.cpuNs)) * 1e9,
  };
}

/**
 * Packets a second through the balancer's program in the kernel, native XDP on veth: our loader, our maps and our process
 * beside it, against the object as iproute2 loads it, with nobody beside it. Connection hits, encapsulated.
 * Needs root, gcc, iproute2, ethtool, nftables and taskset.
 */
export async function benchKernelForward(rounds: number, seconds: number): Promise<Comparison[]> {
  const generator = compileC('generator');
  const rig = closedAtExit(new Rig());
  try {
    const comparisons: Comparison[] = [];
    for (const flows of [FLOWS, MANY_FLOWS]) {
      const run = (kind: string, of: number) => async () => {
        const figures = await round(rig, generator, kind, flows, seconds);
        ofCpu[of]!.push(figures.perCpuSecond);
        return figures.perSecond;
      };
      const ofCpu: [number[], number[]] = [[], []];
      const series = await interleave({ [PLAIN]: run('plain', 0), [OURS]: run('ours', 1) }, rounds);
      const what = `hits of ${flows.toLocaleString('en-US')} flows, 60-byte frames (one core generates and forwards)`;
      comparisons.push(
        {
          title: `Forwarding in the kernel on veth at full load, ${what}`,
          unit: 'packets/s',
          baseline: PLAIN,
          series,
          aim: AIM,
        },
        {
          title: `The same with ${what}, by the processor time of that core`,
          unit: 'packets/s of CPU',
          baseline: PLAIN,
          series: [
            { name: PLAIN, rounds: ofCpu[0] },
            { name: OURS, rounds: ofCpu[1] },
          ],
          aim: AIM,
        },
      );
    }
    return comparisons;
  } finally {
    rig.close();
  }
}
