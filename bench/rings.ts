import { buildRing, type RingReal } from '../control-plane/maglev/ring.js';
import { balancerObject, sizedObject } from '../lb/balancer/object.js';
import { RING_SIZE } from '../lb/balancer/schema.js';
import { BalancerTables } from '../lb/balancer/tables.js';
import type { MapHost } from '../lb/bpf/maps/map.js';
import { ArenaMaps, mapBytes } from '../lb/bpf/maps/registry.js';
import { Arena } from '../lb/bpf/memory/arena.js';
import { createMaps } from '../lb/bpf/object/create-maps.js';
import { KernelMaps } from '../lb/sys/bpf.js';
import { type Comparison, interleave } from './report.js';

const COUNTS = [10, 100, 1000, 4000] as const;
const nameOf = (count: number) => `${count.toLocaleString('en-US')} backends`;
const BASELINE = nameOf(COUNTS[0]);

const backends = (count: number): RingReal[] =>
  Array.from({ length: count }, (_, i) => ({
    index: i + 1,
    address: Uint8Array.of(10, 1, (i + 1) >> 8, (i + 1) & 0xff),
    weight: 1,
  }));

const object = sizedObject(balancerObject(), { ch_rings: RING_SIZE });

function inArena(): MapHost {
  const mapsBytes = object.maps.reduce((sum, spec) => sum + mapBytes(spec, 2), 0);
  return new ArenaMaps(Arena.create({ workers: 1, mapsBytes, ringsBytes: 0 }));
}

const ms = (run: () => void): number => {
  const start = performance.now();
  run();
  return performance.now() - start;
};

/** One of the backends goes, and comes again at the next call: the ring is built anew, and what differs is written. */
function changer(tables: BalancerTables, count: number): () => number {
  const all = backends(count);
  const lists = [all.slice(0, -1), all];
  let slots = buildRing(all);
  tables.putRing(0, slots);
  let turn = 0;
  return () => {
    const list = lists[turn++ % 2]!;
    return ms(() => {
      const next = buildRing(list);
      tables.putRing(0, next, slots);
      slots = next;
    });
  };
}

/** A ring of 65,537 slots: built, and changed by one backend in the tables of either engine. */
export async function benchRings(rounds: number): Promise<Comparison[]> {
  const built = COUNTS.map((count): [string, () => number] => {
    const reals = backends(count);
    return [nameOf(count), () => ms(() => void buildRing(reals))];
  });
  const comparisons: Comparison[] = [
    {
      title: 'Ring of 65,537 slots, built',
      unit: 'ms',
      baseline: BASELINE,
      series: await interleave(warm(Object.fromEntries(built)), rounds),
    },
  ];
  for (const [place, host] of [
    ['the arena', inArena()],
    ['the kernel', new KernelMaps()],
  ] as const) {
    const maps = createMaps(object, host);
    const tables = new BalancerTables(maps, { host });
    // Each has the ring to itself while it runs: two calls, the second of which is measured.
    const changes = COUNTS.map((count): [string, () => number] => [
      nameOf(count),
      () => {
        const change = changer(tables, count);
        change();
        return change();
      },
    ]);
    comparisons.push({
      title: `One backend goes or comes: ring built, what differs written to ${place}`,
      unit: 'ms',
      baseline: BASELINE,
      aim: { of: 'median', most: 10, series: [nameOf(1000)] },
      series: await interleave(warm(Object.fromEntries(changes)), rounds),
    });
    tables.close();
    for (const map of maps.values()) map.close();
  }
  return comparisons;
}

function warm(runs: Record<string, () => number>): Record<string, () => number> {
  for (const run of Object.values(runs)) for (let i = 0; i < 5; i++) run();
  return runs;
}
