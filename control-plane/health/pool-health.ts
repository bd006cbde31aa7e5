import type { Health } from './types.js';

/** A backend of a pool, as it is configured and as its checks see it. */
export interface PoolMember {
  readonly key: string;
  /** 0: drained, never used. */
  readonly weight: number;
  readonly health: Health;
  readonly everHealthy: boolean;
  /** When it last came back from unhealthy, Unix time; absent: it never failed here, and starts at full weight. */
  readonly recoveredMs?: number;
}

/** Weight after recovery: from `minPercent` to full in `steps` equal steps over `windowMs`. */
export interface SlowStart {
  readonly windowMs: number;
  /** 1–100. */
  readonly minPercent: number;
  /** Rebuilds of the ring until the weight is full, ≥ 1. */
  readonly steps: number;
}

export interface PoolPolicy {
  /** The floor: below this share of healthy backends the health is not believed; 0: only when none is healthy. */
  readonly panicPercent: number;
  /** Below the floor: use all (fail open), or none. */
  readonly belowFloor: 'last-resort' | 'drop';
  readonly slowStart?: SlowStart;
}

/** Which backends of a pool are used. */
export interface PoolUse {
  /**
   * healthy: the healthy ones. last-resort: too few are, so the unhealthy ones too. none: nobody is.
   */
  readonly mode: 'healthy' | 'last-resort' | 'none';
  /** Key → weight for the ring, ≥ 1; who is not here is not used. In the order of the members. */
  readonly weights: ReadonlyMap<string, number>;
  /** When a slow start takes its next step, Unix time: ask again then. */
  readonly nextStepMs: number | undefined;
}

/** Weights are in percent of what is configured while somebody starts slowly. */
const PERCENT = 100;

/**
 * Which backends take traffic, with which weight.
 *
 * A backend that is unknown takes none in any mode: it has not shown that it works. Below the floor the ones that
 * worked once are used; only where none ever did are all the failing ones, since then the check is as likely wrong.
 * Drained backends (weight 0) and unknown ones do not count towards the floor: neither says that something broke.
 *
 * While a slow start runs, all weights of the pool are multiplied by 100, so that a backend of weight 1 can have a
 * part of it. A common factor changes no slot of a weighted ring of the second version, which looks only at the
 * weights' proportions.
 */
export function poolUse(members: readonly PoolMember[], policy: PoolPolicy, nowMs: number): PoolUse {
  const judged = members.filter(({ weight, health }) => weight > 0 && health !== 'unknown');
  const healthy = judged.filter(({ health }) => health === 'healthy');
  if (healthy.length === judged.length || isAboveFloor(healthy.length, judged.length, policy)) {
    if (healthy.length === 0) return { mode: 'none', weights: new Map(), nextStepMs: undefined };
    return { mode: 'healthy', ...weigh(healthy, policy.slowStart, nowMs) };
  }
  if (policy.belowFloor === 'drop') return { mode: 'none', weights: new Map(), nextStepMs: undefined };
  const proven = judged.filter(({ everHealthy }) => everHealthy);
  // Traffic that is too much for the few healthy ones must not wait for a slow start: all have full weight.
  return { mode: 'last-resort', ...weigh(proven.length > 0 ? proven : judged, undefined, nowMs) };
}

function isAboveFloor(healthy: number, judged: number, { panicPercent }: PoolPolicy): boolean {
  return healthy > 0 && healthy * 100 >= judged * panicPercent;
}

/** The share of its weight that a backend has, in percent, and when that changes; undefined: full for good. */
function startOf(
  { recoveredMs }: PoolMember,
  slowStart: SlowStart | undefined,
  nowMs: number,
): { readonly percent: number; readonly nextMs: number } | undefined {
  if (slowStart === undefined || recoveredMs === undefined) return undefined;
  const { windowMs, minPercent, steps } = slowStart;
  const stepMs = windowMs / steps;
  // Steps are taken at multiples of their length: backends that recover one after the other step together, and so do
  // the nodes of a cluster, so that a pool's ring is built anew `steps` times a window at most and is the same on all.
  const now = Math.floor(nowMs / stepMs);
  // A clock that went back must not take the weight below its least.
  const step = Math.max(0, now - Math.ceil(recoveredMs / stepMs));
  if (step >= steps) return undefined;
  const percent = Math.round(minPercent + ((PERCENT - minPercent) * step) / steps);
  return { percent, nextMs: Math.max(now + 1, Math.ceil(recoveredMs / stepMs) + 1) * stepMs };
}

function weigh(
  used: readonly PoolMember[],
  slowStart: SlowStart | undefined,
  nowMs: number,
): Pick<PoolUse, 'weights' | 'nextStepMs'> {
  const starts = used.map((member) => startOf(member, slowStart, nowMs));
  const running = starts.filter((start) => start !== undefined);
  const percents = starts.map((start) => start?.percent ?? PERCENT);
  // Where all are equally far there is nobody to spare them: only proportions count.
  const isEven = percents.every((percent) => percent === percents[0]);
  const weights = new Map(
    used.map(({ key, weight }, i) => [key, isEven ? weight : weight * percents[i]!] as const),
  );
  const nextStepMs = running.length > 0 ? Math.min(...running.map(({ nextMs }) => nextMs)) : undefined;
  return { weights, nextStepMs };
}
