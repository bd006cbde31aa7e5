import type { Subprogram } from './program.js';

/**
 * Which slots of a function's frame are still read, from each of its instructions on: as far as the walk has seen,
 * for one chain of calls that leads to the function. A kept state is compared only when all paths from it are at
 * their ends, so that every read has been seen by then.
 *
 * Reads through a pointer in a function that was called count at the call. Writes count only where every visit of the
 * instruction wrote all eight bytes of a slot of its own frame.
 */
export class SlotUses {
  readonly #successors: Int32Array;
  readonly #subprograms: readonly Subprogram[];
  readonly #start: number;
  readonly #length: number;
  readonly #callees = new Map<number, SlotUses>();
  readonly #readLo: Int32Array;
  readonly #readHi: Int32Array;
  readonly #writeLo: Int32Array;
  readonly #writeHi: Int32Array;
  /** Whether an instruction that may write was visited. */
  readonly #wrote: Uint8Array;
  readonly #liveLo: Int32Array;
  readonly #liveHi: Int32Array;
  #isStale = false;

  /** @param successors see Program */
  constructor(successors: Int32Array, subprograms: readonly Subprogram[], subprogram: number) {
    const { start, end } = subprograms[subprogram]!;
    this.#successors = successors;
    this.#subprograms = subprograms;
    this.#start = start;
    this.#length = end - start;
    this.#readLo = new Int32Array(this.#length);
    this.#readHi = new Int32Array(this.#length);
    this.#writeLo = new Int32Array(this.#length);
    this.#writeHi = new Int32Array(this.#length);
    this.#wrote = new Uint8Array(this.#length);
    this.#liveLo = new Int32Array(this.#length);
    this.#liveHi = new Int32Array(this.#length);
  }

  /** Those of a function that is called from here. */
  callee(callSite: number, subprogram: number): SlotUses {
    const key = callSite * this.#subprograms.length + subprogram;
    let callee = this.#callees.get(key);
    if (callee === undefined) {
      callee = new SlotUses(this.#successors, this.#subprograms, subprogram);
      this.#callees.set(key, callee);
    }
    return callee;
  }

  /** @param at slot of the instruction in this function */
  noteRead(at: number, slot: number): void {
    const index = at - this.#start;
    const reads = slot < 32 ? this.#readLo : this.#readHi;
    const bit = 1 << (slot & 31);
    if ((reads[index]! & bit) !== 0) return;
    reads[index]! |= bit;
    this.#isStale = true;
  }

  /**
   * A store was followed.
   * @param slot the one that it wrote whole, or -1
   */
  noteWrite(at: number, slot: number): void {
    const index = at - this.#start;
    const lo = slot >= 0 && slot < 32 ? 1 << slot : 0;
    const hi = slot >= 32 ? 1 << (slot & 31) : 0;
    if (this.#wrote[index] === 0) {
      this.#wrote[index] = 1;
      this.#writeLo[index] = lo;
      this.#writeHi[index] = hi;
      if (slot >= 0) this.#isStale = true;
      return;
    }
    const nextLo = this.#writeLo[index]! & lo;
    const nextHi = this.#writeHi[index]! & hi;
    if (nextLo === this.#writeLo[index] && nextHi === this.#writeHi[index]) return;
    this.#writeLo[index] = nextLo;
    this.#writeHi[index] = nextHi;
    this.#isStale = true;
  }

  /** Slots 0 to 31 that are read from an instruction on, as bits. */
  liveLo(at: number): number {
    if (this.#isStale) this.#update();
    return this.#liveLo[at - this.#start]!;
  }

  /** Slots 32 to 63. */
  liveHi(at: number): number {
    if (this.#isStale) this.#update();
    return this.#liveHi[at - this.#start]!;
  }

  /** Backwards through the function until nothing changes. */
  #update(): void {
    this.#isStale = false;
    const liveLo = this.#liveLo.fill(0);
    const liveHi = this.#liveHi.fill(0);
    const successors = this.#successors;
    const start = this.#start;
    for (let again = true; again; ) {
      again = false;
      for (let index = this.#length - 1; index >= 0; index--) {
        const first = successors[2 * (start + index)]!;
        if (first < 0) {
          liveLo[index] = this.#readLo[index]!;
          liveHi[index] = this.#readHi[index]!;
          continue;
        }
        const second = successors[2 * (start + index) + 1]!;
        let lo = liveLo[first - start]!;
        let hi = liveHi[first - start]!;
        if (second >= 0) {
          lo |= liveLo[second - start]!;
          hi |= liveHi[second - start]!;
        }
        lo = (lo & ~this.#writeLo[index]!) | this.#readLo[index]!;
        hi = (hi & ~this.#writeHi[index]!) | this.#readHi[index]!;
        if (lo === liveLo[index] && hi === liveHi[index]) continue;
        liveLo[index] = lo;
        liveHi[index] = hi;
        again = true;
      }
    }
  }
}
