import { formatIp, formatVip, type IpAddress } from '../../lb/index.js';
import { MAX_ADDRESS_COUNT } from '../state/backends.js';
import { MAX_VIP_COUNT } from '../state/vips.js';
import { type FileEntries, type Placed, readEntries } from './entries.js';
import type { ConfigPath } from './faults.js';
import type { GlobalFlowConfig, NodeConfig } from './model.js';
import { checkRows, resolveServices, type Services } from './resolve.js';
import { resolveDestinations, resolveLimits, resolveOptions, resolveOwnAddresses } from './settings.js';
import { ConfigSource } from './source.js';

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
  checkCounts(source, entries, services);
  checkRoutes(source, entries);
  const globalFlows = globalFlowsOf(source, entries);
  const config: NodeConfig = {
    fileName,
    interface: entries.node.interface,
    routerMac: entries.node.routerMac,
    ownAddresses: resolveOwnAddresses(source, entries, services),
    decapDestinations: resolveDestinations(source, entries),
    options: resolveOptions(source, entries, services),
    limits: resolveLimits(source, entries, services),
    vips: services.vips.map(({ value }) => value),
    pools: services.pools.map(({ value }) => value),
    serverIds: entries.serverIds.map(({ value }) => value),
    sourceRoutes: entries.sourceRoutes.map(({ value }) => value),
    globalFlows,
    healthcheck: entries.companion.healthcheck,
    decap: entries.companion.decap,
    clockStartNs: entries.clock === 'capture' ? undefined : entries.clock,
    workers: entries.workers,
  };
  source.done();
  return config;
}

function checkCounts(source: ConfigSource, entries: FileEntries, { vips, backends }: Services): void {
  if (vips.length > MAX_VIP_COUNT) {
    source.fail(
      'CONFIG_LIMIT',
      ['vips', MAX_VIP_COUNT],
      undefined,
      `no more than ${MAX_VIP_COUNT} VIPs are possible, and there are ${vips.length}`,
    );
  }
  const addresses = new Map<string, ConfigPath>();
  const note = (address: IpAddress, path: ConfigPath) => {
    const key = formatIp(address);
    if (!addresses.has(key)) addresses.set(key, path);
  };
  for (const { value, path } of backends) note(value.address, path);
  for (const { value, path } of [...entries.serverIds, ...entries.sourceRoutes, ...entries.globalFlows]) {
    note(value.backend, path);
  }
  for (const { value, path } of vips) for (const address of value.downBackends) note(address, path);
  const beyond = [...addresses][MAX_ADDRESS_COUNT];
  if (beyond !== undefined) {
    const rule = `no more than ${MAX_ADDRESS_COUNT} backend addresses are possible, and there are ${addresses.size}`;
    source.fail('CONFIG_LIMIT', beyond[1], beyond[0], rule);
  }
  const watched = vips.filter(({ value }) => value.watchMisses);
  for (const { path } of watched.slice(1)) {
    const rule = `one VIP at most is watched, and ${watched[0]!.value.name} is, on ${source.lineOf(watched[0]!.path)}`;
    source.fail('CONFIG_CONFLICT', [...path, 'watchMisses'], true, rule);
  }
}

/** Each id, each prefix and each down backend once; families that go together. */
function checkRoutes(source: ConfigSource, { serverIds, sourceRoutes, vips }: FileEntries): void {
  const once = (seen: Map<string, ConfigPath>, key: string, path: ConfigPath, shown: string) => {
    const other = seen.get(key);
    if (other === undefined) seen.set(key, path);
    else source.fail('CONFIG_DUPLICATE', path, shown, `is there already, on ${source.lineOf(other)}`);
  };
  const ids = new Map<string, ConfigPath>();
  for (const { value, path } of serverIds) once(ids, String(value.id), path, String(value.id));
  const prefixes = new Map<string, ConfigPath>();
  for (const { value, path } of sourceRoutes) {
    const { address, bits } = value.prefix;
    const shown = `${formatIp(address)}/${bits}`;
    once(prefixes, shown, path, shown);
    if (address.family === 6 && value.backend.family === 4) {
      source.fail(
        'CONFIG_CONFLICT',
        path,
        formatIp(value.backend),
        `is IPv4, and the clients of ${shown} are IPv6: IPv6 is not carried over IPv4`,
      );
    }
  }
  for (const { value, path } of vips) {
    const down = new Map<string, ConfigPath>();
    for (const [i, address] of (value.downBackends ?? []).entries()) {
      once(down, formatIp(address), [...path, 'downBackends', i], formatIp(address));
    }
  }
}

function globalFlowsOf(source: ConfigSource, { globalFlows }: FileEntries): GlobalFlowConfig[] {
  const seen = new Map<string, ConfigPath>();
  return globalFlows.map((entry) => {
    const config = globalFlowOf(source, entry);
    const { src, dst, sport, dport, protocol } = config.flow;
    const shown = `${protocol} ${formatIp(src)} ${sport} ${formatIp(dst)} ${dport}`;
    const other = seen.get(shown);
    if (other === undefined) seen.set(shown, entry.path);
    else source.fail('CONFIG_DUPLICATE', entry.path, shown, `is there already, on ${source.lineOf(other)}`);
    return config;
  });
}

function globalFlowOf(
  source: ConfigSource,
  { value, path }: Placed<FileEntries['globalFlows'][number]['value']>,
): GlobalFlowConfig {
  const { source: client, destination, protocol, backend } = value;
  if (client.address.family !== destination.address.family) {
    const rule = `is not of the family of the source ${formatIp(client.address)}`;
    source.fail('CONFIG_CONFLICT', [...path, 'destination'], formatIp(destination.address), rule);
  } else if (client.address.family === 6 && backend.family === 4) {
    const vip = formatVip({ address: destination.address, port: destination.port, protocol });
    const rule = `is IPv4, and the flow to ${vip} is IPv6: IPv6 is not carried over IPv4`;
    source.fail('CONFIG_CONFLICT', [...path, 'backend'], formatIp(backend), rule);
  }
  return {
    flow: {
      src: client.address,
      dst: destination.address,
      sport: client.port,
      dport: destination.port,
      protocol,
    },
    backend,
  };
}
