import type { BalancerOptions, OptionName } from '../../lb/index.js';
import { fieldError } from '../state/faults.js';
import { type NodeFields, nodeFieldsOf } from '../state/fields.js';
import { NODE_NAME, type NodeState } from '../state/model.js';
import { givenOf, PLAIN_OPTIONS } from '../state/options.js';
import { durationOf, type Mask, msOf, populated } from './convert-values.js';
import type { NodeConfig, NodeConfig__Output } from './generated/waggle/v1/NodeConfig.js';
import type { Options, Options__Output } from './generated/waggle/v1/Options.js';
import { maskedFields } from './mask.js';

/** Options that the API has under the same name, as they are. */
const SAME_OPTIONS = [
  ...PLAIN_OPTIONS,
  'guePort',
  'ipipDecap',
  'gueDecap',
  'maxFrameBytes',
  'newConnectionsPerSecond',
] as const satisfies readonly (OptionName & keyof Options)[];

const NS_PER_MS = 1e6;

/** What options say in a request. @throws StateError STATE_FIELDS */
function optionsFrom(path: string, options: Options__Output | null): BalancerOptions {
  if (options === null) return {};
  const { encapsulation, events } = options;
  if (!['ENCAPSULATION_UNSPECIFIED', 'ENCAPSULATION_IPIP', 'ENCAPSULATION_GUE'].includes(encapsulation)) {
    throw fieldError(`${path}.encapsulation`, `${encapsulation} is not an encapsulation`);
  }
  const timeoutMs = msOf(`${path}.udp_timeout`, options.udpTimeout);
  return {
    ...givenOf(options, SAME_OPTIONS),
    ...(encapsulation !== 'ENCAPSULATION_UNSPECIFIED' && { gue: encapsulation === 'ENCAPSULATION_GUE' }),
    ...(events !== undefined && { eventsEnabled: events }),
    ...(timeoutMs !== undefined && { udpTimeoutNs: Math.round(timeoutMs * NS_PER_MS) }),
  };
}

function optionsToProto(options: BalancerOptions): Options {
  const { gue, eventsEnabled, udpTimeoutNs } = options;
  return {
    ...givenOf(options, SAME_OPTIONS),
    ...(gue !== undefined && { encapsulation: gue ? 'ENCAPSULATION_GUE' : 'ENCAPSULATION_IPIP' }),
    ...(eventsEnabled !== undefined && { events: eventsEnabled }),
    ...(udpTimeoutNs !== undefined && { udpTimeout: durationOf(udpTimeoutNs / NS_PER_MS) }),
  };
}

/** What a node says in a request. @throws StateError STATE_FIELDS */
export function nodeFieldsFrom(path: string, node: NodeConfig__Output): NodeFields {
  return {
    routerMac: node.routerMacAddress,
    ownAddresses: node.ownAddresses,
    decapDestinations: node.decapDestinations,
    watchedVip: node.countedVip,
    options: optionsFrom(`${path}.options`, node.options),
  };
}

const FIELDS = [
  'router_mac_address',
  'own_addresses',
  'decap_destinations',
  'counted_vip',
  'options',
] as const;

/** API name of an option → its name here. */
const OPTION_FIELDS: Readonly<Record<string, OptionName>> = {
  ...Object.fromEntries(
    SAME_OPTIONS.map((name) => [name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), name]),
  ),
  encapsulation: 'gue',
  events: 'eventsEnabled',
  udp_timeout: 'udpTimeoutNs',
};

/**
 * What an UpdateNodeConfig sets. `options` is all of them; `options.gue_port` one alone.
 * @param present the node as it is
 * @throws StateError STATE_FIELDS
 */
export function nodeUpdate(config: NodeConfig__Output, mask: Mask, present: NodeState): Partial<NodeFields> {
  const fields = nodeFieldsFrom('config', config);
  const paths = mask?.paths ?? [];
  const single = paths.flatMap((path) => {
    const name = /^options\.(.+)$/.exec(path)?.[1];
    if (name === undefined) return [];
    const option = Object.hasOwn(OPTION_FIELDS, name) ? OPTION_FIELDS[name] : undefined;
    if (option === undefined) throw fieldError('update_mask', `"${path}" is not an option`);
    return [option];
  });
  const whole = paths.filter((path) => !path.startsWith('options.'));
  const set = maskedFields(
    paths.length > 0 && whole.length === 0 ? undefined : whole,
    single.length > 0
      ? new Set()
      : populated({
          router_mac_address: config.routerMacAddress !== '',
          own_addresses: config.ownAddresses.length > 0,
          decap_destinations: config.decapDestinations.length > 0,
          counted_vip: config.countedVip !== '',
          options: config.options !== null,
        }),
    { changeable: FIELDS, immutable: [] },
  );
  const options = set.has('options')
    ? fields.options
    : changedOptions(present.options, fields.options, single);
  return {
    ...(set.has('router_mac_address') && { routerMac: fields.routerMac }),
    ...(set.has('own_addresses') && { ownAddresses: fields.ownAddresses }),
    ...(set.has('decap_destinations') && { decapDestinations: fields.decapDestinations }),
    ...(set.has('counted_vip') && { watchedVip: fields.watchedVip }),
    ...((set.has('options') || single.length > 0) && { options }),
  };
}

/** Options with some of them as asked for: set, or left to what needs them. */
function changedOptions(
  present: BalancerOptions,
  asked: BalancerOptions,
  names: readonly OptionName[],
): BalancerOptions {
  const kept = Object.entries(present).filter(([name]) => !names.some((each) => each === name));
  return { ...Object.fromEntries(kept), ...givenOf(asked, names) };
}

export function nodeConfigToProto(node: NodeState): NodeConfig {
  const { routerMac, ownAddresses, decapDestinations, watchedVip, options } = nodeFieldsOf(node);
  return {
    name: NODE_NAME,
    routerMacAddress: routerMac,
    ownAddresses: [...ownAddresses],
    decapDestinations: [...decapDestinations],
    countedVip: watchedVip,
    options: optionsToProto(options),
    etag: node.etag,
    revision: String(node.revision),
  };
}
