import { readJsonLines, tailOfErrors, until } from '../demo/lines.js';
import { Topology } from '../demo/topology.js';
import type { Rig } from './forwarding-rig.js';
import type { WorkerReport } from './forwarding-traffic.js';

/** Before counting starts: rings are full, code is hot, the connection table has every flow. */
const WARM_UP_MS = 500;

/** A process at one end of a rig's link. */
export interface Part {
  /** For messages. */
  readonly name: string;
  readonly command: readonly string[];
  readonly core: number;
  /** At the far end of the link. */
  readonly isFar?: boolean;
}

/** A part that runs and has said so. */
export interface RunningPart {
  readonly name: string;
  readonly pid: number | undefined;
  /** @throws Error with what it complained of where it has ended */
  mustRun(): void;
  /** The error of a part that did not do what it is there for, with what it complained of. */
  failed(how: string): Error;
  /** @returns its report, where it makes one */
  stop(): Promise<WorkerReport | undefined>;
}

/** Start a part, and wait for the line that says that it is ready. */
export async function startPart(rig: Rig, part: Part): Promise<RunningPart> {
  let isReady = false;
  const running = spawnPart(rig, part, () => {
    isReady = true;
  });
  await until(`${part.name} to start`, () => {
    running.mustRun();
    return isReady;
  });
  return running;
}

function spawnPart(rig: Rig, { name, command, core, isFar }: Part, onReady: () => void): RunningPart {
  const child = rig.spawn(core, command, isFar);
  const errors = tailOfErrors(child);
  let report: WorkerReport | undefined;
  readJsonLines<WorkerReport>(
    child,
    (value) => {
      report = value;
    },
    (line) => {
      if (line === 'ready') onReady();
    },
  );
  // Behind the exit: what it printed last has been read by then.
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()));
  const failed = (how: string) => new Error(`${name} ${how}:\n${errors()}`);
  return {
    name,
    pid: child.pid,
    mustRun() {
      if (child.exitCode !== null) throw failed(`ended with status ${child.exitCode}`);
    },
    failed,
    async stop() {
      await Topology.stop(child);
      await closed;
      return report;
    },
  };
}

/** What came out of a forwarder in a while. */
export interface Figures {
  /** Packets a second on the clock: what else runs on the machine is in it. */
  readonly perSecond: number;
  /** Packets a second of the forwarder's processor time: hardly is. */
  readonly perCpuSecond: number;
}

/**
 * What comes out while a generator sends more than can be forwarded.
 * @param cpuNs processor time that the forwarder has had so far; it is given the generator, which may be what forwards
 */
export async function measureFlood(
  rig: Rig,
  forwarder: RunningPart,
  generator: { readonly command: readonly string[]; readonly isFar: boolean },
  cpuNs: (generator: RunningPart) => number,
  seconds: number,
): Promise<Figures> {
  const sender = spawnPart(rig, { name: 'the generator', core: 0, ...generator }, () => undefined);
  const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
  const take = () => ({
    packets: rig.received(),
    cpuNs: cpuNs(sender),
    nowNs: Number(process.hrtime.bigint()),
  });
  await pause(WARM_UP_MS);
  const first = take();
  await pause(seconds * 1000);
  const last = take();
  sender.mustRun();
  forwarder.mustRun();
  await sender.stop();
  const packets = last.packets - first.packets;
  if (packets === 0) throw forwarder.failed('let nothing through');
  return {
    perSecond: (packets / (last.nowNs - first.nowNs)) * 1e9,
    perCpuSecond: (packets / (last.cpuNs - first.cpuNs)) * 1e9,
  };
}
