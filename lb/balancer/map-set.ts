import { BPF_NOEXIST, type BpfMap, ERRNO } from '../bpf/maps/map.js';
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
export class MapSet {
  /** What the maps have room for. */
  readonly limits: Limits;
  readonly #maps: Readonly<Record<BalancerMapName, BpfMap>>;
  readonly #entries = new Map<BalancerMapName, number>();

  /** @throws TablesError TABLES_MAP_MISSING, TABLES_MAP_SHAPE */
  constructor(maps: ReadonlyMap<string, BpfMap>) {
    const names = Object.keys(MAP_SCHEMA) as BalancerMapName[];
    this.#maps = Object.fromEntries(names.map((name) => [name, checkedMap(maps, name)])) as Record<
      BalancerMapName,
      BpfMap
    >;
    this.limits = new Limits((name) => this.#maps[name].spec.maxEntries);
  }

  get(name: BalancerMapName): BpfMap {
    return this.#maps[name];
  }

  lookup(name: BalancerMapName, key: Uint8Array): Uint8Array | undefined {
    return this.#maps[name].lookup(key);
  }

  /** Write a row of an array. @throws TablesError TABLES_WRITE */
  update(name: BalancerMapName, key: Uint8Array, value: Uint8Array): void {
    this.check(name, 'update', this.#maps[name].update(key, value));
  }

  /**
   * Write an entry of a hash or a trie.
   * @returns whether it was not there before; in a trie, just this prefix
   * @throws TablesError TABLES_WRITE
   */
  put(name: BalancerMapName, key: Uint8Array, value: Uint8Array): boolean {
    const result = this.#maps[name].update(key, value, BPF_NOEXIST);
    if (result === -ERRNO.EEXIST) {
      this.update(name, key, value);
      return false;
    }
    this.check(name, 'update', result);
    this.#entries.set(name, this.entries(name) + 1);
    return true;
  }

  /** Take an entry out; one that is not there is out already. @throws TablesError TABLES_WRITE */
  delete(name: BalancerMapName, key: Uint8Array): void {
    const result = this.#maps[name].delete(key);
    if (result === -ERRNO.ENOENT) return;
    this.check(name, 'delete', result);
    this.#entries.set(name, this.entries(name) - 1);
  }

  /** Count the entries that another writer left. */
  adopt(name: BalancerMapName): void {
    let count = 0;
    this.#maps[name].forEach(() => {
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
    const map = this.#maps[name];
    const zeros = new Uint8Array(map.valueBytes * Math.min(count, CLEARED_ROWS));
    for (let row = first; row < first + count; row += CLEARED_ROWS) {
      const rows = Math.min(CLEARED_ROWS, first + count - row);
      const keys = Uint32Array.from({ length: rows }, (_, i) => row + i);
      const values = zeros.subarray(0, rows * map.valueBytes);
      this.check(name, 'update batch', map.updateBatch(new Uint8Array(keys.buffer), values, rows));
    }
  }

  /**
   * Turn the result of a map's operation into a fault where it is one.
   * @throws TablesError TABLES_WRITE
   */
  check(map: string, operation: string, result: number): void {
    if (result >= 0) return;
    const name = Object.entries(ERRNO).find(([, errno]) => errno === -result)?.[0] ?? `errno ${-result}`;
    throw new TablesError(
      { code: 'TABLES_WRITE', map, operation, errno: -result },
      `map ${map}: ${operation} failed: ${name}`,
    );
  }
}

function checkedMap(maps: ReadonlyMap<string, BpfMap>, name: BalancerMapName): BpfMap {
  const map = maps.get(name);
  if (map === undefined) {
    throw new TablesError({ code: 'TABLES_MAP_MISSING', map: name }, `the balancer's map ${name} is missing`);
  }
  const { keySize, valueSize } = map.spec;
  const schema = MAP_SCHEMA[name];
  if (keySize !== schema.key.sizeBytes || valueSize !== schema.value.sizeBytes) {
    throw new TablesError(
      { code: 'TABLES_MAP_SHAPE', map: name, keySize, valueSize },
      `map ${name} has keys of ${keySize} and values of ${valueSize} bytes, wanted ${schema.key.sizeBytes} and ${schema.value.sizeBytes}`,
    );
  }
  return map;
}
