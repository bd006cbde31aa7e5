import { execFileSync } from 'node:child_process';
import { connectionTableSpec } from '../lb/balancer/connections.js';
import { mapBytes } from '../lb/bpf/maps/registry.js';
import { ArenaRig, benchObject, type Contender, inKernel, setClients } from './balancer-rig.js';
import { availableMemoryBytes } from './machine.js';
import { type Comparison, median, type Plan, type Row, type Series } from './report.js';
import { NEW_CONNECTION } from './scenarios.js';

const SIZES = [1000, 100_000, 10_000_000] as const;
/** In a quick run. */
const QUICK_MOST = 100_000;
/** Entries a connection: an LRU that is nearly full takes some out before it is. */
const ROOM = 1.25;
const LEAST_ENTRIES = 4096;
const PACKETS_A_ROUND = 500_000;
/** Share of the packets that may have found no entry. */
const MISSES = 0.01;
/** What else a run needs, beside the table. */
const OTHER_BYTES = 2 ** 29;
const KERNEL = "the kernel's JIT";
const OURS = 'JIT';

/** Both sides, in turn: a table of ten million connections is there once at a time. */
const SIDES: Readonly<Record<string, (entries: number) => Contender>> = {
  [KERNEL]: (entries) => inKernel(benchObject(), { cpus: 1, entries }),
  [OURS]: (entries) => new ArenaRig(benchObject(), { cpus: 1, entries }).contender('jit'),
};

const count = (value: number) => value.toLocaleString('en-US');

/** Packets of clients that take turns, the first of whom is next; mean ns, net of an empty program. */
function send({ run }: Contender, packets: number): number {
  const { frame, verdict: expected } = NEW_CONNECTION;
  const { ns, verdict } = run('balancer', frame, packets);
  if (verdict !== expected) throw new Error(`verdict ${verdict}, not ${expected}`);
  return ns - run('empty', frame, packets).ns;
}

/** Fill a table, and look connections up that lie as far from each other as a hash puts them. */
function measure(contender: Contender, connections: number, rounds: number): number[] {
  setClients(contender, true, connections);
  send(contender, connections);
  // Warm: the code optimised, and every client there for the second time.
  send(contender, Math.max(connections, PACKETS_A_ROUND));
  const before = contender.tables.counters().lru.v2;
  const figures = Array.from({ length: rounds }, () => send(contender, PACKETS_A_ROUND));
  const misses = Number(contender.tables.counters().lru.v2 - before);
  const packets = PACKETS_A_ROUND * rounds;
  if (misses > MISSES * packets)
    throw new Error(
      `${count(misses)} of ${count(packets)} packets found none of ${count(connections)} connections`,
    );
  return figures;
}

/** Keep this thread on a CPU, whose table it fills: the kernel runs a test where its caller is. */
function pinned<T>(run: () => T): T {
  const taskset = (...args: string[]) =>
    execFileSync('taskset', ['-p', ...args, String(process.pid)], { encoding: 'utf8' });
  const mask = /: ([0-9a-f]+)\s*$/.exec(taskset())?.[1] ?? 'ff';
  taskset('1');
  try {
    return run();
  } finally {
    taskset(mask);
  }
}

/** Bytes that either side takes for a table. */
const needs = (entries: number): number => mapBytes(connectionTableSpec(0, entries), 2) + OTHER_BYTES;

/**
 * ns a packet of connections that are known, with more and more of them: each packet is of another, so that a large
 * table is met where no cache has it. Then how much dearer a packet gets as the table grows, on either side.
 */
export async function benchConnections({ rounds, isQuick }: Plan): Promise<Row[]> {
  const rows: Row[] = [];
  const measured: Comparison[] = [];
  for (const connections of SIZES) {
    const title = `Balancer, hits of ${count(connections)} connections in turn, net of an empty program`;
    const entries = Math.max(LEAST_ENTRIES, Math.ceil(connections * ROOM));
    const lacking = shortOf(entries);
    if (isQuick && connections > QUICK_MOST) rows.push({ title, skipped: 'takes long: run without --quick' });
    else if (lacking !== undefined) rows.push({ title, skipped: lacking });
    else {
      const series = Object.entries(SIDES).map(([name, side]): Series => {
        const contender = side(entries);
        try {
          return { name, rounds: pinned(() => measure(contender, connections, rounds)) };
        } finally {
          contender.close();
        }
      });
      measured.push({
        title,
        unit: 'ns a packet',
        baseline: KERNEL,
        aim: { of: 'ratio', most: 0.7 },
        series,
      });
    }
  }
  return [...measured, ...rows, ...growthOf(measured)];
}

/** Why a table of that size cannot be had; undefined where it can. */
function shortOf(entries: number): string | undefined {
  const [need, there] = [needs(entries), availableMemoryBytes()];
  const mib = (bytes: number) => `${count(Math.round(bytes / 2 ** 20))} MiB`;
  return need <= there ? undefined : `needs ${mib(need)} of memory, and ${mib(there)} are available`;
}

/** What a packet costs more with the largest table than with the smallest: in ns, and by how many times. */
function growthOf(rows: readonly Comparison[]): Comparison[] {
  const [first, last] = [rows[0], rows.at(-1)];
  if (first === undefined || last === undefined || first === last) return [];
  const seriesOf = (growth: (large: number, small: number) => number): Series[] =>
    last.series.map(({ name, rounds }) => {
      const small = median(first.series.find((other) => other.name === name)?.rounds ?? []);
      return { name, rounds: rounds.map((large) => growth(large, small)) };
    });
  const which = 'with the largest of these tables';
  return [
    {
      title: `Cost of a packet ${which}, less that with the smallest`,
      unit: 'ns',
      baseline: KERNEL,
      aim: { of: 'ratio', most: 1 },
      series: seriesOf((large, small) => large - small),
    },
    {
      title: `Cost of a packet ${which}, over that with the smallest`,
      unit: 'times',
      baseline: KERNEL,
      series: seriesOf((large, small) => large / small),
    },
  ];
}
