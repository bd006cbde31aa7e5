import { applyChange, type Change } from './changes.js';
import { type DesiredState, EMPTY_STATE } from './model.js';

/**
 * The sole owner of the desired state, in memory. A change is drafted (checked, and nothing else), made true
 * in the datapath by whoever drafted it, and then committed: readers see only states that were made true.
 */
export class Store {
  readonly #nowMs: () => number;
  readonly #epoch: string;
  #state: DesiredState = EMPTY_STATE;

  /**
   * @param nowMs wall clock, milliseconds since 1970
   * @param epoch unlike that of any other run: etags of an earlier run must not match
   */
  constructor({ nowMs, epoch }: { readonly nowMs: () => number; readonly epoch: string }) {
    this.#nowMs = nowMs;
    this.#epoch = epoch;
  }

  get state(): DesiredState {
    return this.#state;
  }

  /**
   * The state that a change would lead to, under the next revision; the present state when it changes nothing.
   * @throws StateError
   */
  draft(change: Change): DesiredState {
    const revision = this.#state.revision + 1;
    return applyChange(this.#state, change, {
      revision,
      timeMs: this.#nowMs(),
      etag: `${this.#epoch}-${revision}`,
    });
  }

  /** Make a draft the present state. Drafts are committed in order, one at a time. */
  commit(draft: DesiredState): void {
    if (draft.revision !== this.#state.revision + 1) {
      throw new Error(`draft of revision ${draft.revision} on top of ${this.#state.revision}`);
    }
    this.#state = draft;
  }
}
