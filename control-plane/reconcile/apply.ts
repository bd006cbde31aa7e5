import {
  assertNever,
  type BalancerTables,
  MAX_REALS,
  type Mac,
  parseIp,
  parseMac,
  REAL_FLAGS,
  RING_SIZE,
} from '../../lb/index.js';
import { buildRing } from '../maglev/ring.js';
import type { RingAlgorithm } from '../state/model.js';
import type { RingMember } from './image.js';
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

const EMPTY_RING = new Uint32Array(RING_SIZE);

/** What a ring holds: its slots, and how many of them each row has. */
interface WrittenRing {
  readonly slots: Uint32Array;
  readonly counts: Uint32Array;
}

/** Runs plans on the tables. Keeps the rings that it wrote, so that only slots that change are written. */
export class TableWriter {
  readonly #tables: WritableTables;
  /** Rings that are not here are empty; 'unknown': a write of it failed half-way. */
  readonly #rings = new Map<number, WrittenRing | 'unknown'>();

  /** @param tables freshly made, or at least with empty rings */
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

  /** Share of a ring's slots that a row has, 0..1. */
  share(ring: number, index: number): number {
    const written = this.#rings.get(ring);
    if (written === undefined || written === 'unknown') return 0;
    return (written.counts[index] ?? 0) / RING_SIZE;
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
        this.#putRing(write.ring, write.members, write.algorithm);
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
        this.#putRing(write.ring, [], 'v2');
        break;
      case 'clear-real':
        tables.clearReal(write.index);
        break;
      default:
        assertNever(write);
    }
  }

  #putRing(ring: number, members: readonly RingMember[], algorithm: RingAlgorithm): void {
    const slots = buildRing(
      members.map(({ index, address, weight }) => ({ index, address: address.bytes, weight })),
      algorithm,
    );
    const written = this.#rings.get(ring);
    const previous = written === 'unknown' ? undefined : (written?.slots ?? EMPTY_RING);
    this.#rings.set(ring, 'unknown');
    this.#tables.putRing(ring, slots, previous);
    if (members.length === 0) {
      this.#rings.delete(ring);
      return;
    }
    const counts = new Uint32Array(MAX_REALS);
    for (let slot = 0; slot < RING_SIZE; slot++) counts[slots[slot]!]! += 1;
    this.#rings.set(ring, { slots, counts });
  }
}
