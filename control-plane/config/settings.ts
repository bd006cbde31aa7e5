import { formatIp, type IpAddress, sameIp, VIP_FLAGS, type VipFlagName } from '../../lb/index.js';
import type { FileEntries } from './entries.js';
import type { ConfigPath } from './faults.js';
import { hasFlag } from './flags.js';
import type { DecapDestinationConfig, NodeConfig, TableLimits } from './model.js';
import type { Services } from './resolve.js';
import type { ConfigSource } from './source.js';

type Options = NodeConfig['options'];
type OptionEntries = NonNullable<FileEntries['node']['options']>;
/** Options that a file can ask for without naming them. */
type NeededOption = Exclude<keyof OptionEntries, 'sendTooBig' | 'vlanTags' | 'dropSampleRate'>;

const OPTION_OF_FLAG = {
  QUIC_VIP: 'quicRouting',
  UDP_STABLE_ROUTING: 'udpStableRouting',
  UDP_FLOW_MIGRATION: 'udpFlowMigration',
  SRC_ROUTING: 'sourceRouting',
  GLOBAL_LRU: 'globalLru',
  LOCAL_VIP: 'localDelivery',
} as const satisfies Partial<Record<VipFlagName, NeededOption>>;

/** Something of the file that has an effect only with an option. */
interface Need {
  readonly path: ConfigPath;
  readonly what: string;
}

/** First need of each option. */
function needsOf(entries: FileEntries, { vips }: Services): Map<NeededOption, Need> {
  const needs = new Map<NeededOption, Need>();
  const need = (option: NeededOption, path: ConfigPath, what: string) => {
    if (!needs.has(option)) needs.set(option, { path, what });
  };
  for (const { value, path } of vips) {
    for (const [name, option] of Object.entries(OPTION_OF_FLAG)) {
      if (hasFlag(value.flags, name as keyof typeof OPTION_OF_FLAG))
        need(option, [...path, 'flags'], `the flag ${name}`);
    }
    if (value.key.prefixBits !== undefined)
      need('prefixVips', [...path, 'address'], 'a VIP that is a prefix');
  }
  if (entries.sourceRoutes[0] !== undefined)
    need('sourceRouting', entries.sourceRoutes[0].path, 'a source route');
  if (entries.globalFlows[0] !== undefined) need('globalLru', entries.globalFlows[0].path, 'a global flow');
  if ((entries.node.options?.dropSampleRate ?? 0) > 0) {
    need('events', ['node', 'options', 'dropSampleRate'], 'dropSampleRate');
  }
  const hasIdReader = vips.some(
    ({ value }) => (value.flags & (VIP_FLAGS.QUIC_VIP | VIP_FLAGS.UDP_STABLE_ROUTING)) !== 0,
  );
  // Server ids that nothing else reads are those of the TCP option.
  if (
    entries.serverIds[0] !== undefined &&
    !hasIdReader &&
    entries.node.options?.tcpServerIds === undefined
  ) {
    need('tcpServerIds', entries.serverIds[0].path, 'a server id');
  }
  return needs;
}

/** Options, each on where something needs it. One that is off and needed is a fault that names both places. */
export function resolveOptions(source: ConfigSource, entries: FileEntries, services: Services): Options {
  const given: OptionEntries = entries.node.options ?? {};
  const needs = needsOf(entries, services);
  const isOn = (option: NeededOption): boolean => {
    const need = needs.get(option);
    if (given[option] === false && need !== undefined) {
      const rule = `is off, and ${need.what} on ${source.lineOf(need.path)} needs it: leave it out, or take that out`;
      source.fail('CONFIG_CONFLICT', ['node', 'options', option], false, rule);
    }
    return given[option] ?? need !== undefined;
  };
  const { encapsulation, gue, limits } = entries.node;
  return {
    maxFrameBytes: limits?.maxFrameBytes ?? 1514,
    newConnectionsPerSecond: limits?.newConnectionsPerSecond ?? 125_000,
    udpTimeoutNs: limits?.udpTimeout ?? 30e9,
    gue: encapsulation === 'gue',
    guePort: gue?.port ?? 6080,
    sendTooBig: given.sendTooBig ?? true,
    vlanTags: given.vlanTags ?? true,
    quicRouting: isOn('quicRouting'),
    tcpServerIds: isOn('tcpServerIds'),
    udpStableRouting: isOn('udpStableRouting'),
    udpFlowMigration: isOn('udpFlowMigration'),
    sourceRouting: isOn('sourceRouting'),
    prefixVips: isOn('prefixVips'),
    globalLru: isOn('globalLru'),
    localDelivery: isOn('localDelivery'),
    eventsEnabled: isOn('events'),
    dropSampleRate: given.dropSampleRate ?? 0,
    ...resolveDecap(source, entries),
  };
}

function resolveDecap(source: ConfigSource, { node }: FileEntries): Pick<Options, 'ipipDecap' | 'gueDecap'> {
  const { ipip, gue, destinations = [] } = node.decapsulation ?? {};
  const path = ['node', 'decapsulation'];
  if (destinations.length > 0 && ipip === false && gue === false) {
    const rule = 'are there, and both ipip and gue are off: nothing would be taken apart';
    source.fail('CONFIG_CONFLICT', [...path, 'destinations'], undefined, rule);
  }
  const egress = destinations.findIndex((item) => 'egress' in item && item.egress === true);
  if (egress >= 0 && gue === false) {
    const rule = `is for GUE, which is off on ${source.lineOf([...path, 'gue'])}`;
    source.fail('CONFIG_CONFLICT', [...path, 'destinations', egress, 'egress'], true, rule);
  }
  const isOn = destinations.length > 0;
  return { ipipDecap: ipip ?? isOn, gueDecap: gue ?? isOn };
}

/** Addresses whose tunnel packets are taken apart. */
export function resolveDestinations(source: ConfigSource, { node }: FileEntries): DecapDestinationConfig[] {
  const seen: IpAddress[] = [];
  return (node.decapsulation?.destinations ?? []).map((item, i) => {
    const given: { readonly address: IpAddress; readonly egress?: boolean | undefined } =
      'address' in item ? item : { address: item };
    if (seen.some((other) => sameIp(other, given.address))) {
      const path = ['node', 'decapsulation', 'destinations', i];
      source.fail('CONFIG_DUPLICATE', path, formatIp(given.address), 'is there already');
    }
    seen.push(given.address);
    return { address: given.address, egress: given.egress ?? false };
  });
}

/** Own addresses. GUE needs one of each family that it has backends of. */
export function resolveOwnAddresses(
  source: ConfigSource,
  { node }: FileEntries,
  services: Services,
): IpAddress[] {
  const { source4, source6 } = node.gue ?? {};
  const path = ['node', 'gue'];
  if (source4?.family === 6) {
    source.fail('CONFIG_VALUE', [...path, 'source4'], formatIp(source4), 'is IPv6: that is source6');
  }
  if (source6?.family === 4) {
    source.fail('CONFIG_VALUE', [...path, 'source6'], formatIp(source6), 'is IPv4: that is source4');
  }
  for (const [family, key, own] of [
    [4, 'source4', source4],
    [6, 'source6', source6],
  ] as const) {
    if (node.encapsulation !== 'gue' || own !== undefined) continue;
    const backend = services.backends.find(({ value }) => value.address.family === family);
    if (backend === undefined) continue;
    const rule = `is required: encapsulation is gue, and the backend ${formatIp(backend.value.address)} on ${source.lineOf(backend.path)} is IPv${family}`;
    source.fail('CONFIG_MISSING', [...path, key], undefined, rule);
  }
  return [source4, source6].filter((address) => address !== undefined);
}

const ROOM = 65_536;
const SMALL_ROOM = 512;

/** Sizes of tables: room for what is there, and what the file says or the defaults. */
export function resolveLimits(source: ConfigSource, entries: FileEntries, { vips }: Services): TableLimits {
  const given = entries.node.limits ?? {};
  const routes = [4, 6].map(
    (family) => entries.sourceRoutes.filter(({ value }) => value.prefix.address.family === family).length,
  );
  const counts = {
    globalFlows: entries.globalFlows.length,
    serverIds: entries.serverIds.length,
    sourceRoutes: Math.max(...routes),
    prefixVips: vips.filter(({ value }) => value.key.prefixBits !== undefined).length,
    decapsulationDestinations: entries.node.decapsulation?.destinations?.length ?? 0,
  };
  const sizeOf = (key: keyof typeof counts, room: number): number => {
    const [limit, count] = [given[key], counts[key]];
    if (limit !== undefined && count > limit) {
      const rule = `is less than the ${count} that are in the file`;
      source.fail('CONFIG_LIMIT', ['node', 'limits', key], limit, rule);
    }
    return limit ?? Math.max(room, count);
  };
  return {
    connections: given.connections ?? ROOM,
    fallbackConnections: given.fallbackConnections ?? 1000,
    globalFlows: sizeOf('globalFlows', ROOM),
    serverIds: sizeOf('serverIds', ROOM),
    sourceRoutes: sizeOf('sourceRoutes', ROOM),
    prefixVips: sizeOf('prefixVips', SMALL_ROOM),
    decapsulationDestinations: sizeOf('decapsulationDestinations', SMALL_ROOM),
  };
}
