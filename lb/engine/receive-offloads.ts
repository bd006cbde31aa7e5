import { isOffloadOn, OFFLOAD_NAMES, type Offload, setOffload } from '../sys/ethtool.js';

/**
 * Turns off what glues received frames together (GRO, LRO): a load balancer must see the frames that came. What was
 * on is turned on again by `restore`.
 */
export class ReceiveOffloads {
  readonly #device: string;
  readonly #turnedOff: Offload[] = [];
  /** Offloads that are on and that the driver would not turn off. */
  readonly stuck: readonly Offload[];

  /** @param turnedOff what another process turned off before, for `restore` */
  constructor(device: string, turnedOff: readonly Offload[] = []) {
    this.#device = device;
    this.#turnedOff.push(...turnedOff);
    const stuck: Offload[] = [];
    for (const offload of OFFLOAD_NAMES) {
      if (isOffloadOn(device, offload) !== true) continue;
      if (setOffload(device, offload, false) && isOffloadOn(device, offload) === false)
        this.#turnedOff.push(offload);
      else stuck.push(offload);
    }
    this.stuck = stuck;
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
