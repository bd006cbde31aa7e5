import { fieldError } from '../state/faults.js';
import { msOf } from './convert-values.js';
import type { Duration__Output } from './generated/google/protobuf/Duration.js';

/** Lengths that a duration of a request may have, ms. */
export interface DurationRule {
  readonly minMs: number;
  readonly maxMs: number;
  /** What its absence stands for. */
  readonly absentMs: number;
  /** The rule for a person: `1 s to 1 d`. */
  readonly says: string;
}

/** Heartbeats of a watch: often enough for what closes idle connections. */
const HEARTBEAT: DurationRule = { minMs: 1_000, maxMs: 86_400_000, absentMs: 30_000, says: '1 s to 1 day' };

/** @throws StateError STATE_FIELDS */
export function durationMs(field: string, duration: Duration__Output | null, rule: DurationRule): number {
  const ms = msOf(field, duration) ?? rule.absentMs;
  if (ms >= rule.minMs && ms <= rule.maxMs) return ms;
  throw fieldError(field, `${ms / 1000} s is not within ${rule.says}`);
}

/** @throws StateError STATE_FIELDS */
export function heartbeatMs(duration: Duration__Output | null): number {
  return durationMs('heartbeat_interval', duration, HEARTBEAT);
}
