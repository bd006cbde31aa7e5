import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import type { RecordSource } from '../../lb/balancer/events.js';
import { BALANCER_PROGRAM, balancerObject, withOptions } from '../../lb/balancer/object.js';
import { EVENTS_MAP, RING_SIZE } from '../../lb/balancer/schema.js';
import type { BpfMap, MapHost } from '../../lb/bpf/maps/map.js';
import { RingBufferReader } from '../../lb/bpf/maps/ring-buffer.js';
import { withSizes } from '../../lb/datapath-program.js';
import { Replay } from '../../lb/engine/replay.js';
import type { ReplayResult } from '../../lb/engine/replay-engine.js';
import { KernelReplay } from '../../lb/engine/replay-kernel.js';
import { type InspectedMap, inspectedMaps } from '../../lb/inspector.js';
import { infoOf, load, type ReadObject, unload } from '../../lb/kernel-datapath-program.js';
import { FlowSimulator } from '../../lb/simulate.js';
import { arenaSimulator } from '../../lb/simulate-arena.js';
import { possibleCpus, RingConsumer } from '../../lb/sys/bpf.js';
import { parseCpus } from '../../lb/sys/perf-consumer.js';

/** What runs the balancer's program over the frames of a test, and holds its maps. */
export interface DatapathEngine {
  readonly name: 'interpreter' | 'kernel';
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly host: MapHost;
  /** Copies in a value of a per-CPU map. */
  readonly cpus: number;
  /** CPUs that the program may run on. */
  readonly workers: number;
  /** The one that `run` runs it on. */
  readonly cpu: number;
  run(frame: Uint8Array): ReplayResult;
  inspected(): readonly InspectedMap[];
  events(): RecordSource;
  simulator(): FlowSimulator;
}

const SIMULATING = { explain: true, simulate: true } as const;
/** In the kernel, memory for all of a map is taken at once, and given back by closeDatapaths. */
const KERNEL_SIZES = {
  ch_rings: 16 * RING_SIZE,
  server_id_map: 1024,
  fallback_glru: 64,
  events: 65536,
} as const;

interface Closable {
  close(): void;
}

/** What datapaths in the kernel have of it: one process runs all test files, and would have ever more descriptors. */
const held = new Set<Closable>();

function hold<T extends Closable>(resource: T): T {
  held.add(resource);
  return resource;
}

/** Give back all that the datapaths made so far have of the kernel; none of them is of use afterwards. */
export function closeDatapaths(): void {
  // The last first: what consumes a map goes before the map.
  for (const resource of [...held].reverse()) resource.close();
  held.clear();
}

/** The arena, and the interpreter over it. */
function inArena(lruEntries: number): DatapathEngine {
  const replay = new Replay({
    object: balancerObject(),
    program: BALANCER_PROGRAM,
    engine: 'interpreter',
    lruEntries,
  });
  const { maps, host, cpus, workers } = replay;
  return {
    ...{ name: 'interpreter', maps, host, cpus, workers, cpu: 0 },
    run: (frame) => replay.run(frame, process.hrtime.bigint()),
    inspected: () => inspectedMaps(host),
    events: () => new RingBufferReader(host, maps.get(EVENTS_MAP)!),
    simulator: () => arenaSimulator(host, maps, withOptions(balancerObject(), SIMULATING), workers),
  };
}

let ownCpu: number | undefined;

/** Keep this process on one CPU of those that it may have; test files that run at the same time get others, where there are. */
function stayOnOneCpu(): number {
  if (ownCpu !== undefined) return ownCpu;
  const [, allowed = '0'] =
    /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  const cpus = parseCpus(allowed);
  const cpu = cpus[Number(process.env.VITEST_POOL_ID ?? 0) % cpus.length] ?? 0;
  execFileSync('taskset', ['-cp', String(cpu), String(process.pid)], { stdio: 'ignore' });
  ownCpu = cpu;
  return cpu;
}

/** The live kernel's maps, and BPF_PROG_TEST_RUN. */
function inKernel(lruEntries: number): DatapathEngine {
  // A flow is known to the CPU that saw it, and a test run is on the CPU of who asks for it.
  const cpu = stayOnOneCpu();
  const object = withSizes(balancerObject(), KERNEL_SIZES, true);
  const replay = hold(new KernelReplay({ object, program: BALANCER_PROGRAM, lruEntries }));
  const { maps } = replay;
  // The tables' own maps, as those of connections: whoever makes the tables does not close them.
  const host: MapHost = { createMap: (spec) => hold(replay.host.createMap(spec)) };
  const cpus = possibleCpus();
  return {
    ...{ name: 'kernel', maps, host, cpus, workers: cpus, cpu },
    run: (frame) => replay.run(frame),
    inspected: () => [...maps.values()].map((map) => ({ map, ...infoOf(map) })),
    events: () => hold(new RingConsumer(maps.get(EVENTS_MAP)!)),
    simulator: () => {
      const read: ReadObject = { spec: object, sha256: '' };
      const loaded = load(read, SIMULATING, withOptions(object, SIMULATING), maps);
      hold({ close: () => unload(loaded) });
      const run = (frame: Uint8Array) => {
        const { verdict, packet } = loaded.program.testRun(frame);
        return { verdict, frame: packet };
      };
      return new FlowSimulator({ maps, workers: cpus, run });
    },
  };
}

/** Where the datapath of the control plane's tests runs: WAGGLE_TEST_DATAPATH=kernel, or the arena. */
export const TEST_ENGINE = process.env.WAGGLE_TEST_DATAPATH === 'kernel' ? 'kernel' : 'interpreter';

/** @param lruEntries upper bound on the entries of each LRU map */
export function datapathEngine(lruEntries: number): DatapathEngine {
  return TEST_ENGINE === 'kernel' ? inKernel(lruEntries) : inArena(lruEntries);
}
