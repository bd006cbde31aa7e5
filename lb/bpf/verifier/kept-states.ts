import type { State } from './state.js';

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

/** States that were kept, by the slot they are at, the latest first; and the loops that they are in. */
export class KeptStates {
  readonly #bySlot: (State[] | undefined)[];
  readonly visits = new Map<string, Visit>();

  constructor(slots: number) {
    this.#bySlot = new Array<State[] | undefined>(slots).fill(undefined);
  }

  at(slot: number): readonly State[] {
    return this.#bySlot[slot] ?? NONE;
  }

  add(state: State): void {
    const states = this.#bySlot[state.slot];
    if (states === undefined) this.#bySlot[state.slot] = [state];
    else states.unshift(state);
  }

  remove(state: State): void {
    const states = this.#bySlot[state.slot];
    states?.splice(states.indexOf(state), 1);
  }
}
