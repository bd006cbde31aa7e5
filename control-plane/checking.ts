import type { IpAddress, VipKey } from '../lb/index.js';
import type { HealthView } from './grpc/context.js';
import { type HealthChange, Monitor, type Watched } from './health/monitor.js';
import { type PoolMember, type PoolUse, poolUse } from './health/pool-health.js';
import type { Clock, HealthCheck, ProbeResult, Prober, TargetStatus } from './health/types.js';
import type { HealthMemory } from './health-memory.js';
import type { Log, Reconciler } from './reconcile/reconciler.js';
import { changedNames } from './state/lineage.js';
import { type Backend, backendsByPool, type DesiredState, type Pool } from './state/model.js';
import type { EventLog } from './watch/event-log.js';

/** Whole weight, percent. */
const FULL = 100;

export interface CheckingOptions {
  readonly reconciler: Pick<Reconciler, 'store' | 'setShares'>;
  readonly clock: Clock;
  readonly probe: Prober;
  /** Of this node: nodes with different ones probe a backend at different moments. */
  readonly seed: string;
  readonly memory: Pick<HealthMemory, 'health' | 'set' | 'keep'>;
  readonly events: EventLog;
  readonly log: Log;
  /** Told of the backends that are checked through the tunnel. */
  readonly onTunnelled: (backends: readonly IpAddress[]) => void;
}

interface PoolState {
  readonly mode: PoolUse['mode'];
  readonly shares: ReadonlyMap<string, number>;
}

/**
 * Checks the backends of the desired state, and gives each its share in the rings: what the health checks of its pool say,
 * with the pool's floor and slow start.
 */
export class Checking implements HealthView {
  readonly #options: CheckingOptions;
  readonly monitor: Monitor;
  readonly #pools = new Map<string, PoolState>();
  /** When a backend last came back from unhealthy. */
  readonly #recovered = new Map<string, number>();
  #unsubscribe: (() => void) | undefined;
  #cancelStep: (() => void) | undefined;
  #isScheduled = false;

  constructor(options: CheckingOptions) {
    this.#options = options;
    const { clock, probe, seed } = options;
    this.monitor = new Monitor({ clock, probe, seed });
    this.monitor.on('change', (change) => this.#changed(change));
  }

  /** Begin: before tables are written for the first time, so that nobody unhealthy is in them. Resolves when they say so. */
  async start(): Promise<void> {
    const { store } = this.#options.reconciler;
    this.#unsubscribe ??= store.onCommit(({ before, after }) => {
      if (this.#concerns(before, after)) this.#retarget();
    });
    this.#retarget();
    await this.#decide();
  }

  /** Idempotent. */
  stop(): void {
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
    this.#cancelStep?.();
    this.monitor.stop();
  }

  status(backend: string): TargetStatus | undefined {
    return this.monitor.status(backend);
  }

  share(backend: string): number {
    const pool = this.#pools.get(backend.replace(/\/backends\/.*$/, ''));
    return pool === undefined ? FULL : (pool.shares.get(backend) ?? 0);
  }

  mode(pool: string): PoolUse['mode'] | undefined {
    return this.#pools.get(pool)?.mode;
  }

  probe(backend: string): Promise<ReadonlyMap<string, ProbeResult>> {
    return this.monitor.probeNow(backend);
  }

  /** Whether a change concerns a pool that has checks, before it or after it: most of a large node's need not. */
  #concerns(before: DesiredState, after: DesiredState): boolean {
    if (before.healthChecks !== after.healthChecks) return true;
    const isChecked = (pool: string | undefined) =>
      pool !== undefined &&
      [before, after].some(({ pools }) => (pools.get(pool)?.healthChecks.length ?? 0) > 0);
    const concerns = (kind: 'backends' | 'vips') =>
      [...changedNames<{ readonly pool: string }>(before[kind], after[kind])].some(
        (name) => isChecked(before[kind].get(name)?.pool) || isChecked(after[kind].get(name)?.pool),
      );
    return (
      [...changedNames(before.pools, after.pools)].some(isChecked) || concerns('backends') || concerns('vips')
    );
  }

  #retarget(): void {
    const { reconciler, memory, onTunnelled } = this.#options;
    const { state } = reconciler.store;
    const watched = watchedOf(state, (backend) => memory.health(backend));
    this.monitor.setTargets(watched);
    onTunnelled(watched.filter(({ checks }) => checks.some(isTunnelled)).map(({ target }) => target.address));
    memory.keep(new Set(watched.map(({ target }) => target.key)));
    for (const name of this.#recovered.keys()) {
      if (!state.backends.has(name)) this.#recovered.delete(name);
    }
    this.#decideSoon();
  }

  #changed({ key, from, to, status }: HealthChange): void {
    const { memory, events, clock, log } = this.#options;
    if (from === 'unhealthy' && to === 'healthy') this.#recovered.set(key, clock.nowMs());
    memory.set(key, to);
    const reason = (to === 'unhealthy' ? status.lastError : status.last)?.detail ?? '';
    log(to === 'unhealthy' ? 'warn' : 'info', 'a backend changed its health', {
      backend: key,
      from,
      to,
      reason,
    });
    events.emit({
      type: 'backend.health_changed',
      resource: key,
      message: `${key} is ${to}: ${reason}`,
      attributes: { from, to, reason, flapping: String(status.flapping) },
    });
    this.#decideSoon();
  }

  /** Many backends may change in one moment: they are one set of rings. */
  #decideSoon(): void {
    if (this.#isScheduled || this.#unsubscribe === undefined) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      if (this.#unsubscribe === undefined) return;
      this.#decide().catch((error: unknown) =>
        this.#options.log('error', 'what the health checks say could not be written', { error }),
      );
    });
  }

  async #decide(): Promise<void> {
    const { reconciler, clock } = this.#options;
    const { state } = reconciler.store;
    const nowMs = clock.nowMs();
    let nextStepMs = Number.POSITIVE_INFINITY;
    const wanted = new Map<string, PoolState>();
    const members = backendsByPool(state);
    for (const pool of state.pools.values()) {
      if (pool.healthChecks.length === 0) continue;
      const { use, shares } = this.#useOf(pool, members.get(pool.name) ?? [], nowMs);
      wanted.set(pool.name, { mode: use.mode, shares });
      nextStepMs = Math.min(nextStepMs, use.nextStepMs ?? nextStepMs);
    }
    this.#announce(wanted);
    this.#pools.clear();
    for (const [name, pool] of wanted) this.#pools.set(name, pool);
    this.#cancelStep?.();
    this.#cancelStep =
      nextStepMs === Number.POSITIVE_INFINITY
        ? undefined
        : clock.after(Math.max(0, nextStepMs - nowMs), () => this.#decideSoon());
    await reconciler.setShares(new Map([...wanted.values()].flatMap(({ shares }) => [...shares])));
  }

  #useOf(pool: Pool, backends: readonly Backend[], nowMs: number) {
    const members = backends.map((backend): PoolMember => {
      const status = this.monitor.status(backend.name);
      const isInService = backend.drainStartMs === undefined && !backend.isDown;
      const recoveredMs = this.#recovered.get(backend.name);
      return {
        key: backend.name,
        weight: isInService ? backend.weight : 0,
        health: status?.state ?? 'unknown',
        everHealthy: status?.everHealthy ?? false,
        ...(recoveredMs !== undefined && { recoveredMs }),
      };
    });
    const { panicPercent, belowFloor, slowStart } = pool;
    const use = poolUse(members, { panicPercent, belowFloor, ...(slowStart && { slowStart }) }, nowMs);
    const shares = new Map(
      members.map(({ key, weight }) => {
        const used = use.weights.get(key);
        // Weights are multiplied by percents while somebody starts slowly.
        const share = used === undefined ? 0 : used === weight ? FULL : Math.round(used / weight);
        return [key, share] as const;
      }),
    );
    return { use, shares };
  }

  #announce(wanted: ReadonlyMap<string, PoolState>): void {
    const { events, log } = this.#options;
    for (const [pool, { mode }] of wanted) {
      const before = this.#pools.get(pool)?.mode;
      if (before === undefined || before === mode) continue;
      log(mode === 'healthy' ? 'info' : 'warn', 'who of a pool is used has changed', {
        pool,
        from: before,
        to: mode,
      });
      events.emit({
        type: 'pool.mode_changed',
        resource: pool,
        message: `${pool}: ${MODE_WORDS[mode]}`,
        attributes: { from: before, to: mode },
      });
    }
  }
}

const MODE_WORDS: Readonly<Record<PoolUse['mode'], string>> = {
  healthy: 'its healthy backends are used',
  'last-resort': 'too few backends are healthy: the others are used as well',
  none: 'no backend is used: new connections are dropped',
};

const isTunnelled = ({ path }: HealthCheck) => path === 'tunnel';

/** What is checked: the enabled and the draining backends of pools that have checks. */
function watchedOf(state: DesiredState, assumed: (backend: string) => Watched['assumed']): Watched[] {
  const vipOf = new Map<string, VipKey>();
  for (const { pool, key } of state.vips.values()) {
    // One that is a prefix has no address that could be asked.
    if (key.prefixBits === undefined && (vipOf.get(pool)?.port ?? 0) === 0) vipOf.set(pool, key);
  }
  return [...state.backends.values()].flatMap((backend): Watched[] => {
    const pool = state.pools.get(backend.pool);
    if (pool === undefined || backend.isDown) return [];
    const vip = vipOf.get(pool.name);
    const checks = pool.healthChecks.flatMap((name) => {
      const resource = state.healthChecks.get(name);
      return resource && isPossible(resource.check, vip) ? [resource.check] : [];
    });
    if (checks.length === 0) return [];
    const health = assumed(backend.name);
    const target = { key: backend.name, address: backend.address, port: vip?.port ?? 0 };
    return [
      { target: { ...target, ...(vip && { vip: vip.address }) }, checks, ...(health && { assumed: health }) },
    ];
  });
}

/** Whether a check knows where to go: to the VIP's port where it has none, to the VIP's address through the tunnel. */
function isPossible({ probe, path }: HealthCheck, vip: VipKey | undefined): boolean {
  const hasPort = probe.kind === 'icmp' || probe.port !== 0 || (vip !== undefined && vip.port !== 0);
  return hasPort && (path === 'direct' || vip !== undefined);
}
