import type { Datapath } from '../../lb/index.js';
import type { DesiredState } from '../state/model.js';
import { effectiveOptions, FEATURES, type ProgramOptions } from '../state/options.js';

/** Parts of a state that options follow from. */
const PARTS = ['vips', 'node', 'serverIds', 'sourceRoutes', 'globalFlows'] as const;

const textOf = (options: ProgramOptions): string =>
  JSON.stringify(Object.entries(options).sort(([a], [b]) => (a < b ? -1 : 1)));

/** What is on in one of two is on; all else is as in the second. */
function union(before: ProgramOptions, after: ProgramOptions): ProgramOptions {
  const on = Object.entries(before).filter(([name, value]) => value === true && NEEDED.has(name));
  return { ...after, ...Object.fromEntries(on) };
}

/** A packet that needs one of these must never meet a program without it. */
const NEEDED: ReadonlySet<string> = new Set(FEATURES);

/**
 * Keeps the options of the program what the desired state asks for. Around a change of the tables the program has what they need
 * before it and what they need after it.
 */
export class ProgramSettings {
  readonly #set: Datapath['setOptions'];
  #inForce: ProgramOptions | undefined;
  #settled: DesiredState | undefined;

  /** @param set has the program run with options */
  constructor(set: Datapath['setOptions']) {
    this.#set = set;
  }

  /**
   * Before the tables of a state are written.
   * @throws what the datapath throws; what ran goes on
   */
  async widen(state: DesiredState): Promise<void> {
    if (this.#isSettled(state)) return;
    const wanted = effectiveOptions(state);
    await this.#run(this.#inForce ? union(this.#inForce, wanted) : wanted);
  }

  /**
   * Once the tables of a state are written, or are to stay as they are.
   * @throws what the datapath throws; what ran goes on
   */
  async settle(state: DesiredState): Promise<void> {
    if (this.#isSettled(state)) return;
    await this.#run(effectiveOptions(state));
    this.#settled = state;
  }

  #isSettled(state: DesiredState): boolean {
    const settled = this.#settled;
    return settled !== undefined && PARTS.every((part) => settled[part] === state[part]);
  }

  async #run(wanted: ProgramOptions): Promise<void> {
    if (this.#inForce && textOf(this.#inForce) === textOf(wanted)) return;
    // What it becomes is not known until it is done.
    this.#settled = undefined;
    await this.#set(wanted);
    this.#inForce = wanted;
  }
}
