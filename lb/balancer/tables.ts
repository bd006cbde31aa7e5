import type { BpfMap, MapHost } from '../bpf/maps/map.js';
import type { IpAddress, Mac } from '../net/address.js';
import { ConnectionTables, type Flow, GlobalTables } from './connections.js';
import { CounterTables } from './counters.js';
import { DownReals } from './down-reals.js';
import type { BalancerLimits } from './limits.js';
import { MapSet, u32Bytes } from './map-set.js';
import { RingTable } from './rings.js';
import { type Prefix, RouteTable } from './routes.js';
import {
  type BalancerMapName,
  CTL_EVENTS,
  CTL_NUMBER,
  CTL_ROUTER_MAC,
  CTL_VALUE,
  DECAP_FLAGS,
  encode,
  NEXT_HOP,
  OWN_ADDRESS_SLOTS,
  REAL_DEFINITION,
  REAL_FLAGS,
  RING_SIZE,
} from './schema.js';
import type { FlowBatch, FlowPlace } from './tracked-flows.js';
import { addressBytes, exactVipBytes, isPrefixVip, type VipKey } from './vip-key.js';
import { type VipRow, VipTable } from './vips.js';

export type { Flow } from './connections.js';
export { type BalancerLimits, vipNumberAt } from './limits.js';
export { TablesError, type TablesFault } from './map-set.js';
export type { Prefix } from './routes.js';
export { formatVip, VIP_PROTOCOLS, type VipKey, type VipProtocol } from './vip-key.js';
export type { VipRow } from './vips.js';

export interface TablesOptions {
  /** Where the maps are: sets of backends that are down are made there, and without it none can be marked. */
  readonly host?: MapHost;
  /** The program's option of this name. */
  readonly udpTimeoutNs?: number | undefined;
}

/** Maps that the control plane fills, and that can be full. */
const FILLED_MAPS = [
  'vip_map',
  'vip_lpm_map',
  'reals',
  'server_id_map',
  'lpm_src_v4',
  'lpm_src_v6',
  'decap_dst',
  'vip_to_down_reals_map',
] as const satisfies readonly BalancerMapName[];
type FilledMap = (typeof FILLED_MAPS)[number];

/** What another process attached to the maps. */
export interface AdoptedTables {
  /** Connection tables, from CPU 0 on. */
  readonly connections: readonly BpfMap[];
  /** Tables of flows from outside, from CPU 0 on. */
  readonly globals: readonly BpfMap[];
  /** Sets of down backends by the key of their VIP. */
  readonly downSets: readonly (readonly [key: Uint8Array, set: BpfMap])[];
  /** Rows of `reals` that are not empty. */
  readonly reals: readonly number[];
}

/** How full a map is. */
export interface Occupancy {
  readonly map: FilledMap;
  readonly entries: number;
  readonly maxEntries: number;
}

/**
 * The balancer's maps, by what they mean. Works the same over maps of the arena and of the kernel.
 * One writer: the control plane. Each write is one element, which packets see whole or not at all; the order
 * of writes (backend, ring, VIP, and back) is the caller's.
 */
export class BalancerTables extends CounterTables {
  readonly #maps: MapSet;
  readonly #vips: VipTable;
  readonly #rings: RingTable;
  readonly #routes: RouteTable;
  readonly #downReals: DownReals;
  readonly #connections: ConnectionTables;
  readonly #globalFlows: GlobalTables;
  /** Rows of reals that are not empty. */
  readonly #reals = new Set<number>();

  /** @throws TablesError TABLES_MAP_MISSING, TABLES_MAP_SHAPE */
  constructor(maps: ReadonlyMap<string, BpfMap>, options: TablesOptions = {}) {
    const set = new MapSet(maps);
    super(set);
    this.#maps = set;
    this.#vips = new VipTable(set);
    this.#rings = new RingTable(set);
    this.#routes = new RouteTable(set);
    this.#downReals = new DownReals(set, options.host);
    this.#connections = new ConnectionTables(
      set.get('lru_mapping'),
      set.get('fallback_cache'),
      options.udpTimeoutNs === undefined ? undefined : BigInt(options.udpTimeoutNs),
    );
    this.#globalFlows = new GlobalTables(set.get('global_lru_maps'), set.get('fallback_glru'));
  }

  /** What the maps have room for. */
  get limits(): BalancerLimits {
    return this.#maps.limits;
  }

  /** Write a VIP, new or changed. @throws TablesError TABLES_RANGE, TABLES_WRITE */
  putVip(vip: VipKey, row: VipRow): void {
    this.#vips.put(vip, row);
  }

  /** What is written of a VIP. */
  getVip(vip: VipKey): VipRow | undefined {
    return this.#vips.get(vip);
  }

  /**
   * Remove a VIP: its traffic passes from now on. Its counters are cleared for the next VIP of its number, and no
   * backend is down for it any more.
   */
  deleteVip(vip: VipKey): void {
    const row = this.#vips.get(vip);
    if (row === undefined) return;
    this.#vips.delete(vip);
    if (!isPrefixVip(vip)) this.#downReals.deleteVip(exactVipBytes(vip));
    this.clearVipCounters(row.number);
  }

  /** Write a backend's row; the family sets its flag. `index` is at least 1. */
  putReal(index: number, address: IpAddress, flags = 0): void {
    this.#maps.limits.checkReal(index);
    this.#maps.update('reals', u32Bytes(index), realBytes(address, flags));
    this.#reals.add(index);
  }

  /** Empty a backend's row, its next hop and its counters: flows that still point at it get another backend. */
  clearReal(index: number): void {
    this.#maps.limits.checkReal(index);
    this.#maps.update('reals', u32Bytes(index), new Uint8Array(REAL_DEFINITION.sizeBytes));
    this.#reals.delete(index);
    this.putNextHop(index, undefined);
    this.clearRealCounters(index);
  }

  /** MAC address of a backend's next hop; undefined: the router's. */
  putNextHop(index: number, mac: Mac | undefined): void {
    this.#maps.limits.checkReal(index);
    this.#maps.update('real_macs', u32Bytes(index), encode(NEXT_HOP, { mac: mac ?? new Uint8Array(6) }));
  }

  /** MAC address of the router: the next hop of backends that have none of their own. */
  setRouterMac(mac: Mac): void {
    this.#maps.update('ctl_array', u32Bytes(CTL_ROUTER_MAC), encode(CTL_VALUE, { mac }));
  }

  /** This node's address of a family: source of GUE packets, and where tunnels for this host end. */
  setOwnAddress(address: IpAddress): void {
    this.#maps.update('pckt_srcs', u32Bytes(OWN_ADDRESS_SLOTS[address.family]), realBytes(address, 0));
  }

  /** Report packets as events, or do not. Without the option `eventsEnabled` there are none. */
  setEvents(on: boolean): void {
    this.#maps.update('ctl_array', u32Bytes(CTL_EVENTS), encode(CTL_NUMBER, { value: on ? 1n : 0n }));
  }

  /**
   * Write a ring, only the slots that differ from `previous`.
   * @param slots RING_SIZE backend indices, 0 = empty
   * @param previous what the ring holds now, as far as the caller knows; without it every slot is written
   * @returns slots written
   */
  putRing(ring: number, slots: Uint32Array, previous?: Uint32Array): number {
    return this.#rings.put(ring, slots, previous);
  }

  /** The slots of a ring: rows of backends, 0 = empty. */
  readRing(ring: number): Uint32Array {
    return this.#rings.read(ring);
  }

  /** Empty a ring: its VIPs drop what has no connection entry. */
  clearRing(ring: number): void {
    this.#rings.put(ring, new Uint32Array(RING_SIZE));
  }

  /** Have a VIP use a ring; rings belong to pools, and VIPs may share one. */
  putVipRing(vipNumber: number, ringNumber: number): void {
    this.#rings.assign(vipNumber, ringNumber);
  }

  /** Backend in a slot of the ring that a VIP uses; 0: none. */
  ringRealAt(vipNumber: number, slot: number): number {
    return this.#rings.realAt(vipNumber, slot);
  }

  /** Packets that carry a server id (1 to 2³² − 1) go to this backend. */
  putServerId(id: number, real: number): void {
    this.#routes.putServerId(id, real);
  }

  /** Forget a server id. Idempotent. */
  deleteServerId(id: number): void {
    this.#routes.deleteServerId(id);
  }

  /** New flows of clients in the prefix go to this backend, under VIPs with SRC_ROUTING; the longest prefix decides. */
  putSourceRoute(prefix: Prefix, real: number): void {
    this.#routes.putSourceRoute(prefix, real);
  }

  /** Forget just this prefix. Idempotent. */
  deleteSourceRoute(prefix: Prefix): void {
    this.#routes.deleteSourceRoute(prefix);
  }

  /**
   * UDP flows of a VIP with UDP_FLOW_MIGRATION leave this backend.
   * @throws TablesError TABLES_PREFIX_VIP for a VIP that is a prefix, TABLES_NO_HOST without `host`
   */
  putDownReal(vip: VipKey, real: number): void {
    this.#downReals.put(vip, real);
  }

  /** They may stay again. Idempotent. @throws TablesError TABLES_PREFIX_VIP */
  deleteDownReal(vip: VipKey, real: number): void {
    this.#downReals.delete(vip, real);
  }

  /** Take tunnel packets for this address apart; `egress`: what comes out goes back out, and is not balanced. */
  putDecapDestination(
    address: IpAddress,
    { egress }: { readonly egress: boolean } = { egress: false },
  ): void {
    this.#maps.put('decap_dst', addressBytes(address), u32Bytes(egress ? DECAP_FLAGS.EGRESS : 0));
  }

  /** Leave tunnel packets for this address alone. Idempotent. */
  deleteDecapDestination(address: IpAddress): void {
    this.#maps.delete('decap_dst', addressBytes(address));
  }

  /**
   * Give each CPU a connection table of its own.
   * @param cpus how many, from CPU 0
   */
  attachConnectionTables(host: MapHost, cpus: number, entriesPerCpu: number): void {
    this.#maps.check('lru_mapping', 'update', this.#connections.attach(host, cpus, entriesPerCpu));
  }

  /**
   * Give each CPU a table of flows from outside.
   * @param cpus how many, from CPU 0
   */
  attachGlobalTables(host: MapHost, cpus: number, entriesPerCpu: number): void {
    this.#maps.check('global_lru_maps', 'update', this.#globalFlows.attach(host, cpus, entriesPerCpu));
  }

  /**
   * Note a flow from outside; it goes to this backend under VIPs with GLOBAL_LRU.
   * @param cpu the CPU whose table it is for, which has been attached; all of them unless given
   */
  putGlobalFlow(flow: Flow, real: number, cpu?: number): void {
    this.#maps.limits.checkReal(real);
    this.#maps.check('global_lru_maps', 'update of a table', this.#globalFlows.put(flow, real, cpu));
  }

  /** Forget a flow from outside. Idempotent. */
  deleteGlobalFlow(flow: Flow): void {
    this.#maps.check('global_lru_maps', 'delete in a table', this.#globalFlows.delete(flow));
  }

  /**
   * Go on with maps that another process filled: what they hold counts as written here.
   * Tables in the slots of maps of maps belong to this from now on.
   */
  adopt({ connections, globals, downSets, reals }: AdoptedTables): void {
    for (const map of FILLED_MAPS)
      if (map !== 'reals' && map !== 'vip_to_down_reals_map') this.#maps.adopt(map);
    for (const index of reals) this.#reals.add(index);
    this.#connections.adopt(connections);
    this.#globalFlows.adopt(globals);
    this.#downReals.adopt(downSets);
  }

  /** Flows in the connection tables by backend index; UDP flows that have timed out do not count. */
  trackedFlows(nowNs?: bigint): Map<number, number> {
    return this.#connections.countByReal(nowNs ?? process.hrtime.bigint());
  }

  /**
   * Forget the flows of backends: their next packets are those of new flows. No ring may lead to the backends any more.
   * @returns flows that were forgotten
   */
  forgetFlows(reals: ReadonlySet<number>): number {
    return this.#connections.forget(reals);
  }

  /** Entries that the connection tables have room for. */
  get connectionTableEntries(): number {
    return this.#connections.capacity;
  }

  /**
   * Some flows of the connection tables, from a place on; UDP flows that have timed out are left out.
   * @param count about so many
   */
  flowsFrom(place: FlowPlace, count: number, nowNs = process.hrtime.bigint()): FlowBatch {
    return this.#connections.read(place, count, nowNs);
  }

  /**
   * How full the maps are that the control plane fills. Those that the program fills, the connection tables, would have
   * to be walked: see trackedFlows.
   */
  occupancy(): readonly Occupancy[] {
    const entriesOf = (map: FilledMap): number => {
      if (map === 'reals') return this.#reals.size;
      return map === 'vip_to_down_reals_map' ? this.#downReals.size : this.#maps.entries(map);
    };
    return FILLED_MAPS.map((map) => ({
      map,
      entries: entriesOf(map),
      maxEntries: this.#maps.get(map).spec.maxEntries,
    }));
  }

  /** Give back the maps that were made here; the others belong to whoever created them. Idempotent. */
  close(): void {
    this.#connections.close();
    this.#globalFlows.close();
    this.#downReals.close();
  }
}

function realBytes(address: IpAddress, flags: number): Uint8Array {
  const allFlags = address.family === 6 ? flags | REAL_FLAGS.IPV6 : flags;
  return encode(REAL_DEFINITION, { address: address.bytes, flags: allFlags });
}
