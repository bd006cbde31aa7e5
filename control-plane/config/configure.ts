import { type BalancerTables, formatIp, parseMac } from '../../lb/index.js';
import { TableWriter, type WritableTables } from '../reconcile/apply.js';
import { EMPTY_IMAGE, FULL_SHARE, imageOf } from '../reconcile/image.js';
import { Placements } from '../reconcile/placements.js';
import { plan } from '../reconcile/plan.js';
import { type DesiredState, vipName } from '../state/model.js';
import type { BackendConfig, NodeConfig, VipConfig } from './model.js';
import { desiredState } from './state.js';

/** The part of the balancer's tables that a configuration is written into. */
export type ConfigurableTables = WritableTables & Pick<BalancerTables, 'setEvents' | 'limits'>;

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
 * @throws TablesError; IdsError for more than the tables have room for
 */
export function configure(config: NodeConfig, tables: ConfigurableTables): Configured {
  const declared = desiredState(config);
  const node = { ...declared.node, routerMac: declared.node.routerMac ?? NO_MAC };
  const state: DesiredState = { ...declared, node };
  const places = new Placements(tables.limits, {
    mac: () => undefined,
    share: () => FULL_SHARE,
    flows: () => new Map(),
  });
  const wanted = imageOf(state, places);
  new TableWriter(tables).apply(plan(EMPTY_IMAGE, wanted));
  if (config.options.eventsEnabled) tables.setEvents(true);
  const addresses = new Map([...wanted.reals].map(([index, { address }]) => [index, formatIp(address)]));
  const byNumber = new Map(config.vips.map((vip) => [places.vips.get(vipName(vip.name)), vip]));
  const backends = config.pools.flatMap((pool) => pool.backends);
  return {
    vip: (number) => byNumber.get(number),
    backendAddress: (index) => addresses.get(index),
    backends: (index) => backends.filter(({ address }) => formatIp(address) === addresses.get(index)),
  };
}
