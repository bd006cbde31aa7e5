import { formatIp, formatVip } from '../../lb/index.js';
import type { FileEntries, Placed } from './entries.js';
import type { ConfigPath } from './faults.js';
import type { GlobalFlowConfig, ServerIdConfig, SourceRouteConfig } from './model.js';
import type { ConfigSource } from './source.js';

const V6_OVER_V4 = 'IPv6 is not carried over IPv4';

/** Server ids, each there once. */
export function resolveServerIds(source: ConfigSource, { serverIds }: FileEntries): Placed<ServerIdConfig>[] {
  const seen = new Map<string, ConfigPath>();
  return serverIds.flatMap(({ value: { id, backend }, path }) => {
    if (id !== undefined) source.once(seen, String(id), path, String(id));
    return id === undefined || backend === undefined ? [] : [{ value: { id, backend }, path }];
  });
}

/** Source routes, each prefix there once; families that go together. */
export function resolveSourceRoutes(
  source: ConfigSource,
  { sourceRoutes }: FileEntries,
): Placed<SourceRouteConfig>[] {
  const seen = new Map<string, ConfigPath>();
  return sourceRoutes.flatMap(({ value: { prefix, backend }, path }) => {
    if (prefix === undefined) return [];
    const shown = `${formatIp(prefix.address)}/${prefix.bits}`;
    source.once(seen, shown, path, shown);
    if (backend === undefined) return [];
    if (prefix.address.family === 6 && backend.family === 4) {
      const rule = `is IPv4, and the clients of ${shown} are IPv6: ${V6_OVER_V4}`;
      source.fail('CONFIG_CONFLICT', path, formatIp(backend), rule);
    }
    return [{ value: { prefix, backend }, path }];
  });
}

type FlowEntry = FileEntries['globalFlows'][number];

/** Flows from outside, each there once; families that go together. */
export function resolveGlobalFlows(
  source: ConfigSource,
  { globalFlows }: FileEntries,
): Placed<GlobalFlowConfig>[] {
  const seen = new Map<string, ConfigPath>();
  return globalFlows.flatMap((entry) => {
    const ends = endsOf(source, entry);
    if (ends === undefined) return [];
    const { src, dst, sport, dport, protocol } = ends.flow;
    const shown = `${protocol} ${formatIp(src)} ${sport} ${formatIp(dst)} ${dport}`;
    source.once(seen, shown, entry.path, shown);
    const { backend } = entry.value;
    checkFamilies(source, entry, ends);
    return backend === undefined ? [] : [{ value: { flow: ends.flow, backend }, path: entry.path }];
  });
}

interface Ends extends Pick<GlobalFlowConfig, 'flow'> {
  /** Where the destination stands. */
  readonly destination: ConfigPath;
}

/** The flow, said by its ends or in the API's form; undefined where it is not sound. */
function endsOf(source: ConfigSource, { value, path }: FlowEntry): Ends | undefined {
  const { protocol, source: client, destination, flow } = value;
  const own = ['protocol', 'source', 'destination'];
  if (source.has([...path, 'flow'])) {
    for (const key of own) {
      const rule = 'stands beside flow, which says it too';
      if (source.has([...path, key])) source.fail('CONFIG_CONFLICT', [...path, key], undefined, rule);
    }
    const { sourceAddress: src, destinationAddress: dst } = flow ?? {};
    if (flow?.protocol === undefined || src === undefined || dst === undefined) return undefined;
    return {
      flow: {
        src,
        dst,
        sport: flow.sourcePort ?? 0,
        dport: flow.destinationPort ?? 0,
        protocol: flow.protocol,
      },
      destination: [...path, 'flow', 'destinationAddress'],
    };
  }
  for (const key of own) {
    if (!source.has([...path, key])) source.fail('CONFIG_MISSING', [...path, key], undefined, 'is required');
  }
  if (protocol === undefined || client === undefined || destination === undefined) return undefined;
  return {
    flow: {
      src: client.address,
      dst: destination.address,
      sport: client.port,
      dport: destination.port,
      protocol,
    },
    destination: [...path, 'destination'],
  };
}

function checkFamilies(source: ConfigSource, { value, path }: FlowEntry, { flow, destination }: Ends): void {
  const { src, dst, dport: port, protocol } = flow;
  if (src.family !== dst.family) {
    const rule = `is not of the family of the source ${formatIp(src)}`;
    source.fail('CONFIG_CONFLICT', destination, formatIp(dst), rule);
  } else if (src.family === 6 && value.backend?.family === 4) {
    const vip = formatVip({ address: dst, port, protocol });
    const rule = `is IPv4, and the flow to ${vip} is IPv6: ${V6_OVER_V4}`;
    source.fail('CONFIG_CONFLICT', [...path, 'backend'], formatIp(value.backend), rule);
  }
}
