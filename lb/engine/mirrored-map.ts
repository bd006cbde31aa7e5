import type { Batch, BpfMap, MapSpec } from '../bpf/maps/map.js';
import { BPF_NOEXIST } from '../bpf/maps/map.js';

/**
 * A map and a copy of it elsewhere: entries that are written go to both, what is read comes from the map. The map has an
 * entry first and loses it last, so that whoever goes by the copy finds it in the map.
 */
export class MirroredMap implements BpfMap {
  readonly #map: BpfMap;
  readonly #copy: BpfMap;

  /** @param copy of the same shape, and empty as the map is; closed by its owner */
  constructor(map: BpfMap, copy: BpfMap) {
    this.#map = map;
    this.#copy = copy;
  }

  get spec(): MapSpec {
    return this.#map.spec;
  }

  get cpus(): number {
    return this.#map.cpus;
  }

  get valueBytes(): number {
    return this.#map.valueBytes;
  }

  lookup(key: Uint8Array, flags?: number): Uint8Array | undefined {
    return this.#map.lookup(key, flags);
  }

  update(key: Uint8Array, value: Uint8Array, flags = 0): number {
    const result = this.#map.update(key, value, flags);
    if (result < 0) return result;
    const copied = this.#copy.update(key, value);
    // Only one that is new for certain is taken back: the copy may have the key of another, which has to stay.
    if (copied < 0 && flags === BPF_NOEXIST) this.#map.delete(key);
    return copied < 0 ? copied : result;
  }

  delete(key: Uint8Array): number {
    this.#copy.delete(key);
    return this.#map.delete(key);
  }

  lookupAndDelete(key: Uint8Array): Uint8Array | undefined {
    this.#copy.delete(key);
    return this.#map.lookupAndDelete(key);
  }

  contains(value: Uint8Array): boolean {
    return this.#map.contains(value);
  }

  nextKey(after?: Uint8Array): Uint8Array | undefined {
    return this.#map.nextKey(after);
  }

  forEach(visit: (key: Uint8Array, value: Uint8Array) => void): void {
    this.#map.forEach(visit);
  }

  lookupBatch(count: number, from?: Uint8Array): Batch {
    return this.#map.lookupBatch(count, from);
  }

  deleteBatch(keys: Uint8Array, count: number): number {
    this.#copy.deleteBatch(keys, count);
    return this.#map.deleteBatch(keys, count);
  }

  updateBatch(keys: Uint8Array, values: Uint8Array, count: number): number {
    const result = this.#map.updateBatch(keys, values, count);
    return result < 0 ? result : this.#copy.updateBatch(keys, values, count);
  }

  updateInner(key: Uint8Array, inner: BpfMap): number {
    return this.#map.updateInner(key, inner);
  }

  close(): void {
    this.#map.close();
  }
}
