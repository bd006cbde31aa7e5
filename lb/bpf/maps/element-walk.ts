import type { Arena } from '../memory/arena.js';
import {
  AREA_BYTES,
  AREA_GROW_END,
  AREA_GROWN,
  ELEMENT_HOLDER,
  ELEMENT_KEY,
  ELEMENT_LINKED,
  ELEMENT_REFERENCED,
  HASH_AREAS,
  HASH_CPUS,
  HASH_ELEMENTS,
  HASH_STRIDE,
  HASH_TOTAL,
  HASH_VALUE,
  MAP_ID,
} from '../memory/layout.js';
import type { ArenaMapInfo } from './arena-map.js';
import type { ArenaMapType } from './plan.js';

/** Types that are a hash underneath. */
const HASH_TYPES: ReadonlySet<ArenaMapType> = new Set([
  'HASH',
  'LRU_HASH',
  'PERCPU_HASH',
  'LRU_PERCPU_HASH',
  'HASH_OF_MAPS',
]);
/** The byte that lookups set, in the word that begins with it. */
const REFERENCED_MASK = 0xff;
/** From here on `set` is faster than a loop. */
const LONG_BYTES = 48;

const align8 = (bytes: number) => (bytes + 7) & ~7;

export const isHashType = (type: ArenaMapType): boolean => HASH_TYPES.has(type);

/**
 * A walk along the elements of a hash and not its chains: one reading of the memory in order, without a lock, while
 * others change the map. Each entry is whole, as bpf() shows it; one that is replaced meanwhile may come twice or not.
 */
export class ElementWalk {
  readonly #arena: Arena;
  readonly #info: ArenaMapInfo;
  readonly #elements: number;
  readonly #stride: number;
  readonly #total: number;
  readonly #valueAt: number;
  readonly #shared: number;
  #index: number;

  /** @param index where a walk before stopped (`index`), 0 for the first element */
  constructor(arena: Arena, info: ArenaMapInfo, index = 0) {
    this.#arena = arena;
    this.#info = info;
    const word = (offset: number) => arena.u32[(info.descriptor + offset) >>> 2]!;
    this.#elements = word(HASH_ELEMENTS);
    this.#stride = word(HASH_STRIDE);
    this.#total = word(HASH_TOTAL);
    this.#valueAt = word(HASH_VALUE);
    this.#shared = word(HASH_AREAS) + word(HASH_CPUS) * AREA_BYTES;
    this.#index = index;
  }

  /** Number of the element to look at next. */
  get index(): number {
    return this.#index;
  }

  /**
   * Copy the next entry.
   * @param value as long as what `lookup` gives
   * @returns false at the end
   */
  next(key: Uint8Array, value: Uint8Array): boolean {
    const { u8, u32 } = this.#arena;
    while (this.#index < this.#total) {
      const element = this.#elements + this.#index++ * this.#stride;
      if (u8[element + ELEMENT_HOLDER] !== ELEMENT_LINKED) {
        // Nobody was given what is between these: its memory need not exist.
        if (element === this.#word(AREA_GROWN)) {
          const rest = (this.#word(AREA_GROW_END) - this.#elements) / this.#stride;
          this.#index = Math.max(this.#index, rest);
        }
        continue;
      }
      // Holder and generation are in one word: an element that was filled anew meanwhile is a torn copy.
      const word = (element + ELEMENT_REFERENCED) >>> 2;
      const before = Atomics.load(u32, word) & ~REFERENCED_MASK;
      copy(u8, element + ELEMENT_KEY, key, 0, this.#info.keySize);
      this.#copyValue(element + this.#valueAt, value);
      if (before === (Atomics.load(u32, word) & ~REFERENCED_MASK)) return true;
    }
    return false;
  }

  #word(offset: number): number {
    return Atomics.load(this.#arena.u32, (this.#shared + offset) >>> 2);
  }

  #copyValue(at: number, value: Uint8Array): void {
    const { u8, u32 } = this.#arena;
    const { valueSize, cpus, cpuStride, type, lockOffset } = this.#info;
    if (type === 'HASH_OF_MAPS') {
      const descriptor = u32[at >>> 2]!;
      copy(u8, descriptor + MAP_ID, value, 0, valueSize);
      return;
    }
    if (cpuStride === 0) {
      copy(u8, at, value, 0, valueSize);
      if (lockOffset !== undefined) value.fill(0, lockOffset, lockOffset + 4);
      return;
    }
    const copies = u32[at >>> 2]!;
    for (let cpu = 0; cpu < cpus; cpu++) {
      copy(u8, copies + cpu * cpuStride, value, cpu * align8(valueSize), valueSize);
    }
  }
}

function copy(from: Uint8Array, at: number, to: Uint8Array, offset: number, bytes: number): void {
  if (bytes >= LONG_BYTES) to.set(from.subarray(at, at + bytes), offset);
  else for (let i = 0; i < bytes; i++) to[offset + i] = from[at + i]!;
}
