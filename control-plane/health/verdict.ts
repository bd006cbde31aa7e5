import type { CheckTiming, Health, HealthStatus, ProbeResult } from './types.js';

/**
 * When a target that comes and goes is held unhealthy (flap damping).
 * Each change of its to unhealthy beyond `maxChanges` changes in `windowMs` starts a hold: `holdMs` at first, twice
 * as long each time, `maxHoldMs` at most; the length starts over after `windowMs` without a hold.
 */
export interface Damping {
  readonly maxChanges: number;
  readonly windowMs: number;
  readonly holdMs: number;
  readonly maxHoldMs: number;
}

/** Three times down and up in five minutes is bad luck; more is a pattern. */
export const DEFAULT_DAMPING: Damping = {
  maxChanges: 6,
  windowMs: 300_000,
  holdMs: 30_000,
  maxHoldMs: 600_000,
};

export type VerdictRules = Pick<CheckTiming, 'rise' | 'fall' | 'firstResultDecides'> & {
  readonly damping: Damping;
};

/** What a check believes of a target, and what it needs to go on. Immutable. */
export interface Verdict extends HealthStatus {
  /** Times of the last changes between healthy and unhealthy, within the damping window. */
  readonly changesMs: readonly number[];
  /** Holds in a row. */
  readonly holds: number;
  /** End of the last hold, over or not. */
  readonly holdEndMs: number | undefined;
}

/**
 * The verdict before any result.
 * @param assumed unknown for a new backend: no traffic before it passed once. What the control plane knew before its
 *   restart for a backend that it had: it stays in service until `fall` failures say otherwise, so that a restart
 *   takes nothing out.
 */
export function initialVerdict(atMs: number, assumed: Health = 'unknown'): Verdict {
  return {
    state: assumed,
    sinceMs: atMs,
    last: undefined,
    lastError: undefined,
    consecutive: 0,
    flapping: false,
    heldUntilMs: undefined,
    everHealthy: assumed !== 'unknown',
    changesMs: [],
    holds: 0,
    holdEndMs: undefined,
  };
}

/**
 * The verdict after one more result.
 * A failure of this host's own is noted and changes nothing else: were it counted, a lack of descriptors here would
 * take every backend out at once.
 */
export function observe(verdict: Verdict, result: ProbeResult, rules: VerdictRules): Verdict {
  if (!result.ok && result.local) return { ...verdict, lastError: result };
  const consecutive = verdict.last?.ok === result.ok ? verdict.consecutive + 1 : 1;
  const seen: Verdict = {
    ...verdict,
    last: result,
    lastError: result.ok ? verdict.lastError : result,
    consecutive,
  };
  const to: Health = result.ok ? 'healthy' : 'unhealthy';
  if (to === verdict.state) return settled(seen, result.atMs, rules.damping);
  if (consecutive < needed(verdict.state, to, rules)) return seen;
  if (to === 'unhealthy') return fallen(seen, result.atMs, rules.damping);
  return isHeld(verdict, result.atMs) ? seen : recovered(seen, result.atMs, rules.damping);
}

/** True while the last results speak against the state, or there is none yet: the fast interval holds then. */
export function isConfirming(verdict: Verdict, atMs: number): boolean {
  if (verdict.state === 'unknown') return true;
  if (verdict.last === undefined) return false;
  // A held target cannot change before the hold ends: there is nothing to confirm.
  if (isHeld(verdict, atMs)) return false;
  return verdict.last.ok !== (verdict.state === 'healthy');
}

const RANK: Readonly<Record<Health, number>> = { unhealthy: 0, unknown: 1, healthy: 2 };

/** One status of all the checks of a target: all must pass, so the worst one speaks. */
export function combine(statuses: readonly HealthStatus[]): HealthStatus {
  const state = statuses.reduce<Health>(
    (worst, status) => (RANK[status.state] < RANK[worst] ? status.state : worst),
    'healthy',
  );
  const speaking = statuses.filter((status) => status.state === state);
  // Healthy since the last of them is; unhealthy since the first of them was.
  const since = speaking.map(({ sinceMs }) => sinceMs);
  const newest = (field: 'last' | 'lastError', of: readonly HealthStatus[]) =>
    of.reduce<ProbeResult | undefined>((found, status) => {
      const result = status[field];
      return result !== undefined && (found === undefined || result.atMs > found.atMs) ? result : found;
    }, undefined);
  const last = newest('last', speaking);
  const held = statuses.flatMap(({ heldUntilMs }) => (heldUntilMs === undefined ? [] : [heldUntilMs]));
  return {
    state,
    sinceMs: state === 'healthy' ? Math.max(...since) : Math.min(...since),
    last,
    lastError: newest('lastError', speaking) ?? newest('lastError', statuses),
    consecutive: speaking.find((status) => status.last === last)?.consecutive ?? 0,
    flapping: statuses.some(({ flapping }) => flapping),
    heldUntilMs: held.length === 0 ? undefined : Math.max(...held),
    everHealthy: statuses.every(({ everHealthy }) => everHealthy),
  };
}

/** Results in a row that a change of state takes. */
function needed(from: Health, to: Health, { rise, fall, firstResultDecides }: VerdictRules): number {
  if (from === 'unknown' && firstResultDecides) return 1;
  return to === 'healthy' ? rise : fall;
}

function isHeld({ heldUntilMs }: Verdict, atMs: number): boolean {
  return heldUntilMs !== undefined && atMs < heldUntilMs;
}

/** Still in the same state: with time the changes are forgotten, and what they made of it. */
function settled(verdict: Verdict, atMs: number, damping: Damping): Verdict {
  if (!verdict.flapping || isHeld(verdict, atMs)) return verdict;
  const changesMs = recent(verdict.changesMs, atMs, damping);
  return changesMs.length > damping.maxChanges ? verdict : { ...verdict, changesMs, flapping: false };
}

function recovered(verdict: Verdict, atMs: number, damping: Damping): Verdict {
  const changesMs = changed(verdict, atMs, damping);
  return {
    ...verdict,
    state: 'healthy',
    sinceMs: atMs,
    everHealthy: true,
    changesMs,
    flapping: changesMs.length > damping.maxChanges,
    heldUntilMs: undefined,
  };
}

function fallen(verdict: Verdict, atMs: number, damping: Damping): Verdict {
  const changesMs = changed(verdict, atMs, damping);
  const down: Verdict = { ...verdict, state: 'unhealthy', sinceMs: atMs, changesMs };
  if (changesMs.length <= damping.maxChanges) return { ...down, flapping: false };
  const calm = verdict.holdEndMs === undefined || atMs - verdict.holdEndMs > damping.windowMs;
  const holds = calm ? 0 : verdict.holds;
  const holdEndMs = atMs + Math.min(damping.holdMs * 2 ** holds, damping.maxHoldMs);
  return { ...down, flapping: true, heldUntilMs: holdEndMs, holdEndMs, holds: holds + 1 };
}

/** The first decision of a new target is no change: nothing was believed before. */
function changed(verdict: Verdict, atMs: number, damping: Damping): readonly number[] {
  const kept = recent(verdict.changesMs, atMs, damping);
  return verdict.state === 'unknown' ? kept : [...kept, atMs];
}

function recent(changesMs: readonly number[], atMs: number, { windowMs }: Damping): readonly number[] {
  return changesMs.filter((changeMs) => atMs - changeMs <= windowMs);
}
