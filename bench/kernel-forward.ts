import { readdirSync, readFileSync } from 'node:fs';
import { built } from '../demo/appliance.js';
import { closedAtExit } from './at-exit.js';
import { compileC } from './forwarding.js';
import { type Figures, measureFlood, type RunningPart, startPart } from './forwarding-part.js';
import { INTERFACE, PEER, Rig } from './forwarding-rig.js';
import { ackFrame, FLOWS, MANY_FLOWS } from './forwarding-traffic.js';
import { type Aim, type Comparison, interleave } from './report.js';

const PLAIN = 'the kernel alone (the object as ip loads it)';
const OURS = 'waggle up --engine xdp';
const AIM: Aim = { of: 'ratio', least: 0.98 };

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

/** One end of the link. The program runs on the core of the generator; the process, which then has nothing to do, has the other one. */
const startEnd = (rig: Rig, device: string, kind: string, isFar: boolean): Promise<RunningPart> =>
  startPart(rig, {
    name: kind,
    command: [process.execPath, built('bench/kernel-forward-worker.js'), device, kind],
    core: 1,
    isFar,
  });

/** What comes out while one core generates packets, runs the program on them and takes them again. */
async function round(
  rig: Rig,
  generator: string,
  kind: string,
  flows: number,
  seconds: number,
): Promise<Figures> {
  const far = await startEnd(rig, PEER, 'drop', true);
  const near = await startEnd(rig, INTERFACE, kind, false);
  const command = [generator, PEER, ackFrame(rig.mac), String(flows), 'tx'];
  const softirqs = ksoftirqd(0);
  const cpu = ({ pid }: RunningPart) => cpuNs(pid) + cpuNs(softirqs);
  const figures = await measureFlood(rig, near, { command, isFar: true }, cpu, seconds);
  const report = await near.stop();
  await far.stop();
  if (!report) throw near.failed('made no report');
  const { counters, misses } = report;
  // Each CPU notes each flow once.
  if (misses > 4 * flows)
    throw new Error(`${misses} of ${counters.received} packets had no connection entry`);
  return figures;
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
