import { execFileSync } from 'node:child_process';
import { connectionTableSpec } from '../lb/balancer/connections.js';
import { mapBytes } from '../lb/bpf/maps/registry.js';
import { ArenaRig, benchObject, type Contender, inKernel, setClients } from './balancer-rig.js';
import { availableMemoryBytes } from './machine.js';
import { type Comparison, interleave, median, type Plan, type Row, type Series } from './report.js';
import { NEW_CONNECTION } from './scenarios.js';

const SIZES = [1000, 100_000, 10_000_000] as const;
/** In a quick run. */
const QUICK_MOST = 100_000;
/** Entries a connection: an LRU that is nearly full takes some out before it is. */
const ROOM = 1.25;
const LEAST_ENTRIES = 4096;
const PACKETS_A_ROUND = 500_000;
/** Before each round, at most: a table of more connections than these has no place in a cache. */
const LAP_MOST = 100_000;
/** Share of the packets that may have found no entry. */
const MISSES = 0.01;
/** What else a side needs, beside its table. */
const OTHER_BYTES = 2 ** 29;
const KERNEL = "the kernel's JIT";
const OURS = 'JIT';

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

/** A side's table, full: connections are looked up that lie as far from each other as a hash puts them. */
class FullTable {
  readonly #contender: Contender;
  readonly #connections: number;

  constructor(contender: Contender, connections: number) {
    this.#contender = contender;
    this.#connections = connections;
    setClients(contender, true, connections);
    send(contender, connections);
    // Warm: the code optimised, and every client there for the second time.
    send(contender, Math.max(connections, PACKETS_A_ROUND));
  }

  /** ns a packet of a round. @throws Error where too many packets found no connection */
  round(): number {
    const { tables } = this.#contender;
    const before = tables.counters().lru.v2;
    // The other side had the caches meanwhile: what goes into them is there again before the clock starts.
    const lap = Math.min(this.#connections, LAP_MOST);
    send(this.#contender, lap);
    const ns = send(this.#contender, PACKETS_A_ROUND);
    const misses = Number(tables.counters().lru.v2 - before);
    const packets = lap + PACKETS_A_ROUND;
    if (misses > MISSES * packets)
      throw new Error(
        `${count(misses)} of ${count(packets)} packets found none of ${count(this.#connections)} connections`,
      );
    return ns;
  }

  close(): void {
    this.#contender.close();
  }
}

/** Both sides round by round, in an order that turns: both tables are there at once. */
async function measureTogether(connections: number, entries: number, rounds: number): Promise<Series[]> {
  const open: FullTable[] = [];
  try {
    const contenders = Object.entries(SIDES).map(([name, side]) => {
      const table = pinned(() => new FullTable(side(entries), connections));
      open.push(table);
      return [name, () => pinned(() => table.round())] as const;
    });
    return await interleave(Object.fromEntries(contenders), rounds);
  } finally {
    for (const table of open) table.close();
  }
}

/** All rounds of a side, then those of the other: one table is there at a time. */
const measureApart = (connections: number, entries: number, rounds: number): Series[] =>
  Object.entries(SIDES).map(([name, side]) => {
    const table = pinned(() => new FullTable(side(entries), connections));
    try {
      return { name, rounds: pinned(() => Array.from({ length: rounds }, () => table.round())) };
    } finally {
      table.close();
    }
  });

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

/** Bytes that this many sides take for a table each. */
const needs = (entries: number, sides: number): number =>
  sides * (mapBytes(connectionTableSpec(0, entries), 2) + OTHER_BYTES);

/**
 * ns a packet of connections that are known, with more and more of them: each packet is of another, so that a large
 * table is met where no cache has it. Then how much dearer a packet gets as the table grows, on either side.
 */
export async function benchConnections({ rounds, isQuick }: Plan): Promise<Row[]> {
  const rows: Row[] = [];
  const measured: Comparison[] = [];
  for (const connections of SIZES) {
    const which = `Balancer, hits of ${count(connections)} connections in turn, net of an empty program`;
    const entries = Math.max(LEAST_ENTRIES, Math.ceil(connections * ROOM));
    const lacking = shortOf(entries, 1);
    if (isQuick && connections > QUICK_MOST)
      rows.push({ title: which, skipped: 'takes long: run without --quick' });
    else if (lacking !== undefined) rows.push({ title: which, skipped: lacking });
    else {
      const isRoomy = shortOf(entries, Object.keys(SIDES).length) === undefined;
      const series = await (isRoomy ? measureTogether : measureApart)(connections, entries, rounds);
      measured.push({
        title: isRoomy ? which : `${which}; one side after the other, as memory has room for one table`,
        unit: 'ns a packet',
        baseline: KERNEL,
        aim: { of: 'ratio', most: 0.7 },
        series,
      });
    }
  }
  return [...measured, ...rows, ...growthOf(measured)];
}

/** Why tables of that size cannot be had, one for each of so many sides; undefined where they can. */
function shortOf(entries: number, sides: number): string | undefined {
  const [need, there] = [needs(entries, sides), availableMemoryBytes()];
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
