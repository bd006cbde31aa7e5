import { isOffloadOn, OFFLOAD_NAMES, type Offload, setOffload } from '../sys/ethtool.js';
import type { PoolLog } from '../worker/pool.js';

/**
 * Turns off what glues received frames together (GRO, LRO): a load balancer must see the frames that came. What was
 * on is turned on again by `restore`.
 */
export class ReceiveOffloads {
  readonly #device: string;
  readonly #turnedOff: Offload[] = [];
  /** Offloads that are on and that the driver would not turn off. */
  readonly #stuck: Offload[] = [];

  /** @param turnedOff what another process turned off before, for `restore` */
  constructor(device: string, turnedOff: readonly Offload[] = []) {
    this.#device = device;
    this.#turnedOff.push(...turnedOff);
    for (const offload of OFFLOAD_NAMES) {
      if (isOffloadOn(device, offload) !== true) continue;
      if (setOffload(device, offload, false) && isOffloadOn(device, offload) === false)
        this.#turnedOff.push(offload);
      else this.#stuck.push(offload);
    }
  }

  /** Say where one is on that the driver would not turn off. */
  reportStuck(log: PoolLog): void {
    if (this.#stuck.length === 0) return;
    log('warn', 'an offload that glues frames together stays on: longer frames than the MTU are dropped', {
      interface: this.#device,
      offloads: this.#stuck,
    });
  }

  /** What `restore` turns on again. */
  get turnedOff(): readonly Offload[] {
    return [...this.#turnedOff];
  }

  /** Idempotent. */
  restore(): void {
    for (const offload of this.#turnedOff.splice(0)) setOffload(this.#device, offload, true);
  }
}
