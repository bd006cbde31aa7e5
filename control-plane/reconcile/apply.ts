import { assertNever, type BalancerTables, MAX_REALS, RING_SIZE } from '../../lb/index.js';
import { buildRing } from '../maglev/ring.js';
import type { RingMember } from './image.js';
import type { MapWrite } from './plan.js';

/** The part of the balancer's tables that is written here. */
export type WritableTables = Pick<
  BalancerTables,
  'putReal' | 'putNextHop' | 'clearReal' | 'putRing' | 'putVipRing' | 'putVip' | 'deleteVip'
>;

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
      case 'real':
        tables.putReal(write.index, write.address);
        break;
      case 'next-hop':
        tables.putNextHop(write.index, write.mac);
        break;
      case 'ring':
        this.#putRing(write.ring, write.members);
        break;
      case 'vip-ring':
        tables.putVipRing(write.vip, write.ring);
        break;
      case 'vip':
        tables.putVip(write.key, { flags: 0, number: write.number });
        break;
      case 'delete-vip':
        tables.deleteVip(write.key);
        break;
      case 'clear-ring':
        this.#putRing(write.ring, []);
        break;
      case 'clear-real':
        tables.clearReal(write.index);
        break;
      default:
        assertNever(write);
    }
  }

  #putRing(ring: number, members: readonly RingMember[]): void {
    const slots = buildRing(
      members.map(({ index, address, weight }) => ({ index, address: address.bytes, weight })),
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
