/**
 * The configuration file of a node: read, checked, and put in force. `loadConfig(text, fileName)` gives all of it;
 * `desiredState` what it declares, `applianceSettings` what it says of the process, and `configText` is the way back.
 * For a replay: `optionsOf` and `sizesOf` for the program, then `configure(config, tables)`.
 */

export {
  type ApplianceConfig,
  type ApplianceSettings,
  applianceSettings,
  type EngineName,
} from './appliance.js';
export { type Configured, configure } from './configure.js';
export { ConfigError, type ConfigFault, type ConfigFaultCode, formatFault } from './faults.js';
export { jsonSchema } from './json-schema.js';
export { loadConfig } from './load.js';
export type {
  BackendConfig,
  CheckConfig,
  GlobalFlowConfig,
  NodeConfig,
  PoolConfig,
  ServerIdConfig,
  SourceRouteConfig,
  TableLimits,
  VipConfig,
} from './model.js';
export { optionsOf, sizesOf, stateLimits, tableSizes } from './options.js';
export { restartNeeded } from './reload.js';
export { desiredState, type StateContext, saysNode } from './state.js';
export { configText, type WrittenSettings } from './write.js';
