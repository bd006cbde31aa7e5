import type { BpfMap, MapSpec } from '../lb/bpf/maps/map.js';
import { ArenaMaps, mapBytes } from '../lb/bpf/maps/registry.js';
import { Arena } from '../lb/bpf/memory/arena.js';
import { KernelMaps } from '../lb/sys/bpf.js';
import type { Comparison, Series } from './report.js';

const ENTRIES = 1_000_000;
const TENTH = ENTRIES / 10;
const KEY_BYTES = 16;
const VALUE_BYTES = 16;
/** A key and a value of some thousand entries lie in the second-level cache. */
const BATCH = 4000;
/** Tenths that are written: to 100 %, and as much again, for which others are evicted. */
const TENTHS = 20;

const SPEC: MapSpec = {
  name: 'lru',
  type: 'LRU_HASH',
  keySize: KEY_BYTES,
  valueSize: VALUE_BYTES,
  maxEntries: ENTRIES,
  flags: 0,
};

function arenaMap(): BpfMap {
  const arena = Arena.create({ workers: 1, mapsBytes: mapBytes(SPEC, 2), ringsBytes: 0 });
  // The kernel has its elements' memory beforehand: ours too, or the first to touch a page pays for it.
  arena.u8.fill(0, arena.maps.offset, arena.maps.offset + arena.maps.bytes);
  return new ArenaMaps(arena).createMap(SPEC);
}

/** ns an insert of new keys, for each tenth of the table. */
function fill(map: BpfMap): number[] {
  const keys = new Uint8Array(BATCH * KEY_BYTES);
  const words = new Uint32Array(keys.buffer);
  const values = new Uint8Array(BATCH * VALUE_BYTES);
  let next = 1;
  return Array.from({ length: TENTHS }, () => {
    let ms = 0;
    for (let done = 0; done < TENTH; done += BATCH) {
      // Spread over the words, as addresses and ports are.
      for (let i = 0; i < BATCH; i++, next++) {
        words[i * 4] = Math.imul(next, 0x9e3779b1);
        words[i * 4 + 3] = next;
      }
      const start = performance.now();
      const result = map.updateBatch(keys, values, BATCH);
      ms += performance.now() - start;
      if (result !== 0) throw new Error(`an LRU refused a key: ${result}`);
    }
    return (ms * 1e6) / TENTH;
  });
}

const TITLES = {
  'up to 10 %': (tenth: number) => tenth === 0,
  'to 50 %': (tenth: number) => tenth === 4,
  'to 90 %': (tenth: number) => tenth === 8,
  'to 100 %': (tenth: number) => tenth === 9,
  'full, one evicted for each': (tenth: number) => tenth >= 10,
} as const satisfies Record<string, (tenth: number) => boolean>;

function seriesOf(fills: readonly (readonly number[])[]): Series[] {
  return Object.entries(TITLES).map(([name, isMeant]) => ({
    name,
    rounds: fills.map((tenths) => {
      const meant = tenths.filter((_, tenth) => isMeant(tenth));
      return meant.reduce((sum, ns) => sum + ns, 0) / meant.length;
    }),
  }));
}

/** Cost of a new key in an LRU table, from an empty one to a full one. */
export async function benchMaps(rounds: number): Promise<Comparison[]> {
  const places = { ours: arenaMap, 'the kernel’s': () => new KernelMaps().createMap(SPEC) };
  const fills: Record<keyof typeof places, number[][]> = { ours: [], 'the kernel’s': [] };
  for (let round = 0; round < rounds; round++) {
    for (const place of ['ours', 'the kernel’s'] as const) {
      const map = places[place]();
      fills[place].push(fill(map));
      map.close();
    }
  }
  return (['ours', 'the kernel’s'] as const).map((place) => ({
    title: `insert into an LRU_HASH of ${ENTRIES.toLocaleString('en-US')} (${place}, in batches)`,
    unit: 'ns',
    baseline: 'up to 10 %',
    series: seriesOf(fills[place]),
  }));
}
