import type { ControlGraph, Subprogram } from './program.js';

/** Half of the slots of a frame, as bits for each instruction. */
interface Half {
  readonly reads: Int32Array;
  readonly writes: Int32Array;
  /** Read from the instruction on. */
  readonly live: Int32Array;
}

const HALF_SLOTS = 32;

/**
 * Which stack slots are still read, from each instruction of a function on: as far as the walk has seen, for one chain
 * of calls that leads to the function, and for the frame of each function in that chain (Linux 6.18,
 * kernel/bpf/liveness.c). A kept state is compared only when all paths from it are at their ends, so that every read
 * has been seen by then.
 *
 * What a function reads of the frames that called it counts at its call, too. Writes count only where every visit of
 * the instruction wrote all eight bytes of the same slot.
 */
export class SlotUses {
  readonly #graph: ControlGraph;
  readonly #subprograms: readonly Subprogram[];
  readonly #start: number;
  readonly #length: number;
  readonly #caller: SlotUses | undefined;
  readonly #callSite: number;
  readonly #callees = new Map<number, SlotUses>();
  /** Two for each frame of the chain, the outermost first; undefined: nothing read or written. */
  readonly #halves: (Half | undefined)[] = [];
  /** Whether an instruction that may write was visited. */
  readonly #wrote: Uint8Array;
  #isStale = false;

  constructor(
    graph: ControlGraph,
    subprograms: readonly Subprogram[],
    subprogram: number,
    caller?: SlotUses,
    callSite = -1,
  ) {
    const { start, end } = subprograms[subprogram]!;
    this.#graph = graph;
    this.#subprograms = subprograms;
    this.#start = start;
    this.#length = end - start;
    this.#caller = caller;
    this.#callSite = callSite;
    this.#wrote = new Uint8Array(end - start);
  }

  /** Those of a function that is called from here. */
  callee(callSite: number, subprogram: number): SlotUses {
    const key = callSite * this.#subprograms.length + subprogram;
    let callee = this.#callees.get(key);
    if (callee === undefined) {
      callee = new SlotUses(this.#graph, this.#subprograms, subprogram, this, callSite);
      this.#callees.set(key, callee);
    }
    return callee;
  }

  /**
   * @param at slot of the instruction in this function
   * @param frame depth of the frame whose slot is read
   */
  noteRead(at: number, frame: number, slot: number): void {
    this.#noteReads(at - this.#start, placeOf(frame, slot), bitOf(slot));
  }

  #noteReads(index: number, place: number, bits: number): void {
    const half = this.#half(place);
    const news = bits & ~half.reads[index]!;
    if (news === 0) return;
    half.reads[index]! |= news;
    this.#spread(half, place, index, news);
  }

  /**
   * A store was followed.
   * @param slot the one of the frame that it wrote whole; -1: none
   */
  noteWrite(at: number, frame: number, slot: number): void {
    const index = at - this.#start;
    const written = slot < 0 ? -1 : placeOf(frame, slot);
    if (this.#wrote[index] === 0) {
      this.#wrote[index] = 1;
      if (slot < 0) return;
      const half = this.#half(written);
      const bit = bitOf(slot);
      half.writes[index] = bit;
      // What was taken for live in front of it is not, perhaps; elsewhere neither.
      if ((half.live[index]! & bit & ~half.reads[index]!) !== 0) this.#isStale = true;
      return;
    }
    for (const [place, half] of this.#halves.entries()) {
      if (half === undefined) continue;
      const lost = half.writes[index]! & ~(place === written ? bitOf(slot) : 0);
      if (lost === 0) continue;
      half.writes[index]! &= ~lost;
      const behind = this.#behind(half, index) & lost;
      if (behind !== 0) this.#spread(half, place, index, behind);
    }
  }

  /** Slots of a frame that are read from an instruction on, as bits: slots 0 to 31 (part 0) or 32 to 63 (1). */
  liveAt(at: number, frame: number, part: 0 | 1): number {
    if (this.#isStale) this.#update();
    return this.#halves[2 * frame + part]?.live[at - this.#start] ?? 0;
  }

  /** The same, from behind an instruction on. */
  liveBehind(at: number, frame: number, part: 0 | 1): number {
    if (this.#isStale) this.#update();
    const half = this.#halves[2 * frame + part];
    return half === undefined ? 0 : this.#behind(half, at - this.#start);
  }

  #half(place: number): Half {
    const known = this.#halves[place];
    if (known !== undefined) return known;
    while (this.#halves.length <= place) this.#halves.push(undefined);
    const half = {
      reads: new Int32Array(this.#length),
      writes: new Int32Array(this.#length),
      live: new Int32Array(this.#length),
    };
    this.#halves[place] = half;
    return half;
  }

  #behind({ live }: Half, index: number): number {
    const first = this.#graph.successors[2 * (this.#start + index)]!;
    if (first < 0) return 0;
    const second = this.#graph.successors[2 * (this.#start + index) + 1]!;
    return live[first - this.#start]! | (second < 0 ? 0 : live[second - this.#start]!);
  }

  /**
   * Slots have become live in front of an instruction: so they are on all ways there, up to where they are written; and
   * where they are so at the start of the function, its call reads them.
   */
  #spread({ live, writes }: Half, place: number, from: number, bits: number): void {
    const { firstPredecessor, predecessors } = this.#graph;
    const start = this.#start;
    const due = [from];
    const dueBits = [bits];
    for (let index = due.pop(); index !== undefined; index = due.pop()) {
      const news = dueBits.pop()! & ~live[index]!;
      if (news === 0) continue;
      live[index]! |= news;
      if (index === 0) this.#tellCaller(place, news);
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

  #tellCaller(place: number, bits: number): void {
    const caller = this.#caller;
    // A function's own frame begins with it.
    if (caller === undefined || place >= 2 * this.#depth) return;
    caller.#noteReads(this.#callSite - caller.#start, place, bits);
  }

  get #depth(): number {
    return this.#caller === undefined ? 0 : this.#caller.#depth + 1;
  }

  /** All of it anew. */
  #update(): void {
    this.#isStale = false;
    for (const [place, half] of this.#halves.entries()) {
      if (half === undefined) continue;
      half.live.fill(0);
      for (let index = this.#length - 1; index >= 0; index--) {
        const bits = half.reads[index]!;
        if (bits !== 0) this.#spread(half, place, index, bits);
      }
    }
  }
}

const placeOf = (frame: number, slot: number) => 2 * frame + (slot < HALF_SLOTS ? 0 : 1);
const bitOf = (slot: number) => 1 << (slot & (HALF_SLOTS - 1));
