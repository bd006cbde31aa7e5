import type { Duration } from './generated/google/protobuf/Duration.js';
import type { Timestamp } from './generated/google/protobuf/Timestamp.js';

/** A value that can be less or more than another of its kind. */
export type Ordered = string | number | bigint | boolean;

const NANOS = 1_000_000_000n;
/** RFC 3339 §5.6. */
const RFC_3339 = /^(\d{4}-\d{2}-\d{2}[Tt]\d{2}:\d{2}:\d{2})(?:\.(\d{1,9}))?([Zz]|[+-]\d{2}:\d{2})$/;
const DURATION = /^(-?)(\d{1,12})(?:\.(\d{1,9}))?s$/;

/** Nanoseconds of what stands behind the point. */
const fraction = (digits: string | undefined): bigint => BigInt((digits ?? '').padEnd(9, '0'));

/** Nanoseconds since 1970 of a text as RFC 3339 writes it; undefined for another. */
export function parseTime(text: string): bigint | undefined {
  const [, seconds, digits, zone] = RFC_3339.exec(text) ?? [];
  const ms = seconds === undefined ? Number.NaN : Date.parse(`${seconds}${zone}`.toUpperCase());
  return Number.isNaN(ms) ? undefined : BigInt(ms) * 1_000_000n + fraction(digits);
}

/** Nanoseconds of a text such as `1.5s`; undefined for another. */
export function parseSeconds(text: string): bigint | undefined {
  const [, sign, seconds, digits] = DURATION.exec(text) ?? [];
  if (seconds === undefined) return undefined;
  const nanos = BigInt(seconds) * NANOS + fraction(digits);
  return sign === '-' ? -nanos : nanos;
}

/** Nanoseconds of a time or duration of the API. */
export function nanosOf({ seconds, nanos }: Timestamp | Duration): bigint {
  return BigInt(String(seconds ?? 0)) * NANOS + BigInt(nanos ?? 0);
}

/** -1, 0 or 1: the first value against the second. Texts in the order of their UTF-16 code units. */
export function compare(a: Ordered, b: Ordered): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
