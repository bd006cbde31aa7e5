import {
  formatIp,
  formatVip,
  type IpAddress,
  sameIp,
  VIP_FLAGS,
  type VipFlagName,
  type VipKey,
} from '../../lb/index.js';
import type { CreateVip, DeleteVip, UpdateVip } from './changes.js';
import { exists, fieldError, immutable, overLimit } from './faults.js';
import { type VipFields, vipAddressText, vipFieldsOf } from './fields.js';
import type { StateLimits } from './limits.js';
import { backendsOf, type DesiredState, ringsInUse, type Version, type Vip, vipName } from './model.js';
import { Checks, find } from './validate.js';
import { checkEtag, firstVersion, nextVersion, type Stamp, withEntry, withoutEntries } from './version.js';

/** Flags of which the datapath makes something only for UDP. */
export const UDP_FLAGS = [
  'QUIC_VIP',
  'UDP_STABLE_ROUTING',
  'UDP_FLOW_MIGRATION',
] as const satisfies VipFlagName[];
/** What each of these says of the flow's hash contradicts the others. */
export const HASH_FLAGS = [
  'HASH_NO_SRC_PORT',
  'HASH_DPORT_ONLY',
  'HASH_SRC_DST_PORT',
] as const satisfies VipFlagName[];
const ALL_FLAGS = Object.values(VIP_FLAGS).reduce((bits, bit) => bits | bit, 0);

const namesIn = (flags: number, names: readonly VipFlagName[]) =>
  names.filter((name) => (flags & VIP_FLAGS[name]) !== 0);

/** A VIP without its name and version. */
export type VipBody = Omit<Vip, 'name' | keyof Version>;

/**
 * The VIP that fields say; undefined where they break rules, which are then noted.
 * @param path of the VIP in the request
 */
export function readVip(checks: Checks, path: string, fields: VipFields): VipBody | undefined {
  const { displayName, port, protocol, pool, flags, ringAlgorithm } = fields;
  checks.displayName(`${path}.display_name`, displayName);
  const place = checks.vipAddress(`${path}.address`, fields.address);
  checks.port(`${path}.port`, port);
  checks.protocol(`${path}.protocol`, protocol);
  checks.name(`${path}.pool`, 'pool', pool);
  const forUdp = protocol === 'tcp' ? namesIn(flags, UDP_FLAGS) : [];
  for (const name of forUdp) checks.fail(`${path}.flags`, `${name} is for UDP, and the protocol is TCP`);
  const hashes = namesIn(flags, HASH_FLAGS);
  if (hashes.length > 1) checks.fail(`${path}.flags`, `${hashes.join(' and ')} exclude each other`);
  if ((flags & ~ALL_FLAGS) !== 0) checks.fail(`${path}.flags`, `${flags} has bits that are no flags`);
  const downBackends = fields.downBackends.flatMap((text, i) => {
    const address = checks.hostAddress(`${path}.down_backends[${i}]`, text);
    return address ? [address] : [];
  });
  if (place?.prefixBits !== undefined && downBackends.length > 0) {
    checks.fail(`${path}.down_backends`, 'is for VIPs of one address, and this one is a prefix');
  }
  if (place === undefined || protocol === undefined) return undefined;
  return {
    displayName,
    key: { ...place, port, protocol },
    pool,
    flags,
    ringAlgorithm,
    downBackends: distinct(downBackends),
  };
}

function distinct(addresses: readonly IpAddress[]): IpAddress[] {
  return addresses.filter((address, i) => addresses.findIndex((other) => sameIp(other, address)) === i);
}

const sameKey = (a: VipKey, b: VipKey) =>
  a.port === b.port &&
  a.protocol === b.protocol &&
  a.prefixBits === b.prefixBits &&
  sameIp(a.address, b.address);

/** IPv6 packets are not carried over IPv4: such a VIP would drop them all. */
function checkFamilies(state: DesiredState, key: VipKey, pool: string): void {
  if (key.address.family === 4) return;
  const offender = backendsOf(state, pool).find(({ address }) => address.family === 4);
  if (offender === undefined) return;
  throw fieldError(
    'vip.pool',
    `${pool} has the IPv4 backend ${offender.name} (${formatIp(offender.address)}), which cannot serve the IPv6 VIP ${formatIp(key.address)}: IPv6 is not carried over IPv4`,
  );
}

/** @throws StateError STATE_LIMIT */
function checkRings(state: DesiredState, limits: StateLimits): void {
  // No pool has more than two rings.
  if (2 * state.pools.size <= limits.rings) return;
  if (ringsInUse(state).size > limits.rings) throw overLimit('rings (pools that serve VIPs)', limits.rings);
}

const NEW_VIP = { flags: 0, ringAlgorithm: undefined, downBackends: [] } as const;

export function createVip(
  state: DesiredState,
  change: CreateVip,
  stamp: Stamp,
  limits: StateLimits,
): DesiredState {
  const checks = new Checks();
  checks.id('vip_id', change.id);
  const body = readVip(checks, 'vip', { ...NEW_VIP, ...change });
  checks.done();
  // Every reason for there being none is noted above.
  if (body === undefined) throw new Error('unreachable: checks passed');

  const name = vipName(change.id);
  if (state.vips.has(name)) throw exists('vip', name, `vip_id: ${name} exists`);
  const holder = [...state.vips.values()].find((vip) => sameKey(vip.key, body.key));
  if (holder)
    throw exists('vip', holder.name, `vip.address: ${formatVip(body.key)} is served by ${holder.name}`);
  const pool = find(state.pools, 'pool', change.pool, 'vip.pool');
  checkFamilies(state, body.key, pool.name);
  if (state.vips.size >= limits.vips) throw overLimit('VIPs', limits.vips);
  const vip: Vip = { name, ...body, ...firstVersion(stamp) };
  const after = { ...state, revision: stamp.revision, vips: withEntry(state.vips, name, vip) };
  checkRings(after, limits);
  return after;
}

/** @throws StateError STATE_IMMUTABLE */
function checkImmutable(vip: Vip, key: VipKey): void {
  const before = vip.key;
  const [from, to] = [vipAddressText(before), vipAddressText(key)];
  if (!sameIp(before.address, key.address) || before.prefixBits !== key.prefixBits)
    throw immutable(vip.name, 'vip.address', from, to);
  if (key.port !== before.port) throw immutable(vip.name, 'vip.port', String(before.port), String(key.port));
  if (key.protocol !== before.protocol)
    throw immutable(vip.name, 'vip.protocol', before.protocol, key.protocol);
}

/** Whether two VIPs are the same but for their versions. */
export const sameVip = (a: VipBody, b: VipBody): boolean =>
  a.displayName === b.displayName &&
  a.pool === b.pool &&
  a.flags === b.flags &&
  a.ringAlgorithm === b.ringAlgorithm &&
  sameKey(a.key, b.key) &&
  a.downBackends.map(formatIp).join() === b.downBackends.map(formatIp).join();

export function updateVip(
  state: DesiredState,
  change: UpdateVip,
  stamp: Stamp,
  limits: StateLimits,
): DesiredState {
  const vip = find(state.vips, 'vip', change.name, 'vip.name');
  checkEtag(vip.name, vip, change.etag);
  const checks = new Checks();
  const body = readVip(checks, 'vip', { ...vipFieldsOf(vip), ...change.fields });
  checks.done();
  if (body === undefined) throw new Error('unreachable: checks passed');
  checkImmutable(vip, body.key);
  find(state.pools, 'pool', body.pool, 'vip.pool');
  if (sameVip(vip, body)) return state;
  checkFamilies(state, body.key, body.pool);
  const changed: Vip = { ...vip, ...body, ...nextVersion(vip, stamp) };
  const after = { ...state, revision: stamp.revision, vips: withEntry(state.vips, vip.name, changed) };
  checkRings(after, limits);
  return after;
}

export function deleteVip(state: DesiredState, change: DeleteVip, stamp: Stamp): DesiredState {
  const vip = find(state.vips, 'vip', change.name);
  checkEtag(vip.name, vip, change.etag);
  const vips = withoutEntries(state.vips, [vip.name]);
  if (state.node.watchedVip !== vip.name) return { ...state, revision: stamp.revision, vips };
  const { etag, revision } = stamp;
  return { ...state, revision, vips, node: { ...state.node, watchedVip: undefined, etag, revision } };
}
