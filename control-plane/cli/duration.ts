import { InvalidArgumentError } from 'commander';
import type { Duration, Duration__Output } from '../grpc/generated/google/protobuf/Duration.js';

const UNIT_MS: Readonly<Record<string, number>> = {
  d: 86_400_000,
  h: 3_600_000,
  m: 60_000,
  s: 1000,
  ms: 1,
};

/**
 * A span of time as people write it: 500ms, 10s, 10m, 1h30m, 2d; 0 alone needs no unit.
 * @returns milliseconds
 * @throws InvalidArgumentError
 */
export function parseSpan(text: string): number {
  if (text === '0') return 0;
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|[dhms])/g)];
  const isWhole = parts.length > 0 && parts.map(([part]) => part).join('') === text;
  if (!isWhole)
    throw new InvalidArgumentError(`${text} is not a span of time such as 500ms, 10s, 1h30m or 2d.`);
  const sum = parts.reduce((ms, [, amount, unit]) => ms + Number(amount) * (UNIT_MS[unit ?? ''] ?? 0), 0);
  return Math.round(sum);
}

/** Milliseconds as the API has them. */
export const durationOf = (ms: number): Duration => ({
  seconds: String(Math.floor(ms / 1000)),
  nanos: (ms % 1000) * 1_000_000,
});

/** Milliseconds of a span of the API; undefined where it is absent. */
export const msOf = (duration: Duration__Output | null | undefined): number | undefined =>
  duration ? Number(duration.seconds) * 1000 + duration.nanos / 1_000_000 : undefined;

/** Milliseconds as `parseSpan` reads them, in the largest unit that keeps them whole. */
export function msText(ms: number): string {
  if (ms === 0) return '0s';
  for (const [unit, size] of Object.entries(UNIT_MS)) if (ms % size === 0) return `${ms / size}${unit}`;
  return `${ms}ms`;
}

/** A span of the API in the same form; empty where it is absent. */
export function spanText(duration: Duration__Output | null | undefined): string {
  const ms = msOf(duration);
  return ms === undefined ? '' : msText(ms);
}
