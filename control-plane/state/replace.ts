import { formatIp, formatMac } from '../../lb/index.js';
import { readBackend, sameBackend } from './backends.js';
import type { Replace } from './changes.js';
import { overLimit } from './faults.js';
import { readCheck, sameCheck } from './health-checks.js';
import type { StateLimits } from './limits.js';
import {
  type Backend,
  backendAddresses,
  type CheckResource,
  type DesiredState,
  idOf,
  type NodeState,
  type Pool,
  type ResourceKind,
  ringsInUse,
  type Version,
  type Vip,
} from './model.js';
import { readNode, sameNode } from './node.js';
import { readPool, samePool } from './pools.js';
import {
  globalFlowKey,
  readGlobalFlow,
  readServerId,
  readSourceRoute,
  serverIdKey,
  sourceRouteKey,
  withRoutes,
} from './routing.js';
import { Checks } from './validate.js';
import { firstVersion, nextVersion, type Stamp } from './version.js';
import { readVip, sameVip } from './vips.js';

/** Where a resource stands in the request; those that it does not name are called by their names. */
type Paths = ReadonlyMap<string, string>;

/** How resources of a kind are read and compared. */
interface Reader<F, B extends object> {
  readonly kind: ResourceKind;
  /** Path of the list in the request. */
  readonly list: string;
  readonly read: (fields: F & { readonly name: string }, path: string) => B | undefined;
  readonly same: (a: B, b: B) => boolean;
}

/** Replaces a state by what a target says, and notes all that is wrong with it. */
class Replacement {
  readonly #state: DesiredState;
  readonly #change: Replace;
  readonly #stamp: Stamp;
  readonly #checks = new Checks();
  readonly #paths = new Map<string, string>();

  constructor(state: DesiredState, change: Replace, stamp: Stamp) {
    this.#state = state;
    this.#change = change;
    this.#stamp = stamp;
  }

  /** @throws StateError with all faults */
  run(limits: StateLimits): DesiredState {
    const { target } = this.#change;
    const state = this.#state;
    const checks = this.#checks;
    const healthChecks = this.#merge<(typeof target.healthChecks)[number], CheckResource>(
      state.healthChecks,
      target.healthChecks,
      {
        kind: 'healthCheck',
        list: 'snapshot.health_checks',
        read: (fields, path) => ({
          name: fields.name,
          ...readCheck(checks, path, idOf(fields.name), fields),
        }),
        same: sameCheck,
      },
    );
    const pools = this.#merge<(typeof target.pools)[number], Pool>(state.pools, target.pools, {
      kind: 'pool',
      list: 'snapshot.pools',
      read: (fields, path) => ({ name: fields.name, ...readPool(checks, path, fields) }),
      same: samePool,
    });
    const backends = this.#merge<(typeof target.backends)[number], Backend>(state.backends, target.backends, {
      kind: 'backend',
      list: 'snapshot.backends',
      read: (fields, path) => {
        const { name } = fields;
        const pool = name.replace(/\/backends\/.*$/, '');
        const place = {
          present: state.backends.get(name),
          pool: pools.get(pool),
          timeMs: this.#stamp.timeMs,
        };
        const body = readBackend(checks, path, fields, place);
        return body && { name, pool, ...body };
      },
      same: sameBackend,
    });
    const vips = this.#merge<(typeof target.vips)[number], Vip>(state.vips, target.vips, {
      kind: 'vip',
      list: 'snapshot.vips',
      read: (fields, path) => {
        const body = readVip(checks, path, fields);
        return body && { name: fields.name, ...body };
      },
      same: sameVip,
    });
    const wanted = { ...state, ...this.#routes(), healthChecks, pools, backends, vips };
    const after = { ...wanted, node: this.#node(wanted) };
    checkReferences(checks, after, this.#paths);
    checks.done();
    checkLimits(after, limits);
    return isSame(state, after) ? state : { ...after, revision: this.#stamp.revision };
  }

  /** What stays the same keeps its version; what is there keeps its place. */
  #merge<F extends { readonly name: string }, T extends Version & { readonly name: string }>(
    present: ReadonlyMap<string, T>,
    given: readonly F[],
    reader: Reader<F, Omit<T, keyof Version>>,
  ): ReadonlyMap<string, T> {
    const checks = this.#checks;
    const seen = new Set<string>();
    const merged = new Map(present);
    let isChanged = false;
    for (const [i, fields] of given.entries()) {
      const path = `${reader.list}[${i}]`;
      const { name } = fields;
      checks.name(`${path}.name`, reader.kind, name);
      if (seen.has(name)) checks.fail(`${path}.name`, `${name} is there twice`);
      seen.add(name);
      this.#paths.set(name, path);
      const body = reader.read(fields, path);
      const old = present.get(name);
      if (body === undefined || (old && reader.same(old, body))) continue;
      const version = old ? nextVersion(old, this.#stamp) : firstVersion(this.#stamp);
      // A body is a resource without its version.
      merged.set(name, { ...body, ...version } as T);
      isChanged = true;
    }
    if (this.#change.prune) {
      for (const name of present.keys()) {
        if (seen.has(name)) continue;
        merged.delete(name);
        isChanged = true;
      }
    }
    return isChanged ? merged : present;
  }

  #routes(): Pick<DesiredState, 'serverIds' | 'sourceRoutes' | 'globalFlows'> {
    const { target, prune } = this.#change;
    const state = this.#state;
    const merge = <
      F,
      T extends
        | DesiredState['serverIds'][number]
        | DesiredState['sourceRoutes'][number]
        | DesiredState['globalFlows'][number],
    >(
      list: string,
      present: readonly T[],
      given: readonly F[],
      read: (checks: Checks, path: string, fields: F) => T | undefined,
      keyOf: (entry: T) => string,
    ): readonly T[] => {
      const wanted = given.flatMap((fields, i): T[] => {
        const entry = read(this.#checks, `snapshot.${list}[${i}]`, fields);
        return entry ? [entry] : [];
      });
      const keys = new Set<string>();
      for (const [i, entry] of wanted.entries()) {
        const key = keyOf(entry);
        if (keys.has(key)) this.#checks.fail(`snapshot.${list}[${i}]`, `${key} is there twice`);
        keys.add(key);
      }
      const gone = prune ? present.map(keyOf).filter((key) => !keys.has(key)) : [];
      return withRoutes(present, wanted, new Set(gone), keyOf);
    };
    return {
      serverIds: merge('server_ids', state.serverIds, target.serverIds, readServerId, serverIdKey),
      sourceRoutes: merge(
        'source_routes',
        state.sourceRoutes,
        target.sourceRoutes,
        readSourceRoute,
        sourceRouteKey,
      ),
      globalFlows: merge(
        'global_flows',
        state.globalFlows,
        target.globalFlows,
        readGlobalFlow,
        globalFlowKey,
      ),
    };
  }

  #node(wanted: DesiredState): NodeState {
    const { node } = this.#change.target;
    const { etag, revision } = this.#stamp;
    const present = this.#state.node;
    if (node === undefined) {
      const isGone = present.watchedVip !== undefined && !wanted.vips.has(present.watchedVip);
      return isGone ? { ...present, watchedVip: undefined, etag, revision } : present;
    }
    const body = readNode(this.#checks, 'snapshot.node', node, wanted.vips);
    return sameNode(present, body) ? present : { ...body, etag, revision };
  }
}

const isSame = (a: DesiredState, b: DesiredState): boolean =>
  a.vips === b.vips &&
  a.pools === b.pools &&
  a.backends === b.backends &&
  a.healthChecks === b.healthChecks &&
  a.node === b.node &&
  a.serverIds === b.serverIds &&
  a.sourceRoutes === b.sourceRoutes &&
  a.globalFlows === b.globalFlows;

/** What resources say of each other. */
function checkReferences(checks: Checks, state: DesiredState, paths: Paths): void {
  const at = (name: string) => paths.get(name) ?? name;
  for (const { name, healthChecks } of state.pools.values()) {
    for (const [i, check] of healthChecks.entries()) {
      if (!state.healthChecks.has(check))
        checks.fail(`${at(name)}.health_checks[${i}]`, `${check} does not exist`);
    }
  }
  const ipv4Of = checkBackends(checks, state, at);
  const keys = new Map<string, string>();
  for (const { name, key, pool } of state.vips.values()) {
    const text = [key.address.bytes.join('.'), key.prefixBits ?? '', key.port, key.protocol].join(' ');
    const other = keys.get(text);
    if (other !== undefined)
      checks.fail(`${at(name)}.address`, `address, port and protocol are those of ${other}`);
    else keys.set(text, name);
    if (!state.pools.has(pool)) checks.fail(`${at(name)}.pool`, `${pool} does not exist`);
    const offender = key.address.family === 6 ? ipv4Of.get(pool) : undefined;
    if (offender) {
      checks.fail(
        `${at(name)}.pool`,
        `${pool} has the IPv4 backend ${offender.name} (${offender.addressKey}), which cannot serve the IPv6 VIP ${formatIp(key.address)}: IPv6 is not carried over IPv4`,
      );
    }
  }
}

/** @returns an IPv4 backend of each pool that has one */
function checkBackends(
  checks: Checks,
  state: DesiredState,
  at: (name: string) => string,
): ReadonlyMap<string, Backend> {
  const ipv4Of = new Map<string, Backend>();
  const places = new Map<string, string>();
  const rows = new Map<string, Backend>();
  for (const backend of state.backends.values()) {
    const { name, pool, addressKey } = backend;
    if (!state.pools.has(pool)) checks.fail(`${at(name)}.name`, `${pool} does not exist`);
    if (backend.address.family === 4 && !ipv4Of.has(pool)) ipv4Of.set(pool, backend);
    const place = `${pool} ${addressKey}`;
    const other = places.get(place);
    if (other !== undefined) checks.fail(`${at(name)}.address`, `${addressKey} is the address of ${other}`);
    else places.set(place, name);
    const row = rows.get(addressKey);
    if (row === undefined) rows.set(addressKey, backend);
    else checkRow(checks, at(name), backend, row);
  }
  return ipv4Of;
}

/** Backends with one address share a row: what the row says must be the same. */
function checkRow(checks: Checks, path: string, backend: Backend, row: Backend): void {
  const [mac, other] = [backend, row].map((one) => (one.mac ? formatMac(one.mac) : 'none'));
  if (mac !== other)
    checks.fail(
      `${path}.mac_address`,
      `${row.name} has the same address, and the MAC address ${other}: they must agree`,
    );
  if (backend.isLocal !== row.isLocal)
    checks.fail(
      `${path}.local`,
      `${row.name} has the same address, and ${row.isLocal ? 'is' : 'is not'} local: they must agree`,
    );
}

function checkLimits(state: DesiredState, limits: StateLimits): void {
  const counts: readonly (readonly [what: string, count: number, limit: number])[] = [
    ['VIPs', state.vips.size, limits.vips],
    ['pools', state.pools.size, limits.pools],
    ['backends', state.backends.size, limits.backends],
    ['health checks', state.healthChecks.size, limits.healthChecks],
    ['server ids', state.serverIds.length, limits.serverIds],
    ['source routes', state.sourceRoutes.length, limits.sourceRoutes],
    ['global flows', state.globalFlows.length, limits.globalFlows],
    ['decapsulation destinations', state.node.decapDestinations.length, limits.decapDestinations],
    ['backend addresses', backendAddresses(state).size, limits.addresses],
    ['rings (pools that serve VIPs)', ringsInUse(state).size, limits.rings],
  ];
  for (const [what, count, limit] of counts) if (count > limit) throw overLimit(what, limit);
}

/**
 * The state that a target asks for: every resource that it names is as it says. Resources that stay as they are keep their
 * versions; one whose address changes is another one under the same name.
 * @throws StateError with all that is wrong, by the paths of the request
 */
export function replaceState(
  state: DesiredState,
  change: Replace,
  stamp: Stamp,
  limits: StateLimits,
): DesiredState {
  return new Replacement(state, change, stamp).run(limits);
}
