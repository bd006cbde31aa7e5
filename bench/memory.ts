import { readFileSync } from 'node:fs';
import { connectionTableSpec } from '../lb/balancer/connections.js';
import { balancerObject, sizedObject } from '../lb/balancer/object.js';
import { type Capacity, sizesFor } from '../lb/balancer/sizes.js';
import type { MapSpec } from '../lb/bpf/maps/map.js';
import { mapBytes } from '../lb/bpf/maps/registry.js';
import { type KernelMap, KernelMaps, possibleCpus } from '../lb/sys/bpf.js';
import type { Comparison } from './report.js';

/** Between two sizes, so that what a map has whatever its size is not counted. */
const [FEW, MANY] = [8192, 16_384];
const CONNECTIONS = 1_000_000;

const BASE: Capacity = { vips: FEW, rings: 1, reals: FEW };

/** Bytes that maps take. */
type Measure = (specs: readonly MapSpec[]) => number;

const inArena: Measure = (specs) => specs.reduce((sum, spec) => sum + mapBytes(spec, possibleCpus()), 0);

/** As the kernel accounts them for their descriptors. */
const inKernel: Measure = (specs) => {
  const host = new KernelMaps();
  const maps: KernelMap[] = [];
  try {
    for (const spec of specs) maps.push(host.createMap(spec));
    return maps.reduce((sum, { fd }) => {
      const text = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
      return sum + Number(/^memlock:\s*(\d+)/m.exec(text)?.[1] ?? Number.NaN);
    }, 0);
  } finally {
    for (const map of maps) map.close();
  }
};

/** The maps whose size depends on a capacity. */
function sized(capacity: Capacity): MapSpec[] {
  const object = balancerObject();
  const names = Object.keys(sizesFor(capacity));
  return sizedObject(object, sizesFor(capacity)).maps.filter(({ name, slots }) => {
    // Its sets are made when a backend is down, and it cannot be made without one.
    return names.includes(name) && slots === undefined && name !== 'vip_to_down_reals_map';
  });
}

const growth = (measure: Measure, more: Partial<Capacity>, by: number): number =>
  (measure(sized({ ...BASE, ...more })) - measure(sized(BASE))) / by;

/** Bytes that one thing more takes. */
const THINGS: Readonly<Record<string, (measure: Measure) => number>> = {
  'a connection': (measure) => measure([connectionTableSpec(0, CONNECTIONS)]) / CONNECTIONS,
  'a VIP, its counters on all CPUs': (measure) => growth(measure, { vips: MANY }, MANY - FEW),
  'a backend, its counters on all CPUs': (measure) => growth(measure, { reals: MANY }, MANY - FEW),
  'a ring': (measure) => growth(measure, { rings: 9 }, 8),
};

/** Memory of the tables, in the arena and in the kernel with maps of the same sizes. */
export async function benchMemory(): Promise<Comparison[]> {
  return Object.entries(THINGS).map(([what, bytesOf]) => ({
    title: `Memory of ${what} (${possibleCpus()} CPUs)`,
    unit: 'bytes',
    baseline: "the kernel's maps",
    aim: { of: 'ratio', most: 1 },
    series: [
      { name: "the kernel's maps", rounds: [bytesOf(inKernel)] },
      { name: "the arena's", rounds: [bytesOf(inArena)] },
    ],
  }));
}
