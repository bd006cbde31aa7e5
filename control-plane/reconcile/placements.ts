import { type BalancerLimits, type Mac, vipNumberAt } from '../../lb/index.js';
import { Numbers, RealIndices } from '../state/ids.js';
import type { FlowCounts } from './census.js';
import type { Placement } from './image.js';

/** What is known of backends beside the desired state. */
export interface BackendFacts {
  /** Ethernet address towards a backend's address; undefined where none was ever known. */
  mac(key: string): Mac | undefined;
  /** Percent of its weight that a backend gets, by resource name. */
  share(backend: string): number;
  /** Flows by row, now. */
  flows(): FlowCounts;
}

/** Keys that a step of the image no longer needs: each may be given to others once the tables are without it. */
export interface Unused {
  readonly reals: readonly string[];
  readonly rings: readonly string[];
  readonly vips: readonly string[];
}

type Kind = keyof Unused;

/**
 * Where things are in the tables: rows of backends, numbers of rings and VIPs. What is placed anew is on trial until the
 * tables have it: `keep` ends the trial, `undo` gives it back.
 */
export class Placements implements Placement {
  readonly reals: RealIndices;
  readonly vips: Numbers;
  readonly rings: Numbers;
  readonly #facts: BackendFacts;
  #trial: Record<Kind, string[]> = { reals: [], rings: [], vips: [] };
  /** Counted once a trial: a count walks the connection tables. */
  #flows: FlowCounts | undefined;

  constructor({ reals, rings, vips }: BalancerLimits, facts: BackendFacts) {
    this.reals = new RealIndices(reals);
    this.rings = new Numbers('rings', rings);
    this.vips = new Numbers('VIPs', vips, vipNumberAt);
    this.#facts = facts;
  }

  /** @throws IdsError */
  real(key: string): number {
    const held = this.reals.get(key);
    if (held !== undefined) return held;
    const index = this.reals.acquire(key, () => {
      this.#flows ??= this.#facts.flows();
      return this.#flows;
    });
    this.#trial.reals.push(key);
    return index;
  }

  /** @throws IdsError */
  ring(key: string): number {
    return this.#number('rings', key);
  }

  /** @throws IdsError */
  vip(name: string): number {
    return this.#number('vips', name);
  }

  mac(key: string): Mac | undefined {
    return this.#facts.mac(key);
  }

  share(backend: string): number {
    return this.#facts.share(backend);
  }

  /** The tables have what was placed; what is unused may go to others. */
  keep(unused: Unused): void {
    this.#release(unused);
    this.#endTrial();
  }

  /** The tables do not have what was placed since the last `keep` or `undo`. */
  undo(): void {
    this.#release(this.#trial);
    this.#endTrial();
  }

  #number(kind: 'rings' | 'vips', key: string): number {
    const held = this[kind].get(key);
    if (held !== undefined) return held;
    const number = this[kind].acquire(key);
    this.#trial[kind].push(key);
    return number;
  }

  #release(unused: Unused): void {
    for (const kind of ['reals', 'rings', 'vips'] as const)
      for (const key of unused[kind]) this[kind].release(key);
  }

  #endTrial(): void {
    this.#trial = { reals: [], rings: [], vips: [] };
    this.#flows = undefined;
  }
}
