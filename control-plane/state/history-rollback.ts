import { CodedError, formatIp, formatMac, sameIp } from '../../lb/index.js';
import type { Change } from './changes.js';
import { type HistoryEntry, stateAt } from './history.js';
import { restJson } from './journal-codec.js';
import { type Backend, type DesiredState, idOf, type Pool, type Vip } from './model.js';

export type HistoryFault =
  | {
      readonly code: 'HISTORY_REVISION';
      readonly revision: number;
      readonly oldest: number;
      readonly newest: number;
    }
  /** No change of the API leads there. */
  | { readonly code: 'HISTORY_FIELD'; readonly name: string; readonly field: string };

/** A revision that cannot be gone back to. */
export class HistoryError extends CodedError<HistoryFault> {}

/** What of a resource no change sets, as text; with the field's name. */
type FixedFields<T> = Readonly<Record<string, (resource: T) => string>>;

const VIP_FIXED: FixedFields<Vip> = {
  flags: ({ flags }) => String(flags),
  ring_algorithm: ({ ringAlgorithm }) => ringAlgorithm ?? '',
  down_backends: ({ downBackends }) => downBackends.map(formatIp).join(),
  prefix_bits: ({ key }) => String(key.prefixBits ?? ''),
};
const POOL_FIXED: FixedFields<Pool> = { ring_algorithm: ({ ringAlgorithm }) => ringAlgorithm };
const BACKEND_FIXED: FixedFields<Backend> = {
  mac: ({ mac }) => (mac ? formatMac(mac) : ''),
  local: ({ isLocal }) => String(isLocal),
  down: ({ isDown }) => String(isDown),
};
const NEW_VIP = { flags: '0', ring_algorithm: '', down_backends: '', prefix_bits: '' };
const NEW_POOL = { ring_algorithm: 'v2' };
const NEW_BACKEND = { mac: '', local: 'false', down: 'false' };

/** @throws HistoryError HISTORY_FIELD where a field that no change sets has to be another than it is, or than a new one's */
function checkFixed<T extends { readonly name: string }>(
  fields: FixedFields<T>,
  wanted: T,
  present: T | undefined,
  fresh: Readonly<Record<string, string>>,
): void {
  for (const [field, text] of Object.entries(fields)) {
    const now = present ? text(present) : fresh[field];
    if (text(wanted) === now) continue;
    throw new HistoryError(
      { code: 'HISTORY_FIELD', name: wanted.name, field },
      `${wanted.name}: ${field} was "${text(wanted)}" and would be "${now}": no change sets it`,
    );
  }
}

const sameKey = (a: Vip, b: Vip) =>
  a.key.port === b.key.port &&
  a.key.protocol === b.key.protocol &&
  a.key.prefixBits === b.key.prefixBits &&
  sameIp(a.key.address, b.key.address);

/** The resource of a state that has the same name and the same of what never changes. */
const lasting = (state: DesiredState, vip: Vip): Vip | undefined => {
  const present = state.vips.get(vip.name);
  return present && sameKey(present, vip) ? present : undefined;
};
const lastingBackend = (state: DesiredState, backend: Backend): Backend | undefined => {
  const present = state.backends.get(backend.name);
  return present && sameIp(present.address, backend.address) ? present : undefined;
};

function deletions(from: DesiredState, to: DesiredState): Change[] {
  const vips = [...from.vips.values()].filter((vip) => !lasting(to, vip));
  const backends = [...from.backends.values()].filter((backend) => !lastingBackend(to, backend));
  return [
    ...vips.map(({ name }): Change => ({ kind: 'delete-vip', name, etag: '' })),
    ...backends.map(({ name }): Change => ({ kind: 'delete-backend', name, etag: '' })),
  ];
}

function poolChanges(from: DesiredState, to: DesiredState): Change[] {
  return [...to.pools.values()].flatMap((pool): Change[] => {
    const present = from.pools.get(pool.name);
    const { displayName } = pool;
    checkFixed(POOL_FIXED, pool, present, NEW_POOL);
    if (!present) return [{ kind: 'create-pool', id: idOf(pool.name), displayName }];
    if (present.displayName === displayName) return [];
    return [{ kind: 'update-pool', name: pool.name, etag: '', fields: { displayName } }];
  });
}

function vipUpdates(from: DesiredState, to: DesiredState): Change[] {
  return [...to.vips.values()].flatMap((vip): Change[] => {
    const present = lasting(from, vip);
    checkFixed(VIP_FIXED, vip, present, NEW_VIP);
    const { displayName, pool } = vip;
    if (!present || (present.displayName === displayName && present.pool === pool)) return [];
    return [{ kind: 'update-vip', name: vip.name, etag: '', fields: { displayName, pool } }];
  });
}

function vipCreations(from: DesiredState, to: DesiredState): Change[] {
  return [...to.vips.values()]
    .filter((vip) => !lasting(from, vip))
    .map(
      ({ name, displayName, key, pool }): Change => ({
        kind: 'create-vip',
        id: idOf(name),
        displayName,
        address: formatIp(key.address),
        port: key.port,
        protocol: key.protocol,
        pool,
      }),
    );
}

function backendChanges(from: DesiredState, to: DesiredState): Change[] {
  return [...to.backends.values()].flatMap((backend): Change[] => {
    const { name, pool, weight, drainStartMs } = backend;
    const present = lastingBackend(from, backend);
    checkFixed(BACKEND_FIXED, backend, present, NEW_BACKEND);
    const changes: Change[] = [];
    if (!present) {
      changes.push({ kind: 'create-backend', pool, id: idOf(name), address: backend.addressKey, weight });
    } else if (present.weight !== weight) {
      changes.push({ kind: 'update-backend', name, etag: '', fields: { weight } });
    }
    const isDraining = present?.drainStartMs !== undefined;
    if (isDraining && drainStartMs === undefined) changes.push({ kind: 'undrain-backend', name, etag: '' });
    if (!isDraining && drainStartMs !== undefined) changes.push({ kind: 'drain-backend', name, etag: '' });
    return changes;
  });
}

/**
 * Changes that lead from a state to another, each sound after those before it: what goes is deleted first, and VIPs leave
 * a pool before backends come that could not serve them. Versions are new, and a drain begins anew.
 * @throws HistoryError HISTORY_FIELD
 */
export function changesBetween(from: DesiredState, to: DesiredState): readonly Change[] {
  if (JSON.stringify(restJson(from)) !== JSON.stringify(restJson(to))) {
    throw new HistoryError(
      { code: 'HISTORY_FIELD', name: 'node', field: 'options' },
      'node: options and routes were others, and no change sets them',
    );
  }
  const poolsGone = [...from.pools.keys()].filter((name) => !to.pools.has(name));
  return [
    ...deletions(from, to),
    ...poolChanges(from, to),
    ...vipUpdates(from, to),
    ...poolsGone.map((name): Change => ({ kind: 'delete-pool', name, etag: '', force: false })),
    ...backendChanges(from, to),
    ...vipCreations(from, to),
  ];
}

/**
 * Changes that lead back to an earlier revision. Nothing is changed.
 * @throws HistoryError HISTORY_REVISION, HISTORY_FIELD
 */
export function rollbackTo(
  state: DesiredState,
  history: readonly HistoryEntry[],
  revision: number,
): readonly Change[] {
  const wanted = stateAt(state, history, revision);
  if (wanted) return changesBetween(state, wanted);
  const oldest = (history[0]?.revision ?? state.revision + 1) - 1;
  const newest = state.revision;
  throw new HistoryError(
    { code: 'HISTORY_REVISION', revision, oldest, newest },
    `revision ${revision} is not in ${oldest}..${newest}, which history reaches`,
  );
}
