import { Keep } from './keep.js';
import { isCancelled } from './prober.js';
import { CANCELLED, TIMED_OUT } from './probes/attempt.js';
import { firstStart, nextStart, type Schedule } from './schedule.js';
import type { Clock, Health, HealthCheck, ProbeResult, Prober, Target } from './types.js';
import { type Damping, initialVerdict, isConfirming, observe, type Verdict } from './verdict.js';
import { TICK_MS, type TimerWheel, type WheelEntry } from './wheel.js';

/** What the checks of a monitor share. */
export interface RunnerDeps {
  readonly clock: Clock;
  readonly wheel: TimerWheel;
  readonly probe: Prober;
  readonly random: () => number;
  readonly damping: Damping;
}

/** A timeout that comes so much too late does so because this process stood still: a few ticks of the wheel. */
const STALL_MS = 5 * TICK_MS;

/** How a result is told, before anybody sees the verdict that it made. */
export type OnResult = (check: HealthCheck, result: ProbeResult) => void;

/**
 * One check of one target: probes in its turn, never two at once, and keeps the verdict.
 * A probe that hangs is ended by its timeout and delays nobody else.
 */
export class CheckRunner {
  readonly #deps: RunnerDeps;
  readonly #target: Target;
  readonly #onResult: OnResult;
  readonly #phase: number;
  #check: HealthCheck;
  #verdict: Verdict;
  #next: WheelEntry | undefined;
  #dueMs = 0;
  #running: AbortController | undefined;
  #keep = new Keep();
  #isStopped = false;

  /** @param phase the place in the period, 0 ≤ phase < 1 */
  constructor(
    deps: RunnerDeps,
    target: Target,
    check: HealthCheck,
    options: { readonly phase: number; readonly assumed: Health; readonly onResult: OnResult },
  ) {
    this.#deps = deps;
    this.#target = target;
    this.#check = check;
    this.#phase = options.phase;
    this.#onResult = options.onResult;
    this.#verdict = initialVerdict(deps.clock.nowMs(), options.assumed);
  }

  get check(): HealthCheck {
    return this.#check;
  }

  get verdict(): Verdict {
    return this.#verdict;
  }

  /** @param together how many checks begin now */
  start(together: number): void {
    this.#plan(firstStart(this.#schedule, this.#deps.clock.nowMs(), together));
  }

  /** Go on with other settings and the verdict that stands; the next probe comes by them, and on a new connection. */
  change(check: HealthCheck): void {
    this.#check = check;
    this.#keep.close();
    this.#keep = new Keep();
    if (this.#running === undefined) this.#planNext(this.#deps.clock.nowMs());
  }

  /** No probe more; one under way ends at once and changes nothing. What was kept for the next one is closed. */
  stop(): void {
    this.#isStopped = true;
    this.#keep.close();
    this.#next?.cancel();
    this.#running?.abort(CANCELLED);
  }

  get #schedule(): Schedule {
    return { timing: this.#check, phase: this.#phase, random: this.#deps.random };
  }

  #planNext(lastMs: number): void {
    const { clock } = this.#deps;
    this.#plan(nextStart(this.#schedule, lastMs, isConfirming(this.#verdict, clock.nowMs())));
  }

  #plan(dueMs: number): void {
    this.#next?.cancel();
    // What is overdue (the probe took longer than the fast interval, the process stalled) is not made up for.
    this.#dueMs = Math.max(dueMs, this.#deps.clock.nowMs());
    this.#next = this.#deps.wheel.at(this.#dueMs, () => this.#run());
  }

  #run(): void {
    const startedMs = this.#dueMs;
    const check = this.#check;
    const { probe } = this.#deps;
    const keep = this.#keep;
    const controller = new AbortController();
    this.#running = controller;
    void probeOnce(this.#deps, controller, (signal) => probe(this.#target, check, signal, keep), check).then(
      (result) => {
        this.#running = undefined;
        if (this.#isStopped || isCancelled(result)) return;
        this.#verdict = observe(this.#verdict, result, { ...this.#check, damping: this.#deps.damping });
        this.#planNext(startedMs);
        this.#onResult(check, result);
      },
    );
  }
}

/**
 * One probe within its timeout. Never rejects: a prober that does is a fault of this host. So is a process that stood still
 * (a large change, a collection of garbage): what the target sent meanwhile waits to be read, and timers come before it. The
 * probe gets the time that it lost, its timeout once more at most.
 */
export async function probeOnce(
  { clock, wheel }: Pick<RunnerDeps, 'clock' | 'wheel'>,
  controller: AbortController,
  probe: (signal: AbortSignal) => Promise<ProbeResult>,
  { timeoutMs }: Pick<HealthCheck, 'timeoutMs'>,
): Promise<ProbeResult> {
  const startedMs = clock.nowMs();
  let graceMs = timeoutMs;
  const wait = (endMs: number): WheelEntry =>
    wheel.at(endMs, () => {
      const lateMs = clock.nowMs() - endMs;
      if (lateMs < STALL_MS || graceMs === 0) controller.abort(TIMED_OUT);
      else {
        const moreMs = Math.min(lateMs, graceMs);
        graceMs -= moreMs;
        timeout = wait(clock.nowMs() + moreMs);
      }
    });
  let timeout = wait(startedMs + timeoutMs);
  try {
    return await probe(controller.signal);
  } catch (error) {
    const atMs = clock.nowMs();
    const detail = `this host: ${error instanceof Error ? error.message : String(error)}`;
    return { ok: false, local: true, detail, latencyMs: atMs - startedMs, atMs };
  } finally {
    timeout.cancel();
  }
}
