import { type BalancerTables, formatIp, MAX_VIPS, parseMac } from '../../lb/index.js';
import { TableWriter, type WritableTables } from '../reconcile/apply.js';
import { EMPTY_IMAGE, imageOf } from '../reconcile/image.js';
import { plan } from '../reconcile/plan.js';
import { MAX_ADDRESS_COUNT } from '../state/backends.js';
import { Numbers, RealIndices } from '../state/ids.js';
import { type DesiredState, vipName } from '../state/model.js';
import type { BackendConfig, NodeConfig, VipConfig } from './model.js';
import { desiredState } from './state.js';

/** The part of the balancer's tables that a configuration is written into. */
export type ConfigurableTables = WritableTables & Pick<BalancerTables, 'setEvents'>;

/** Next hop of backends that have none, where there is no network to find one in. */
const NO_MAC = parseMac('00:00:00:00:00:00');

/** What the numbers in the tables stand for. */
export interface Configured {
  /** The VIP of a number. */
  vip(number: number): VipConfig | undefined;
  /** Address of a backend's row; undefined for one that is empty. */
  backendAddress(index: number): string | undefined;
  /** Backends of that address, one of each pool that has it; none for one that only routes name. */
  backends(index: number): readonly BackendConfig[];
}

/**
 * Write a configuration into tables that are empty. Next hops are those of the file: the backend's mac, or the
 * router's, or 00:00:00:00:00:00 where neither is given; none is looked for.
 * @param tables of a program with the options and sizes of the configuration, its workers' tables attached
 * @throws TablesError
 */
export function configure(config: NodeConfig, tables: ConfigurableTables): Configured {
  const declared = desiredState(config);
  const node = { ...declared.node, routerMac: declared.node.routerMac ?? NO_MAC };
  const state: DesiredState = { ...declared, node };
  const reals = new RealIndices(MAX_ADDRESS_COUNT);
  const rings = new Numbers('rings', MAX_VIPS);
  const vips = new Numbers('VIPs', MAX_VIPS);
  const wanted = imageOf(state, {
    real: (key) => reals.acquire(key, () => new Map()),
    ring: (key) => rings.acquire(key),
    vip: (name) => vips.acquire(name),
    mac: () => undefined,
  });
  new TableWriter(tables).apply(plan(EMPTY_IMAGE, wanted));
  if (config.options.eventsEnabled) tables.setEvents(true);
  const addresses = new Map([...wanted.reals].map(([index, { address }]) => [index, formatIp(address)]));
  const byNumber = new Map(config.vips.map((vip) => [vips.get(vipName(vip.name)), vip]));
  const backends = config.pools.flatMap((pool) => pool.backends);
  return {
    vip: (number) => byNumber.get(number),
    backendAddress: (index) => addresses.get(index),
    backends: (index) => backends.filter(({ address }) => formatIp(address) === addresses.get(index)),
  };
}
