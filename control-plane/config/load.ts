import { resolveAppliance } from './appliance.js';
import { checkRows } from './backends.js';
import { type FileEntries, type Placed, readEntries } from './entries.js';
import { givenLimits, resolveLimits } from './limits.js';
import type { NodeConfig } from './model.js';
import { resolveServices, type Services } from './resolve.js';
import { resolveGlobalFlows, resolveServerIds, resolveSourceRoutes } from './routes.js';
import { givenOptions, resolveDestinations, resolveOptions, resolveOwnAddresses } from './settings.js';
import { ConfigSource } from './source.js';
import { type Declared, desiredState } from './state.js';

/**
 * Read the configuration file of a node.
 * @param fileName named in the faults
 * @throws ConfigError with all that is wrong, each with its line and column
 */
export function loadConfig(text: string, fileName: string): NodeConfig {
  const source = new ConfigSource(text, fileName);
  const entries = readEntries(source);
  const services = resolveServices(source, entries);
  checkRows(source, services.backends);
  const routes = {
    serverIds: resolveServerIds(source, entries),
    sourceRoutes: resolveSourceRoutes(source, entries),
    globalFlows: resolveGlobalFlows(source, entries),
    decapDestinations: resolveDestinations(source, entries),
  };
  const options = givenOptions(source, entries);
  const declared: Declared = {
    routerMac: entries.node.routerMac,
    ownAddresses: resolveOwnAddresses(source, entries, services, options.gue ?? false),
    decapDestinations: valuesOf(routes.decapDestinations),
    givenOptions: options,
    vips: watched(source, entries, services),
    pools: valuesOf(services.pools),
    healthChecks: valuesOf(services.healthChecks),
    serverIds: valuesOf(routes.serverIds),
    sourceRoutes: valuesOf(routes.sourceRoutes),
    globalFlows: valuesOf(routes.globalFlows),
  };
  const state = desiredState(declared);
  const limits = givenLimits(entries);
  const config: NodeConfig = {
    fileName,
    interface: entries.node.interface,
    ...declared,
    options: resolveOptions(source, { vips: services.vips, ...routes }, state),
    limits: resolveLimits(source, limits, state),
    givenLimits: limits,
    appliance: resolveAppliance(source, entries),
    healthcheck: entries.companion.healthcheck,
    decap: entries.companion.decap,
    clockStartNs: entries.clock === 'capture' ? undefined : entries.clock,
    workers: entries.workers,
  };
  source.done();
  return config;
}

const valuesOf = <T>(placed: readonly Placed<T>[]): T[] => placed.map(({ value }) => value);

/** VIPs, the one whose misses are counted among them: it says so itself, or the node does (in the API's form). */
function watched(source: ConfigSource, entries: FileEntries, { vips }: Services): NodeConfig['vips'] {
  const { node } = entries;
  const path = ['node', 'countedVip'];
  const counted = vips.find(({ value }) => value.name === node.countedVip);
  const isThere = entries.vips.some(({ value }) => value.name === node.countedVip);
  if (node.countedVip !== undefined && !isThere)
    source.fail('CONFIG_REFERENCE', path, node.countedVip, 'is not the name of a VIP');
  if (counted?.value.key.prefixBits !== undefined)
    source.fail(
      'CONFIG_CONFLICT',
      path,
      node.countedVip,
      'is a prefix, and only VIPs of one address are counted',
    );
  const [first, ...others] = vips.filter(({ value }) => value.watchMisses || value === counted?.value);
  for (const { value, path: at } of first === undefined ? [] : others) {
    const rule = `one VIP at most is watched, and ${first!.value.name} is, on ${source.lineOf(first!.path)}`;
    if (value.watchMisses) source.fail('CONFIG_CONFLICT', [...at, 'watchMisses'], true, rule);
    else source.fail('CONFIG_CONFLICT', path, value.name, rule);
  }
  return vips.map(({ value }) => (value === counted?.value ? { ...value, watchMisses: true } : value));
}
