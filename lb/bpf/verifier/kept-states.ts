import type { State } from './state.js';

/** States that were kept, by the slot they are at; the latest first. */
export class KeptStates {
  readonly #bySlot: State[][];

  constructor(slots: number) {
    this.#bySlot = Array.from({ length: slots }, () => []);
  }

  at(slot: number): State[] {
    return this.#bySlot[slot]!;
  }

  add(state: State): void {
    this.#bySlot[state.slot]!.unshift(state);
  }
}
