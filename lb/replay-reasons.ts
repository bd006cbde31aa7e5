import { DECAP_DROP_SLOTS, HC_STATS } from './balancer/companions/schema.js';
import { DECAP_STATS, encode, U32 } from './balancer/schema.js';
import type { BpfMap } from './bpf/maps/map.js';

/** One number that tells, when it moves, what became of a packet. */
interface Clue {
  readonly map: string;
  readonly row: number;
  /** Offset in the value, bytes. */
  readonly offset: number;
  readonly reason: string;
}

const drops = Object.entries(DECAP_DROP_SLOTS).map(
  ([reason, row]): Clue => ({ map: 'decap_drops', row, offset: 0, reason }),
);
const hc = (field: keyof (typeof HC_STATS)['fields'], reason: string): Clue => ({
  map: 'hc_stats_map',
  row: 0,
  offset: HC_STATS.fields[field].offset,
  reason,
});

/** The most telling first: several numbers may move for one packet. */
const CLUES: readonly Clue[] = [
  ...drops,
  { map: 'decap_counters', row: 0, offset: DECAP_STATS.fields.total.offset, reason: 'decapsulated' },
  hc('too_big', 'too_big'),
  hc('dropped', 'dropped'),
  hc('dst_matched', 'destination_matched'),
  hc('src_matched', 'source_matched'),
  hc('processed', 'processed'),
  hc('skipped', 'skipped'),
];

/**
 * Why programs other than the balancer's did what they did: by the counter of theirs that moved, or by the verdict
 * alone where they have none that is known.
 */
export class CounterReasons {
  readonly #clues: readonly { readonly map: BpfMap; readonly key: Uint8Array; readonly clue: Clue }[];
  #before: bigint[] = [];

  constructor(maps: ReadonlyMap<string, BpfMap>) {
    this.#clues = CLUES.flatMap((clue) => {
      const map = maps.get(clue.map);
      return map === undefined ? [] : [{ map, key: encode(U32, { value: clue.row }), clue }];
    });
  }

  /** To be called before a run. */
  prepare(): void {
    this.#before = this.#read();
  }

  /** @param verdict name of what the program returned */
  reason(verdict: string): string {
    const now = this.#read();
    const moved = this.#clues.find((_, index) => now[index] !== this.#before[index]);
    return moved?.clue.reason ?? verdict.replace(/^(XDP|TC_ACT)_/, '').toLowerCase();
  }

  #read(): bigint[] {
    return this.#clues.map(({ map, key, clue }) => {
      const copies = map.lookup(key);
      if (copies === undefined) return 0n;
      const view = new DataView(copies.buffer, copies.byteOffset, copies.byteLength);
      const stride = map.valueBytes / map.cpus;
      let sum = 0n;
      for (let cpu = 0; cpu < map.cpus; cpu++) sum += view.getBigUint64(cpu * stride + clue.offset, true);
      return sum;
    });
  }
}
