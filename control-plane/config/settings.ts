import { formatIp, type IpAddress } from '../../lb/index.js';
import { type DesiredState, vipName } from '../state/model.js';
import {
  effectiveOptions,
  givenOf,
  type Need,
  type NeededOption,
  optionConflicts,
  PLAIN_OPTIONS,
} from '../state/options.js';
import type { FileEntries, Placed } from './entries.js';
import type { ConfigPath } from './faults.js';
import type { DecapDestinationConfig, GivenOptions, NodeConfig } from './model.js';
import type { Services } from './resolve.js';
import type { ConfigSource } from './source.js';

/** Of a link with the usual MTU: Ethernet header and 1500 bytes. */
const USUAL_FRAME_BYTES = 1514;

/** A setting that has a place of its own in a file, and another one in the API's form. */
function either<T>(
  source: ConfigSource,
  own: [T | undefined, ConfigPath],
  api: [T | undefined, ConfigPath],
): T | undefined {
  const [value, path] = own;
  const [other, otherPath] = api;
  if (value !== undefined && other !== undefined) {
    const rule = `means the same as what stands on ${source.lineOf(path)}: say it once`;
    source.fail('CONFIG_CONFLICT', otherPath, source.valueOf(otherPath), rule);
  }
  return value ?? other;
}

/** Options that the file gives. */
export function givenOptions(source: ConfigSource, { node }: FileEntries): GivenOptions {
  const { encapsulation, gue, decapsulation, limits = {}, options = {} } = node;
  const optionPath = (key: string): ConfigPath => ['node', 'options', key];
  const limit = <K extends 'maxFrameBytes' | 'newConnectionsPerSecond' | 'udpTimeout'>(key: K) =>
    either(source, [limits[key], ['node', 'limits', key]], [options[key], optionPath(key)]);
  const outer = either(
    source,
    [encapsulation, ['node', 'encapsulation']],
    [options.encapsulation, optionPath('encapsulation')],
  );
  const tunnels = (own: 'ipip' | 'gue', api: 'ipipDecap' | 'gueDecap') =>
    either(source, [decapsulation?.[own], ['node', 'decapsulation', own]], [options[api], optionPath(api)]);
  return defined({
    maxFrameBytes: limit('maxFrameBytes'),
    newConnectionsPerSecond: limit('newConnectionsPerSecond'),
    udpTimeoutNs: limit('udpTimeout'),
    gue: outer === undefined ? undefined : outer === 'gue',
    guePort: either(source, [gue?.port, ['node', 'gue', 'port']], [options.guePort, optionPath('guePort')]),
    ...givenOf(options, PLAIN_OPTIONS),
    ipipDecap: tunnels('ipip', 'ipipDecap'),
    gueDecap: tunnels('gue', 'gueDecap'),
    eventsEnabled: options.events,
  });
}

/** An object without the keys whose value is undefined. */
function defined<T extends object>(object: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  // Only keys with a value are left.
  return Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

/** Names of options in a file, where they have no place of their own. */
const OPTION_PLACES: Readonly<Partial<Record<NeededOption, ConfigPath>>> = {
  eventsEnabled: ['node', 'options', 'events'],
  ipipDecap: ['node', 'decapsulation', 'ipip'],
  gueDecap: ['node', 'decapsulation', 'gue'],
};

/** Where what options are needed for stands. */
export interface Places {
  readonly vips: readonly Placed<{ readonly name: string }>[];
  readonly serverIds: readonly Placed<unknown>[];
  readonly sourceRoutes: readonly Placed<unknown>[];
  readonly globalFlows: readonly Placed<unknown>[];
  readonly decapDestinations: readonly Placed<unknown>[];
}

/**
 * Options, each on where something needs it. One that is off and needed is a fault that names both places.
 * @param state what the file declares, as far as it is sound; its lists are those of `places`
 */
export function resolveOptions(
  source: ConfigSource,
  places: Places,
  state: DesiredState,
): NodeConfig['options'] {
  for (const { option, need } of optionConflicts(state)) {
    const own = OPTION_PLACES[option] ?? ['node', 'options', option];
    const path = source.has(own) ? own : ['node', 'options', option];
    const line = source.lineOf(placeOf(places, need));
    const rule = `is off, and ${need.what} (${line}) needs it: leave it out, or take that out`;
    source.fail('CONFIG_CONFLICT', path, false, rule);
  }
  return { maxFrameBytes: USUAL_FRAME_BYTES, ...effectiveOptions(state) };
}

const LISTS = {
  'source-route': 'sourceRoutes',
  'global-flow': 'globalFlows',
  'server-id': 'serverIds',
  'decap-destination': 'decapDestinations',
} as const;

/** Where in the file a need stands. */
function placeOf(places: Places, { by, at, field }: Need): ConfigPath {
  if (by === 'drop-sample-rate') return ['node', 'options', 'dropSampleRate'];
  const found =
    by === 'vip'
      ? places.vips.find(({ value }) => vipName(value.name) === at)
      : places[LISTS[by]][Number(at)];
  const path = found?.path ?? [];
  return field === undefined ? path : [...path, field];
}

/** Addresses whose tunnel packets are taken apart. */
export function resolveDestinations(
  source: ConfigSource,
  { node }: FileEntries,
): Placed<DecapDestinationConfig>[] {
  const [own, api] = [
    ['node', 'decapsulation', 'destinations'],
    ['node', 'decapDestinations'],
  ];
  const given = either(source, [node.decapsulation?.destinations, own], [node.decapDestinations, api]) ?? [];
  const path = source.has(own) ? own : api;
  const seen = new Map<string, ConfigPath>();
  return given.flatMap((item, i) => {
    if (item === undefined) return [];
    const { address, egress = false } = 'family' in item ? { address: item } : item;
    if (address === undefined) return [];
    source.once(seen, formatIp(address), [...path, i], formatIp(address));
    return [{ value: { address, egress }, path: [...path, i] }];
  });
}

/** Own addresses. GUE needs one of each family that it has backends of. */
export function resolveOwnAddresses(
  source: ConfigSource,
  { node }: FileEntries,
  services: Services,
  isGue: boolean,
): IpAddress[] {
  const { source4, source6 } = node.gue ?? {};
  const path = ['node', 'gue'];
  if (source4?.family === 6) {
    source.fail('CONFIG_VALUE', [...path, 'source4'], formatIp(source4), 'is IPv6: that is source6');
  }
  if (source6?.family === 4) {
    source.fail('CONFIG_VALUE', [...path, 'source6'], formatIp(source6), 'is IPv4: that is source4');
  }
  const own = [source4, source6].filter((address) => address !== undefined);
  for (const [i, address] of (node.ownAddresses ?? []).entries()) {
    if (address === undefined) continue;
    const other = own.find(({ family }) => family === address.family);
    if (other === undefined) own.push(address);
    else {
      const rule = `is a second IPv${address.family} address of this node, beside ${formatIp(other)}`;
      source.fail('CONFIG_CONFLICT', ['node', 'ownAddresses', i], formatIp(address), rule);
    }
  }
  for (const [family, key] of [
    [4, 'source4'],
    [6, 'source6'],
  ] as const) {
    const isGiven = source.has([...path, key]) || own.some((address) => address.family === family);
    if (!isGue || isGiven) continue;
    const backend = services.backends.find(({ value }) => value.address.family === family);
    if (backend === undefined) continue;
    const rule = `is required: encapsulation is gue, and the backend ${formatIp(backend.value.address)} on ${source.lineOf(backend.path)} is IPv${family}`;
    source.fail('CONFIG_MISSING', [...path, key], undefined, rule);
  }
  return own;
}
