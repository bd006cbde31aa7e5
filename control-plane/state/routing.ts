import { type Flow, formatIp, type IpAddress } from '../../lb/index.js';
import type { UpdateGlobalFlows, UpdateServerIds, UpdateSourceRoutes } from './changes.js';
import { overLimit } from './faults.js';
import type { FlowFields, GlobalFlowFields, ServerIdFields, SourceRouteFields } from './fields.js';
import type { StateLimits } from './limits.js';
import {
  backendAddresses,
  type DesiredState,
  type GlobalFlow,
  type ServerId,
  type SourceRoute,
} from './model.js';
import { Checks } from './validate.js';
import type { Stamp } from './version.js';

const MAX_SERVER_ID = 0xffffffff;
const MAX_PORT = 65_535;

/** The server id that fields say; undefined where they break rules, which are noted. */
export function readServerId(
  checks: Checks,
  path: string,
  { id, backend }: ServerIdFields,
): ServerId | undefined {
  checks.number(`${path}.id`, id, 1, MAX_SERVER_ID);
  const address = checks.hostAddress(`${path}.backend_address`, backend);
  return address && { id, backend: address };
}

/** IPv6 packets are not carried over IPv4: such a route would drop them. */
function checkFamily(checks: Checks, field: string, client: IpAddress, backend: IpAddress): void {
  if (client.family === 6 && backend.family === 4)
    checks.fail(field, `${formatIp(backend)} is IPv4, and the client is IPv6: IPv6 is not carried over IPv4`);
}

/** The source route that fields say; undefined where they break rules, which are noted. */
export function readSourceRoute(
  checks: Checks,
  path: string,
  { prefix: text, backend }: SourceRouteFields,
): SourceRoute | undefined {
  const prefix = checks.prefix(`${path}.prefix`, text);
  const address = checks.hostAddress(`${path}.backend_address`, backend);
  if (prefix && address) checkFamily(checks, `${path}.backend_address`, prefix.address, address);
  return prefix && address && { prefix, backend: address };
}

/** The flow that fields say; undefined where they break rules, which are noted. */
export function readFlow(checks: Checks, path: string, fields: FlowFields): Flow | undefined {
  const src = checks.hostAddress(`${path}.source_address`, fields.src);
  const dst = checks.hostAddress(`${path}.destination_address`, fields.dst);
  const { sport, dport, protocol } = fields;
  checks.whole(`${path}.source_port`, sport, MAX_PORT);
  checks.whole(`${path}.destination_port`, dport, MAX_PORT);
  checks.protocol(`${path}.protocol`, protocol);
  if (src && dst && src.family !== dst.family) {
    checks.fail(`${path}.destination_address`, `${fields.dst} is not of the family of ${fields.src}`);
  }
  return src && dst && protocol && { src, dst, sport, dport, protocol };
}

/** The flow and its backend that fields say; undefined where they break rules, which are noted. */
export function readGlobalFlow(
  checks: Checks,
  path: string,
  { flow: fields, backend }: GlobalFlowFields,
): GlobalFlow | undefined {
  const flow = readFlow(checks, `${path}.flow`, fields);
  const address = checks.hostAddress(`${path}.backend_address`, backend);
  if (flow && address) checkFamily(checks, `${path}.backend_address`, flow.src, address);
  return flow && address && { flow, backend: address };
}

export const serverIdKey = ({ id }: Pick<ServerId, 'id'>): string => String(id);
export const sourceRouteKey = ({ prefix: { address, bits } }: Pick<SourceRoute, 'prefix'>): string =>
  `${formatIp(address)}/${bits}`;
export const flowKey = ({ src, dst, sport, dport, protocol }: Flow): string =>
  `${protocol} [${formatIp(src)}]:${sport} [${formatIp(dst)}]:${dport}`;
export const globalFlowKey = ({ flow }: Pick<GlobalFlow, 'flow'>): string => flowKey(flow);

interface Routed {
  readonly backend: IpAddress;
}

const sameBackend = (a: Routed, b: Routed) => formatIp(a.backend) === formatIp(b.backend);

/**
 * A list with entries set and deleted, sorted by nothing but the time that they came; the same list where nothing changes.
 * @param keyOf what tells entries apart
 */
export function withRoutes<T extends Routed>(
  present: readonly T[],
  set: readonly T[],
  gone: ReadonlySet<string>,
  keyOf: (entry: T) => string,
): readonly T[] {
  const entries = new Map(present.map((entry) => [keyOf(entry), entry]));
  let isChanged = false;
  for (const key of gone) isChanged = entries.delete(key) || isChanged;
  for (const entry of set) {
    const key = keyOf(entry);
    const before = entries.get(key);
    if (before && sameBackend(before, entry)) continue;
    entries.set(key, entry);
    isChanged = true;
  }
  return isChanged ? [...entries.values()] : present;
}

/** @throws StateError STATE_LIMIT */
export function checkAddresses(state: DesiredState, limits: StateLimits): void {
  if (backendAddresses(state).size > limits.addresses) throw overLimit('backend addresses', limits.addresses);
}

function checkCount(what: string, count: number, limit: number): void {
  if (count > limit) throw overLimit(what, limit);
}

const present = <T>(value: T | undefined): T[] => (value === undefined ? [] : [value]);

export function updateServerIds(
  state: DesiredState,
  change: UpdateServerIds,
  stamp: Stamp,
  limits: StateLimits,
): DesiredState {
  const checks = new Checks();
  const set = change.set.flatMap((fields, i) => present(readServerId(checks, `set[${i}]`, fields)));
  checks.done();
  const gone = new Set(change.delete.map(String));
  const serverIds = withRoutes(state.serverIds, set, gone, serverIdKey);
  if (serverIds === state.serverIds) return state;
  checkCount('server ids', serverIds.length, limits.serverIds);
  const after = { ...state, revision: stamp.revision, serverIds };
  checkAddresses(after, limits);
  return after;
}

export function updateSourceRoutes(
  state: DesiredState,
  change: UpdateSourceRoutes,
  stamp: Stamp,
  limits: StateLimits,
): DesiredState {
  const checks = new Checks();
  const set = change.set.flatMap((fields, i) => present(readSourceRoute(checks, `set[${i}]`, fields)));
  const prefixes = change.delete.flatMap((text, i) => present(checks.prefix(`delete[${i}]`, text)));
  checks.done();
  const gone = new Set(prefixes.map((prefix) => sourceRouteKey({ prefix })));
  const sourceRoutes = withRoutes(state.sourceRoutes, set, gone, sourceRouteKey);
  if (sourceRoutes === state.sourceRoutes) return state;
  checkCount('source routes', sourceRoutes.length, limits.sourceRoutes);
  const after = { ...state, revision: stamp.revision, sourceRoutes };
  checkAddresses(after, limits);
  return after;
}

export function updateGlobalFlows(
  state: DesiredState,
  change: UpdateGlobalFlows,
  stamp: Stamp,
  limits: StateLimits,
): DesiredState {
  const checks = new Checks();
  const set = change.set.flatMap((fields, i) => present(readGlobalFlow(checks, `set[${i}]`, fields)));
  const flows = change.delete.flatMap((fields, i) => present(readFlow(checks, `delete[${i}]`, fields)));
  checks.done();
  const gone = new Set(flows.map(flowKey));
  const globalFlows = withRoutes(state.globalFlows, set, gone, globalFlowKey);
  if (globalFlows === state.globalFlows) return state;
  checkCount('global flows', globalFlows.length, limits.globalFlows);
  const after = { ...state, revision: stamp.revision, globalFlows };
  checkAddresses(after, limits);
  return after;
}
