import type { CheckTiming, HttpProbe } from './types.js';

/** The interval bounds it. */
const DEFAULT_TIMEOUT_MS = 2000;
const DEFAULT_INTERVAL_MS = 5000;
/** Part of the interval at which a change is confirmed, and the shortest interval that there is. */
const FAST_PART = 5;
const MIN_INTERVAL_MS = 100;

const NS_PER_MS = 1e6;
/** Times are whole nanoseconds, as the API and files can say them. */
const wholeNs = (ms: number): number => Math.round(ms * NS_PER_MS) / NS_PER_MS;

/** Whole timing of a check that says some of it. */
export function timingOf(
  given: { readonly [K in keyof CheckTiming]?: CheckTiming[K] | undefined },
): CheckTiming {
  const { intervalMs = DEFAULT_INTERVAL_MS } = given;
  return {
    intervalMs,
    timeoutMs: given.timeoutMs ?? Math.min(DEFAULT_TIMEOUT_MS, intervalMs),
    rise: given.rise ?? 2,
    fall: given.fall ?? 3,
    jitterPercent: given.jitterPercent ?? 10,
    fastIntervalMs: given.fastIntervalMs ?? Math.max(MIN_INTERVAL_MS, wholeNs(intervalMs / FAST_PART)),
    initialDelayMs: given.initialDelayMs ?? 0,
    firstResultDecides: given.firstResultDecides ?? true,
  };
}

/** What an HTTP probe has that does not say it. */
export const HTTP_DEFAULTS = {
  tls: false,
  insecureSkipVerify: false,
  host: '',
  reuseConnection: false,
  path: '/',
  method: 'GET',
  expectedStatuses: [{ from: 200, to: 399 }],
} as const satisfies Partial<HttpProbe>;

/** Bytes of an echo request that says none: those of ping(8). */
export const DEFAULT_ECHO_BYTES = 56;

/** A slow start that says only its window. */
export const SLOW_START_DEFAULTS = { minPercent: 10, steps: 10 } as const;
