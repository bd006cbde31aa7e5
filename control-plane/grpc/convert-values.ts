import type { VipProtocol } from '../../lb/index.js';
import { fieldError } from '../state/faults.js';
import type { RingAlgorithm, Version } from '../state/model.js';
import type { Duration, Duration__Output } from './generated/google/protobuf/Duration.js';
import type { Timestamp } from './generated/google/protobuf/Timestamp.js';

/** Protocols of the API; others are not known. */
export const PROTOCOLS: Readonly<Record<VipProtocol, 'PROTOCOL_TCP' | 'PROTOCOL_UDP'>> = {
  tcp: 'PROTOCOL_TCP',
  udp: 'PROTOCOL_UDP',
};

/** undefined for PROTOCOL_UNSPECIFIED, and for numbers that no protocol has. */
export function protocolOf(value: string | number): VipProtocol | undefined {
  if (value === PROTOCOLS.tcp) return 'tcp';
  return value === PROTOCOLS.udp ? 'udp' : undefined;
}

/** @param ms milliseconds since 1970 */
export function timestampOf(ms: number): Timestamp {
  const seconds = Math.floor(ms / 1000);
  return { seconds: String(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

export function durationOf(ms: number): Duration {
  const seconds = Math.trunc(ms / 1000);
  return { seconds: String(seconds), nanos: Math.round((ms - seconds * 1000) * 1e6) };
}

/** google.protobuf.Duration reaches so many seconds to both sides. */
const MAX_SECONDS = 315_576_000_000;

/**
 * Milliseconds; undefined where there is none.
 * @throws StateError STATE_FIELDS for one that is negative or no duration
 */
export function msOf(field: string, duration: Duration__Output | null | undefined): number | undefined {
  if (!duration) return undefined;
  const [seconds, nanos] = [Number(duration.seconds), duration.nanos];
  const isValid = seconds >= 0 && seconds <= MAX_SECONDS && nanos >= 0 && nanos <= 999_999_999;
  if (!isValid) throw fieldError(field, `${seconds} s and ${nanos} ns are not a duration of 0 or more`);
  return seconds * 1000 + nanos / 1e6;
}

export const ALGORITHMS: Readonly<
  Record<RingAlgorithm, 'RING_ALGORITHM_MAGLEV_V1' | 'RING_ALGORITHM_MAGLEV_V2'>
> = {
  v1: 'RING_ALGORITHM_MAGLEV_V1',
  v2: 'RING_ALGORITHM_MAGLEV_V2',
};

/** undefined for RING_ALGORITHM_UNSPECIFIED. @throws StateError STATE_FIELDS */
export function algorithmOf(field: string, value: string | number): RingAlgorithm | undefined {
  if (value === 'RING_ALGORITHM_UNSPECIFIED') return undefined;
  if (value === ALGORITHMS.v1) return 'v1';
  if (value === ALGORITHMS.v2) return 'v2';
  throw fieldError(field, `${value} is not a ring algorithm: ${Object.values(ALGORITHMS).join(', ')}`);
}

export const versionOf = ({ etag, createTimeMs, updateTimeMs, revision }: Version) => ({
  etag,
  createTime: timestampOf(createTimeMs),
  updateTime: timestampOf(updateTimeMs),
  revision: String(revision),
});

/** Fields of a request by the names of the API, with whether each is set there. */
export function populated(fields: Readonly<Record<string, boolean>>): Set<string> {
  return new Set(Object.keys(fields).filter((field) => fields[field]));
}

/** As proto-loader gives it. */
export type Mask = { readonly paths: readonly string[] } | null;

/** Only the named properties, in the names of the API: those of `values` whose API name is in the set. */
export function chosen<F extends object>(
  set: ReadonlySet<string>,
  names: { readonly [K in keyof F]: string },
  values: F,
): Partial<F> {
  const result: Partial<F> = {};
  for (const key in names) if (set.has(names[key])) result[key] = values[key];
  return result;
}
