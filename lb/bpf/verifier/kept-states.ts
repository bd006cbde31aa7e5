import type { Frame, State } from './state.js';

/** A path that came back, in a loop of calls back, to a state from which not every path has been followed. */
export interface BackEdge {
  /** The state that stood for it. */
  readonly old: State;
  readonly now: State;
}

/** A visit of a loop, by the calls that lead to it. */
export interface Visit {
  /** The first state that was kept in it; undefined: all paths from there are at their ends. */
  entry: State | undefined;
  backEdges: BackEdge[];
}

const NONE: readonly State[] = [];

interface Bucket {
  readonly number: number;
  readonly states: State[];
}

/**
 * States that were kept, by the slot they are at and the call that led there, the latest first; and the loops that they
 * are in. As in the kernel calls share a list where their slots are the same in their remainder.
 */
export class KeptStates {
  readonly #bySlot: (Bucket[] | undefined)[];
  readonly visits = new Map<string, Visit>();

  constructor(slots: number) {
    this.#bySlot = new Array<Bucket[] | undefined>(slots).fill(undefined);
  }

  at(slot: number, { callSite }: Frame): readonly State[] {
    return this.#find(slot, callSite)?.states ?? NONE;
  }

  add(state: State): void {
    const { slot, frame } = state;
    const found = this.#find(slot, frame.callSite);
    if (found !== undefined) {
      found.states.unshift(state);
      return;
    }
    const bucket = { number: this.#number(slot, frame.callSite), states: [state] };
    const buckets = this.#bySlot[slot];
    if (buckets === undefined) this.#bySlot[slot] = [bucket];
    else buckets.push(bucket);
  }

  remove(state: State): void {
    const states = this.#find(state.slot, state.frame.callSite)?.states;
    states?.splice(states.indexOf(state), 1);
  }

  /** Linux 6.18, kernel/bpf/verifier.c, explored_state. */
  #number(slot: number, callSite: number): number {
    return ((slot ^ callSite) >>> 0) % this.#bySlot.length;
  }

  #find(slot: number, callSite: number): Bucket | undefined {
    const buckets = this.#bySlot[slot];
    if (buckets === undefined) return undefined;
    const number = this.#number(slot, callSite);
    for (const bucket of buckets) if (bucket.number === number) return bucket;
    return undefined;
  }
}
