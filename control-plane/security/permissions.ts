import type { Role } from './caller.js';

/** What kind of call a method is, and who may make it. */
export interface Permission {
  readonly role: Role;
  /** `stream`: it answers until its caller has enough. */
  readonly kind: 'read' | 'change' | 'stream';
  /** It changes something, or shows what is not for everybody. */
  readonly isAudited: boolean;
  /**
   * A role that may make the call too where all the fields that its `update_mask` names are among these, and it makes
   * nothing that was not there.
   */
  readonly orFields?: { readonly role: Role; readonly fields: readonly string[] };
}

const view: Permission = { role: 'viewer', kind: 'read', isAudited: false };
const watch: Permission = { role: 'viewer', kind: 'stream', isAudited: false };
const operate: Permission = { role: 'operator', kind: 'change', isAudited: true };
const change: Permission = { role: 'admin', kind: 'change', isAudited: true };

/** Every method that the server answers, by its path without the first slash. */
export const PERMISSIONS: Readonly<Record<string, Permission>> = {
  'waggle.v1.VipService/GetVip': view,
  'waggle.v1.VipService/ListVips': view,
  'waggle.v1.VipService/CreateVip': change,
  'waggle.v1.VipService/UpdateVip': change,
  'waggle.v1.VipService/DeleteVip': change,
  'waggle.v1.VipService/WatchVips': watch,

  'waggle.v1.PoolService/GetPool': view,
  'waggle.v1.PoolService/ListPools': view,
  'waggle.v1.PoolService/CreatePool': change,
  'waggle.v1.PoolService/UpdatePool': change,
  'waggle.v1.PoolService/DeletePool': change,
  'waggle.v1.PoolService/GetBackend': view,
  'waggle.v1.PoolService/ListBackends': view,
  'waggle.v1.PoolService/CreateBackend': change,
  'waggle.v1.PoolService/UpdateBackend': { ...change, orFields: { role: 'operator', fields: ['weight'] } },
  'waggle.v1.PoolService/DeleteBackend': change,
  'waggle.v1.PoolService/DrainBackend': operate,
  'waggle.v1.PoolService/UndrainBackend': operate,
  'waggle.v1.PoolService/ReplaceBackends': change,
  'waggle.v1.PoolService/DrainHost': operate,
  'waggle.v1.PoolService/UndrainHost': operate,
  'waggle.v1.PoolService/WatchBackends': watch,

  'waggle.v1.HealthCheckService/GetHealthCheck': view,
  'waggle.v1.HealthCheckService/ListHealthChecks': view,
  'waggle.v1.HealthCheckService/CreateHealthCheck': change,
  'waggle.v1.HealthCheckService/UpdateHealthCheck': change,
  'waggle.v1.HealthCheckService/DeleteHealthCheck': change,
  'waggle.v1.HealthCheckService/ProbeBackend': operate,

  'waggle.v1.RoutingService/ListServerIds': view,
  'waggle.v1.RoutingService/UpdateServerIds': change,
  'waggle.v1.RoutingService/ListSourceRoutes': view,
  'waggle.v1.RoutingService/UpdateSourceRoutes': change,
  'waggle.v1.RoutingService/ListGlobalFlows': view,
  'waggle.v1.RoutingService/UpdateGlobalFlows': change,

  'waggle.v1.ConfigService/GetSnapshot': view,
  'waggle.v1.ConfigService/ApplySnapshot': change,
  'waggle.v1.ConfigService/ListRevisions': view,
  'waggle.v1.ConfigService/RollbackRevision': change,
  'waggle.v1.ConfigService/WatchSnapshot': watch,

  'waggle.v1.StatsService/GetStats': view,
  'waggle.v1.StatsService/WatchStats': watch,
  'waggle.v1.StatsService/ListFlows': view,
  'waggle.v1.StatsService/WatchEvents': watch,

  'waggle.v1.NodeService/GetNode': view,
  'waggle.v1.NodeService/RestartWorker': operate,
  'waggle.v1.NodeService/GetNodeConfig': view,
  'waggle.v1.NodeService/UpdateNodeConfig': change,
  'waggle.v1.NodeService/GetLogLevel': view,
  'waggle.v1.NodeService/SetLogLevel': change,

  'waggle.v1.DiagnosticsService/SimulateFlow': view,
  'waggle.v1.DiagnosticsService/GetTable': view,

  'waggle.v1.BpfService/ListBpfPrograms': view,
  'waggle.v1.BpfService/SwapBpfProgram': change,
  'waggle.v1.BpfService/ListBpfMaps': view,
  'waggle.v1.BpfService/ListBpfMapEntries': view,
  'waggle.v1.BpfService/GetBpfMapEntry': view,
  'waggle.v1.BpfService/SetBpfMapEntry': change,
  'waggle.v1.BpfService/DeleteBpfMapEntry': change,

  'grpc.health.v1.Health/Check': view,
  'grpc.health.v1.Health/List': view,
  'grpc.health.v1.Health/Watch': watch,
  'grpc.reflection.v1.ServerReflection/ServerReflectionInfo': watch,
  'grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo': watch,
};

/** What a method needs; one that is not in the table is the administrator's. @param path with or without its first slash */
export function permissionOf(path: string): Permission {
  return PERMISSIONS[path.replace(/^\//, '')] ?? change;
}

/** The least role that a method is open to; what more a request needs is said by `requiredRole`. */
export function leastRole({ role, orFields }: Permission): Role {
  return orFields?.role ?? role;
}

/** The role that a request needs. A request without an `update_mask` may set anything. */
export function requiredRole({ role, orFields }: Permission, request: unknown): Role {
  if (orFields === undefined) return role;
  const paths = field(request, 'allowMissing') === true ? [] : maskPaths(request);
  return paths.length > 0 && paths.every((path) => orFields.fields.includes(path)) ? orFields.role : role;
}

/** Paths of a request's `update_mask`; none where it has no mask. */
export function maskPaths(request: unknown): readonly string[] {
  const mask = field(request, 'updateMask');
  const paths = field(mask, 'paths');
  return Array.isArray(paths) ? paths.filter((path) => typeof path === 'string') : [];
}

/** A field of a message whose type is not known here. */
export function field(message: unknown, name: string): unknown {
  return typeof message === 'object' && message !== null ? Reflect.get(message, name) : undefined;
}
