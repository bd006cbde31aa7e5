import { formatIp, formatVip, sameIp, type VipKey } from '../../lb/index.js';
import type { CreateVip, DeleteVip, UpdateVip } from './changes.js';
import { exists, fieldError, immutable, overLimit } from './faults.js';
import { backendsOf, type DesiredState, type Vip, vipName } from './model.js';
import { Checks, find } from './validate.js';
import { checkEtag, firstVersion, nextVersion, type Stamp, withEntry, withoutEntries } from './version.js';

/** VIPs that the datapath has numbers for. */
export const MAX_VIP_COUNT = 512;

const sameKey = (a: VipKey, b: VipKey) =>
  a.port === b.port && a.protocol === b.protocol && sameIp(a.address, b.address);

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

export function createVip(state: DesiredState, change: CreateVip, stamp: Stamp): DesiredState {
  const checks = new Checks();
  checks.id('vip_id', change.id);
  checks.displayName('vip.display_name', change.displayName);
  const address = checks.hostAddress('vip.address', change.address);
  checks.port('vip.port', change.port);
  const { protocol } = change;
  checks.protocol('vip.protocol', protocol);
  checks.name('vip.pool', 'pool', change.pool);
  checks.done();
  // Both faults are noted above.
  if (address === undefined || protocol === undefined) throw new Error('unreachable: checks passed');

  const name = vipName(change.id);
  if (state.vips.has(name)) throw exists('vip', name, `vip_id: ${name} exists`);
  const key: VipKey = { address, port: change.port, protocol };
  const holder = [...state.vips.values()].find((vip) => sameKey(vip.key, key));
  if (holder) throw exists('vip', holder.name, `vip.address: ${formatVip(key)} is served by ${holder.name}`);
  const pool = find(state.pools, 'pool', change.pool);
  checkFamilies(state, key, pool.name);
  if (state.vips.size >= MAX_VIP_COUNT) throw overLimit('VIPs', MAX_VIP_COUNT);
  const vip: Vip = {
    name,
    displayName: change.displayName,
    key,
    pool: pool.name,
    flags: 0,
    ringAlgorithm: undefined,
    downBackends: [],
    ...firstVersion(stamp),
  };
  return { ...state, revision: stamp.revision, vips: withEntry(state.vips, name, vip) };
}

function checkImmutable(vip: Vip, fields: UpdateVip['fields'], checks: Checks): void {
  const { address, port, protocol } = vip.key;
  if (fields.address !== undefined) {
    const wanted = checks.hostAddress('vip.address', fields.address);
    checks.done();
    if (wanted && !sameIp(wanted, address)) {
      throw immutable(vip.name, 'vip.address', formatIp(address), formatIp(wanted));
    }
  }
  if (fields.port !== undefined && fields.port !== port) {
    throw immutable(vip.name, 'vip.port', String(port), String(fields.port));
  }
  if (fields.protocol !== undefined && fields.protocol !== protocol) {
    throw immutable(vip.name, 'vip.protocol', protocol, fields.protocol);
  }
}

export function updateVip(state: DesiredState, change: UpdateVip, stamp: Stamp): DesiredState {
  const vip = find(state.vips, 'vip', change.name, 'vip.name');
  checkEtag(vip.name, vip, change.etag);
  const { fields } = change;
  const checks = new Checks();
  checks.displayName('vip.display_name', fields.displayName ?? '');
  if (fields.pool !== undefined) checks.name('vip.pool', 'pool', fields.pool);
  checks.done();
  checkImmutable(vip, fields, checks);
  const displayName = fields.displayName ?? vip.displayName;
  const pool = find(state.pools, 'pool', fields.pool ?? vip.pool).name;
  if (displayName === vip.displayName && pool === vip.pool) return state;
  checkFamilies(state, vip.key, pool);
  const changed: Vip = { ...vip, displayName, pool, ...nextVersion(vip, stamp) };
  return { ...state, revision: stamp.revision, vips: withEntry(state.vips, vip.name, changed) };
}

export function deleteVip(state: DesiredState, change: DeleteVip, stamp: Stamp): DesiredState {
  const vip = find(state.vips, 'vip', change.name);
  checkEtag(vip.name, vip, change.etag);
  return { ...state, revision: stamp.revision, vips: withoutEntries(state.vips, [vip.name]) };
}
