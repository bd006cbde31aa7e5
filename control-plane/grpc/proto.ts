import { fileURLToPath } from 'node:url';
import { type GrpcObject, loadPackageDefinition, logVerbosity, setLogVerbosity } from '@grpc/grpc-js';
import { loadSync, type PackageDefinition } from '@grpc/proto-loader';
import type { ProtoGrpcType as BpfTypes } from './generated/bpf.js';
import type { ProtoGrpcType as ConfigTypes } from './generated/config_service.js';
import type { ProtoGrpcType as HealthCheckTypes } from './generated/health_check_service.js';
import type { ProtoGrpcType as ObserveTypes } from './generated/observe.js';
import type { ProtoGrpcType as PoolTypes } from './generated/pool_service.js';
import type { ProtoGrpcType as RoutingTypes } from './generated/routing_service.js';
import type { ProtoGrpcType as VipTypes } from './generated/vip_service.js';

type Types = BpfTypes & ConfigTypes & HealthCheckTypes & ObserveTypes & PoolTypes & RoutingTypes & VipTypes;

/** The API as services and client constructors. */
export interface Api {
  readonly v1: Types['waggle']['v1'];
}

/** The protos lie beside control-plane/, in the sources and in dist/. */
export const PROTO_FOLDER = fileURLToPath(new URL('../../proto', import.meta.url));

/** Those that have services; the others are imported by them. */
export const PROTO_FILES = [
  'waggle/v1/vip_service.proto',
  'waggle/v1/pool_service.proto',
  'waggle/v1/health_check_service.proto',
  'waggle/v1/routing_service.proto',
  'waggle/v1/config_service.proto',
  'waggle/v1/observe.proto',
  'waggle/v1/bpf.proto',
];
const INCLUDE_DIRS = [PROTO_FOLDER];

let loaded: Api | undefined;

/** The protos, read once. Values are as the generated types have them: 64-bit numbers and enums as strings. */
export function loadApi(): Api {
  loaded ??= readApi();
  return loaded;
}

function readApi(): Api {
  // The library would print lines of its own to standard error; what it says there, it also throws.
  setLogVerbosity(logVerbosity.NONE);
  const definition = loadSync(PROTO_FILES, {
    includeDirs: INCLUDE_DIRS,
    longs: String,
    enums: String,
    defaults: true,
    oneofs: true,
  });
  const types: GrpcObject = loadPackageDefinition(definition);
  // The generated types describe the same protos: the build makes them from these very files.
  return { v1: (types as unknown as Types).waggle.v1 };
}

/** The protos as descriptors, for reflection: fields are named as the protos name them. */
export function loadDescriptors(): PackageDefinition {
  return loadSync(PROTO_FILES, { includeDirs: INCLUDE_DIRS, keepCase: true });
}
