import { successorsOf } from './cfg.js';
import type { Step, Subprogram } from './program.js';

/**
 * Which slots of a function's frame are still read, from each of its instructions on: as far as the walk has seen,
 * for one chain of calls that leads to the function. A kept state is compared only when all paths from it are at
 * their ends, so that every read has been seen by then.
 *
 * Reads through a pointer in a function that was called count at the call. Writes count only where every visit of the
 * instruction wrote all eight bytes of a slot of its own frame.
 */
export class SlotUses {
  readonly #steps: readonly (Step | undefined)[];
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

  constructor(steps: readonly (Step | undefined)[], subprograms: readonly Subprogram[], subprogram: number) {
    const { start, end } = subprograms[subprogram]!;
    this.#steps = steps;
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
      callee = new SlotUses(this.#steps, this.#subprograms, subprogram);
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

  isLive(at: number, slot: number): boolean {
    if (this.#isStale) this.#update();
    const live = slot < 32 ? this.#liveLo : this.#liveHi;
    return (live[at - this.#start]! & (1 << (slot & 31))) !== 0;
  }

  /** Backwards through the function until nothing changes. */
  #update(): void {
    this.#isStale = false;
    this.#liveLo.fill(0);
    this.#liveHi.fill(0);
    for (let again = true; again; ) {
      again = false;
      for (let index = this.#length - 1; index >= 0; index--) {
        const step = this.#steps[this.#start + index];
        if (step === undefined) continue;
        let lo = 0;
        let hi = 0;
        for (const next of successorsOf(step)) {
          lo |= this.#liveLo[next - this.#start] ?? 0;
          hi |= this.#liveHi[next - this.#start] ?? 0;
        }
        lo = (lo & ~this.#writeLo[index]!) | this.#readLo[index]!;
        hi = (hi & ~this.#writeHi[index]!) | this.#readHi[index]!;
        if (lo === this.#liveLo[index] && hi === this.#liveHi[index]) continue;
        this.#liveLo[index] = lo;
        this.#liveHi[index] = hi;
        again = true;
      }
    }
  }
}
