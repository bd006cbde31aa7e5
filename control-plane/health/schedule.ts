import type { CheckTiming } from './types.js';

/** The times of a check's probes: what spreads them, and what they were. */
export interface Schedule {
  readonly timing: Pick<CheckTiming, 'intervalMs' | 'fastIntervalMs' | 'jitterPercent' | 'initialDelayMs'>;
  /** Where in its period this check of this target has its place, 0 ≤ phase < 1. */
  readonly phase: number;
  /** 0 ≤ r < 1. */
  readonly random: () => number;
}

/** New targets are first probed at no more than so many a second, however many come at once. */
const FIRST_PROBES_PER_SECOND = 5000;
/** Of a period: what a Unix time divided by a period loses as a double, with a margin. */
const ROUNDING = 1e-4;
const FNV_OFFSET = 0x811c9dc5;
const FNV_PRIME = 0x01000193;

/**
 * The place of a check in its period. Hashed (FNV-1a, 32 bits, then mixed) and not drawn, so that it is the same after
 * a restart; the seed is the node's, so that two balancers do not probe a backend at the same moments.
 * @returns 0 ≤ phase < 1
 */
export function phaseOf(seed: string, key: string, check: string): number {
  let hash = FNV_OFFSET;
  for (const byte of Buffer.from(`${seed}\0${key}\0${check}`)) hash = Math.imul(hash ^ byte, FNV_PRIME);
  // FNV leaves the high bits of keys that differ at their end alike, and the phase is the high bits.
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) / 2 ** 32;
}

/**
 * When a new check probes for the first time: soon, since a new backend serves nobody before, but a thousand new ones
 * not at once.
 * @param together how many checks begin now
 */
export function firstStart({ timing, phase }: Schedule, nowMs: number, together: number): number {
  const spreadMs = Math.min(timing.intervalMs, (together * 1000) / FIRST_PROBES_PER_SECOND);
  return nowMs + timing.initialDelayMs + phase * spreadMs;
}

/**
 * When the next probe begins, after one that was due at `lastMs`.
 *
 * The places of a check are `phase` apart from the multiples of its period, each moved by jitter of its own; the
 * period is shorter than the interval by as much as jitter may move, so that two probes are never more than the
 * interval apart: a fault is found within fall × interval + timeout whatever is drawn. Places and not gaps are drawn
 * from: after any disturbance (a fast retry, a stalled process) each target is back at its own place.
 *
 * @param isConfirming a change is being confirmed: the fast interval holds, with jitter taken off it too
 * @returns a time > lastMs; it may have passed by now
 */
export function nextStart(
  { timing, phase, random }: Schedule,
  lastMs: number,
  isConfirming: boolean,
): number {
  const jitter = timing.jitterPercent / 100;
  if (isConfirming) return lastMs + timing.fastIntervalMs * (1 - jitter * random());
  const wanderMs = (timing.intervalMs * jitter) / 2;
  const periodMs = timing.intervalMs - wanderMs;
  // The place of the last probe began at most wanderMs before it.
  const lastPlace = Math.floor(lastMs / periodMs - phase + ROUNDING);
  const next = (lastPlace + 1 + phase) * periodMs + random() * wanderMs;
  return Math.min(next, lastMs + timing.intervalMs);
}
