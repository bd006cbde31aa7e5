import { formatIp, formatMac, type IpAddress } from '../../lb/index.js';
import type { UpdateNode } from './changes.js';
import { overLimit, StateError } from './faults.js';
import { type NodeFields, nodeFieldsOf } from './fields.js';
import type { StateLimits } from './limits.js';
import { type DecapDestination, type DesiredState, NODE_NAME, type NodeState, type Vip } from './model.js';
import { Checks } from './validate.js';
import type { Stamp } from './version.js';

/** A node without its version. */
export type NodeBody = Omit<NodeState, 'etag' | 'revision'>;

/** Ranges of options that are numbers. */
const RANGES = {
  guePort: ['gue_port', 1, 65_535],
  dropSampleRate: ['drop_sample_rate', 0, 0xffffffff],
  maxFrameBytes: ['max_frame_bytes', 262, 65_535],
  newConnectionsPerSecond: ['new_connections_per_second', 0, 0xffffffff],
  udpTimeoutNs: ['udp_timeout', 1, Number.MAX_SAFE_INTEGER],
} as const;

/**
 * What fields say of a node. Rules that they break are noted.
 * @param path of the node in the request
 * @param vips those that there are
 */
export function readNode(
  checks: Checks,
  path: string,
  fields: NodeFields,
  vips: ReadonlyMap<string, Vip>,
): NodeBody {
  const routerMac = checks.mac(`${path}.router_mac_address`, fields.routerMac);
  const ownAddresses = fields.ownAddresses.flatMap((text, i): IpAddress[] => {
    const address = checks.hostAddress(`${path}.own_addresses[${i}]`, text);
    return address ? [address] : [];
  });
  for (const family of [4, 6] as const) {
    if (ownAddresses.filter((address) => address.family === family).length > 1)
      checks.fail(`${path}.own_addresses`, `two are IPv${family}: a node has one of a family at most`);
  }
  const seen = new Set<string>();
  const decapDestinations = fields.decapDestinations.flatMap(
    ({ address: text, egress }, i): DecapDestination[] => {
      const field = `${path}.decap_destinations[${i}].address`;
      const address = checks.hostAddress(field, text);
      if (address === undefined) return [];
      if (seen.has(formatIp(address))) checks.fail(field, `${text} is there twice`);
      seen.add(formatIp(address));
      return [{ address, egress }];
    },
  );
  const watched = fields.watchedVip === '' ? undefined : vips.get(fields.watchedVip);
  if (fields.watchedVip !== '') {
    const field = `${path}.counted_vip`;
    if (watched === undefined)
      checks.fail(field, `"${fields.watchedVip}" is not the name of a VIP: vips/{vip}`);
    else if (watched.key.prefixBits !== undefined)
      checks.fail(field, `${watched.name} is a prefix: only VIPs of one address are counted`);
  }
  for (const [option, [name, min, max]] of Object.entries(RANGES)) {
    const value = fields.options[option as keyof typeof RANGES];
    if (value !== undefined) checks.number(`${path}.options.${name}`, value, min, max);
  }
  return { routerMac, ownAddresses, decapDestinations, watchedVip: watched?.name, options: fields.options };
}

/** Whether two nodes are the same but for their versions. */
export const sameNode = (a: NodeBody, b: NodeBody): boolean => textOf(a) === textOf(b);

const textOf = ({ routerMac, ownAddresses, decapDestinations, watchedVip, options }: NodeBody): string =>
  JSON.stringify([
    routerMac && formatMac(routerMac),
    ownAddresses.map(formatIp),
    decapDestinations.map(({ address, egress }) => [formatIp(address), egress]),
    watchedVip,
    Object.entries(options)
      .filter(([, value]) => value !== undefined)
      .sort(([a], [b]) => (a < b ? -1 : 1)),
  ]);

export function updateNode(
  state: DesiredState,
  change: UpdateNode,
  stamp: Stamp,
  limits: StateLimits,
): DesiredState {
  const { node } = state;
  if (change.etag !== '' && change.etag !== node.etag) {
    throw new StateError(
      { code: 'STATE_ETAG', name: NODE_NAME, given: change.etag, current: node.etag },
      `${NODE_NAME} has changed since it was read (etag "${change.etag}", now "${node.etag}"): read it again and retry`,
    );
  }
  const checks = new Checks();
  const body = readNode(checks, 'config', { ...nodeFieldsOf(node), ...change.fields }, state.vips);
  checks.done();
  if (body.decapDestinations.length > limits.decapDestinations)
    throw overLimit('decapsulation destinations', limits.decapDestinations);
  if (sameNode(node, body)) return state;
  const { etag, revision } = stamp;
  return { ...state, revision, node: { ...body, etag, revision } };
}
