import { checkRange, type MapSet, u32Bytes } from './map-set.js';
import { decode, RING_SIZE, U32 } from './schema.js';

/** Most slots that go into one batch. */
const BATCH_SLOTS = 8192;

/** Number of the ring that a VIP uses, by its word in vip_rings: ring number + 1, or 0 for the one of its own number. */
export const ringOf = (word: number, vipNumber: number): number => (word === 0 ? vipNumber : word - 1);

/** The rings, and which of them each VIP uses. */
export class RingTable {
  readonly #maps: MapSet;

  constructor(maps: MapSet) {
    this.#maps = maps;
  }

  /**
   * Write a ring, only the slots that differ from `previous`.
   * @param slots RING_SIZE backend indices, 0 = empty
   * @param previous what the ring holds now, as far as the caller knows; without it every slot is written
   * @returns slots written
   * @throws TablesError TABLES_RANGE, TABLES_WRITE
   */
  put(ring: number, slots: Uint32Array, previous?: Uint32Array): number {
    this.#maps.limits.checkRing(ring);
    checkRange('ring size', slots.length, RING_SIZE, RING_SIZE);
    const map = this.#maps.get('ch_rings');
    const keys = new Uint32Array(BATCH_SLOTS);
    const values = new Uint32Array(BATCH_SLOTS);
    let pending = 0;
    let written = 0;
    const flush = (): void => {
      const result = map.updateBatch(bytesOf(keys, pending), bytesOf(values, pending), pending);
      this.#maps.check('ch_rings', 'update batch', result);
      written += pending;
      pending = 0;
    };
    for (let slot = 0; slot < RING_SIZE; slot++) {
      if (previous !== undefined && previous[slot] === slots[slot]) continue;
      keys[pending] = ring * RING_SIZE + slot;
      values[pending] = slots[slot]!;
      if (++pending === BATCH_SLOTS) flush();
    }
    flush();
    return written;
  }

  /** The slots that a ring has now. @throws TablesError TABLES_RANGE */
  read(ring: number): Uint32Array {
    this.#maps.limits.checkRing(ring);
    const map = this.#maps.get('ch_rings');
    const slots = map.readWords?.(ring * RING_SIZE, RING_SIZE);
    if (slots !== undefined) return slots;
    return Uint32Array.from({ length: RING_SIZE }, (_, slot) =>
      this.#word('ch_rings', ring * RING_SIZE + slot),
    );
  }

  /** @throws TablesError TABLES_RANGE, TABLES_WRITE */
  assign(vipNumber: number, ringNumber: number): void {
    this.#maps.limits.checkVip(vipNumber);
    this.#maps.limits.checkRing(ringNumber);
    this.#maps.update('vip_rings', u32Bytes(vipNumber), u32Bytes(ringNumber + 1));
  }

  /** Backend in a slot of the ring that a VIP uses, as the program finds it; 0: none. @throws TablesError TABLES_RANGE */
  realAt(vipNumber: number, slot: number): number {
    this.#maps.limits.checkVip(vipNumber);
    checkRange('ring slot', slot, 0, RING_SIZE - 1);
    const ring = ringOf(this.#word('vip_rings', vipNumber), vipNumber);
    return this.#word('ch_rings', ring * RING_SIZE + slot);
  }

  #word(map: 'vip_rings' | 'ch_rings', index: number): number {
    const bytes = this.#maps.lookup(map, u32Bytes(index));
    return bytes === undefined ? 0 : decode(U32, bytes).value;
  }
}

/** Little-endian bytes of the first `count` words (every machine that runs this is little endian). */
function bytesOf(words: Uint32Array, count: number): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, count * 4);
}
