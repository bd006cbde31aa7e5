import {
  type BalancerOptions,
  formatIp,
  formatVip,
  type OptionName,
  VIP_FLAGS,
  type VipFlagName,
} from '../../lb/index.js';
import type { DesiredState, Vip } from './model.js';

/** Every option that an operator can set; `explain` and `simulate` are the simulator's. The longest frame may be the link's. */
export type ProgramOptions = Readonly<
  Required<Omit<BalancerOptions, 'explain' | 'simulate' | 'maxFrameBytes'>> &
    Pick<BalancerOptions, 'maxFrameBytes'>
>;

/** Parts of the program that files and the API call what they are called here. */
const PLAIN_FEATURES = [
  'quicRouting',
  'tcpServerIds',
  'udpStableRouting',
  'udpFlowMigration',
  'sourceRouting',
  'prefixVips',
  'globalLru',
  'localDelivery',
] as const satisfies readonly OptionName[];

/** Options that files and the API have, among others, under the names that they have here. */
export const PLAIN_OPTIONS = [
  'sendTooBig',
  'vlanTags',
  ...PLAIN_FEATURES,
  'dropSampleRate',
] as const satisfies readonly OptionName[];

/** Parts of the program without which tables have no effect. */
export const FEATURES = [...PLAIN_FEATURES, 'ipipDecap', 'gueDecap'] as const satisfies readonly OptionName[];

/** Options that are on where something needs them, unless they are given. */
export type NeededOption = (typeof FEATURES)[number] | 'eventsEnabled';

/** The values under some names, without those that are not given. */
export function givenOf<T extends object, K extends keyof T>(
  options: T,
  names: readonly K[],
): { [P in K]?: Exclude<T[P], undefined> } {
  const given = names.filter((name) => options[name] !== undefined);
  // Only names with a value are left.
  return Object.fromEntries(given.map((name) => [name, options[name]])) as {
    [P in K]?: Exclude<T[P], undefined>;
  };
}

/** What of a state has an effect only with an option. */
export interface Need {
  readonly by:
    | 'vip'
    | 'source-route'
    | 'global-flow'
    | 'server-id'
    | 'decap-destination'
    | 'drop-sample-rate';
  /** Resource name of the VIP, or the place in the list. */
  readonly at: string | number;
  /** For people: `the flag QUIC_VIP of vips/web`. */
  readonly what: string;
  /** Field of a VIP: `flags`, `address`. */
  readonly field?: 'flags' | 'address' | 'egress';
}

export const OPTION_OF_FLAG = {
  QUIC_VIP: 'quicRouting',
  UDP_STABLE_ROUTING: 'udpStableRouting',
  UDP_FLOW_MIGRATION: 'udpFlowMigration',
  SRC_ROUTING: 'sourceRouting',
  GLOBAL_LRU: 'globalLru',
  LOCAL_VIP: 'localDelivery',
} as const satisfies Partial<Record<VipFlagName, NeededOption>>;
const FLAGS_WITH_OPTION = Object.entries(OPTION_OF_FLAG) as readonly (readonly [
  keyof typeof OPTION_OF_FLAG,
  NeededOption,
])[];
const ID_READERS = VIP_FLAGS.QUIC_VIP | VIP_FLAGS.UDP_STABLE_ROUTING;

type NeedState = Pick<DesiredState, 'vips' | 'node' | 'serverIds' | 'sourceRoutes' | 'globalFlows'>;

/** The first need of each option that has one. */
export function optionNeeds(state: NeedState): Map<NeededOption, Need> {
  const needs = new Map<NeededOption, Need>();
  const need = (option: NeededOption, found: Need) => {
    if (!needs.has(option)) needs.set(option, found);
  };
  for (const vip of state.vips.values()) needsOfVip(vip, need);
  const [route] = state.sourceRoutes;
  if (route !== undefined) {
    const what = `the source route ${formatIp(route.prefix.address)}/${route.prefix.bits}`;
    need('sourceRouting', { by: 'source-route', at: 0, what });
  }
  const [flow] = state.globalFlows;
  if (flow !== undefined) {
    const { dst, dport, protocol } = flow.flow;
    const what = `the global flow to ${formatVip({ address: dst, port: dport, protocol })}`;
    need('globalLru', { by: 'global-flow', at: 0, what });
  }
  if ((state.node.options.dropSampleRate ?? 0) > 0)
    need('eventsEnabled', { by: 'drop-sample-rate', at: 0, what: 'the drop sample rate' });
  needsOfIds(state, need);
  needsOfTunnels(state, need);
  return needs;
}

type Note = (option: NeededOption, need: Need) => void;

function needsOfVip({ name, flags, key }: Vip, need: Note): void {
  for (const [flag, option] of FLAGS_WITH_OPTION) {
    if ((flags & VIP_FLAGS[flag]) !== 0)
      need(option, { by: 'vip', at: name, field: 'flags', what: `the flag ${flag} of ${name}` });
  }
  if (key.prefixBits !== undefined)
    need('prefixVips', { by: 'vip', at: name, field: 'address', what: `the prefix of ${name}` });
}

/** Server ids that nothing else reads are those of the TCP option; they may also wait for a VIP that is to come. */
function needsOfIds({ vips, serverIds, node }: NeedState, need: Note): void {
  const [first] = serverIds;
  if (first === undefined || node.options.tcpServerIds !== undefined) return;
  if ([...vips.values()].some(({ flags }) => (flags & ID_READERS) !== 0)) return;
  need('tcpServerIds', { by: 'server-id', at: 0, what: `the server id ${first.id}` });
}

/** Destinations need one kind of tunnel; those whose packets go back where they came from need GUE. */
function needsOfTunnels({ node }: NeedState, need: Note): void {
  const { decapDestinations, options } = node;
  const egress = decapDestinations.findIndex((one) => one.egress);
  if (egress >= 0) {
    const what = `the decapsulation destination ${formatIp(decapDestinations[egress]!.address)} with egress`;
    need('gueDecap', { by: 'decap-destination', at: egress, field: 'egress', what });
  }
  const [first] = decapDestinations;
  if (first === undefined) return;
  const found: Need = {
    by: 'decap-destination',
    at: 0,
    what: `the decapsulation destination ${formatIp(first.address)}`,
  };
  if (options.ipipDecap !== false || options.gueDecap === false) need('ipipDecap', found);
  if (options.gueDecap !== false) need('gueDecap', found);
}

/**
 * Options of the program for a state: what is given, on where something needs it, the defaults. All of them, so that two
 * nodes of one state have the same program; but for the longest frame, which is the link's unless it is given.
 */
export function effectiveOptions(state: NeedState): ProgramOptions {
  const { options: given } = state.node;
  const needs = optionNeeds(state);
  const isOn = (option: NeededOption): boolean => given[option] ?? needs.has(option);
  return {
    ...(given.maxFrameBytes !== undefined && { maxFrameBytes: given.maxFrameBytes }),
    newConnectionsPerSecond: given.newConnectionsPerSecond ?? OPTION_DEFAULTS.newConnectionsPerSecond,
    udpTimeoutNs: given.udpTimeoutNs ?? OPTION_DEFAULTS.udpTimeoutNs,
    gue: given.gue ?? OPTION_DEFAULTS.gue,
    guePort: given.guePort ?? OPTION_DEFAULTS.guePort,
    sendTooBig: given.sendTooBig ?? OPTION_DEFAULTS.sendTooBig,
    vlanTags: given.vlanTags ?? OPTION_DEFAULTS.vlanTags,
    quicRouting: isOn('quicRouting'),
    tcpServerIds: isOn('tcpServerIds'),
    udpStableRouting: isOn('udpStableRouting'),
    udpFlowMigration: isOn('udpFlowMigration'),
    sourceRouting: isOn('sourceRouting'),
    prefixVips: isOn('prefixVips'),
    globalLru: isOn('globalLru'),
    ipipDecap: isOn('ipipDecap'),
    gueDecap: isOn('gueDecap'),
    localDelivery: isOn('localDelivery'),
    eventsEnabled: isOn('eventsEnabled'),
    dropSampleRate: given.dropSampleRate ?? OPTION_DEFAULTS.dropSampleRate,
  };
}

/** Options that nothing but an operator's word decides. */
export const OPTION_DEFAULTS = {
  newConnectionsPerSecond: 125_000,
  udpTimeoutNs: 30e9,
  gue: false,
  guePort: 6080,
  sendTooBig: true,
  vlanTags: true,
  dropSampleRate: 0,
} as const satisfies BalancerOptions;

/** An option that is off, and what needs it. */
export interface OptionConflict {
  readonly option: NeededOption;
  readonly need: Need;
}

/** Options that are given as off though something needs them: such a state is not to be put in force. */
export function optionConflicts(state: NeedState): OptionConflict[] {
  return [...optionNeeds(state)]
    .filter(([option]) => state.node.options[option] === false)
    .map(([option, need]) => ({ option, need }));
}

/** A backend that GUE has no source address for. */
export interface MissingSource {
  readonly family: 4 | 6;
  /** Resource name of the first such backend. */
  readonly backend: string;
}

/** Families that GUE is to be sent in and the node has no own address of; none where the encapsulation is IP in IP. */
export function missingSources(state: Pick<DesiredState, 'backends' | 'node'>): MissingSource[] {
  const { options, ownAddresses } = state.node;
  if (!options.gue) return [];
  return ([4, 6] as const).flatMap((family) => {
    if (ownAddresses.some((own) => own.family === family)) return [];
    const backend = [...state.backends.values()].find(({ address }) => address.family === family);
    return backend === undefined ? [] : [{ family, backend: backend.name }];
  });
}
