import { Checking, type CheckingOptions } from '../../control-plane/checking.js';
import type { HealthCheck, Prober, Target } from '../../control-plane/health/types.js';
import { HealthMemory } from '../../control-plane/health-memory.js';
import { Reconciler } from '../../control-plane/reconcile/reconciler.js';
import type { Change } from '../../control-plane/state/changes.js';
import { Store } from '../../control-plane/state/store.js';
import { EventLog } from '../../control-plane/watch/event-log.js';
import { parseMac } from '../../lb/net/address.js';
import { FakeClock } from '../health/fake-clock.js';
import { createBackend, createVip } from './changes.js';
import { MemoryDatapath } from './memory-datapath.js';
import { TCP_FLAGS } from './packets.js';
import { silentLog } from './silent-log.js';

export const VIP = '192.0.2.10';
const CLIENT = '198.51.100.1';
const NEXT_HOP = parseMac('02:00:00:00:00:99');

/** A reconciler over a datapath in memory, and a clock that the test moves. */
export class ReconcileBed {
  readonly datapath = new MemoryDatapath();
  readonly clock = new FakeClock();
  readonly events = new EventLog({ nowMs: () => this.clock.nowMs() });
  readonly store = new Store({ nowMs: () => this.clock.nowMs(), epoch: 'e' });
  readonly reconciler = new Reconciler({
    store: this.store,
    datapath: this.datapath,
    nextHops: { mac: () => NEXT_HOP, watch: async () => undefined, forget: () => undefined },
    log: () => undefined,
    nowMs: () => this.clock.nowMs(),
  });

  /** Make changes, one revision each. */
  async make(...changes: readonly Change[]): Promise<void> {
    for (const change of changes) await this.reconciler.change(change);
  }

  /** A pool `web` with backends a, b, c … of weight 1 behind the VIP's port 80. */
  async serve(backends: number, pool: Partial<Extract<Change, { kind: 'create-pool' }>> = {}): Promise<void> {
    await this.make({ ...pool, kind: 'create-pool', id: 'web', displayName: '' });
    for (let i = 0; i < backends; i++) {
      const id = String.fromCharCode(97 + i);
      await this.make(createBackend({ id, address: `10.0.0.${i + 1}` }));
    }
    await this.make(createVip({ address: VIP }));
  }

  /** Where a packet of a flow goes: a backend's address, or the verdict. */
  send(sport: number, { syn = true } = {}): string {
    const flags = syn ? TCP_FLAGS.syn : TCP_FLAGS.ack;
    return this.datapath.send({ src: CLIENT, dst: VIP, sport, dport: 80 }, flags);
  }

  /** How many of 400 new flows each backend gets; what is not forwarded is counted as `drop` or `pass`. */
  spread(): Readonly<Record<string, number>> {
    const counts: Record<string, number> = {};
    this.#flows += 400;
    for (let i = 0; i < 400; i++) {
      const to = this.send(1024 + ((this.#flows + i) % 60_000));
      counts[to] = (counts[to] ?? 0) + 1;
    }
    return counts;
  }
  #flows = 0;

  /** Health checks whose probes end as the test says. */
  async checking(
    passes: (target: Target, check: HealthCheck) => boolean,
    options: Partial<CheckingOptions> = {},
  ): Promise<Checking> {
    const probe: Prober = async (target, check) => {
      const ok = passes(target, check);
      const detail = ok ? 'fine' : 'connection refused';
      return { ok, local: false, detail, latencyMs: 1, atMs: this.clock.nowMs() };
    };
    const checking = new Checking({
      reconciler: this.reconciler,
      clock: this.clock,
      probe,
      seed: 'seed',
      memory: await HealthMemory.open(undefined, silentLog()),
      events: this.events,
      log: silentLog(),
      onTunnelled: () => undefined,
      ...options,
    });
    await checking.start();
    return checking;
  }

  /** Let time pass, and what follows from it be done. */
  async pass(ms: number): Promise<void> {
    await this.clock.advance(ms);
    await this.settle();
  }

  /** What was put off to the next turn is done, and every change that was asked for is made. */
  async settle(): Promise<void> {
    for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve));
    await this.reconciler.refresh([]);
  }
}
