import { VIP_REASONS } from './reasons.js';
import { type BalancerMapName, COUNTERS_START, RING_SIZE, STATS_SLOTS } from './schema.js';
import { checkRange, TablesError } from './tables-fault.js';

/** What the balancer's maps have room for. */
export interface BalancerLimits {
  /** VIPs: so many numbers there are for them. */
  readonly vips: number;
  /** Rings: their numbers are below it. */
  readonly rings: number;
  /** Backends: their rows are 1 to this. */
  readonly reals: number;
}

/** Number of the `place`-th VIP: those of the global counters are left out. */
export const vipNumberAt = (place: number): number =>
  place < COUNTERS_START ? place : place + STATS_SLOTS - COUNTERS_START;

/** VIPs whose numbers are below `end`. */
const numbersBelow = (end: number): number => Math.min(end, COUNTERS_START) + Math.max(0, end - STATS_SLOTS);

/** Rows that a map must have for so many VIPs, where its index is the VIP's number. */
export const rowsForVips = (vips: number): number => (vips === 0 ? 0 : vipNumberAt(vips - 1) + 1);

const REMEDY = 'the maps have no room for more; their sizes are set when the program is loaded';

/** What maps have room for, and whether numbers are within it. */
export class Limits implements BalancerLimits {
  readonly vips: number;
  readonly rings: number;
  readonly reals: number;

  /** @param entriesOf size of each map */
  constructor(entriesOf: (map: BalancerMapName) => number) {
    const least = (maps: readonly BalancerMapName[]) => Math.min(...maps.map(entriesOf));
    const vipRows = least(['vip_rings', 'stats', 'server_id_stats', 'decap_vip_stats', 'vip_new_flows']);
    this.vips = numbersBelow(Math.min(vipRows, Math.floor(entriesOf('reason_stats') / VIP_REASONS)));
    this.rings = Math.floor(entriesOf('ch_rings') / RING_SIZE);
    this.reals = least(['reals', 'real_macs', 'reals_stats', 'real_new_flows', 'lru_miss_stats']) - 1;
  }

  /** @throws TablesError TABLES_RANGE */
  checkVip(number: number): void {
    const end = rowsForVips(this.vips);
    if (number < COUNTERS_START || number >= STATS_SLOTS) {
      checkRange('VIP number', number, 0, end - 1, REMEDY);
      return;
    }
    throw new TablesError(
      { code: 'TABLES_RANGE', what: 'VIP number', value: number },
      `VIP number ${number}: ${COUNTERS_START} to ${STATS_SLOTS - 1} are the global counters' in the map stats`,
    );
  }

  /** @throws TablesError TABLES_RANGE */
  checkRing(number: number): void {
    checkRange('ring number', number, 0, this.rings - 1, REMEDY);
  }

  /** @throws TablesError TABLES_RANGE */
  checkReal(index: number): void {
    checkRange('backend index', index, 1, this.reals, REMEDY);
  }
}
