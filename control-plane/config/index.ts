/**
 * The configuration file of a node: read, checked, and written into the balancer's tables.
 * `loadConfig(text, fileName)` → `optionsOf`, `sizesOf` for the program → `configure(config, tables)`.
 */

export { type Configured, configure } from './configure.js';
export { ConfigError, type ConfigFault, type ConfigFaultCode, formatFault } from './faults.js';
export { jsonSchema } from './json-schema.js';
export { loadConfig } from './load.js';
export type {
  BackendConfig,
  GlobalFlowConfig,
  NodeConfig,
  PoolConfig,
  ServerIdConfig,
  SourceRouteConfig,
  TableLimits,
  VipConfig,
} from './model.js';
export { optionsOf, sizesOf } from './options.js';
export { desiredState } from './state.js';
