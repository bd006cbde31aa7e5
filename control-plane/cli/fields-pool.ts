import { InvalidArgumentError } from 'commander';
import type { _waggle_v1_Pool_PanicPolicy, Pool } from '../grpc/generated/waggle/v1/Pool.js';
import type { SlowStart } from '../grpc/generated/waggle/v1/SlowStart.js';
import { checkName, parsePercent } from './arguments.js';
import { durationOf, parseSpan } from './duration.js';
import { asList, DISPLAY_NAME, type Field, field, wordField } from './fields.js';
import { RINGS } from './fields-vip.js';

const PANIC_POLICIES: Readonly<Record<string, _waggle_v1_Pool_PanicPolicy & string>> = {
  'last-resort': 'PANIC_POLICY_LAST_RESORT',
  drop: 'PANIC_POLICY_DROP',
};

/** No such thing: the field is named in the mask, and not set. */
const NONE = 'none';

/** WINDOW, then percent of the weight at the first step, then the number of steps: 30s,10%,5; or NONE. */
function parseSlowStart(text: string): SlowStart | typeof NONE {
  if (text === NONE) return NONE;
  const [window = '', percent, steps, ...rest] = text.split(',');
  const number = (part: string) => {
    if (!/^\d+%?$/.test(part))
      throw new InvalidArgumentError(`${text} is not WINDOW[,PERCENT[,STEPS]], such as 30s,10%,5.`);
    return Number.parseInt(part, 10);
  };
  if (rest.length > 0) throw new InvalidArgumentError(`${text} has more than WINDOW,PERCENT,STEPS.`);
  return {
    window: durationOf(parseSpan(window)),
    ...(percent !== undefined && { minWeightPercent: number(percent) }),
    ...(steps !== undefined && { steps: number(steps) }),
  };
}

/** Fields of a pool. */
export const POOL_FIELDS: readonly Field<Partial<Pool>>[] = [
  DISPLAY_NAME,
  field<readonly string[], Partial<Pool>>({
    flags: '--health-checks <check-list>',
    says: "checks that its backends must pass, '' for none",
    path: 'health_checks',
    parse: asList,
    put: (checks) => ({ healthChecks: checks.map(checkName) }),
  }),
  field<number | typeof NONE, Partial<Pool>>({
    flags: '--drain-timeout <span>',
    says: 'how long a drain lasts that says nothing itself, as 10m; none: until it is ended by hand',
    path: 'drain_timeout',
    parse: (text) => (text === NONE ? NONE : parseSpan(text)),
    put: (ms) => (ms === NONE ? {} : { drainTimeout: durationOf(ms) }),
  }),
  field<SlowStart | typeof NONE, Partial<Pool>>({
    flags: '--slow-start <window>',
    says: 'how a backend that recovers grows to its weight: WINDOW[,PERCENT[,STEPS]], as 30s,10%,5; or none',
    path: 'slow_start',
    parse: parseSlowStart,
    put: (slowStart) => (slowStart === NONE ? {} : { slowStart }),
  }),
  wordField({
    flags: '--panic-policy <policy>',
    says: 'what takes connections when too few are healthy: the unhealthy as well, or nothing',
    path: 'panic_policy',
    words: PANIC_POLICIES,
    put: (panicPolicy) => ({ panicPolicy }),
  }),
  field({
    flags: '--panic-threshold <percent>',
    says: 'share of healthy backends below which that is so, 0 to 100',
    path: 'panic_threshold_percent',
    parse: parsePercent,
    put: (panicThresholdPercent) => ({ panicThresholdPercent }),
  }),
  wordField({
    flags: '--ring <algorithm>',
    says: 'how weights are spread',
    path: 'ring_algorithm',
    words: RINGS,
    put: (ringAlgorithm) => ({ ringAlgorithm }),
  }),
];
