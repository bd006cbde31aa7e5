import type { Arena } from '../memory/arena.js';
import {
  AREA_BYTES,
  AREA_END,
  AREA_FREE,
  AREA_GROW_END,
  AREA_GROW_LOCK,
  AREA_GROWN,
  AREA_LOCK,
  AREA_NEXT,
  AREA_RING,
  AREA_RING_SLOTS,
  BUCKET_BYTES,
  BUCKET_LOCK,
  ELEMENT_HASH,
  ELEMENT_HOLDER,
  ELEMENT_LINK,
  ELEMENT_LINKED,
  ELEMENT_NEXT,
  HASH_AREAS,
  HASH_BUCKETS,
  HASH_CPUS,
  HASH_ELEMENTS,
  HASH_MASK,
  HASH_STRIDE,
  HASH_TOTAL,
} from '../memory/layout.js';
import type { ArenaMapInfo } from './arena-map.js';

/** Where the elements of a hash of any kind are. They add up to `total` where there is no fault. */
export interface HashAudit {
  readonly total: number;
  /** In a chain: entries of the map. */
  readonly linked: number;
  /** In the CPUs' rings. */
  readonly resting: number;
  /** On free lists. */
  readonly free: number;
  /** Never used. */
  readonly unused: number;
  readonly longestChain: number;
  /** What is broken, in words; empty for a map that is whole. */
  readonly faults: readonly string[];
}

/** Walk a hash that no CPU is working on, and say whether each element is in exactly one place. */
export function auditHash(arena: Arena, info: ArenaMapInfo): HashAudit {
  const audit = new Audit(arena, info);
  audit.walkChains();
  audit.walkAreas();
  return audit.result();
}

type Place = 'linked' | 'resting' | 'free' | 'unused';

class Audit {
  readonly #arena: Arena;
  readonly #descriptor: number;
  readonly #stride: number;
  readonly #elements: number;
  readonly #total: number;
  readonly #cpus: number;
  readonly #places = new Map<number, Place>();
  readonly #counts: Record<Place, number> = { linked: 0, resting: 0, free: 0, unused: 0 };
  readonly #faults: string[] = [];
  #longestChain = 0;

  constructor(arena: Arena, info: ArenaMapInfo) {
    this.#arena = arena;
    this.#descriptor = info.descriptor;
    this.#stride = this.#word(info.descriptor + HASH_STRIDE);
    this.#elements = this.#word(info.descriptor + HASH_ELEMENTS);
    this.#total = this.#word(info.descriptor + HASH_TOTAL);
    this.#cpus = this.#word(info.descriptor + HASH_CPUS);
  }

  walkChains(): void {
    const buckets = this.#word(this.#descriptor + HASH_BUCKETS);
    const mask = this.#word(this.#descriptor + HASH_MASK);
    for (let i = 0; i <= mask; i++) {
      const bucket = buckets + i * BUCKET_BYTES;
      const owner = this.#word(bucket + BUCKET_LOCK) & 255;
      if (owner !== 0) this.#faults.push(`bucket ${i} is locked by CPU ${owner - 1}`);
      let length = 0;
      for (let e = this.#word(bucket); e !== 0; e = this.#word(e + ELEMENT_NEXT)) {
        if (!this.#found(e, 'linked')) break;
        length++;
        if ((this.#word(e + ELEMENT_HASH) & mask) !== i)
          this.#faults.push(`element ${e} in wrong bucket ${i}`);
      }
      this.#longestChain = Math.max(this.#longestChain, length);
    }
  }

  walkAreas(): void {
    for (let i = 0; i <= this.#cpus; i++) {
      const area = this.#area(i);
      for (const [lock, name] of [
        [AREA_LOCK, 'area'],
        [AREA_GROW_LOCK, 'growth'],
      ] as const) {
        const owner = this.#word(area + lock);
        if (owner !== 0) this.#faults.push(`the ${name} lock of ${i} is held by CPU ${owner - 1}`);
      }
      for (let e = this.#word(area + AREA_FREE); e !== 0; e = this.#word(e + ELEMENT_LINK)) {
        if (!this.#found(e, 'free')) break;
      }
      this.#walkUnused(this.#word(area + AREA_NEXT), this.#word(area + AREA_END));
      if (i === this.#cpus) continue;
      for (let slot = 0; slot < AREA_RING_SLOTS; slot++) {
        this.#found(this.#word(area + AREA_RING + slot * 4), 'resting', i);
      }
    }
    const shared = this.#area(this.#cpus);
    this.#walkUnused(this.#word(shared + AREA_GROWN), this.#word(shared + AREA_GROW_END));
  }

  result(): HashAudit {
    const found = this.#places.size;
    if (found !== this.#total)
      this.#faults.push(`${this.#total - found} of ${this.#total} elements are lost`);
    return {
      ...this.#counts,
      total: this.#total,
      longestChain: this.#longestChain,
      faults: this.#faults,
    };
  }

  #walkUnused(from: number, to: number): void {
    for (let e = from; e < to; e += this.#stride) this.#found(e, 'unused');
  }

  /** Note where an element is; false where a list would go round in a circle or out of the map. */
  #found(e: number, place: Place, cpu = 0): boolean {
    const index = (e - this.#elements) / this.#stride;
    if (!Number.isInteger(index) || index < 0 || index >= this.#total) {
      this.#faults.push(`${place}: ${e} is no element`);
      return false;
    }
    const before = this.#places.get(e);
    if (before !== undefined) {
      this.#faults.push(`element ${index} is ${before} and ${place}`);
      return false;
    }
    this.#places.set(e, place);
    this.#counts[place]++;
    const want = { linked: ELEMENT_LINKED, resting: cpu + 1, free: 0, unused: 0 }[place];
    const holder = this.#arena.u8[e + ELEMENT_HOLDER]!;
    if (holder !== want) this.#faults.push(`element ${index} is ${place}, but held by ${holder}`);
    return true;
  }

  #area(index: number): number {
    return this.#word(this.#descriptor + HASH_AREAS) + index * AREA_BYTES;
  }

  #word(offset: number): number {
    return Atomics.load(this.#arena.u32, offset >>> 2);
  }
}
