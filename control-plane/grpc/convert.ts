import { formatIp, formatMac, type VipProtocol } from '../../lb/index.js';
import type { NextHopStatus } from '../neighbours.js';
import { effectiveWeight } from '../reconcile/image.js';
import type { UpdateBackend, UpdatePool, UpdateVip } from '../state/changes.js';
import {
  type Backend,
  backendsOf,
  type DesiredState,
  type Pool,
  type Version,
  type Vip,
  vipsOf,
} from '../state/model.js';
import type { ApiContext } from './context.js';
import type { Timestamp } from './generated/google/protobuf/Timestamp.js';
import type { Backend__Output, Backend as ProtoBackend } from './generated/waggle/v1/Backend.js';
import type { NextHop as ProtoNextHop } from './generated/waggle/v1/NextHop.js';
import type { Pool__Output, Pool as ProtoPool } from './generated/waggle/v1/Pool.js';
import type { Vip as ProtoVip, Vip__Output } from './generated/waggle/v1/Vip.js';
import { maskedFields } from './mask.js';

/** Protocols of the API; others are not known. */
const PROTOCOLS: Readonly<Record<VipProtocol, 'PROTOCOL_TCP' | 'PROTOCOL_UDP'>> = {
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

const versionOf = ({ etag, createTimeMs, updateTimeMs, revision }: Version) => ({
  etag,
  createTime: timestampOf(createTimeMs),
  updateTime: timestampOf(updateTimeMs),
  revision: String(revision),
});

/** Backends of a pool, all and those that take new connections. */
function countBackends(state: DesiredState, pool: string, context: ApiContext) {
  const backends = backendsOf(state, pool);
  const serving = backends.filter((backend) => weightInForce(backend, context) > 0);
  return { totalBackends: backends.length, servingBackends: serving.length };
}

const weightInForce = (backend: Backend, context: ApiContext) =>
  effectiveWeight(backend, context.nextHop(backend.addressKey).mac);

export function vipToProto(vip: Vip, state: DesiredState, context: ApiContext): ProtoVip {
  const counts = countBackends(state, vip.pool, context);
  return {
    name: vip.name,
    displayName: vip.displayName,
    address: formatIp(vip.key.address),
    port: vip.key.port,
    protocol: PROTOCOLS[vip.key.protocol],
    pool: vip.pool,
    status: { state: counts.servingBackends > 0 ? 'STATE_ACTIVE' : 'STATE_DOWN', ...counts },
    ...versionOf(vip),
  };
}

export function poolToProto(pool: Pool, state: DesiredState, context: ApiContext): ProtoPool {
  return {
    name: pool.name,
    displayName: pool.displayName,
    status: {
      ...countBackends(state, pool.name, context),
      vips: vipsOf(state, pool.name)
        .map(({ name }) => name)
        .sort(),
    },
    ...versionOf(pool),
  };
}

const NEXT_HOP_STATES: Readonly<Record<NextHopStatus['state'], NonNullable<ProtoNextHop['state']>>> = {
  resolved: 'STATE_RESOLVED',
  pending: 'STATE_PENDING',
  unreachable: 'STATE_UNREACHABLE',
};

export function backendToProto(backend: Backend, context: ApiContext): ProtoBackend {
  const { reconciler } = context;
  const hop = context.nextHop(backend.addressKey);
  const index = reconciler.realIndex(backend);
  const flows = index === undefined ? 0 : (reconciler.flows.recent().get(index) ?? 0);
  const { drainStartMs } = backend;
  return {
    name: backend.name,
    address: formatIp(backend.address),
    weight: backend.weight,
    adminState: drainStartMs === undefined ? 'ADMIN_STATE_ENABLED' : 'ADMIN_STATE_DRAINING',
    status: {
      effectiveWeight: effectiveWeight(backend, hop.mac),
      tableShare: reconciler.tableShare(backend),
      trackedFlows: String(flows),
      ...(drainStartMs !== undefined && { drainStartTime: timestampOf(drainStartMs) }),
      drained: drainStartMs !== undefined && flows === 0,
      nextHop: {
        state: NEXT_HOP_STATES[hop.state],
        macAddress: hop.mac ? formatMac(hop.mac) : '',
        reason: hop.reason,
      },
    },
    ...versionOf(backend),
  };
}

/** Names of the fields of `fields` that are set in a request. */
function populated(fields: Readonly<Record<string, boolean>>): Set<string> {
  return new Set(Object.keys(fields).filter((field) => fields[field]));
}

type Mask = { readonly paths: readonly string[] } | null;

/** What an UpdateVip sets. */
export function vipFields(vip: Vip__Output, mask: Mask): UpdateVip['fields'] {
  const protocol = protocolOf(vip.protocol);
  const set = maskedFields(
    mask?.paths,
    populated({
      display_name: vip.displayName !== '',
      pool: vip.pool !== '',
      address: vip.address !== '',
      port: vip.port !== 0,
      protocol: protocol !== undefined,
    }),
    { changeable: ['display_name', 'pool'], immutable: ['address', 'port', 'protocol'] },
  );
  return {
    ...(set.has('display_name') && { displayName: vip.displayName }),
    ...(set.has('pool') && { pool: vip.pool }),
    ...(set.has('address') && { address: vip.address }),
    ...(set.has('port') && { port: vip.port }),
    ...(set.has('protocol') && protocol && { protocol }),
  };
}

/** What an UpdatePool sets. */
export function poolFields(pool: Pool__Output, mask: Mask): UpdatePool['fields'] {
  const set = maskedFields(mask?.paths, populated({ display_name: pool.displayName !== '' }), {
    changeable: ['display_name'],
    immutable: [],
  });
  return set.has('display_name') ? { displayName: pool.displayName } : {};
}

/** Weight of a backend that names none. */
export const DEFAULT_WEIGHT = 1;

/** What an UpdateBackend sets. */
export function backendFields(backend: Backend__Output, mask: Mask): UpdateBackend['fields'] {
  const set = maskedFields(
    mask?.paths,
    populated({ weight: backend.weight !== undefined, address: backend.address !== '' }),
    { changeable: ['weight'], immutable: ['address'] },
  );
  return {
    ...(set.has('weight') && { weight: backend.weight ?? DEFAULT_WEIGHT }),
    ...(set.has('address') && { address: backend.address }),
  };
}
