import {
  type BalancerOptions,
  type Flow,
  formatIp,
  formatMac,
  type VipKey,
  type VipProtocol,
} from '../../lb/index.js';
import type { HealthCheck } from '../health/types.js';
import type {
  Backend,
  CheckResource,
  DesiredState,
  GlobalFlow,
  NodeState,
  Pool,
  RingAlgorithm,
  ServerId,
  SourceRoute,
  Version,
  Vip,
} from './model.js';

/*
 * Resources as somebody asks for them: nothing is checked yet, addresses are text, '' where there is none.
 */

export interface VipFields {
  readonly displayName: string;
  /** An address, or an IPv6 prefix. */
  readonly address: string;
  readonly port: number;
  readonly protocol: VipProtocol | undefined;
  readonly pool: string;
  /** Bits of VIP_FLAGS. */
  readonly flags: number;
  readonly ringAlgorithm: RingAlgorithm | undefined;
  readonly downBackends: readonly string[];
}

export type PoolFields = Omit<Pool, 'name' | keyof Version>;

/** What the operator wants of a backend. */
export type AdminState = 'enabled' | 'draining' | 'disabled';

/** Times of a drain, milliseconds since 1970; what is undefined is as a drain that begins now has it. */
export interface DrainFields {
  readonly startMs?: number | undefined;
  readonly deadlineMs?: number | undefined;
  /** The backend is removed when the drain ends. */
  readonly leaves?: boolean | undefined;
}

export interface BackendFields {
  readonly address: string;
  readonly weight: number;
  readonly mac: string;
  readonly isLocal: boolean;
  readonly admin: AdminState;
  /** Of one that is draining; undefined: as the drain that is under way, or the pool's. */
  readonly drain?: DrainFields | undefined;
}

export interface CheckFields {
  readonly displayName: string;
  /** Its name is ignored: the resource's id counts. */
  readonly check: HealthCheck;
}

export interface NodeFields {
  readonly routerMac: string;
  readonly ownAddresses: readonly string[];
  readonly decapDestinations: readonly { readonly address: string; readonly egress: boolean }[];
  readonly watchedVip: string;
  readonly options: BalancerOptions;
}

export interface ServerIdFields {
  readonly id: number;
  readonly backend: string;
}

export interface SourceRouteFields {
  readonly prefix: string;
  readonly backend: string;
}

export interface FlowFields {
  readonly src: string;
  readonly dst: string;
  readonly sport: number;
  readonly dport: number;
  readonly protocol: VipProtocol | undefined;
}

export interface GlobalFlowFields {
  readonly flow: FlowFields;
  readonly backend: string;
}

/** A whole configuration, by names. */
export interface Target {
  readonly vips: readonly (VipFields & { readonly name: string })[];
  readonly pools: readonly (PoolFields & { readonly name: string })[];
  readonly backends: readonly (BackendFields & { readonly name: string })[];
  readonly healthChecks: readonly (CheckFields & { readonly name: string })[];
  /** What is undefined stays as it is, whether the rest is pruned or not. */
  readonly node: NodeFields | undefined;
  readonly serverIds: readonly ServerIdFields[];
  readonly sourceRoutes: readonly SourceRouteFields[];
  readonly globalFlows: readonly GlobalFlowFields[];
}

/** The address of a VIP as it is asked for. */
export function vipAddressText({ address, prefixBits }: VipKey): string {
  return prefixBits === undefined ? formatIp(address) : `${formatIp(address)}/${prefixBits}`;
}

export const vipFieldsOf = ({
  displayName,
  key,
  pool,
  flags,
  ringAlgorithm,
  downBackends,
}: Vip): VipFields => ({
  displayName,
  address: vipAddressText(key),
  port: key.port,
  protocol: key.protocol,
  pool,
  flags,
  ringAlgorithm,
  downBackends: downBackends.map(formatIp),
});

export const poolFieldsOf = ({
  displayName,
  ringAlgorithm,
  healthChecks,
  panicPercent,
  belowFloor,
  slowStart,
  drainTimeoutMs,
}: Pool): PoolFields => ({
  displayName,
  ringAlgorithm,
  healthChecks,
  panicPercent,
  belowFloor,
  slowStart,
  drainTimeoutMs,
});

export function adminStateOf({ isDown, drainStartMs }: Backend): AdminState {
  if (isDown) return 'disabled';
  return drainStartMs === undefined ? 'enabled' : 'draining';
}

export const backendFieldsOf = (backend: Backend): BackendFields => ({
  address: backend.addressKey,
  weight: backend.weight,
  mac: backend.mac ? formatMac(backend.mac) : '',
  isLocal: backend.isLocal,
  admin: adminStateOf(backend),
});

export const checkFieldsOf = ({ displayName, check }: CheckResource): CheckFields => ({ displayName, check });

export const nodeFieldsOf = (node: NodeState): NodeFields => ({
  routerMac: node.routerMac ? formatMac(node.routerMac) : '',
  ownAddresses: node.ownAddresses.map(formatIp),
  decapDestinations: node.decapDestinations.map(({ address, egress }) => ({
    address: formatIp(address),
    egress,
  })),
  watchedVip: node.watchedVip ?? '',
  options: node.options,
});

export const serverIdFieldsOf = ({ id, backend }: ServerId): ServerIdFields => ({
  id,
  backend: formatIp(backend),
});

export const sourceRouteFieldsOf = ({ prefix, backend }: SourceRoute): SourceRouteFields => ({
  prefix: `${formatIp(prefix.address)}/${prefix.bits}`,
  backend: formatIp(backend),
});

export const flowFieldsOf = ({ src, dst, ...ends }: Flow): FlowFields => ({
  ...ends,
  src: formatIp(src),
  dst: formatIp(dst),
});

export const globalFlowFieldsOf = ({ flow, backend }: GlobalFlow): GlobalFlowFields => ({
  flow: flowFieldsOf(flow),
  backend: formatIp(backend),
});

/** The drain that a backend is in. */
function drainFieldsOf({
  drainStartMs: startMs,
  drainDeadlineMs: deadlineMs,
  leaves,
}: Backend): DrainFields | undefined {
  return startMs === undefined ? undefined : { startMs, deadlineMs, leaves };
}

/** A state as somebody would ask for it, with the times of its drains. */
export function targetWithDrains(state: DesiredState): Target {
  const target = targetOf(state);
  const backends = target.backends.map((fields) => {
    const backend = state.backends.get(fields.name);
    const drain = backend && drainFieldsOf(backend);
    return drain ? { ...fields, drain } : fields;
  });
  return { ...target, backends };
}

/** A state as somebody would ask for it; drains are the ones that are under way, or begin when it is asked for. */
export function targetOf(state: DesiredState): Target {
  const named = <T extends { readonly name: string }, F>(
    resources: ReadonlyMap<string, T>,
    fieldsOf: (one: T) => F,
  ) => [...resources.values()].map((resource) => ({ name: resource.name, ...fieldsOf(resource) }));
  return {
    vips: named(state.vips, vipFieldsOf),
    pools: named(state.pools, poolFieldsOf),
    backends: named(state.backends, backendFieldsOf),
    healthChecks: named(state.healthChecks, checkFieldsOf),
    node: nodeFieldsOf(state.node),
    serverIds: state.serverIds.map(serverIdFieldsOf),
    sourceRoutes: state.sourceRoutes.map(sourceRouteFieldsOf),
    globalFlows: state.globalFlows.map(globalFlowFieldsOf),
  };
}
