import {
  assertNever,
  type BalancerTables,
  type Mac,
  parseIp,
  parseMac,
  REAL_FLAGS,
  RING_SIZE,
} from '../../lb/index.js';
import { buildRing } from '../maglev/ring.js';
import { inSlices } from '../slices.js';
import type { RingImage, RingMember } from './image.js';
import type { MapWrite } from './plan.js';

/** The part of the balancer's tables that is written here. */
export type WritableTables = Pick<
  BalancerTables,
  | 'setRouterMac'
  | 'setOwnAddress'
  | 'putReal'
  | 'putNextHop'
  | 'clearReal'
  | 'putRing'
  | 'readRing'
  | 'putVipRing'
  | 'putVip'
  | 'deleteVip'
  | 'putServerId'
  | 'deleteServerId'
  | 'putSourceRoute'
  | 'deleteSourceRoute'
  | 'putDownReal'
  | 'deleteDownReal'
  | 'putGlobalFlow'
  | 'deleteGlobalFlow'
  | 'putDecapDestination'
  | 'deleteDecapDestination'
  | 'watchMisses'
>;

/** What the tables hold where there is none. */
const NO_MAC: Mac = parseMac('00:00:00:00:00:00');
const NO_ADDRESS = { 4: parseIp('0.0.0.0'), 6: parseIp('::') } as const;

const NO_RING: RingImage = { members: [], algorithm: 'v2' };

/** The RING_SIZE slots of a ring, rows of backends. @throws RingError */
export function slotsOf({ members, algorithm }: RingImage): Uint32Array {
  return buildRing(
    members.map(({ index, address, weight }) => ({ index, address: address.bytes, weight })),
    algorithm,
  );
}

/** Runs plans on the tables. */
export class TableWriter {
  readonly #tables: WritableTables;
  /** Slots of each row, by ring. */
  readonly #counts = new Map<number, ReadonlyMap<number, number>>();

  constructor(tables: WritableTables) {
    this.#tables = tables;
  }

  /**
   * Run the writes in order.
   * @throws whatever the tables throw; the writes before it are done, the rest are not
   */
  apply(writes: readonly MapWrite[]): void {
    for (const write of writes) this.#run(write);
  }

  /**
   * The same, while this process does its other work too: the rings of hundreds of pools take seconds.
   * @throws whatever the tables throw, as `apply` does
   */
  applyInSlices(writes: readonly MapWrite[]): Promise<void> {
    return inSlices(writes, (write) => this.#run(write));
  }

  /** Share of a ring's slots that a row has, 0..1. */
  share(ring: number, index: number): number {
    return (this.#counts.get(ring)?.get(index) ?? 0) / RING_SIZE;
  }

  #run(write: MapWrite): void {
    const tables = this.#tables;
    switch (write.kind) {
      case 'router-mac':
        tables.setRouterMac(write.mac ?? NO_MAC);
        break;
      case 'own-address':
        tables.setOwnAddress(write.address ?? NO_ADDRESS[write.family]);
        break;
      case 'real':
        tables.putReal(write.index, write.address, write.isLocal ? REAL_FLAGS.LOCAL : 0);
        break;
      case 'next-hop':
        tables.putNextHop(write.index, write.mac);
        break;
      case 'ring':
        this.#putRing(write.ring, { members: write.members, algorithm: write.algorithm });
        break;
      case 'server-id':
        tables.putServerId(write.id, write.real);
        break;
      case 'source-route':
        tables.putSourceRoute(write.prefix, write.real);
        break;
      case 'down-real':
        tables.putDownReal(write.vip, write.real);
        break;
      case 'global-flow':
        tables.putGlobalFlow(write.flow, write.real);
        break;
      case 'vip-ring':
        tables.putVipRing(write.vip, write.ring);
        break;
      case 'vip':
        tables.putVip(write.key, { flags: write.flags, number: write.number });
        break;
      case 'watch':
        tables.watchMisses(write.vip);
        break;
      case 'decap':
        tables.putDecapDestination(write.address, { egress: write.egress });
        break;
      case 'delete-decap':
        tables.deleteDecapDestination(write.address);
        break;
      case 'delete-vip':
        tables.deleteVip(write.key);
        break;
      case 'delete-global-flow':
        tables.deleteGlobalFlow(write.flow);
        break;
      case 'delete-down-real':
        tables.deleteDownReal(write.vip, write.real);
        break;
      case 'delete-source-route':
        tables.deleteSourceRoute(write.prefix);
        break;
      case 'delete-server-id':
        tables.deleteServerId(write.id);
        break;
      case 'clear-ring':
        this.#putRing(write.ring, NO_RING);
        break;
      case 'clear-real':
        tables.clearReal(write.index);
        break;
      default:
        assertNever(write);
    }
  }

  /** Only slots that change are written: what a ring has now, the tables know best. */
  #putRing(ring: number, image: RingImage): void {
    const slots = slotsOf(image);
    this.#tables.putRing(ring, slots, this.#tables.readRing(ring));
    this.#counts.set(ring, countsOf(image.members, slots));
  }
}

/** Slots of each row that a ring has. */
function countsOf(members: readonly RingMember[], slots: Uint32Array): Map<number, number> {
  const counts = new Uint32Array(members.reduce((max, { index }) => Math.max(max, index), 0) + 1);
  for (let slot = 0; slot < RING_SIZE; slot++) counts[slots[slot]!]! += 1;
  return new Map(members.map(({ index }) => [index, counts[index]!]));
}
