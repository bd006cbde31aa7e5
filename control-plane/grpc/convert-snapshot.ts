import type {
  FlowFields,
  GlobalFlowFields,
  ServerIdFields,
  SourceRouteFields,
  Target,
} from '../state/fields.js';
import { globalFlowFieldsOf, serverIdFieldsOf, sourceRouteFieldsOf } from '../state/fields.js';
import type { DesiredState, GlobalFlow, ServerId, SourceRoute, Version } from '../state/model.js';
import { backendDeclaration, backendFieldsFrom } from './convert-backend.js';
import { checkDeclaration, checkFieldsFrom } from './convert-check.js';
import { nodeConfigToProto, nodeFieldsFrom } from './convert-node.js';
import { poolDeclaration, poolFieldsFrom } from './convert-pool.js';
import { PROTOCOLS, protocolOf, versionOf } from './convert-values.js';
import { vipDeclaration, vipFieldsFrom } from './convert-vip.js';
import type { ConfigSnapshot, ConfigSnapshot__Output } from './generated/waggle/v1/ConfigSnapshot.js';
import type { FiveTuple, FiveTuple__Output } from './generated/waggle/v1/FiveTuple.js';
import type { GlobalFlow__Output, GlobalFlow as ProtoGlobalFlow } from './generated/waggle/v1/GlobalFlow.js';
import type { ServerId as ProtoServerId, ServerId__Output } from './generated/waggle/v1/ServerId.js';
import type {
  SourceRoute as ProtoSourceRoute,
  SourceRoute__Output,
} from './generated/waggle/v1/SourceRoute.js';

export const serverIdFrom = ({ id, backendAddress: backend }: ServerId__Output): ServerIdFields => ({
  id,
  backend,
});

export function serverIdToProto(serverId: ServerId): ProtoServerId {
  const { id, backend } = serverIdFieldsOf(serverId);
  return { id, backendAddress: backend };
}

export const sourceRouteFrom = ({
  prefix,
  backendAddress: backend,
}: SourceRoute__Output): SourceRouteFields => ({
  prefix,
  backend,
});

export function sourceRouteToProto(route: SourceRoute): ProtoSourceRoute {
  const { prefix, backend } = sourceRouteFieldsOf(route);
  return { prefix, backendAddress: backend };
}

const NO_FLOW: FlowFields = { src: '', dst: '', sport: 0, dport: 0, protocol: undefined };

export function flowFrom(tuple: FiveTuple__Output | null): FlowFields {
  if (tuple === null) return NO_FLOW;
  return {
    src: tuple.sourceAddress,
    dst: tuple.destinationAddress,
    sport: tuple.sourcePort,
    dport: tuple.destinationPort,
    protocol: protocolOf(tuple.protocol),
  };
}

export const globalFlowFrom = ({ flow, backendAddress: backend }: GlobalFlow__Output): GlobalFlowFields => ({
  flow: flowFrom(flow),
  backend,
});

export function globalFlowToProto(entry: GlobalFlow): ProtoGlobalFlow {
  const { flow, backend } = globalFlowFieldsOf(entry);
  const tuple: FiveTuple = {
    sourceAddress: flow.src,
    destinationAddress: flow.dst,
    sourcePort: flow.sport,
    destinationPort: flow.dport,
    protocol: PROTOCOLS[flow.protocol ?? entry.flow.protocol],
  };
  return { flow: tuple, backendAddress: backend };
}

/**
 * All that is declared, without what is observed.
 * @param etag of the whole configuration
 */
export function snapshotToProto(state: DesiredState, etag = ''): ConfigSnapshot {
  const all = <T extends Version, P>(resources: ReadonlyMap<string, T>, declaration: (resource: T) => P) =>
    [...resources.values()].map((resource) => ({ ...declaration(resource), ...versionOf(resource) }));
  return {
    vips: all(state.vips, vipDeclaration),
    pools: all(state.pools, poolDeclaration),
    backends: all(state.backends, backendDeclaration),
    healthChecks: all(state.healthChecks, checkDeclaration),
    etag,
    revision: String(state.revision),
    serverIds: state.serverIds.map(serverIdToProto),
    sourceRoutes: state.sourceRoutes.map(sourceRouteToProto),
    globalFlows: state.globalFlows.map(globalFlowToProto),
    node: nodeConfigToProto(state.node),
  };
}

/** What a snapshot asks for. @throws StateError STATE_FIELDS */
export function snapshotFromProto(snapshot: ConfigSnapshot__Output): Target {
  const all = <M extends { readonly name: string }, F>(
    list: string,
    messages: readonly M[],
    fieldsFrom: (path: string, message: M) => F,
  ) =>
    messages.map((message, i) => ({ name: message.name, ...fieldsFrom(`snapshot.${list}[${i}]`, message) }));
  return {
    vips: all('vips', snapshot.vips, vipFieldsFrom),
    pools: all('pools', snapshot.pools, poolFieldsFrom),
    backends: all('backends', snapshot.backends, backendFieldsFrom),
    healthChecks: all('health_checks', snapshot.healthChecks, checkFieldsFrom),
    node: snapshot.node ? nodeFieldsFrom('snapshot.node', snapshot.node) : undefined,
    serverIds: snapshot.serverIds.map(serverIdFrom),
    sourceRoutes: snapshot.sourceRoutes.map(sourceRouteFrom),
    globalFlows: snapshot.globalFlows.map(globalFlowFrom),
  };
}
