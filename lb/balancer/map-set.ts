import { BPF_NOEXIST, type BpfMap, ERRNO } from '../bpf/maps/map.js';
import { CodedError } from '../errors.js';
import { type BalancerMapName, encode, MAP_SCHEMA, U32 } from './schema.js';

export type TablesFault =
  | { readonly code: 'TABLES_MAP_MISSING'; readonly map: string }
  | {
      readonly code: 'TABLES_MAP_SHAPE';
      readonly map: string;
      readonly keySize: number;
      readonly valueSize: number;
    }
  | {
      readonly code: 'TABLES_WRITE';
      readonly map: string;
      readonly operation: string;
      readonly errno: number;
    }
  | { readonly code: 'TABLES_RANGE'; readonly what: string; readonly value: number }
  | { readonly code: 'TABLES_PREFIX_VIP'; readonly what: string }
  | { readonly code: 'TABLES_NO_HOST'; readonly what: string };

/** A map that is not there, a write that was refused, or a number out of range. */
export class TablesError extends CodedError<TablesFault> {}

/** @throws TablesError TABLES_RANGE unless `value` is a whole number from `min` to `max` */
export function checkRange(what: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new TablesError(
    { code: 'TABLES_RANGE', what, value },
    `${what} ${value} is not within ${min} to ${max}`,
  );
}

/** Key of a map that is indexed by number. */
export const u32Bytes = (value: number): Uint8Array => encode(U32, { value });

/**
 * The balancer's maps by name, each of the shape that the schema says; writes that are refused are faults. Entries of
 * hashes and tries are counted as they come and go: there is one writer.
 */
export class MapSet {
  readonly #maps: Readonly<Record<BalancerMapName, BpfMap>>;
  readonly #entries = new Map<BalancerMapName, number>();

  /** @throws TablesError TABLES_MAP_MISSING, TABLES_MAP_SHAPE */
  constructor(maps: ReadonlyMap<string, BpfMap>) {
    const names = Object.keys(MAP_SCHEMA) as BalancerMapName[];
    this.#maps = Object.fromEntries(names.map((name) => [name, checkedMap(maps, name)])) as Record<
      BalancerMapName,
      BpfMap
    >;
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

  /** Entries that `put` wrote and `delete` left. */
  entries(name: BalancerMapName): number {
    return this.#entries.get(name) ?? 0;
  }

  /** Write zero over rows of a map, in all CPUs' copies. @throws TablesError TABLES_WRITE */
  clear(name: BalancerMapName, first: number, count = 1): void {
    const zeros = new Uint8Array(this.#maps[name].valueBytes);
    for (let row = first; row < first + count; row++) this.update(name, u32Bytes(row), zeros);
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
