import { EventEmitter } from 'node:events';
import { CodedError, sameIp } from '../../lb/index.js';
import { CANCELLED } from './probes/attempt.js';
import { CheckRunner, probeOnce, type RunnerDeps } from './runner.js';
import { phaseOf } from './schedule.js';
import type {
  Clock,
  Health,
  HealthCheck,
  ProbeKind,
  ProbeResult,
  Prober,
  Target,
  TargetStatus,
} from './types.js';
import { validateHealthCheck } from './validate.js';
import { combine, type Damping, DEFAULT_DAMPING } from './verdict.js';
import { TimerWheel } from './wheel.js';

/** A target with the checks that must all pass. */
export interface Watched {
  readonly target: Target;
  /** At least one. */
  readonly checks: readonly HealthCheck[];
  /** For a target that is new to the monitor and was known before a restart: what it was. Absent: unknown. */
  readonly assumed?: Health;
}

/** A target changed its health. */
export interface HealthChange {
  readonly key: string;
  readonly from: Health;
  readonly to: Health;
  readonly status: TargetStatus;
}

/** One probe that ended by itself or its timeout. */
export interface ProbeRecord {
  readonly key: string;
  readonly check: string;
  readonly kind: ProbeKind;
  readonly result: ProbeResult;
}

/** pass; fail: the target's; error: this host's. */
export type ProbeOutcome = 'pass' | 'fail' | 'error';

/** Probes of a kind that ended so, since the monitor began. */
export interface ProbeCount {
  readonly kind: ProbeKind;
  readonly outcome: ProbeOutcome;
  readonly count: number;
}

export type MonitorFault =
  | { readonly code: 'HEALTH_TARGET'; readonly key: string }
  | { readonly code: 'HEALTH_TWICE'; readonly key: string; readonly check?: string }
  | { readonly code: 'HEALTH_NO_CHECKS'; readonly key: string };

/** A target that is not known, or a list of targets that cannot be. */
export class MonitorError extends CodedError<MonitorFault> {}

export interface MonitorOptions {
  readonly clock: Clock;
  readonly probe: Prober;
  /** Of this node: nodes with different ones probe a target at different moments. */
  readonly seed: string;
  readonly random?: () => number;
  readonly damping?: Damping;
}

interface Entry {
  readonly target: Target;
  readonly runners: Map<string, CheckRunner>;
  state: Health;
}

interface MonitorEvents {
  change: [change: HealthChange];
  probe: [record: ProbeRecord];
}

/**
 * Checks targets for as long as it is told to, and says when one changes its health.
 * Events: `change` when a target's health changes, `probe` after each probe (for counters and histograms; the latency
 * is `result.latencyMs`).
 */
export class Monitor extends EventEmitter<MonitorEvents> {
  readonly #deps: RunnerDeps;
  readonly #seed: string;
  readonly #entries = new Map<string, Entry>();
  readonly #counts = new Map<ProbeKind, Record<ProbeOutcome, number>>();
  /** Probes outside of the schedule. */
  readonly #extra = new Set<AbortController>();

  constructor({ clock, probe, seed, random = Math.random, damping = DEFAULT_DAMPING }: MonitorOptions) {
    super();
    this.#seed = seed;
    this.#deps = { clock, probe, random, damping, wheel: new TimerWheel(clock) };
  }

  /**
   * Check these and no others from now on.
   * A target that stays keeps its state, also when the settings of its checks change; at another address, or of another
   * VIP, it is a new one. A check that a target gets in addition is taken to agree with the target's state until it has decided, so
   * that a new check takes nothing out before it failed.
   * @throws MonitorError HEALTH_TWICE, HEALTH_NO_CHECKS; HealthCheckError; nothing has changed then
   */
  setTargets(watched: readonly Watched[]): void {
    validate(watched);
    const begun: CheckRunner[] = [];
    const wanted = new Set(watched.map(({ target }) => target.key));
    for (const [key, entry] of this.#entries) {
      if (!wanted.has(key)) this.#drop(key, entry);
    }
    const touched = watched.map((item) => this.#place(item, begun));
    for (const runner of begun) runner.start(begun.length);
    // A check that is gone may have been the one that failed.
    for (const entry of touched) this.#announce(entry);
  }

  /** How a target stands; undefined: it is not checked. */
  status(key: string): TargetStatus | undefined {
    const entry = this.#entries.get(key);
    return entry && statusOf(entry);
  }

  /** All targets, in no promised order. */
  *statuses(): Iterable<TargetStatus> {
    for (const entry of this.#entries.values()) yield statusOf(entry);
  }

  /** Probes that ended, by kind and outcome. */
  counts(): ProbeCount[] {
    return [...this.#counts].flatMap(([kind, counts]) =>
      (['pass', 'fail', 'error'] as const).map((outcome) => ({ kind, outcome, count: counts[outcome] })),
    );
  }

  /**
   * Probe a target once with each of its checks, now and beside the schedule. The results are given and counted but
   * decide nothing: whoever looks at a backend must not change it.
   * @returns check → result
   * @throws MonitorError HEALTH_TARGET (as a rejection)
   */
  async probeNow(key: string): Promise<ReadonlyMap<string, ProbeResult>> {
    const entry = this.#entries.get(key);
    if (entry === undefined)
      throw new MonitorError({ code: 'HEALTH_TARGET', key }, `backend ${JSON.stringify(key)} has no checks`);
    const controller = new AbortController();
    this.#extra.add(controller);
    try {
      return new Map(
        await Promise.all(
          Array.from(entry.runners.values(), async ({ check }) => {
            const result = await this.#probeBeside(controller.signal, entry.target, check);
            return [check.name, result] as const;
          }),
        ),
      );
    } finally {
      this.#extra.delete(controller);
    }
  }

  /** Check nothing any more; probes under way are ended. Idempotent; `setTargets` begins anew. */
  stop(): void {
    for (const [key, entry] of this.#entries) this.#drop(key, entry);
    for (const controller of this.#extra) controller.abort(CANCELLED);
  }

  async #probeBeside(stopped: AbortSignal, target: Target, check: HealthCheck): Promise<ProbeResult> {
    const controller = new AbortController();
    const stop = () => controller.abort(CANCELLED);
    stopped.addEventListener('abort', stop);
    const { probe } = this.#deps;
    try {
      const result = await probeOnce(this.#deps, controller, (signal) => probe(target, check, signal), check);
      this.#count(target.key, check, result);
      return result;
    } finally {
      stopped.removeEventListener('abort', stop);
    }
  }

  #drop(key: string, entry: Entry): void {
    for (const runner of entry.runners.values()) runner.stop();
    this.#entries.delete(key);
  }

  /** Bring one target to what is wanted; checks that are new to it are added to `begun`. */
  #place({ target, checks, assumed }: Watched, begun: CheckRunner[]): Entry {
    const before = this.#entries.get(target.key);
    const stays = before !== undefined && isSamePlace(before.target, target);
    if (before !== undefined && !stays) this.#drop(target.key, before);
    const state = stays ? before.state : (assumed ?? 'unknown');
    const entry: Entry = stays ? before : { target, runners: new Map(), state };
    this.#entries.set(target.key, entry);
    const names = new Set(checks.map(({ name }) => name));
    for (const [name, runner] of entry.runners) {
      if (names.has(name)) continue;
      runner.stop();
      entry.runners.delete(name);
    }
    for (const check of checks) {
      const runner = entry.runners.get(check.name);
      if (runner === undefined) {
        // One of several checks failed: the new one did not, and must not have to pass before the target recovers.
        begun.push(this.#add(entry, check, stays && state === 'unhealthy' ? 'healthy' : state));
      } else if (!isSameCheck(runner.check, check)) runner.change(check);
    }
    return entry;
  }

  #add(entry: Entry, check: HealthCheck, assumed: Health): CheckRunner {
    const { target } = entry;
    const runner = new CheckRunner(this.#deps, target, check, {
      phase: phaseOf(this.#seed, target.key, check.name),
      assumed,
      onResult: (probed, result) => {
        this.#count(target.key, probed, result);
        this.#announce(entry);
      },
    });
    entry.runners.set(check.name, runner);
    return runner;
  }

  #announce(entry: Entry): void {
    const status = statusOf(entry);
    const from = entry.state;
    // A listener may have taken the target away meanwhile.
    if (status.state === from || this.#entries.get(status.key) !== entry) return;
    entry.state = status.state;
    this.emit('change', { key: entry.target.key, from, to: status.state, status });
  }

  #count(key: string, check: HealthCheck, result: ProbeResult): void {
    const { kind } = check.probe;
    const counts = this.#counts.get(kind) ?? { pass: 0, fail: 0, error: 0 };
    counts[result.ok ? 'pass' : result.local ? 'error' : 'fail']++;
    this.#counts.set(kind, counts);
    this.emit('probe', { key, check: check.name, kind, result });
  }
}

function statusOf({ target, runners }: Entry): TargetStatus {
  const checks = new Map(Array.from(runners, ([name, { verdict }]) => [name, verdict] as const));
  return { key: target.key, ...combine([...checks.values()]), checks };
}

function isSamePlace(a: Target, b: Target): boolean {
  const isSameVip = a.vip && b.vip ? sameIp(a.vip, b.vip) : a.vip === b.vip;
  return a.port === b.port && sameIp(a.address, b.address) && isSameVip;
}

function isSameCheck(a: HealthCheck, b: HealthCheck): boolean {
  return a === b || JSON.stringify(a) === JSON.stringify(b);
}

function validate(watched: readonly Watched[]): void {
  const keys = new Set<string>();
  // Many targets share a check: each is looked at once.
  const checked = new Set<HealthCheck>();
  for (const { target, checks } of watched) {
    const { key } = target;
    if (keys.has(key))
      throw new MonitorError({ code: 'HEALTH_TWICE', key }, `backend ${JSON.stringify(key)} is there twice`);
    keys.add(key);
    if (checks.length === 0)
      throw new MonitorError(
        { code: 'HEALTH_NO_CHECKS', key },
        `backend ${JSON.stringify(key)} has no checks`,
      );
    const names = new Set<string>();
    for (const check of checks) {
      if (names.has(check.name))
        throw new MonitorError(
          { code: 'HEALTH_TWICE', key, check: check.name },
          `backend ${JSON.stringify(key)} has two checks of the name ${JSON.stringify(check.name)}`,
        );
      names.add(check.name);
      if (!checked.has(check)) validateHealthCheck(check);
      checked.add(check);
    }
  }
}
