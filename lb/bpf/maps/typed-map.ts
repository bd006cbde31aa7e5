import { CodedError, type Fault } from '../../errors.js';
import type { Btf } from '../object/btf.js';
import { type BtfValue, type ValueCodec, type ValueInput, valueCodec } from '../object/values.js';
import { errnoName } from './errno.js';
import { BPF_ANY, BPF_EXIST, BPF_NOEXIST, type BpfMap, ERRNO, type MapSpec } from './map.js';
import { plainCodec } from './plain-codec.js';

export interface TypedMapFault extends Fault {
  readonly code: 'MAP_REFUSED' | 'MAP_CPUS';
  readonly map: string;
  /** Of MAP_REFUSED: the kernel's errno, by name. */
  readonly errno?: string;
}
/** The map refused an operation, with the kernel's errno; or a value has not one copy for each CPU. */
export class TypedMapError extends CodedError<TypedMapFault> {}

/** What has to be there before a value is written: anything, nothing of that key, or something. */
export const UPDATE_CONDITIONS = { any: BPF_ANY, absent: BPF_NOEXIST, present: BPF_EXIST } as const;
export type UpdateCondition = keyof typeof UPDATE_CONDITIONS;

export interface TypedMapOptions {
  /** Types of the object; keys and values of a map whose types it does not know are numbers or bytes (plainCodec). */
  readonly btf?: Btf | undefined;
  /** In the place of the types: where values stand for something else, such as programs. */
  readonly value?: ValueCodec;
}

/** Of TypedMaps of any types. */
interface HasMap {
  readonly map: BpfMap;
}

/** Entries that are written with one call. */
const BATCH_ENTRIES = 4096;
const NO_KEY = new Uint8Array(0);
const MAPS_OF_MAPS: ReadonlySet<string> = new Set(['ARRAY_OF_MAPS', 'HASH_OF_MAPS']);

/**
 * A map by the C types of its keys and values, in the arena or in the kernel. K and V are what `decodeValue` gives
 * (formatTypeScript writes them); a value of a per-CPU map is an array with one for each CPU, of the arena's CPUs the
 * last is the control plane's own. Without types, 4 bytes are a number, 8 a bigint, anything else a Uint8Array.
 *
 * Every operation throws ValueError for a key or value that does not fit, TypedMapError MAP_REFUSED with the errno
 * where the map says no, and what BpfMap throws.
 */
export class TypedMap<K = BtfValue, V = BtfValue> implements Iterable<[K, V]> {
  /** The map underneath. */
  readonly map: BpfMap;
  readonly #key: ValueCodec;
  readonly #value: ValueCodec;
  /** From one CPU's copy to the next, bytes. */
  readonly #stride: number;
  readonly #isPerCpu: boolean;

  constructor(map: BpfMap, { btf, value }: TypedMapOptions = {}) {
    const { keySize, valueSize, keyTypeId, valueTypeId } = map.spec;
    this.map = map;
    this.#key = codecFor(btf, keyTypeId, keySize);
    this.#value = value ?? codecFor(btf, valueTypeId, valueSize);
    this.#isPerCpu = map.spec.type.includes('PERCPU');
    this.#stride = this.#isPerCpu ? map.valueBytes / map.cpus : map.valueBytes;
  }

  get spec(): MapSpec {
    return this.map.spec;
  }

  /** Entries that are there now; they are counted. */
  get size(): number {
    let count = 0;
    this.map.forEach(() => {
      count++;
    });
    return count;
  }

  /** The value, or undefined where there is none. An element of an array is always there. */
  get(key: ValueInput<K>): V | undefined {
    const value = this.map.lookup(this.#key.encode(key));
    return value === undefined ? undefined : this.#decode(value);
  }

  has(key: ValueInput<K>): boolean {
    return this.map.lookup(this.#key.encode(key)) !== undefined;
  }

  /** Write a value; in a map of maps, a TypedMap over a map of the same host. */
  set(key: ValueInput<K>, value: ValueInput<V> | HasMap, when: UpdateCondition = 'any'): this {
    const bytes = this.#key.encode(key);
    if (value instanceof TypedMap) return this.#done('update', this.map.updateInner(bytes, value.map));
    return this.#done('update', this.map.update(bytes, this.#encode(value), UPDATE_CONDITIONS[when]));
  }

  /** @returns false where there was nothing of that key */
  delete(key: ValueInput<K>): boolean {
    const status = this.map.delete(this.#key.encode(key));
    if (status === -ERRNO.ENOENT) return false;
    this.#done('delete', status);
    return true;
  }

  /**
   * Delete an entry and give its value (BPF_MAP_LOOKUP_AND_DELETE_ELEM); undefined where there is none. Where the map
   * cannot do both at once, a program may write the value between the two.
   */
  take(key: ValueInput<K>): V | undefined {
    const bytes = this.#key.encode(key);
    let value = this.map.lookupAndDelete(bytes);
    if (value === undefined) {
      value = this.map.lookup(bytes);
      if (value === undefined || this.map.delete(bytes) !== 0) return undefined;
    }
    return this.#decode(value);
  }

  /** QUEUE, STACK and BLOOM_FILTER: add a value; 'present' makes room for it by dropping the oldest. */
  push(value: ValueInput<V>, when: UpdateCondition = 'any'): this {
    return this.#done('push', this.map.update(NO_KEY, this.#encode(value), UPDATE_CONDITIONS[when]));
  }

  /** BLOOM_FILTER: false says that the value was never pushed, true that it probably was. */
  contains(value: ValueInput<V>): boolean {
    return this.map.contains(this.#encode(value));
  }

  /** QUEUE and STACK: the next value, which stays; undefined where there is none. */
  peek(): V | undefined {
    const value = this.map.lookup(NO_KEY);
    return value === undefined ? undefined : this.#decode(value);
  }

  /** QUEUE and STACK: the next value, which goes; undefined where there is none. */
  pop(): V | undefined {
    const value = this.map.lookupAndDelete(NO_KEY);
    return value === undefined ? undefined : this.#decode(value);
  }

  /** Write many entries; where one is refused, those before it are written. */
  setAll(entries: Iterable<readonly [ValueInput<K>, ValueInput<V> | HasMap]>): this {
    if (MAPS_OF_MAPS.has(this.spec.type)) {
      for (const [key, value] of entries) this.set(key, value);
      return this;
    }
    const { keySize } = this.spec;
    const { valueBytes } = this.map;
    const keys = new Uint8Array(BATCH_ENTRIES * keySize);
    const values = new Uint8Array(BATCH_ENTRIES * valueBytes);
    let count = 0;
    const flush = (): void => {
      const part = [keys.subarray(0, count * keySize), values.subarray(0, count * valueBytes)] as const;
      this.#done('update', this.map.updateBatch(...part, count));
      count = 0;
    };
    for (const [key, value] of entries) {
      keys.set(this.#key.encode(key), count * keySize);
      values.set(this.#encode(value), count * valueBytes);
      if (++count === BATCH_ENTRIES) flush();
    }
    if (count > 0) flush();
    return this;
  }

  /** Delete every entry (every element that can be deleted: an array has none). */
  clear(): void {
    for (const key of [...this.#keyBytes()]) {
      const status = this.map.delete(key);
      if (status !== -ERRNO.ENOENT) this.#done('delete', status);
    }
  }

  /** Keys as they come (BPF_MAP_GET_NEXT_KEY); programs may change the map meanwhile. */
  *keys(): IterableIterator<K> {
    for (const key of this.#keyBytes()) yield this.#key.decode(key) as K;
  }

  *values(): IterableIterator<V> {
    for (const [, value] of this.entries()) yield value;
  }

  *entries(): IterableIterator<[K, V]> {
    for (const key of this.#keyBytes()) {
      const value = this.map.lookup(key);
      if (value !== undefined) yield [this.#key.decode(key) as K, this.#decode(value)];
    }
  }

  [Symbol.iterator](): IterableIterator<[K, V]> {
    return this.entries();
  }

  *#keyBytes(): IterableIterator<Uint8Array> {
    // A walk starts over where the key that it stands on is deleted meanwhile; the bound ends it all the same.
    let left = this.spec.maxEntries;
    for (let key = this.map.nextKey(); key !== undefined && left > 0; left--) {
      // The next one first: the caller may delete this one.
      const next = this.map.nextKey(key);
      yield key;
      key = next;
    }
  }

  #decode(bytes: Uint8Array): V {
    const { cpus, spec } = this.map;
    if (!this.#isPerCpu) return this.#value.decode(bytes) as V;
    return Array.from({ length: cpus }, (_, cpu) =>
      this.#value.decode(bytes.subarray(cpu * this.#stride, cpu * this.#stride + spec.valueSize)),
    ) as V;
  }

  #encode(value: unknown): Uint8Array {
    const { cpus, spec, valueBytes } = this.map;
    if (!this.#isPerCpu) return this.#value.encode(value);
    if (!Array.isArray(value) || value.length !== cpus) {
      throw new TypedMapError(
        { code: 'MAP_CPUS', map: spec.name },
        `map ${spec.name}: an array of ${cpus} values is wanted, one for each CPU`,
      );
    }
    const bytes = new Uint8Array(valueBytes);
    for (const [cpu, copy] of value.entries())
      this.#value.encode(copy, bytes.subarray(cpu * this.#stride, cpu * this.#stride + spec.valueSize));
    return bytes;
  }

  #done(operation: string, status: number): this {
    if (status === 0) return this;
    const errno = errnoName(-status);
    const { name, type } = this.spec;
    throw new TypedMapError(
      { code: 'MAP_REFUSED', map: name, errno },
      `map ${name} (${type}): ${operation}: ${errno}`,
    );
  }
}

function codecFor(btf: Btf | undefined, typeId: number | undefined, sizeBytes: number): ValueCodec {
  if (btf === undefined || typeId === undefined) return plainCodec(sizeBytes);
  const codec = valueCodec(btf, typeId);
  // The value of a map of maps is a number, whatever the type that the definition names.
  return codec.sizeBytes === sizeBytes ? codec : plainCodec(sizeBytes);
}
