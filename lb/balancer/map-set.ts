import { BPF_NOEXIST, type BpfMap, ERRNO } from '../bpf/maps/map.js';
import { CheckedMaps } from './checked-maps.js';
import { Limits } from './limits.js';
import { type BalancerMapName, encode, MAP_SCHEMA, U32 } from './schema.js';
import { TablesError } from './tables-fault.js';

export { checkRange, TablesError, type TablesFault } from './tables-fault.js';

/** Rows that are cleared with one call. */
const CLEARED_ROWS = 1024;

/** Key of a map that is indexed by number. */
export const u32Bytes = (value: number): Uint8Array => encode(U32, { value });

/**
 * The balancer's maps by name, each of the shape that the schema says; writes that are refused are faults. Entries of
 * hashes and tries are counted as they come and go: there is one writer.
 */
export class MapSet extends CheckedMaps<typeof MAP_SCHEMA, 'TABLES'> {
  /** What the maps have room for. */
  readonly limits = new Limits((name) => this.get(name).spec.maxEntries);
  readonly #entries = new Map<BalancerMapName, number>();

  /** @throws TablesError TABLES_MAP_MISSING, TABLES_MAP_SHAPE */
  constructor(maps: ReadonlyMap<string, BpfMap>) {
    super(maps, MAP_SCHEMA, { area: 'TABLES', Fault: TablesError });
  }

  lookup(name: BalancerMapName, key: Uint8Array): Uint8Array | undefined {
    return this.get(name).lookup(key);
  }

  /**
   * Write an entry of a hash or a trie.
   * @returns whether it was not there before; in a trie, just this prefix
   * @throws TablesError TABLES_WRITE
   */
  put(name: BalancerMapName, key: Uint8Array, value: Uint8Array): boolean {
    const result = this.get(name).update(key, value, BPF_NOEXIST);
    if (result === -ERRNO.EEXIST) {
      this.update(name, key, value);
      return false;
    }
    this.check(name, 'update', result);
    this.#entries.set(name, this.entries(name) + 1);
    return true;
  }

  /** @throws TablesError TABLES_WRITE */
  override delete(name: BalancerMapName, key: Uint8Array): boolean {
    const wasThere = super.delete(name, key);
    if (wasThere) this.#entries.set(name, this.entries(name) - 1);
    return wasThere;
  }

  /** Count the entries that another writer left. */
  adopt(name: BalancerMapName): void {
    let count = 0;
    this.get(name).forEach(() => {
      count++;
    });
    this.#entries.set(name, count);
  }

  /** Entries that `put` wrote and `delete` left. */
  entries(name: BalancerMapName): number {
    return this.#entries.get(name) ?? 0;
  }

  /** Write zero over rows of a map, in all CPUs' copies. @throws TablesError TABLES_WRITE */
  clear(name: BalancerMapName, first: number, count = 1): void {
    const map = this.get(name);
    const zeros = new Uint8Array(map.valueBytes * Math.min(count, CLEARED_ROWS));
    for (let row = first; row < first + count; row += CLEARED_ROWS) {
      const rows = Math.min(CLEARED_ROWS, first + count - row);
      const keys = Uint32Array.from({ length: rows }, (_, i) => row + i);
      const values = zeros.subarray(0, rows * map.valueBytes);
      this.check(name, 'update batch', map.updateBatch(new Uint8Array(keys.buffer), values, rows));
    }
  }
}
