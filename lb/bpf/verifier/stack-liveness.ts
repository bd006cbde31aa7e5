import type { ControlGraph, Subprogram } from './program.js';

/** Half of the slots, as bits for each instruction. */
interface Half {
  readonly reads: Int32Array;
  readonly writes: Int32Array;
  /** Read from the instruction on. */
  readonly live: Int32Array;
}

const halfOf = (length: number): Half => ({
  reads: new Int32Array(length),
  writes: new Int32Array(length),
  live: new Int32Array(length),
});

/**
 * Which slots of a function's frame are still read, from each of its instructions on: as far as the walk has seen,
 * for one chain of calls that leads to the function. A kept state is compared only when all paths from it are at
 * their ends, so that every read has been seen by then.
 *
 * Reads through a pointer in a function that was called count at the call. Writes count only where every visit of the
 * instruction wrote all eight bytes of a slot of its own frame.
 */
export class SlotUses {
  readonly #graph: ControlGraph;
  readonly #subprograms: readonly Subprogram[];
  readonly #start: number;
  readonly #length: number;
  readonly #callees = new Map<number, SlotUses>();
  readonly #lo: Half;
  readonly #hi: Half;
  /** Whether an instruction that may write was visited. */
  readonly #wrote: Uint8Array;
  #isStale = false;

  constructor(graph: ControlGraph, subprograms: readonly Subprogram[], subprogram: number) {
    const { start, end } = subprograms[subprogram]!;
    this.#graph = graph;
    this.#subprograms = subprograms;
    this.#start = start;
    this.#length = end - start;
    this.#lo = halfOf(end - start);
    this.#hi = halfOf(end - start);
    this.#wrote = new Uint8Array(end - start);
  }

  /** Those of a function that is called from here. */
  callee(callSite: number, subprogram: number): SlotUses {
    const key = callSite * this.#subprograms.length + subprogram;
    let callee = this.#callees.get(key);
    if (callee === undefined) {
      callee = new SlotUses(this.#graph, this.#subprograms, subprogram);
      this.#callees.set(key, callee);
    }
    return callee;
  }

  /** @param at slot of the instruction in this function */
  noteRead(at: number, slot: number): void {
    const index = at - this.#start;
    const half = slot < 32 ? this.#lo : this.#hi;
    const bit = 1 << (slot & 31);
    if ((half.reads[index]! & bit) !== 0) return;
    half.reads[index]! |= bit;
    if (!this.#isStale) this.#spread(half, index, bit);
  }

  /**
   * A store was followed.
   * @param slot the one that it wrote whole, or -1
   */
  noteWrite(at: number, slot: number): void {
    const index = at - this.#start;
    this.#noteWrites(this.#lo, index, slot >= 0 && slot < 32 ? 1 << slot : 0);
    this.#noteWrites(this.#hi, index, slot >= 32 ? 1 << (slot & 31) : 0);
    this.#wrote[index] = 1;
  }

  #noteWrites(half: Half, index: number, bits: number): void {
    const before = half.writes[index]!;
    if (this.#wrote[index] === 0) {
      half.writes[index] = bits;
      // What was taken for live in front of it is not, perhaps; elsewhere neither.
      if ((half.live[index]! & bits & ~half.reads[index]!) !== 0) this.#isStale = true;
      return;
    }
    const lost = before & ~bits;
    if (lost === 0) return;
    half.writes[index] = before & bits;
    const behind = this.#behind(half, index) & lost;
    if (behind !== 0 && !this.#isStale) this.#spread(half, index, behind);
  }

  /** Slots 0 to 31 that are read from an instruction on, as bits. */
  liveLo(at: number): number {
    if (this.#isStale) this.#update();
    return this.#lo.live[at - this.#start]!;
  }

  /** Slots 32 to 63. */
  liveHi(at: number): number {
    if (this.#isStale) this.#update();
    return this.#hi.live[at - this.#start]!;
  }

  /** Live behind an instruction. */
  #behind({ live }: Half, index: number): number {
    const first = this.#graph.successors[2 * (this.#start + index)]!;
    if (first < 0) return 0;
    const second = this.#graph.successors[2 * (this.#start + index) + 1]!;
    return live[first - this.#start]! | (second < 0 ? 0 : live[second - this.#start]!);
  }

  /** Slots have become live in front of an instruction: so they are on all ways there, up to where they are written. */
  #spread({ live, writes }: Half, from: number, bits: number): void {
    const { firstPredecessor, predecessors } = this.#graph;
    const start = this.#start;
    const due = [from];
    const dueBits = [bits];
    for (let index = due.pop(); index !== undefined; index = due.pop()) {
      const news = dueBits.pop()! & ~live[index]!;
      if (news === 0) continue;
      live[index]! |= news;
      const end = firstPredecessor[start + index + 1]!;
      for (let at = firstPredecessor[start + index]!; at < end; at++) {
        const before = predecessors[at]! - start;
        const left = news & ~writes[before]!;
        if (left === 0) continue;
        due.push(before);
        dueBits.push(left);
      }
    }
  }

  /** All of it anew. */
  #update(): void {
    this.#isStale = false;
    for (const half of [this.#lo, this.#hi]) {
      half.live.fill(0);
      for (let index = this.#length - 1; index >= 0; index--) {
        const bits = half.reads[index]!;
        if (bits !== 0) this.#spread(half, index, bits);
      }
    }
  }
}
