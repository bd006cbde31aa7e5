import type { HealthCheck } from '../health/types.js';
import { healthCheckFaults } from '../health/validate.js';
import type { CreateHealthCheck, DeleteHealthCheck, UpdateHealthCheck } from './changes.js';
import { exists, overLimit, StateError } from './faults.js';
import { type CheckFields, checkFieldsOf } from './fields.js';
import { checkJson } from './journal-codec.js';
import type { StateLimits } from './limits.js';
import { type CheckResource, checkName, type DesiredState, idOf, type Version } from './model.js';
import { Checks, find } from './validate.js';
import { checkEtag, firstVersion, nextVersion, type Stamp, withEntry, withoutEntries } from './version.js';

/** A health check without its name and version. */
export type CheckBody = Omit<CheckResource, 'name' | keyof Version>;

/** Fields of a check as the API names them, where that is not the same in snake case. */
const API_FIELDS: Readonly<Record<string, string>> = {
  intervalMs: 'interval',
  timeoutMs: 'timeout',
  fastIntervalMs: 'fast_interval',
  initialDelayMs: 'initial_delay',
  rise: 'healthy_threshold',
  fall: 'unhealthy_threshold',
};

function apiField(field: string, { probe }: HealthCheck): string {
  return (API_FIELDS[field] ?? field)
    .replace(/^probe\b/, probe.kind)
    .replace('expectedStatuses', 'expected_statuses')
    .replace(/\]\.from$/, '].first')
    .replace(/\]\.to$/, '].last')
    .replace('expectBody', 'expect_body')
    .replace(/\.expect$/, '.expect_prefix')
    .replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/**
 * The check that fields say. Rules that they break are noted.
 * @param path of the check in the request
 * @param id   its id, which the checks of a backend are told apart by
 */
export function readCheck(checks: Checks, path: string, id: string, fields: CheckFields): CheckBody {
  checks.displayName(`${path}.display_name`, fields.displayName);
  const check = { ...fields.check, name: id };
  for (const { field, value, rule } of healthCheckFaults({ ...check, name: 'id' })) {
    checks.fail(`${path}.${apiField(field, check)}`, `${value}: must be ${rule}`);
  }
  return { displayName: fields.displayName, check };
}

/** Whether two checks are the same but for their versions. */
export const sameCheck = (a: CheckBody, b: CheckBody): boolean => textOf(a) === textOf(b);

const NO_VERSION = { etag: '', revision: 0, createTimeMs: 0, updateTimeMs: 0 };

/** The same check is the same text, however it came about. */
const textOf = (body: CheckBody): string => JSON.stringify(checkJson({ name: '', ...body, ...NO_VERSION }));

export function createHealthCheck(
  state: DesiredState,
  change: CreateHealthCheck,
  stamp: Stamp,
  limits: StateLimits,
): DesiredState {
  const checks = new Checks();
  checks.id('health_check_id', change.id);
  const body = readCheck(checks, 'health_check', change.id, change);
  checks.done();
  const name = checkName(change.id);
  if (state.healthChecks.has(name)) throw exists('healthCheck', name, `health_check_id: ${name} exists`);
  if (state.healthChecks.size >= limits.healthChecks) throw overLimit('health checks', limits.healthChecks);
  const resource: CheckResource = { name, ...body, ...firstVersion(stamp) };
  const healthChecks = withEntry(state.healthChecks, name, resource);
  return { ...state, revision: stamp.revision, healthChecks };
}

export function updateHealthCheck(
  state: DesiredState,
  change: UpdateHealthCheck,
  stamp: Stamp,
): DesiredState {
  const resource = find(state.healthChecks, 'healthCheck', change.name, 'health_check.name');
  checkEtag(resource.name, resource, change.etag);
  const checks = new Checks();
  const fields = { ...checkFieldsOf(resource), ...change.fields };
  const body = readCheck(checks, 'health_check', idOf(resource.name), fields);
  checks.done();
  if (sameCheck(resource, body)) return state;
  const changed: CheckResource = { ...resource, ...body, ...nextVersion(resource, stamp) };
  const healthChecks = withEntry(state.healthChecks, resource.name, changed);
  return { ...state, revision: stamp.revision, healthChecks };
}

export function deleteHealthCheck(
  state: DesiredState,
  change: DeleteHealthCheck,
  stamp: Stamp,
): DesiredState {
  const resource = find(state.healthChecks, 'healthCheck', change.name);
  checkEtag(resource.name, resource, change.etag);
  const users = [...state.pools.values()].filter(({ healthChecks }) => healthChecks.includes(resource.name));
  if (users.length > 0) {
    const names = users.map(({ name }) => name);
    throw new StateError(
      { code: 'STATE_IN_USE', name: resource.name, users: names },
      `${resource.name} is used by ${names.slice(0, 3).join(', ')}${names.length > 3 ? ', …' : ''}: take it out of them first`,
    );
  }
  const healthChecks = withoutEntries(state.healthChecks, [resource.name]);
  return { ...state, revision: stamp.revision, healthChecks };
}
